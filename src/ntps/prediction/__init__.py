"""A probe or a classifier that was saved, at work: labels and probabilities of new texts."""

"""The sums of one layer, and the score that follows from them."""

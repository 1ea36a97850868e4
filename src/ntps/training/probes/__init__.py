"""Linear probes: least squares, logistic regression, AdamW."""

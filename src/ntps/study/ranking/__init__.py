"""Which model: scores of the same texts, side by side, in an order that says how certain it is."""

"""Labels: their types, classes and vectors, and how they become targets."""

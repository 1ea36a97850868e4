"""Every batch through the model once."""

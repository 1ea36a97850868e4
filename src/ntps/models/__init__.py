"""A hub id or a folder → tokenizer, base transformer and the hidden states of its layers."""

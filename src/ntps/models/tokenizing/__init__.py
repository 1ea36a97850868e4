"""Texts → token ids."""

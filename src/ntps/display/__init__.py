"""Sentences and tables for a terminal."""

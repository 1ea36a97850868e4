"""Whole scoring jobs: from a model and a task to a scored record."""

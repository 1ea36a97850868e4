"""The embedded task, frozen as data, for first runs and tests without a network."""

"""Pages of a finished score or study. Reads results only."""

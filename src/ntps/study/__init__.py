"""Models × tasks × measurements → a folder of results → statistics."""

"""Models × tasks × measurements → a folder of results, on one machine or many → statistics."""

"""What ridge probes reach on texts that they have not seen, from the pooled texts of one pass."""

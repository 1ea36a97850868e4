"""Pages of a single result: a score, a probe, a fine-tuning, a ranking, a piece of advice."""

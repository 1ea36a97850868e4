"""What scores, probes and fine-tuning share: settings, session, progress, provenance, records."""

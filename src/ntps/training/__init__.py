"""What a score is compared with: linear probes, LoRA, training from scratch."""

"""Fine-tuning: LoRA, or all weights."""

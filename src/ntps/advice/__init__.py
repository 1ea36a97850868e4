"""What to do about a task before anything is trained: the best probe, a forecast of LoRA, and what more texts bring."""

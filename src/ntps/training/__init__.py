"""What NTPS is meant to predict: linear probes, LoRA, training from scratch."""

from ntps.training.figures import Figures, figures_of_logits, figures_of_values, majority_accuracy

__all__ = ["Figures", "figures_of_logits", "figures_of_values", "majority_accuracy"]

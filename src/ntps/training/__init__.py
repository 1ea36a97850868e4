"""What NTPS is meant to predict: linear probes, LoRA, training from scratch."""

from ntps.training.figures import Figures, figures_of_logits, figures_of_values, majority_accuracy
from ntps.training.finetune import FinetuneRecord, run_finetune
from ntps.training.loss import label_tensor, loss_function
from ntps.training.ols import LeastSquares, figures_of_means, ols_of_means, ols_of_pooled
from ntps.training.probe import ProbeRecord, run_probe
from ntps.training.recipe import FinetuneSettings
from ntps.training.saved import load_classifier
from ntps.training.settings import (
    AdamwRecipe,
    LogisticRecipe,
    OlsRecipe,
    ProbeSettings,
)

__all__ = [
    "AdamwRecipe",
    "Figures",
    "FinetuneRecord",
    "FinetuneSettings",
    "LeastSquares",
    "LogisticRecipe",
    "OlsRecipe",
    "ProbeRecord",
    "ProbeSettings",
    "figures_of_logits",
    "figures_of_means",
    "figures_of_values",
    "label_tensor",
    "load_classifier",
    "loss_function",
    "majority_accuracy",
    "ols_of_means",
    "ols_of_pooled",
    "run_finetune",
    "run_probe",
]

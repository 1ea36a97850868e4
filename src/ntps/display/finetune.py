"""A fine-tuning run as a person uses it."""

from __future__ import annotations

from ntps.display.probe import main_figure
from ntps.training.records import FinetuneFile, FinetuneSummary

NAMES = {
    "ridge": "ridge probe",
    "ols": "least-squares probe",
    "logistic": "logistic probe",
    "adamw": "AdamW probe",
    "tangent": "tangent probe",
    "lora": "LoRA",
    "full": "full fine-tuning",
    "scratch": "from scratch",
}
"""Measurements that can be compared, in the order in which they are named."""


def finetune_words(result: FinetuneFile) -> str:
    """One sentence: what was trained for how long, and how well it does."""
    summary = result.summary
    name = NAMES[result.measurement]
    trained = (
        f"{name[0].upper()}{name[1:]}, {summary.steps:,} steps of {result.settings.batch_size}{_kept(summary)}, "
        f"{summary.trainable_parameters:,} of {summary.total_parameters:,} parameters trained: "
    )
    return f"{trained}{main_figure(result)}."


def _kept(summary: FinetuneSummary) -> str:
    if summary.validation is None:
        return ""
    return f", weights of step {summary.kept_step:,} by {summary.validation_texts:,} texts held back"

"""Figures on test texts in the form of Hugging Face model cards."""

from __future__ import annotations

from huggingface_hub import EvalResult

from ntps.display.sentences import short_name
from ntps.errors import InputError
from ntps.jobs.record import ResultFile
from ntps.training.records import SplitsSummary

METRICS = {"accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy", "r2": "R²", "mse": "Mean squared error"}
"""Their names on the hub, and in words."""


def eval_results(result: ResultFile) -> list[EvalResult]:
    """One entry for each figure of a classifier on test texts.

    Args:
        result: Of a probe, or of fine-tuning.

    Raises:
        InputError: It is of something else, or without test texts.
    """
    summary, task = getattr(result, "summary", None), result.task
    if not isinstance(summary, SplitsSummary):
        raise InputError("a model card describes a classifier: give the result of a probe, or of fine-tuning")
    if summary.test is None or task.test is None:
        raise InputError("a model card needs figures on test texts, and this result has none: give a test split")
    name = short_name(task.id)
    return [
        EvalResult(
            task_type="text-classification",
            dataset_type=name,
            dataset_name=name,
            dataset_revision=task.revision,
            dataset_split=task.test.split,
            metric_type=metric,
            metric_name=words,
            metric_value=value,
        )
        for metric, words in METRICS.items()
        if (value := getattr(summary.test, metric)) is not None
    ]

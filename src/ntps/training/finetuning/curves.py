"""The curves of training, from the Trainer's log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd

from ntps.tasks.task import Task
from ntps.training.metrics import Metrics

NUMBERS = ["loss", "cross_entropy", "accuracy", "learning_rate"]


def training_curves(
    log: Sequence[Mapping[str, Any]],
    task: Task,
    evaluated: Literal["validation", "test"],
    tested: tuple[int, Metrics] | None = None,
) -> pd.DataFrame:
    """One row a training loss, each a mean over the steps since the last one, and one an evaluation.

    Args:
        log: The Trainer's log.
        task: The task.
        evaluated: The texts that were evaluated during training.
        tested: A step, and what its weights did on test texts that were not evaluated during training.
    """
    regression = task.kind == "regression"
    name = "mse" if regression else "cross_entropy"
    rows = []
    for entry in log:
        if "loss" in entry:
            loss, split = entry["loss"], "train"
        elif f"eval_{name}" in entry:
            loss, split = entry[f"eval_{name}"], evaluated
        else:
            continue
        rows.append((entry["step"], split, loss, entry.get("eval_accuracy"), entry.get("learning_rate")))
    if tested is not None:
        step, figures = tested
        rows.append((step, "test", getattr(figures, name), figures.accuracy, None))
    frame = pd.DataFrame(rows, columns=["step", "split", "loss", "accuracy", "learning_rate"])
    frame.insert(3, "cross_entropy", None if regression else frame["loss"])
    return frame.astype(dict.fromkeys(NUMBERS, "float64"))

"""The curves of training, from the Trainer's log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ntps.tasks.task import Task


def training_curves(log: Sequence[Mapping[str, Any]], task: Task) -> pd.DataFrame:
    """One row a training loss, each a mean over the steps since the last one, and one an evaluation.

    Args:
        log: The Trainer's log.
        task: The task.
    """
    regression = task.kind == "regression"
    rows = []
    for entry in log:
        if "loss" in entry:
            loss, split = entry["loss"], "train"
        elif "eval_mse" in entry or "eval_cross_entropy" in entry:
            loss, split = entry["eval_mse" if regression else "eval_cross_entropy"], "test"
        else:
            continue
        rows.append(
            {
                "step": entry["step"],
                "split": split,
                "loss": loss,
                "cross_entropy": None if regression else loss,
                "accuracy": entry.get("eval_accuracy"),
                "learning_rate": entry.get("learning_rate"),
            }
        )
    frame = pd.DataFrame(rows)
    numbers = ["loss", "cross_entropy", "accuracy", "learning_rate"]
    return frame.astype(dict.fromkeys(numbers, "float64"))

"""How much a score depends on the batches that it was computed in."""

from __future__ import annotations

import numpy as np

from ntps.forward.causality import BatchingCheck, check_batching
from ntps.jobs.session import DEFAULT_TOKENS_PER_BATCH
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokens import tokenize
from ntps.options.scoring import ScoreSettings
from ntps.scoring.score_run import run_score
from ntps.tasks.task import Task

COMPARED = ("r2", "area", "chance_area", "ntps_share95")


def check_rescoring(model: LanguageModel, task: Task) -> tuple[BatchingCheck, dict[str, float]]:
    """Scores a task with texts one by one and in batches.

    Args:
        model: The model.
        task: A small task.

    Returns:
        The start-up check, and the largest absolute change over layers (and over k, for curves) of each score.
    """
    alone = run_score(model, task, ScoreSettings(tokens_per_batch=1, test=False))
    batched = run_score(model, task, ScoreSettings(test=False))
    moved = {
        name: _largest(*([getattr(row, name) for row in record.result.layers] for record in (alone, batched)))
        for name in COMPARED
    }
    first, second = (record.curves.set_index(["layer", "k"]) for record in (alone, batched))
    shared = first.index.intersection(second.index)
    for name in ("ntps", "retained_centered"):
        moved[f"{name}, every k"] = _largest(first.loc[shared, name], second.loc[shared, name])
    layers = range(model.num_layers + 1)
    budget = DEFAULT_TOKENS_PER_BATCH[model.device.type]
    return check_batching(model, tokenize(model, task.train.texts), layers, budget), moved


def _largest(first: object, second: object) -> float:
    change = np.abs(np.asarray(first, dtype=float) - np.asarray(second, dtype=float))
    return float(np.nanmax(change)) if np.isfinite(change).any() else float("nan")

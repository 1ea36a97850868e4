"""Ranks and Spearman coefficients of many scores with one measurement at once."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ntps.errors import InputError

Array = NDArray[np.float64]

Direction = Literal["positive", "negative", "either"]
"""What was claimed before looking: the coefficient's sign, or only that there is a relation."""

FEWEST_TASKS = 4
"""With three tasks even a perfect order comes about once in six shuffles."""


def centred_ranks(values: Array) -> Array:
    """Average ranks along the first axis, doubled and centred: ``2·rank − (n + 1)``, which is ``Σ_j sign(v_i − v_j)``.

    They are whole numbers, so that products of them are exact and no coefficient depends on the order of summation.

    Args:
        values: (tasks, …); a column with a NaN gets NaN ranks.
    """
    ranks = np.zeros_like(values)
    for row in values:
        ranks += np.sign(values - row)
    return ranks


def without(ranks: Array, task: int) -> Array:
    """Centred ranks (tasks, …) among all tasks but one: what :func:`centred_ranks` gives without its row."""
    others = np.delete(ranks, task, axis=0)
    remaining: Array = others - np.sign(others - ranks[task])
    return remaining


def inverse_norm(ranks: Array) -> Array:
    """One over the norm along the first axis; NaN for constants, which have no correlation with anything."""
    norm = np.sqrt(np.sum(ranks**2, axis=0))
    return 1.0 / np.where(norm > 0, norm, np.nan)


def spearman(scores: Array, measurement: Array) -> Array:
    """Spearman's coefficient of every score with a measurement over tasks; ties get average ranks.

    Args:
        scores: (tasks, …), for instance tasks × layers × k. Where layers have different numbers of k, pad with NaN.
        measurement: (tasks,).

    Returns:
        The shape of ``scores`` without its first axis; NaN for a score that is constant or not defined for every task.

    Raises:
        InputError: The shapes differ, there are fewer than four tasks, or the measurement is not finite or constant.
    """
    check(scores, measurement)
    x, y = centred_ranks(scores), centred_ranks(measurement)
    coefficients: Array = np.tensordot(y, x, axes=1) * inverse_norm(x) * inverse_norm(y)
    return coefficients


def strength(coefficients: Array, direction: Direction) -> Array:
    """How far coefficients go in the claimed direction; minus infinity where there is none."""
    signed = {"positive": coefficients, "negative": -coefficients, "either": np.abs(coefficients)}[direction]
    return np.where(np.isnan(signed), -np.inf, signed)


def check(scores: Array, measurement: Array) -> None:
    """Refuses what no coefficient can be computed from.

    Raises:
        InputError: See :func:`spearman`.
    """
    tasks = len(measurement)
    if measurement.shape != (len(scores),):
        raise InputError(
            f"scores of {len(scores)} tasks cannot be compared with a measurement of shape {measurement.shape}: "
            "give one number for each task"
        )
    if tasks < FEWEST_TASKS:
        raise InputError(f"a correlation over {tasks} tasks says nothing: measure at least {FEWEST_TASKS} tasks")
    if not np.isfinite(measurement).all():
        raise InputError("the measurement is missing or not finite for some task: leave that task out")
    if (measurement == measurement[0]).all():
        raise InputError("the measurement is the same for every task, so nothing can correlate with it")

"""Scores by rules that were fixed before looking: their coefficients, p-values and intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ntps.study.statistics.permutation import PERMUTATIONS, ROUNDING, p_value, shuffled, single_p_value, strongest
from ntps.study.statistics.ranks import Array, Direction, centred_ranks, inverse_norm, spearman, strength

RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class FixedScore:
    """What a score by a rule fixed in advance says about a measurement.

    Attributes:
        coefficient: Spearman's coefficient; NaN where the score is undefined for a task or the same for all.
        low: Lower end of the bootstrap interval over tasks (95 %).
        high: Its upper end.
        p_value: Permutation p-value of this rule alone.
        adjusted_p_value: How often the strongest of all the rules that were tried is as strong by chance.
        tasks: Number of tasks.
    """

    coefficient: float
    low: float
    high: float
    p_value: float
    adjusted_p_value: float
    tasks: int


def fixed_scores(
    scores: Array, measurement: Array, direction: Direction, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> tuple[FixedScore, ...]:
    """Tests each of a few rules alone, and all of them together.

    Args:
        scores: (tasks, rules).
        measurement: (tasks,).
        direction: What was claimed.
        permutations: Number of random orders for more than eight tasks; up to eight, all of them.
        seed: Of the random orders and the resamples.

    Raises:
        InputError: See :func:`~ntps.study.statistics.ranks.spearman`.
    """
    coefficients = spearman(scores, measurement)
    defined = ~np.isnan(coefficients)
    orders, exact = shuffled(centred_ranks(measurement), permutations, seed)
    by_chance = strongest(centred_ranks(scores[:, defined]), orders, direction) if defined.any() else np.empty(0)
    found = []
    for score, coefficient in zip(scores.T, coefficients, strict=True):
        at_least = int((by_chance >= strength(coefficient, direction) - ROUNDING).sum())
        low, high = bootstrap_interval(score, measurement, seed=seed)
        found.append(
            FixedScore(
                coefficient=float(coefficient),
                low=low,
                high=high,
                p_value=single_p_value(score, measurement, direction, seed),
                adjusted_p_value=float("nan") if np.isnan(coefficient) else p_value(at_least, len(orders), exact),
                tasks=len(measurement),
            )
        )
    return tuple(found)


def bootstrap_interval(
    score: Array, measurement: Array, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of Spearman's coefficient over tasks drawn with replacement.

    Draws in which either side is constant have no coefficient and are left out.

    Args:
        score: (tasks,).
        measurement: (tasks,).
        resamples: Number of draws.
        level: Coverage aimed at.
        seed: Of the draws.
    """
    tasks = len(score)
    drawn = np.random.default_rng(seed).integers(tasks, size=(tasks, resamples))
    x, y = centred_ranks(score[drawn]), centred_ranks(measurement[drawn])
    coefficients = np.sum(x * y, axis=0) * inverse_norm(x) * inverse_norm(y)
    kept = coefficients[~np.isnan(coefficients)]
    if not kept.size:
        return float("nan"), float("nan")
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)

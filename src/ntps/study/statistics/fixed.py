"""Scores by rules that were fixed before looking: their coefficients, p-values and intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ntps.study.statistics.permutation import PERMUTATIONS, ROUNDING, p_value, single_p_value, strongest_of_groups
from ntps.study.statistics.ranks import Array, Direction, centred_ranks, inverse_norm, strength

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
        measurement: (tasks,), or (tasks, rules) where each rule has its own, such as the probe of its layer.
        direction: What was claimed.
        permutations: Number of random orders for more than eight tasks; up to eight, all of them.
        seed: Of the random orders and the resamples.

    Raises:
        InputError: See :func:`~ntps.study.statistics.ranks.spearman`.
    """
    by_rule = measurement.shape == scores.shape
    measured = measurement if by_rule else np.repeat(measurement[:, None], scores.shape[1], axis=1)
    found_coefficients, by_chance, exact = strongest_of_groups(
        scores[:, :, None], measured, direction, permutations, seed
    )
    coefficients = found_coefficients[:, 0]
    found = []
    for score, own, coefficient in zip(scores.T, measured.T, coefficients, strict=True):
        at_least = int((by_chance >= strength(coefficient, direction) - ROUNDING).sum())
        low, high = bootstrap_interval(score, own, seed=seed)
        found.append(
            FixedScore(
                coefficient=float(coefficient),
                low=low,
                high=high,
                p_value=single_p_value(score, own, direction, seed),
                adjusted_p_value=float("nan") if np.isnan(coefficient) else p_value(at_least, len(by_chance), exact),
                tasks=len(measurement),
            )
        )
    return tuple(found)


def bootstrap_interval(
    score: Array, measurement: Array, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of Spearman's coefficient over tasks drawn with replacement.

    Draws in which either side is constant have no coefficient and are not used.

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

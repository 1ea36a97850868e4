"""What coefficients come about when the measurement is dealt out to the tasks at random."""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from ntps.study.statistics.ranks import Array, Direction, centred_ranks, check, inverse_norm, spearman, strength

EXACT_TASKS = 8
"""Up to so many tasks every one of the n! permutations is visited."""
EXACT_TASKS_OF_ONE = 12
"""Up to so many tasks the distribution of a single coefficient is counted, without visiting permutations."""
PERMUTATIONS = 10_000
ENTRIES = 2**22
"""Numbers held at once (32 MiB)."""
ROUNDING = 1e-12
"""Coefficients of scores with different ties are equal up to this."""


def shuffled(ranks: Array, count: int, seed: int) -> tuple[Array, bool]:
    """The ranks of a measurement in other orders.

    Args:
        ranks: (tasks,).
        count: Number of random orders, where there are more than eight tasks.
        seed: Of the random orders.

    Returns:
        (orders, tasks), and whether these are all n! orders.
    """
    if len(ranks) <= EXACT_TASKS:
        return np.array(list(permutations(ranks))), True
    return np.random.default_rng(seed).permuted(np.tile(ranks, (count, 1)), axis=1), False


def p_value(at_least: int, orders: int, exact: bool) -> float:
    """Share of orders at least as strong as what was observed.

    A random sample of orders counts the observed one too, ``(b + 1) / (m + 1)``, which keeps the p-value valid.
    """
    return at_least / orders if exact else (at_least + 1) / (orders + 1)


def strongest(ranks: Array, orders: Array, direction: Direction) -> Array:
    """The strongest coefficient of any score, for each order of the measurement.

    Args:
        ranks: Centred ranks of the scores (tasks, scores), none constant.
        orders: Centred ranks of the measurement (orders, tasks).
        direction: What counts as strong.

    Returns:
        (orders,).
    """
    scaled = inverse_norm(ranks) * inverse_norm(orders[0])
    rows = max(1, ENTRIES // ranks.shape[1])
    chunks = (orders[start : start + rows] for start in range(0, len(orders), rows))
    return np.concatenate([strength((chunk @ ranks) * scaled, direction).max(axis=1) for chunk in chunks])


def strongest_of_groups(
    scores: Array, measurement: Array, direction: Direction, count: int, seed: int
) -> tuple[Array, Array, bool]:
    """Coefficients of groups of scores, and the strongest of all of them for each order of the tasks.

    An order deals out what was measured on a task as a whole: every group sees the same shuffle.

    Args:
        scores: (tasks, groups, scores).
        measurement: (tasks, groups).
        direction: What counts as strong.
        count: Number of random orders, where there are more than eight tasks.
        seed: Of the random orders.

    Returns:
        (groups, scores) coefficients, (orders,) strongest coefficients, and whether these are all orders.

    Raises:
        InputError: See :func:`~ntps.study.statistics.ranks.spearman`.
    """
    coefficients, by_chance, exact = [], [], False
    for own, measured in zip(np.moveaxis(scores, 1, 0), np.moveaxis(measurement, 1, 0), strict=True):
        coefficients.append(spearman(own, measured))
        # One seed, one sequence of shuffles: what they do depends on the number of tasks alone.
        orders, exact = shuffled(centred_ranks(measured), count, seed)
        defined = ~np.isnan(coefficients[-1])
        if defined.any():
            by_chance.append(strongest(centred_ranks(own[:, defined]), orders, direction))
    return np.stack(coefficients), np.max(by_chance, axis=0) if by_chance else np.empty(0), exact


def single_p_value(score: Array, measurement: Array, direction: Direction, seed: int = 0) -> float:
    """Permutation p-value of one score that was fixed in advance.

    Exact for up to twelve tasks, else from 10,000 seeded permutations.

    Args:
        score: (tasks,).
        measurement: (tasks,).
        direction: What was claimed.
        seed: Of the permutations, for more than twelve tasks.

    Returns:
        The p-value; NaN where the score is constant or undefined.

    Raises:
        InputError: See :func:`~ntps.study.statistics.ranks.spearman`.
    """
    check(score, measurement)
    x, y = centred_ranks(score), centred_ranks(measurement)
    scale = float(inverse_norm(x) * inverse_norm(y))
    if np.isnan(scale):
        return float("nan")
    observed = strength(scale * (x @ y), direction) - ROUNDING
    if len(x) <= EXACT_TASKS_OF_ONE:
        counts = _counts(tuple(sorted(x.astype(int).tolist())), tuple(sorted(y.astype(int).tolist())))
        half = len(counts) // 2
        at_least = strength(scale * np.arange(-half, half + 1.0), direction) >= observed
        return float(counts[at_least].sum() / counts.sum())
    orders, exact = shuffled(y, PERMUTATIONS, seed)
    return p_value(int((strongest(x[:, None], orders, direction) >= observed).sum()), len(orders), exact)


@lru_cache
def _counts(x: tuple[int, ...], y: tuple[int, ...]) -> NDArray[np.int64]:
    """In how many orders of y the product x·y is −m … m, by recursion over the sets of y's that are already dealt out.

    All sets of one size lie in one dictionary, each with its counts; 2ⁿ sets replace n! orders.
    """
    half = int(np.ceil(np.linalg.norm(x) * np.linalg.norm(y)))
    start = np.zeros(2 * half + 1, dtype=np.int64)
    start[half] = 1
    dealt = {0: start}
    for rank in x:
        larger: dict[int, NDArray[np.int64]] = {}
        for members, counts in dealt.items():
            for index, other in enumerate(y):
                if not members >> index & 1:
                    # No product leaves −m … m, so that what is rolled over the end is zero.
                    larger.setdefault(members | 1 << index, np.zeros_like(start))[:] += np.roll(counts, rank * other)
        dealt = larger
    return dealt[(1 << len(y)) - 1]

"""Leave one task out: the pair is chosen without the task whose score it then gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntps.errors import InputError
from ntps.study.statistics.permutation import ENTRIES, PERMUTATIONS, ROUNDING, p_value, shuffled
from ntps.study.statistics.ranks import (
    FEWEST_TASKS,
    Array,
    Direction,
    centred_ranks,
    inverse_norm,
    spearman,
    strength,
    without,
)


@dataclass(frozen=True)
class HeldOutSelection:
    """How well a pair that was selected on the other tasks orders the task it has not seen.

    Attributes:
        coefficient: Spearman's coefficient of ``ranks`` with the measurement; NaN if the ranks are all equal. Without
            any relation it spreads wider than that of a single pair, which the p-value knows.
        direction: The direction in which pairs were sought.
        pairs: The (layer, k) positions that were chosen without each task.
        ranks: Where each task's score lies among the others' at its pair, from 0 (lowest) to 1 (highest). When either
            direction was sought, a pair with a negative coefficient counts from the other end.
        p_value: How often an order at random does as well, the whole procedure being repeated for it.
        permutations: Number of orders.
        exact: Whether these are all orders.
    """

    coefficient: float
    direction: Direction
    pairs: tuple[tuple[int, int], ...]
    ranks: tuple[float, ...]
    p_value: float
    permutations: int
    exact: bool


def leave_one_out(
    scores: Array, measurement: Array, direction: Direction, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> HeldOutSelection:
    """Chooses the pair without each task in turn; the task's score enters as its rank among the others at that pair.

    Raw scores of different pairs have different scales and cannot be compared; ranks among the same tasks can.

    Args:
        scores: (tasks, layers, k), padded with NaN.
        measurement: (tasks,).
        direction: What was claimed.
        permutations: Number of random orders for more than eight tasks; up to eight, all of them.
        seed: Of the random orders.

    Raises:
        InputError: No pair has a coefficient or the measurement differs for one task only, or see
            :func:`~ntps.study.statistics.ranks.spearman`.
    """
    tasks = len(measurement)
    defined = ~np.isnan(spearman(scores, measurement))
    y = centred_ranks(measurement)
    if tasks <= FEWEST_TASKS or not defined.any() or np.unique(y, return_counts=True)[1].max() == tasks - 1:
        raise InputError(
            f"leaving one task out takes at least {FEWEST_TASKS + 1} tasks, a score that is defined for all of them, "
            "and measurements that differ between more than one task and the rest"
        )
    ranks = centred_ranks(scores[:, defined])
    columns, held_out = _chosen(ranks, y[None], direction)
    observed = _coefficients(held_out, y[None])[0]
    orders, exact = shuffled(y, permutations, seed)
    # Pairs of either sign are turned round when they are chosen, so that a positive coefficient is sought.
    sought: Direction = "positive" if direction == "either" else direction
    by_chance = strength(_coefficients(_chosen(ranks, orders, direction)[1], orders), sought)
    places = np.argwhere(defined)[columns[0]]
    return HeldOutSelection(
        coefficient=float(observed),
        direction=direction,
        pairs=tuple((int(layer), int(k)) for layer, k in places),
        ranks=tuple(float(rank) for rank in (held_out[0] / (tasks - 1) + 1) / 2),
        p_value=p_value(int((by_chance >= strength(observed, sought) - ROUNDING).sum()), len(orders), exact),
        permutations=len(orders),
        exact=exact,
    )


def _chosen(ranks: Array, orders: Array, direction: Direction) -> tuple[NDArray[np.int64], Array]:
    """For each order and task, the column chosen without the task, and the task's centred rank in that column."""
    columns = np.empty(orders.shape, dtype=np.int64)
    held_out = np.empty(orders.shape)
    rows = max(1, ENTRIES // ranks.shape[1])
    for task in range(len(ranks)):
        x = without(ranks, task)
        scale = inverse_norm(x)
        for start in range(0, len(orders), rows):
            part = slice(start, start + rows)
            y = without(orders[part].T, task).T
            coefficients = (y @ x) * scale
            columns[part, task] = strength(coefficients, direction).argmax(axis=1)
            held_out[part, task] = ranks[task, columns[part, task]]
            if direction == "either":
                held_out[part, task] *= np.sign(np.take_along_axis(coefficients, columns[part, [task]], axis=1)[:, 0])
    return columns, held_out


def _coefficients(predicted: Array, orders: Array) -> Array:
    """Spearman's coefficient of each row of predictions with the same row of orders."""
    x, y = centred_ranks(predicted.T), orders.T
    coefficients: Array = np.sum(x * y, axis=0) * inverse_norm(x) * inverse_norm(y)
    return coefficients

"""The paper's rule: the (layer, k) with the strongest coefficient, and what looking at so many pairs is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ntps.errors import InputError
from ntps.study.statistics.permutation import PERMUTATIONS, ROUNDING, p_value, single_p_value, strongest_of_groups
from ntps.study.statistics.ranks import Array, Direction, strength


@dataclass(frozen=True)
class SelectedPair:
    """The strongest of many coefficients, *selected on the same data*.

    Attributes:
        layer: Position of the chosen pair on the scores' second axis.
        k: Its position on their third axis.
        coefficient: Spearman's coefficient there.
        direction: The direction in which it was sought.
        tasks: Number of tasks.
        pairs: Number of pairs that were compared.
        ties: How many of them reach the same coefficient; the first one was taken.
        p_value: How often the strongest of all pairs is as strong when the measurement is dealt out at random.
        naive_p_value: The p-value of the chosen pair had it been the only one; too small, for comparison only.
        chance: The strongest coefficient (without its sign) that half of the random orders exceed.
        permutations: Number of orders.
        exact: Whether these are all orders.
    """

    layer: int
    k: int
    coefficient: float
    direction: Direction
    tasks: int
    pairs: int
    ties: int
    p_value: float
    naive_p_value: float
    chance: float
    permutations: int
    exact: bool


def select_pair(
    scores: Array, measurement: Array, direction: Direction, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> SelectedPair:
    """Chooses the pair with the strongest coefficient, and repeats the choice for every order of the measurement.

    Args:
        scores: (tasks, layers, k), padded with NaN where layers have different numbers of k. Pairs that are not
            defined for every task, or are the same for all, take no part.
        measurement: (tasks,), or (tasks, layers) where each layer has its own, such as its own probe.
        direction: What was claimed; the strongest coefficient in that direction is taken.
        permutations: Number of random orders for more than eight tasks; up to eight, all of them.
        seed: Of the random orders.

    Raises:
        InputError: No pair has a coefficient, or see :func:`~ntps.study.statistics.ranks.spearman`.
    """
    # With one measurement for all layers, all pairs are one group.
    by_layer = measurement.shape == scores.shape[:2]
    grouped = scores if by_layer else scores.reshape(len(scores), 1, -1)
    measured = measurement if by_layer else measurement[:, None]
    found, by_chance, exact = strongest_of_groups(grouped, measured, direction, permutations, seed)
    coefficients = found.reshape(scores.shape[1:])
    order = strength(coefficients, direction)
    layer, k = (int(index) for index in np.unravel_index(int(order.argmax()), order.shape))
    if np.isnan(coefficients[layer, k]):
        raise InputError("no score is defined for every task and differs between tasks, so none can be selected")
    observed = order[layer, k] - ROUNDING
    return SelectedPair(
        layer=layer,
        k=k,
        coefficient=float(coefficients[layer, k]),
        direction=direction,
        tasks=len(measurement),
        pairs=int((~np.isnan(coefficients)).sum()),
        ties=int((order >= observed).sum()),
        p_value=p_value(int((by_chance >= observed).sum()), len(by_chance), exact),
        naive_p_value=single_p_value(scores[:, layer, k], measured[:, layer if by_layer else 0], direction, seed),
        chance=float(np.median(by_chance)),
        permutations=len(by_chance),
        exact=exact,
    )

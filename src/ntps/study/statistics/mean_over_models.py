"""Several models that were measured on the same tasks: one coefficient each, and their mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ntps.study.statistics.permutation import PERMUTATIONS, ROUNDING, p_value, shuffled
from ntps.study.statistics.ranks import Array, Direction, centred_ranks, check, inverse_norm, strength


@dataclass(frozen=True)
class MeanCoefficient:
    """The mean of the models' coefficients.

    Attributes:
        mean: Of Spearman's coefficients over the models.
        p_value: How often it is as strong when the tasks are dealt out at random, in the same way for every model.
        models: Number of models.
    """

    mean: float
    p_value: float
    models: int


def mean_over_models(
    scores: Array, measurements: Array, direction: Direction, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> MeanCoefficient:
    """Tests the mean coefficient of models that share their tasks, and so are no independent evidence.

    Args:
        scores: (tasks, models).
        measurements: (tasks, models).
        direction: What was claimed.
        permutations: Number of random orders for more than eight tasks; up to eight, all of them.
        seed: Of the random orders.

    Raises:
        InputError: Some model's numbers cannot be correlated: see :func:`~ntps.study.statistics.ranks.spearman`.
    """
    for score, measurement in zip(scores.T, measurements.T, strict=True):
        check(score, measurement)
    x, y = centred_ranks(scores), centred_ranks(measurements)
    x, y = x * inverse_norm(x), y * inverse_norm(y)
    models = x.shape[1]
    observed = np.sum(x * y, axis=0).mean(keepdims=True)
    orders, exact = shuffled(np.arange(len(x), dtype=np.float64), permutations, seed)
    # Products of task i's scores with task j's measurements, averaged over models: an order picks one j for each i.
    products = x @ y.T / models
    by_chance = products[np.arange(len(x)), orders.astype(np.int64)].sum(axis=1)
    at_least = strength(by_chance, direction) >= strength(observed, direction) - ROUNDING
    found = p_value(int(at_least.sum()), len(orders), exact)
    return MeanCoefficient(mean=float(observed[0]), p_value=found, models=models)

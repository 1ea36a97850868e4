"""Centred problems: both with an intercept, from the same moments."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings

from ntps import score_moments
from ntps.moments.spectra import Spectra
from oracle import RandomTask, tasks
from tiny import Array, moments_of

KINDS = ("one-token texts", "real targets", "constant feature", "duplicated features")


def centered(rows: list[Array]) -> Array:
    stacked = np.concatenate(rows)
    return stacked - stacked.mean(axis=0) if len(stacked) else stacked


@settings(deadline=None, max_examples=40)
@given(tasks(KINDS, max_width=10))
def test_second_moments_are_those_of_deviations(task: RandomTask) -> None:
    means = Spectra.of(moments_of(task.texts, task.targets).means(), centered=True).means
    count = len(task.texts)
    prefixes = centered([np.cumsum(text, axis=0)[:-1] for text in task.texts])
    following = centered([text[1:] for text in task.texts])
    pooled = np.stack([text.mean(axis=0) for text in task.texts])
    pooled, targets = pooled - pooled.mean(axis=0), task.targets - task.targets.mean(axis=0)
    expected = {
        "prefix_gram": prefixes.T @ prefixes,
        "prefix_next": prefixes.T @ following,
        "next_energy": np.sum(following**2),
        "pooled_gram": pooled.T @ pooled,
        "pooled_target": pooled.T @ targets,
        "target_gram": targets.T @ targets,
    }
    scale = max(float(np.sum(text**2)) * len(text) ** 2 for text in task.texts)
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(means, name), value / count, atol=1e-12 * scale, err_msg=name)


@settings(deadline=None, max_examples=40)
@given(tasks(KINDS, max_width=10))
def test_the_probe_and_its_r2_have_an_intercept_either_way(task: RandomTask) -> None:
    moments = moments_of(task.texts, task.targets)
    plain, other = score_moments(moments), score_moments(moments, centered=True)
    assert (plain.r2, plain.rank_centered) == (other.r2, other.rank_centered)
    np.testing.assert_array_equal(plain.probe.coefficients, other.probe.coefficients)
    np.testing.assert_array_equal(plain.probe.intercept, other.probe.intercept)
    # What is kept of the explained energy is then what is kept of R².
    np.testing.assert_allclose(other.curves.retained, other.curves.retained_centered, atol=1e-9)


def test_a_constant_target_leaves_nothing_to_explain() -> None:
    rng = np.random.default_rng(0)
    texts = [rng.standard_normal((5, 4)) for _ in range(30)]
    score = score_moments(moments_of(texts, np.full((30, 1), 0.1)), centered=True)
    assert score.rank_perception == 0 and score.area is None
    assert score.target_energy == pytest.approx(0, abs=1e-15)


def exact_rank(pooled: Array, targets: list[list[Fraction]]) -> int:
    """Rank of the cross covariance, in rational arithmetic."""
    states = [[Fraction(value) for value in row] for row in pooled.tolist()]
    count, rows = len(states), []
    target_means = [sum(column) / count for column in zip(*targets, strict=True)]
    deviations = [[y - mean for y, mean in zip(row, target_means, strict=True)] for row in targets]
    for column in zip(*states, strict=True):
        products = zip(*([x * y for y in row] for x, row in zip(column, deviations, strict=True)), strict=True)
        rows.append([sum(product, Fraction(0)) for product in products])
    rank = 0
    for place in range(len(rows[0])):
        pivot = next((row for row in rows if row[place]), None)
        if pivot is None:
            continue
        rank += 1
        rows = [
            [a - row[place] / pivot[place] * b for a, b in zip(row, pivot, strict=True)]
            for row in rows
            if row is not pivot
        ]
    return rank


def shares(rng: np.random.Generator, whole: int, count: int) -> list[list[Fraction]]:
    parts = rng.integers(1, 50, size=(40, count)).tolist()
    return [[Fraction(whole * part, sum(row)) for part in row] for row in parts]


def years(rng: np.random.Generator) -> list[list[Fraction]]:
    return [[Fraction(year), Fraction(2 * year + 1)] for year in rng.integers(1950, 2020, size=40).tolist()]


def classes(rng: np.random.Generator) -> list[list[Fraction]]:
    """Rare ones among them, and one that never occurs."""
    labels = np.concatenate([np.arange(5), np.minimum(rng.geometric(0.6, size=35) - 1, 4)]).tolist()
    return [[Fraction(int(label == place)) for place in range(6)] for label in labels]


KINDS_OF_TARGETS: dict[str, Callable[[np.random.Generator], list[list[Fraction]]]] = {
    "shares of 100": lambda rng: shares(rng, 100, 3),
    "shares of 1": lambda rng: shares(rng, 1, 3),
    "six shares": lambda rng: shares(rng, 100, 6),
    "years": years,
    "classes": classes,
}


@pytest.mark.parametrize("kind", KINDS_OF_TARGETS)
def test_dependent_targets_add_no_column_to_u(kind: str) -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        exact = KINDS_OF_TARGETS[kind](rng)
        targets = np.array([[float(value) for value in row] for row in exact])
        states = rng.normal(size=(40, 1, 8)) * 10.0 ** rng.uniform(-2, 2, 8) + rng.normal(size=8)
        found = score_moments(moments_of(list(states), targets), centered=True)
        assert found.rank_perception == exact_rank(states[:, 0], exact), seed
        assert len(found.perception_eigenvalues) == found.rank_perception

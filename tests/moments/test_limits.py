"""Where float64 sums lose digits: a warning says so from a condition of about 1e10 on, and none does before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ntps import LayerScore, score_moments
from oracle import make_task
from tiny import Array, moments_of

WIDTH = 10
TASK = make_task(1, WIDTH, 3, per_dim=12)


def r2_of_rows(pooled: Array) -> float:
    """From a decomposition of the rows, whose columns are brought to one length first; no moment is formed."""
    rows, targets = pooled - pooled.mean(axis=0), TASK.targets - TASK.targets.mean(axis=0)
    left = np.linalg.svd(rows / np.linalg.norm(rows, axis=0), full_matrices=False)[0]
    return float(np.sum((left.T @ targets) ** 2) / np.sum(targets**2))


def score(texts: list[Array], targets: Array = TASK.targets) -> LayerScore:
    return score_moments(moments_of(texts, targets))


def warned(found: LayerScore, words: str) -> bool:
    return any(words in warning for warning in found.warnings)


def near(distance: float) -> list[Array]:
    """The last dimension differs from the first by that much of another."""
    return [np.column_stack([text[:, :-1], text[:, 0] + distance * text[:, -1]]) for text in TASK.texts]


def offset(size: float, dimensions: slice = slice(None)) -> list[Array]:
    """A common mean, or one of a single dimension."""
    shift = np.zeros(WIDTH)
    shift[dimensions] = size
    return [text + shift for text in TASK.texts]


@pytest.mark.parametrize(
    ("texts", "error", "said"),
    [
        (near(1e-2), 1e-9, False),
        (near(1e-4), 1e-7, False),
        (near(1e-5), 1e-4, True),
        (near(1e-6), 1e-2, True),
        (offset(1e3), 1e-7, False),
        (offset(1e5), 1e-3, True),
        (offset(1e3, slice(1)), 1e-7, False),
        (offset(1e6, slice(1)), 1e-3, True),
    ],
)
def test_what_is_lost_is_said(texts: list[Array], error: float, said: bool) -> None:
    """And R² is as right as the warning, or its absence, promises."""
    found = score(texts)
    truth = r2_of_rows(np.stack([text.mean(axis=0) for text in texts]))
    assert found.r2 == pytest.approx(truth, abs=error)
    assert warned(found, "may be wrong by up to") is said


def test_scales_cost_digits_only_where_dimensions_depend_on_each_other() -> None:
    """A projection on what the states fill adds dimensions of all sizes up."""
    units = 10.0 ** np.linspace(-5.5, 5.5, WIDTH)
    twice = [np.column_stack([text[:, :-1], text[:, 0]]) for text in TASK.texts]
    for texts, lost in ((TASK.texts, False), (twice, True)):
        found = score([text * units for text in texts])
        assert found.r2 == pytest.approx(score(texts).r2, abs=1e-9)
        assert warned(found, "may be wrong by up to") is lost


def test_constants_that_bound_nothing_are_said_to() -> None:
    """Scales of dimensions 1e16 apart in their squares: 1 − ntps_full is 0 where most of the loss is left."""
    assert not warned(score(TASK.texts), "Theorem 2")
    assert warned(score([text * 10.0 ** np.linspace(-6, 6, WIDTH) for text in TASK.texts]), "Theorem 2")


@pytest.mark.parametrize(("ratio", "said"), [(1e3, False), (1e6, True), (1e-6, True)])
def test_targets_that_are_far_apart_in_size_are_said_to_be(ratio: float, said: bool) -> None:
    targets = TASK.targets * [1.0, ratio, 1.0] + [0.0, 0.0, 1.0]
    assert warned(score(TASK.texts, targets), "times apart in size") is said


def test_a_mean_that_leaves_nothing_of_the_spread_leaves_r2_undefined() -> None:
    """Squared mean over variance 1e12, in 256 dimensions whose noise adds up: the covariance has rank 0."""
    width, rng = 256, np.random.default_rng(0)
    means = moments_of([rng.normal(size=(3, width)) for _ in range(20)], rng.normal(size=(20, 2))).means()
    mean = np.full(width, 1e6)
    cross = rng.normal(size=(width, 2)) / 16 + np.outer(mean, means.target_mean)
    gram = np.eye(width) + np.outer(mean, mean)
    found = score_moments(replace(means, pooled_gram=gram, pooled_target=cross, pooled_mean=mean))
    assert found.rank_centered == 0
    assert found.r2 is None and found.r2_adjusted is None and found.area is None
    assert warned(found, "rounding left nothing of it")

"""Centred problems: both with an intercept, from the same moments."""

from __future__ import annotations

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

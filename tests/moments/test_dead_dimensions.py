"""Dimensions of which only rounding noise would be left beside the others, and those that are small and real."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from ntps import LayerScore, Moments, score_moments, task_from_lists
from ntps.moments.kernels import resolution_of
from ntps.options.probing import LogisticProbe
from ntps.theory import DEAD, EPS, LinearProbe, carries
from ntps.training.probes.logistic import fit_logistic
from ntps.training.probes.ols import ols_of_means, ols_of_pooled
from ntps.validation.labels import Labels
from tiny import Array

FLOAT32 = resolution_of(torch.float32)
TEXTS, TOKENS, WIDTH = 240, 4, 16
CLASSES = np.arange(2 * TEXTS) % 3
TARGETS = np.eye(3)[CLASSES]


def layer_normed(gains: Array) -> Array:
    """Float32 states ``(2 · TEXTS, TOKENS, WIDTH)`` after a layer norm: exactly one direction is empty."""
    rng = np.random.default_rng(0)
    inner = rng.normal(size=(2 * TEXTS, 1, WIDTH)) + 0.7 * rng.normal(size=(2 * TEXTS, TOKENS, WIDTH))
    inner += TARGETS[:, None] @ rng.normal(size=(3, WIDTH))
    inner -= inner.mean(axis=2, keepdims=True)
    inner /= inner.std(axis=2, keepdims=True)
    return (inner * gains).astype(np.float32)


def moments_of(states: Array) -> Moments:
    """Moments of the first half of the texts."""
    moments = Moments(states.shape[2], 3)
    hidden = torch.as_tensor(states[:TEXTS])
    moments.update(hidden, torch.ones(hidden.shape[:2], dtype=torch.bool), TARGETS[:TEXTS])
    return moments


def r2_of(probe: LinearProbe, pooled: Array) -> tuple[float, ...]:
    """In sample and held out."""
    return tuple(
        r2_score(TARGETS[half], probe.predict(pooled[half]), multioutput="variance_weighted")
        for half in (slice(TEXTS), slice(TEXTS, None))
    )


@pytest.mark.parametrize("bias", [0.0, 0.3], ids=["centred", "with a bias"])
@pytest.mark.parametrize(
    "dead",
    [{3: 1e-32, 9: -1e-32}, {3: 1e-32, 9: -1e-32, 11: 2e-9}, {3: 0.0}, {0: 1e-32, 1: 1e-12}],
    ids=["two", "three, one less so", "a constant", "far apart"],
)
def test_least_squares_is_that_of_scikit_learn_without_the_dead_dimensions(dead: dict[int, float], bias: float) -> None:
    gains = np.linspace(0.1, 0.4, WIDTH)
    gains[list(dead)] = list(dead.values())
    states = layer_normed(gains) + np.float32(bias) * (gains > 0.05).astype(np.float32)
    alive = np.delete(np.arange(WIDTH), list(dead))
    pooled = states.astype(np.float64).mean(axis=1)
    reference = LinearRegression().fit(pooled[:TEXTS, alive], TARGETS[:TEXTS])
    expected = r2_of(LinearProbe(reference.coef_.T, reference.intercept_), pooled[:, alive])
    moments = moments_of(states)
    found = score_moments(moments)
    assert found.r2 == pytest.approx(expected[0], abs=1e-9)
    of_pooled = ols_of_pooled(pooled[:TEXTS], TARGETS[:TEXTS], resolution=FLOAT32)
    for probe in (found.probe, of_pooled.probe, ols_of_means(moments.means()).probe):
        assert r2_of(probe, pooled) == pytest.approx(expected, abs=1e-9)
        assert not probe.coefficients[list(dead)].any()
    assert any(f"{len(dead)} of {WIDTH} dimensions hardly vary" in warning for warning in found.warnings)


def test_nothing_about_a_layer_depends_on_its_dead_dimensions() -> None:
    gains = np.linspace(0.1, 0.4, WIDTH)
    gains[[3, 9]] = 1e-32
    states = layer_normed(gains)
    found, without = (score_moments(moments_of(part)) for part in (states, np.delete(states, [3, 9], axis=2)))
    for name in ("rank_pooled", "rank_autoregressive", "rank_perception", "k_share95"):
        assert getattr(found, name) == getattr(without, name)
    for name in ("area", "chance_area", "r2", "r2_adjusted", "ntps_share95", "best_loss", "next_token_loss"):
        assert getattr(found, name) == pytest.approx(getattr(without, name), abs=1e-12), name
    np.testing.assert_allclose(found.curves.ntps, without.curves.ntps, atol=1e-9)
    assert found.bound_lower_constant == 0.0


def test_a_logistic_probe_does_not_lift_them_either() -> None:
    gains = np.linspace(0.1, 0.4, WIDTH)
    gains[[3, 9]] = 1e-32
    pooled = layer_normed(gains).astype(np.float64).mean(axis=1)[:TEXTS]
    pooled[:, 5] = 0.1
    task = task_from_lists(["text"] * TEXTS, CLASSES[:TEXTS])
    labels, alive = Labels.of(task, task.train), np.delete(np.arange(WIDTH), [3, 5, 9])
    found = fit_logistic(pooled, labels, LogisticProbe(), 0, FLOAT32)
    without = fit_logistic(pooled[:, alive], labels, LogisticProbe(), 0, FLOAT32)
    assert not found.coefficients[[3, 5, 9]].any()
    np.testing.assert_allclose(found.logits(pooled), without.logits(pooled[:, alive]), atol=1e-10)


def score_of(states: Array) -> LayerScore:
    return score_moments(moments_of(states))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("small", [1e-5, 1e-8, 1e-13])
def test_a_small_dimension_is_real_where_the_states_can_tell_it_from_rounding(small: float, dtype: type) -> None:
    """R² does not depend on the units of a dimension, until it is smaller than the others' last digit."""
    states = layer_normed(np.ones(WIDTH)).astype(np.float64)[:, :, :-1]
    units = np.ones(WIDTH - 1)
    units[4] = small
    plain, without = score_of(states), score_of(np.delete(states, 4, axis=2))
    assert plain.r2 is not None and without.r2 is not None and plain.r2 > without.r2 + 1e-3
    for factor in (1.0, 1e8, 1e-8):
        found = score_of((factor * units * states).astype(dtype))
        kept = small > resolution_of(torch.float32 if dtype == np.float32 else torch.float64)
        assert found.r2 == pytest.approx(plain.r2 if kept else without.r2, abs=1e-6)
        assert any("hardly vary" in warning for warning in found.warnings) is not kept


def test_the_line_is_drawn_relative_to_the_largest_dimension() -> None:
    sizes = np.array([1.0, 1e-32, 0.0, 1e-15, 4e-15, 1e-8, 1e-6])
    for unit in (1e-60, 1.0, 1e60):
        assert carries(unit * sizes**2).tolist() == [True, False, False, False, True, True, True]
        assert carries(unit * sizes**2, resolution=FLOAT32).tolist() == [True, *[False] * 5, True]
    assert not carries(np.zeros(3)).any()
    assert resolution_of(torch.float64) == EPS < DEAD < FLOAT32
    assert resolution_of(torch.bfloat16) == resolution_of(torch.float16) == FLOAT32

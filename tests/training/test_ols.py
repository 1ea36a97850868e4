"""The closed-form probe is scikit-learn's least squares, from moments alone too."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error, r2_score

from ntps import Moments
from ntps.moments.means import Means
from ntps.theory import LinearProbe
from ntps.training.probes.ols import LeastSquares, figures_of_means, ols_of_means, ols_of_pooled
from tiny import Array

SEEDS = st.integers(0, 2**32 - 1)


def states(seed: int, texts: int, width: int, spread: float, offset: float) -> tuple[Array, Array]:
    """Pooled texts whose directions differ in scale, far from the origin, and targets that they explain in part."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(width, width)))[0]
    pooled = rng.normal(size=(texts, width)) * np.geomspace(1, spread, width) @ turn + offset * rng.normal(size=width)
    targets = pooled @ rng.normal(size=(width, 3)) + rng.normal(size=(texts, 3))
    return pooled, targets


def means_of(pooled: Array, targets: Array) -> Means:
    """Moments of texts of one token each, which are their own pooled texts."""
    moments = Moments(pooled.shape[1], targets.shape[1])
    hidden = torch.as_tensor(pooled)[:, None]
    moments.update(hidden, torch.ones(hidden.shape[:2], dtype=torch.bool), targets)
    return moments.means()


def fits(pooled: Array, targets: Array, intercept: bool) -> tuple[LeastSquares, LeastSquares]:
    return ols_of_pooled(pooled, targets, intercept=intercept), ols_of_means(
        means_of(pooled, targets), intercept=intercept
    )


@given(SEEDS, st.integers(1, 12), st.floats(0, 3), st.sampled_from([0.0, 1.0, 30.0]), st.booleans())
def test_it_is_least_squares(seed: int, width: int, decades: float, offset: float, intercept: bool) -> None:
    """The centred Gram has a condition of up to some 1e7 here."""
    pooled, targets = states(seed, 40 + 2 * width, width, 10**decades, offset)
    expected = LinearRegression(fit_intercept=intercept).fit(pooled, targets).predict(pooled)
    for fit in fits(pooled, targets, intercept):
        if fit.warnings:
            continue
        predicted = fit.probe.predict(pooled)
        assert np.abs(predicted - expected).max() <= 1e-6 * max(1, np.abs(expected).max())
        figures = figures_of_means(means_of(pooled, targets), fit.probe)
        scale = np.square(targets).mean()
        for values in (predicted, expected):
            assert figures.mse == pytest.approx(mean_squared_error(targets, values), abs=1e-8 * scale)
            assert figures.r2 == pytest.approx(r2_score(targets, values, multioutput="variance_weighted"), abs=1e-8)
        assert figures.mse is not None and figures.squared_loss == pytest.approx(3 * figures.mse)
        assert figures.accuracy is figures.cross_entropy is None


def test_well_conditioned_texts_give_no_warning() -> None:
    for intercept in (True, False):
        for fit in fits(*states(0, 200, 10, 100.0, 1.0), intercept):
            assert fit.warnings == () and fit.rank == 10 and 1 <= fit.condition < 1e8


@given(SEEDS, st.booleans())
def test_figures_of_means_are_those_of_any_probe(seed: int, intercept: bool) -> None:
    rng = np.random.default_rng(seed)
    pooled, targets = states(seed, 30, 5, 1.0, 1.0)
    probe = LinearProbe(rng.normal(size=(5, 3)), intercept * rng.normal(size=3))
    figures = figures_of_means(means_of(pooled, targets), probe)
    assert figures.mse == pytest.approx(mean_squared_error(targets, probe.predict(pooled)))
    assert figures.r2 == pytest.approx(r2_score(targets, probe.predict(pooled), multioutput="variance_weighted"))


def test_large_means_cost_pooled_texts_no_digits() -> None:
    rng = np.random.default_rng(0)
    pooled = rng.normal(size=(200, 6)) + 1e5
    targets = pooled[:, :2] - 1e5 + rng.normal(size=(200, 2))
    expected = LinearRegression().fit(pooled - 1e5, targets).predict(pooled - 1e5)
    np.testing.assert_allclose(ols_of_pooled(pooled, targets).probe.predict(pooled), expected, atol=1e-6)


@pytest.mark.parametrize("intercept", [True, False])
def test_singular_texts_are_said_to_be_and_get_the_smallest_probe(intercept: bool) -> None:
    pooled, targets = states(1, 60, 5, 1.0, 0.0)
    pooled = np.hstack([pooled, pooled[:, :2], np.full((60, 1), 4.0 * intercept)])
    model = LinearRegression(fit_intercept=intercept).fit(pooled, targets)
    for fit in fits(pooled, targets, intercept):
        assert fit.rank == 5 and "rank 5 of 8" in fit.warnings[0]
        np.testing.assert_allclose(fit.probe.predict(pooled), model.predict(pooled), atol=1e-8)
        np.testing.assert_allclose(fit.probe.coefficients, model.coef_.T, atol=1e-8)


def test_badly_conditioned_texts_are_said_to_be() -> None:
    rng = np.random.default_rng(0)
    pooled = rng.normal(size=(300, 4))
    pooled[:, 3] = pooled[:, 2] + 1e-5 * rng.normal(size=300)
    fit = ols_of_pooled(pooled, rng.normal(size=(300, 2)))
    assert fit.condition > 1e8 and any("condition" in warning for warning in fit.warnings)

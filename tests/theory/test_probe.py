"""The least-squares probe with intercept, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, r2_score

from ntps.theory import Factor, LinearProbe, PredictionSums, adjusted_r2, factorize, fit_probe
from oracle import Moments, RandomTask, make_task, tasks


def covariance_factor(moments: Moments) -> Factor:
    return factorize(moments.covariance, np.diag(moments.pooled_gram))


def probe_of(moments: Moments) -> LinearProbe:
    return fit_probe(covariance_factor(moments), moments.cross_covariance, moments.pooled_mean, moments.target_mean)


VARYING = ("one-token texts", "real targets", "dependent label columns", "one class", "duplicated features")
NARROW = (*VARYING, "fewer texts than dimensions", "constant feature")


@settings(deadline=None, max_examples=60)
@given(tasks(NARROW))
def test_predictions_equal_those_of_scikit_learn(task: RandomTask) -> None:
    """On the texts of the fit, also where the covariance is singular: predictions do not depend on the solution."""
    pooled = task.pooled
    expected = LinearRegression().fit(pooled, task.targets).predict(pooled).reshape(task.targets.shape)
    size = np.abs(task.targets).max()
    np.testing.assert_allclose(probe_of(task.moments).predict(pooled), expected, atol=1e-8 * size)


@settings(deadline=None, max_examples=40)
@given(tasks(NARROW), st.integers(0, 2**32 - 1))
def test_the_solution_is_the_one_of_minimum_norm_also_on_new_texts(task: RandomTask, seed: int) -> None:
    """Where features are duplicated or texts are few, scikit-learn takes the minimum-norm solution, and so do we."""
    new = np.random.default_rng(seed).normal(size=(20, task.width))
    expected = LinearRegression().fit(task.pooled, task.targets)
    found = probe_of(task.moments)
    size = 1 + np.abs(expected.coef_).max()
    np.testing.assert_allclose(found.coefficients, np.reshape(expected.coef_, (-1, task.width)).T, atol=1e-8 * size)
    np.testing.assert_allclose(found.predict(new), expected.predict(new).reshape(20, -1), atol=1e-7 * size)


@settings(deadline=None, max_examples=60)
@given(tasks((*NARROW, "scales 1e6 apart")))
def test_r2_is_the_centred_energy_over_the_target_variance(task: RandomTask) -> None:
    """``Σ`` centred ``Λ / trace Cov(y)`` = scikit-learn's R², weighted by the variance of the outputs."""
    moments = task.moments
    variance = float(np.trace(moments.target_gram) - moments.target_mean @ moments.target_mean)
    if variance < 1e-12:
        return
    r2 = float(np.sum(covariance_factor(moments).whiten(moments.cross_covariance) ** 2)) / variance
    varies = task.pooled.std(axis=0) > 1e-10 * np.abs(task.pooled).max(axis=0)
    scaled = np.where(varies, task.pooled / np.sqrt(np.diag(moments.pooled_gram)), 0.0)
    predicted = LinearRegression(tol=1e-10).fit(scaled, task.targets).predict(scaled).reshape(task.targets.shape)
    assert abs(r2 - r2_score(task.targets, predicted, multioutput="variance_weighted")) < 1e-8


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(1, 5), st.integers(1, 3))
def test_sums_of_predictions_give_scikit_learns_figures(seed: int, texts: int, outputs: int, parts: int) -> None:
    """However the texts are split into batches."""
    rng = np.random.default_rng(seed)
    targets = rng.normal(size=(texts, outputs)) * 10.0 ** rng.uniform(-2, 2, outputs) + 3
    predicted = targets + rng.normal(size=targets.shape)
    sums = PredictionSums(targets[0])
    for part in np.array_split(np.arange(texts), parts):
        sums.add(predicted[part], targets[part])
    r2 = r2_score(targets, predicted, multioutput="variance_weighted")
    accuracy = accuracy_score(targets.argmax(axis=1), predicted.argmax(axis=1))
    for found in (sums, PredictionSums.of(predicted, targets)):
        assert found.r2 == pytest.approx(r2, rel=1e-10)
        assert found.accuracy == pytest.approx(accuracy)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3])
def test_constant_targets_have_no_r2(value: float) -> None:
    """Their mean is rounded, and so may differ from all of them."""
    targets = np.full((30, 2), value)
    assert PredictionSums.of(targets + 1.0, targets).r2 is None


def test_a_probe_of_states_that_never_vary_predicts_the_mean_target() -> None:
    task = make_task(3, 6, 3, frozenset({"constant hidden states"}))
    found = probe_of(task.moments)
    assert np.array_equal(found.coefficients, np.zeros((6, 3)))
    np.testing.assert_allclose(found.predict(task.pooled), np.tile(task.targets.mean(axis=0), (len(task.texts), 1)))


def test_a_large_mean_does_not_spoil_the_predictions() -> None:
    """States whose mean is a thousand times their spread, summed as moments: six digits are lost, not all."""
    rng = np.random.default_rng(12)
    pooled = rng.normal(size=(300, 8)) + 1e3 * rng.normal(size=8)
    targets = (pooled - pooled.mean(axis=0)) @ rng.normal(size=(8, 2)) + rng.normal(size=(300, 2))
    n = len(pooled)
    second, mean = pooled.T @ pooled / n, pooled.mean(axis=0)
    covariance = factorize(second - np.outer(mean, mean), np.diag(second))
    cross = pooled.T @ targets / n - np.outer(mean, targets.mean(axis=0))
    found = fit_probe(covariance, cross, mean, targets.mean(axis=0)).predict(pooled)
    expected = LinearRegression().fit(pooled, targets).predict(pooled)
    assert covariance.rank == 8
    np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(targets).max())


def test_adjusted_r2_compares_unbiased_variances() -> None:
    """``1 − (RSS / (n − p − 1)) / (TSS / (n − 1))``; a probe of noise scores 0 on average, where R² scores p/(n-1)."""
    rng = np.random.default_rng(13)
    texts, rank = 40, 8
    plain, adjusted = [], []
    for _ in range(400):
        pooled, target = rng.normal(size=(texts, rank)), rng.normal(size=(texts, 1))
        fit = LinearRegression().fit(pooled, target)
        residual = float(np.sum((target - fit.predict(pooled)) ** 2))
        total = float(np.sum((target - target.mean()) ** 2))
        value = adjusted_r2(1 - residual / total, texts, rank)
        assert value is not None
        np.testing.assert_allclose(value, 1 - (residual / (texts - rank - 1)) / (total / (texts - 1)))
        plain.append(1 - residual / total)
        adjusted.append(value)
    assert abs(np.mean(plain) - rank / (texts - 1)) < 4 * np.std(plain) / 20
    assert abs(np.mean(adjusted)) < 4 * np.std(adjusted) / 20


@pytest.mark.parametrize("texts", [1, 5, 9])
def test_adjusted_r2_is_undefined_without_degrees_of_freedom(texts: int) -> None:
    assert adjusted_r2(1.0, texts, 8) is None


def test_adjusted_r2_of_a_perfect_fit_and_of_no_features() -> None:
    assert adjusted_r2(1.0, 10, 8) == 1.0
    assert adjusted_r2(0.25, 10, 0) == 0.25


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(1, 300), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_a_text_is_predicted_alike_whatever_texts_are_beside_it(texts: int, dims: int, outputs: int, seed: int) -> None:
    """To the last bit, however the weights lie in memory: a score and what is made of its pooled texts agree."""
    random = np.random.default_rng(seed)
    weights, pooled = random.normal(size=(dims, outputs)), random.normal(size=(texts, dims))
    probe, other = (LinearProbe(each, np.zeros(outputs)) for each in (weights, np.asfortranarray(weights)))
    together = probe.predict(pooled)
    alone = np.concatenate([other.predict(pooled[text : text + 1]) for text in range(texts)])
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_allclose(together, np.einsum("td,do->to", pooled, weights), atol=1e-9)

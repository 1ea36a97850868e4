"""``ntps`` with the perception subspace of a ridge probe."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import linalg
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from ntps import score_moments, theory
from ntps.moments.curves import regularized_ntps
from ntps.moments.spectra import Spectra
from oracle import RandomTask, cuts_that_count, ntps, tasks
from tiny import Array, moments_of


def spectra_of(texts: int, width: int, *, centered: bool = False, seed: int = 0) -> tuple[Spectra, Array, Array]:
    """With pooled texts and targets of three classes."""
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-1, 1, width)
    states = [(rng.normal(size=(6, width)) + rng.normal(size=width)) * scale for _ in range(texts)]
    pooled = np.stack([text.mean(axis=0) for text in states])
    targets = np.eye(3)[np.argmax(pooled[:, :3] / scale[:3] + rng.normal(size=(texts, 3)), axis=1)]
    return Spectra.of(moments_of(states, targets).means(), centered), pooled, targets


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize(("texts", "width"), [(200, 12), (15, 40)])
def test_equals_the_dense_eigenproblem(texts: int, width: int, centered: bool) -> None:
    """From the texts themselves; with fewer of them than dimensions as well, where least squares fits anything."""
    spectra, pooled, targets = spectra_of(texts, width, centered=centered)
    variances = pooled.var(axis=0)
    if centered:
        pooled, targets = pooled - pooled.mean(axis=0), targets - targets.mean(axis=0)
    gram, cross = pooled.T @ pooled / texts, pooled.T @ targets / texts
    found = []
    for penalty in (1e-3, 0.1, 10.0):
        values, vectors = linalg.eigh(cross @ cross.T, gram + penalty * np.diag(variances))
        perception = vectors[:, ::-1][:, : 3 - centered]
        assert values[-1] < 1
        for k in (1, 2, 5, 10):
            expected = ntps(spectra.autoregressive.basis, perception, k, min(k, 3 - centered))
            found.append(regularized_ntps(spectra, penalty, k))
            assert found[-1] == pytest.approx(expected, abs=1e-8)
    assert len({*found}) == len(found)


@settings(deadline=None, max_examples=25)
@given(tasks(("real targets", "one-token texts"), max_width=8))
def test_a_penalty_of_almost_nothing_gives_algorithm_1(task: RandomTask) -> None:
    """Where its own cut is well defined."""
    moments = moments_of(task.texts, task.targets)
    spectra = Spectra.of(moments.means())
    if spectra.pooled.condition > 1e3 or not spectra.perception.rank:
        return
    curves, sharp = score_moments(moments).curves, cuts_that_count(spectra.perception.values)
    for k, columns, expected in zip(curves.k.tolist(), curves.k_perception.tolist(), curves.ntps, strict=True):
        if sharp[columns - 1]:
            assert regularized_ntps(spectra, 1e-13, k) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("texts", "width"), [(200, 12), (15, 40)])
def test_its_subspace_spans_the_coefficients_of_the_probe(texts: int, width: int) -> None:
    """Those of scikit-learn, on standardized features; a feature that does not vary, or only by rounding, has none."""
    spectra, pooled, targets = spectra_of(texts, width, centered=True)
    alpha = 3.0
    scaler = StandardScaler().fit(pooled)
    coefficients = Ridge(alpha).fit(scaler.transform(pooled), targets).coef_.T / scaler.scale_[:, None]
    means = spectra.means
    penalties = alpha / texts * pooled.var(axis=0)
    basis = theory.ridge_perception_subspace(
        means.pooled_gram, means.pooled_target, penalties, spectra.perception
    ).basis
    left = linalg.qr(basis, mode="economic")[0]
    assert left.shape[1] == 2
    np.testing.assert_allclose(left @ (left.T @ coefficients), coefficients, atol=1e-9 * np.abs(coefficients).max())


@pytest.mark.parametrize("centered", [False, True])
def test_features_that_do_not_vary_or_carry_nothing(centered: bool) -> None:
    """Constant ones, of which two make N singular, and dead ones: a penalty of nothing gives Algorithm 1 there too."""
    rng = np.random.default_rng(0)
    states = [rng.normal(size=(4, 9)) for _ in range(100)]
    targets = np.eye(2)[rng.integers(2, size=100)]
    for state in states:
        state[:, [2, 5]] = [1e3, 7.0]
        state[:, 7] *= 1e-20
    spectra = Spectra.of(moments_of(states, targets).means(), centered)
    curves = score_moments(moments_of(states, targets), centered=centered).curves
    for k in range(1, spectra.autoregressive.rank + 1):
        assert regularized_ntps(spectra, 1e-12, k) == pytest.approx(curves.ntps[k - 1], abs=1e-6)
        one = regularized_ntps(spectra, 1.0, k)
        assert one is not None and 0 <= one <= 1


def test_labels_without_a_direction_have_none() -> None:
    texts = [np.random.default_rng(seed).normal(size=(4, 3)) for seed in range(20)]
    spectra = Spectra.of(moments_of(texts, np.full((20, 1), 0.1)).means(), centered=True)
    assert regularized_ntps(spectra, 1.0, 2) is None

"""Ridge regression in closed form, against refits of scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from ntps.theory import RidgeDecomposition, decompose_features, decompose_kernel, ridge_probe, standardize
from ntps.theory.factor import Array
from ntps.theory.ridge import Ids, same_sizes

FLAWS = (
    "copies of features",
    "constant features",
    "dead features",
    "copies of texts",
    "features of one text",
    "scales",
)
RELATIVE = 10.0 ** np.linspace(-4, 4, 50)


@dataclass(frozen=True)
class Sample:
    """Features with flaws, targets of one kind, and parts to leave out."""

    features: Array
    targets: Array
    parts: Ids

    @property
    def standardized(self) -> Array:
        return standardize(self.features).apply(self.features)


@st.composite
def samples(draw: st.DrawFn, flaws: tuple[str, ...] = FLAWS) -> Sample:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    texts, width = draw(st.integers(4, 25)), draw(st.integers(1, 25))
    here = draw(st.sets(st.sampled_from(flaws)))
    features = rng.normal(size=(texts, width)) + 0.5
    if "scale" in here:
        features *= 10.0 ** rng.uniform(-6, 6, width)
    if "copies of features" in here:
        features[:, width // 2 :] = features[:, : width - width // 2] * 3 + 1
    if "features of one text" in here:
        features[:, -1] = 0.0
        features[0, -1] = 1.0
    if "copies of texts" in here:
        features[texts // 2 :] = features[: texts - texts // 2]
    if "constant features" in here:
        features[:, 0] = 0.1
    if "dead features" in here:
        features[:, width // 3] = 1e-15 * np.abs(features).max() * rng.normal(size=texts)
    kind = draw(st.sampled_from(("classes", "one-text classes", "numbers", "constant")))
    if kind == "numbers":
        targets = rng.normal(size=(texts, 2)) * [1.0, 10.0] + 100.0
    elif kind == "constant":
        targets = np.full((texts, 1), 0.1)
    else:
        targets = np.eye(4)[rng.integers(4, size=texts) if kind == "classes" else np.minimum(np.arange(texts), 3)]
    parts = rng.permutation(np.arange(texts) % draw(st.integers(2, texts)))
    return Sample(features, targets, parts)


def refitted(features: Array, targets: Array, penalty: float, parts: Ids) -> Array:
    """Predictions of each part by a fit to the others."""
    found = np.empty_like(targets)
    for part in np.unique(parts):
        out = parts == part
        probe = Ridge(alpha=penalty, solver="svd").fit(features[~out], targets[~out])
        found[out] = probe.predict(features[out]).reshape(-1, targets.shape[1])
    return found


@settings(deadline=None, max_examples=25)
@given(samples(), st.sampled_from(RELATIVE.tolist()))
def test_whatever_is_left_out_is_predicted_as_by_a_refit(sample: Sample, relative: float) -> None:
    """Each text, and each of some parts, with the intercept fitted anew."""
    features = sample.standardized
    decomposition = decompose_features(features)
    penalty = relative * decomposition.mean_diagonal
    size = np.abs(sample.targets).max()
    for parts in (None, sample.parts):
        every = np.arange(len(features)) if parts is None else parts
        expected = refitted(features, sample.targets, penalty, every)
        np.testing.assert_allclose(decomposition.left_out(sample.targets, penalty, parts), expected, atol=1e-8 * size)


def refitted_at_all(features: Array, targets: Array, penalties: Array, parts: Ids) -> Array:
    """The same for many penalties, ``(g, n, c)``, from singular values of each training part."""
    found = np.empty((len(penalties), *targets.shape))
    for part in np.unique(parts):
        out = parts == part
        mean, target_mean = features[~out].mean(axis=0), targets[~out].mean(axis=0)
        left, singular, right = np.linalg.svd(features[~out] - mean, full_matrices=False)
        shrunk = singular / (singular**2 + penalties[:, None])
        seen = (features[out] - mean) @ right.T
        found[:, out] = target_mean + (seen * shrunk[:, None]) @ (left.T @ (targets[~out] - target_mean))
    return found


@pytest.mark.parametrize(("texts", "width"), [(30, 70), (70, 30), (40, 40), (120, 3)])
def test_fifty_penalties_come_from_one_decomposition(texts: int, width: int) -> None:
    """With many targets; a fold is larger than the features are many in the last case."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(texts, width)) @ rng.normal(size=(width, width)) * 10.0 ** rng.uniform(-2, 2, width)
    targets = np.eye(5)[rng.integers(5, size=texts)]
    features = standardize(features).apply(features)
    decomposition = decompose_features(features)
    penalties = RELATIVE * decomposition.mean_diagonal
    for parts in (np.arange(texts), np.arange(texts) % 5):
        expected = refitted_at_all(features, targets, penalties, parts)
        np.testing.assert_allclose(expected[7], refitted(features, targets, penalties[7], parts), atol=1e-9)
        for one, residuals in zip(expected, decomposition.left_out_residuals(targets, penalties, parts), strict=True):
            np.testing.assert_allclose(targets - residuals, one, atol=1e-8)


@settings(deadline=None, max_examples=25)
@given(samples(), st.sampled_from(RELATIVE.tolist()), st.integers(0, 2**32 - 1))
def test_the_fit_is_scikit_learns(sample: Sample, relative: float, seed: int) -> None:
    """On new texts, in the coordinates of the features; so are the degrees of freedom the trace of its hat matrix."""
    scaling = standardize(sample.features)
    features = scaling.apply(sample.features)
    decomposition = decompose_features(features)
    penalty = relative * decomposition.mean_diagonal
    expected = Ridge(alpha=penalty, solver="svd").fit(features, sample.targets)
    probe = ridge_probe(scaling, features, decomposition, sample.targets, penalty)
    new = sample.features[np.random.default_rng(seed).integers(len(features), size=5)] * 1.1
    size = np.abs(sample.targets).max() * (1 + np.abs(scaling.apply(new)).max())
    found = expected.predict(scaling.apply(new)).reshape(5, -1)
    np.testing.assert_allclose(probe.predict(new), found, atol=1e-8 * size)
    units = np.eye(len(features))
    trace = np.trace(Ridge(alpha=penalty, solver="svd").fit(features, units).predict(features))
    assert decomposition.degrees_of_freedom(penalty) == pytest.approx(trace, rel=1e-8)


@settings(deadline=None, max_examples=25)
@given(samples(tuple({*FLAWS} - {"dead features"})))
def test_standardized_as_by_scikit_learn(sample: Sample) -> None:
    """Constant features become 0; the rounding that scikit-learn leaves in them is no larger."""
    expected = StandardScaler().fit_transform(sample.features)
    np.testing.assert_allclose(sample.standardized, expected, atol=1e-9 * (1 + np.abs(expected).max()))


def test_dead_features_are_not_lifted() -> None:
    """Scikit-learn gives unit variance to noise of 1e-15 about 0; one of float32 about its mean is noise as well."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 4)) * [1.0, 1e-15, 1e-8, 1.0] + [0.0, 0.0, 1.0, 0.0]
    features[:, 3] = 0.1
    assert (standardize(features).scale > 0).tolist() == [True, False, True, False]
    assert (standardize(features.astype(np.float32), 1e-7).scale > 0).tolist() == [True, False, False, False]
    assert not standardize(features).apply(features)[:, [1, 3]].any()
    assert standardize(features).varying == 2


@settings(deadline=None, max_examples=25)
@given(samples(("copies of texts", "constant features")), st.integers(0, 2**32 - 1))
def test_order_of_texts_and_rotation_of_standardized_features_change_nothing(sample: Sample, seed: int) -> None:
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(sample.features))
    features = sample.standardized
    turn = np.linalg.qr(rng.normal(size=2 * features.shape[1:]))[0]
    one, other = decompose_features(features), decompose_features((features @ turn)[order])
    penalty = 0.01 * one.mean_diagonal
    expected = one.left_out(sample.targets, penalty, sample.parts)[order]
    found = other.left_out(sample.targets[order], penalty, sample.parts[order])
    np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(sample.targets).max())


def test_the_spaces_of_texts_and_of_features_say_the_same() -> None:
    """A kernel that is singular has null vectors besides ones, which must not mix with it."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 5))
    features -= features.mean(axis=0)
    targets = rng.normal(size=(60, 2)) + 1e3
    parts = np.arange(60) % 3
    one, other = decompose_features(features), decompose_kernel(features @ features.T)
    assert (one.complete, other.complete) == (False, True)
    np.testing.assert_allclose(other.vectors.sum(axis=0), 0.0, atol=1e-12)
    for penalty in (1e-2, 1.0, 1e3):
        found = one.left_out(targets, penalty, parts)
        np.testing.assert_allclose(other.left_out(targets, penalty, parts), found, atol=1e-8)


def test_features_that_do_not_vary_leave_the_mean_of_the_others() -> None:
    targets = np.array([[1.0], [2.0], [6.0]])
    for width in (2, 5):
        decomposition: RidgeDecomposition = decompose_features(np.zeros((3, width)))
        assert decomposition.mean_diagonal == 1.0
        np.testing.assert_allclose(decomposition.left_out(targets, 1.0), [[4.0], [3.5], [1.5]], rtol=1e-14)


def test_parts_by_size() -> None:
    parts = np.array([2, 0, 2, 1, 4, 4])
    found = {members.shape[1]: members.tolist() for members in same_sizes(parts)}
    assert found == {1: [[1], [3]], 2: [[0, 2], [4, 5]]}

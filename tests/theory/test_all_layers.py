"""One ridge over all layers, against the ridge on their concatenated features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntps.theory import (
    Standardization,
    decompose_features,
    decompose_kernel,
    kernel_weights,
    layers_probe,
    mean_kernel,
    sampled_kernel,
    standardize,
)
from ntps.theory.factor import Array


def pooled_layers(seed: int, texts: int, widths: tuple[int, ...]) -> list[Array]:
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(texts, max(widths)))
    return [first[:, :width] * 10.0**index + rng.normal(size=(texts, width)) for index, width in enumerate(widths)]


def standardized(layers: list[Array]) -> tuple[list[Standardization], list[Array]]:
    scalings = [standardize(layer) for layer in layers]
    return scalings, [scaling.apply(layer) for scaling, layer in zip(scalings, layers, strict=True)]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(5, 40), st.lists(st.integers(2, 12), min_size=1, max_size=4))
def test_equals_the_ridge_on_scaled_and_joined_features(seed: int, texts: int, widths: list[int]) -> None:
    """Left out and fitted; a layer that does not vary adds nothing; the sample of all texts is the kernel itself."""
    layers = [*pooled_layers(seed, texts, tuple(widths)), np.ones((texts, 3))]
    targets = np.random.default_rng(seed).normal(size=(texts, 2)) + 3
    scalings, features = standardized(layers)
    count, penalty = len(layers), 0.01
    joined = np.concatenate(
        [one / np.sqrt(count * max(scaling.varying, 1)) for scaling, one in zip(scalings, features, strict=True)],
        axis=1,
    )
    direct = decompose_features(joined)
    kernel = decompose_kernel(mean_kernel(features, count))
    assert kernel.mean_diagonal == pytest.approx((count - 1) / count)
    expected = direct.left_out(targets, penalty)
    np.testing.assert_allclose(kernel.left_out(targets, penalty), expected, atol=1e-8)
    order = np.random.default_rng(seed).permutation(texts)
    sample = sampled_kernel(mean_kernel(features, count, order), order)
    fitted = joined @ (joined.T @ direct.duals(targets, penalty)) + targets.mean(axis=0)
    duals = kernel.duals(targets, penalty)
    of_sample = sample.sample_duals(decompose_features(sample.features).duals(targets, penalty))
    for rows, each in ((np.arange(texts), duals), (order, of_sample)):
        weights = [
            kernel_weights(scaling, one[rows], each, count) for scaling, one in zip(scalings, features, strict=True)
        ]
        probe = layers_probe(scalings, weights, targets)
        np.testing.assert_allclose(probe.predict(layers), fitted, atol=1e-6)
        assert probe.shares.sum() == pytest.approx(1.0)
        assert probe.shares.min() >= 0
        assert probe.shares[-1] == 0


def test_a_sample_that_spans_the_states_is_exact_and_a_smaller_one_says_what_it_misses() -> None:
    layers = pooled_layers(0, 300, (8, 12))
    targets = np.eye(3)[np.random.default_rng(0).integers(3, size=300)]
    _, features = standardized(layers)
    whole = decompose_kernel(mean_kernel(features, 2)).left_out(targets, 0.1)
    rng = np.random.default_rng(1)
    missed = []
    for size in (5, 15, 60):
        texts = rng.choice(300, size, replace=False)
        sample = sampled_kernel(mean_kernel(features, 2, texts), texts)
        missed.append(sample.missed)
        found = decompose_features(sample.features).left_out(targets, 0.1)
    assert missed[0] > missed[1] > 1e-3
    assert missed[2] < 1e-12
    np.testing.assert_allclose(found, whole, atol=1e-8)


def test_shares_say_where_the_labels_are() -> None:
    """All of them where one layer carries the labels and the others are noise."""
    rng = np.random.default_rng(0)
    layers = [rng.normal(size=(400, 20)) for _ in range(3)]
    targets = layers[1][:, :2]
    scalings, features = standardized(layers)
    duals = decompose_kernel(mean_kernel(features, 3)).duals(targets, 1e-3)
    weights = [kernel_weights(scaling, one, duals, 3) for scaling, one in zip(scalings, features, strict=True)]
    assert layers_probe(scalings, weights, targets).shares[1] > 0.99
    assert layers_probe(scalings, [np.zeros((20, 2))] * 3, targets).shares.tolist() == [0.0, 0.0, 0.0]

"""At widths where no oracle in high precision is at hand: identities, on states as ill-conditioned as real ones."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import linalg

import ntps.theory.singular
from ntps import score_moments
from ntps.moments.means import Means
from ntps.moments.spectra import Spectra

Array = NDArray[np.float64]


def language_model_means(width: int, decay: float, classes: int = 6) -> Means:
    """Moments of texts as language models make them.

    Directions whose scale falls as a power of their rank and whose memory gets shorter, a mean, and a first token with
    two massive dimensions.
    """
    random = np.random.default_rng(0)
    texts, tokens = 3 * width, 4
    mix = linalg.qr(random.normal(size=(width, width)))[0] * (np.arange(1, width + 1) ** -decay)[:, None]
    mean, memory = 0.02 * random.normal(size=width), np.linspace(0.95, 0.2, width)
    massive = np.zeros((texts, width))
    massive[:, [3, width // 2]] = 1000 * (1 + 0.02 * random.normal(size=(texts, 1)))
    inner = random.normal(size=(texts, width))
    prefix = pooled = inner @ mix + mean + massive
    prefix_gram, prefix_next = np.zeros((width, width)), np.zeros((width, width))
    prefix_sum, next_sum, energy = np.zeros(width), np.zeros(width), 0.0
    for _ in range(tokens - 1):
        inner = memory * inner + np.sqrt(1 - memory**2) * random.normal(size=inner.shape)
        following = inner @ mix + mean
        prefix_gram += prefix.T @ prefix
        prefix_next += prefix.T @ following
        prefix_sum += prefix.sum(axis=0)
        next_sum += following.sum(axis=0)
        energy += float(np.sum(following**2))
        prefix, pooled = prefix + following, pooled + following
    pooled = pooled / tokens
    targets = np.eye(classes)[(inner @ random.normal(size=(width, classes))).argmax(axis=1)]
    return Means(
        texts=texts,
        prefix_gram=prefix_gram / texts,
        prefix_next=prefix_next / texts,
        next_energy=energy / texts,
        pooled_gram=pooled.T @ pooled / texts,
        pooled_target=pooled.T @ targets / texts,
        target_gram=targets.T @ targets / texts,
        pooled_mean=pooled.mean(axis=0),
        target_mean=targets.mean(axis=0),
        prefixes=tokens - 1,
        prefix_sum=prefix_sum / texts,
        next_sum=next_sum / texts,
    )


@pytest.mark.parametrize(("width", "decay"), [(1024, 0.3), (384, 0.9)], ids=["cholesky", "eigenvalues"])
def test_a_wide_layer_solves_its_eigenproblems_and_its_curves_end_exactly(
    width: int, decay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And they are those of LAPACK's full decomposition."""
    means = language_model_means(width, decay)
    spectra = Spectra.of(means)
    prefix, v, u = spectra.prefix, spectra.autoregressive, spectra.perception
    assert (prefix.triangle is None) == (width == 384)
    assert prefix.condition > (1e8 if width == 1024 else 1e11)
    assert v.rank == width

    for factor, subspace in ((spectra.prefix, v), (spectra.pooled, u)):
        columns = factor.coordinates(subspace.basis)
        np.testing.assert_allclose(columns.T @ columns, np.eye(subspace.rank), atol=1e-9)
    images = means.prefix_next.T @ v.basis
    np.testing.assert_allclose(images.T @ images, np.diag(v.values), atol=1e-11 * v.values[0])
    cosines = (images / np.sqrt(v.values)).T @ (images / np.sqrt(v.values))
    np.testing.assert_allclose(cosines, np.eye(v.rank), atol=1e-6)

    score = score_moments(means)
    for name in ("ntps_full", "retained", "retained_centered", "next_token_share"):
        curve = getattr(score.curves, name)
        assert curve[0] > 0
        assert (np.diff(curve) >= 0).all()
        assert curve[-1] == pytest.approx(1, abs=1e-11)
    assert score.curves.excess_loss[-1] == pytest.approx(0, abs=1e-11)

    monkeypatch.setattr(ntps.theory.singular, "LARGEST_TURN", -1.0)
    full = score_moments(means)
    for name in ("ntps", "excess_loss", "retained_centered", "next_token_share"):
        np.testing.assert_allclose(getattr(score.curves, name), getattr(full.curves, name), atol=1e-10)
    assert score.area == pytest.approx(full.area, abs=1e-12)

"""What a reader must know of the score of a layer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ntps import theory
from ntps.moments.curves import MIN_EXPLAINED_SHARE
from ntps.moments.spectra import Spectra
from ntps.theory import Theorem2Constants

LARGE_OFFSET = 1e8
"""Squared mean over variance of the targets from which the subtraction of the two costs half of float64's digits."""

TOLERATED = 2e-6
"""Error of the closed forms that needs no words: ``eps`` times a condition of 1e10."""

FAR_APART = 1e5
"""Ratio of the sizes of two targets from which the smaller one is about to be left out of ``ntps``: at 1e7 it is."""


def cautions(spectra: Spectra, constants: Theorem2Constants, *, validated: bool) -> Iterator[str]:
    """Sentences about a layer: what is undefined, what flatters, and what rounding costs.

    Args:
        spectra: What the score was computed from.
        constants: The constants of Theorem 2.
        validated: Whether there are figures for new texts too, so that nobody has to rely on those in sample.
    """
    means, rank = spectra.means, spectra.pooled.rank
    if not validated and theory.few_texts(means.texts, rank):
        enough = theory.TEXTS_PER_DIMENSION * rank
        yield (
            f"{means.texts} texts are few for {rank} dimensions: in-sample figures flatter (use at least {enough} "
            "texts, or trust held-out figures only)"
        )
    if not spectra.autoregressive.rank:
        yield "no text has two tokens that differ from zero: there is nothing autoregressive, and its curves are empty"
    if not spectra.perception.rank:
        yield "pooled texts and targets have no product: ntps is undefined"
    yield from _undefined(spectra)
    if spectra.perception.splits_tie().any():
        yield "some eigenvalues of the perception problem are tied: ntps is arbitrary at the rows marked tied"
    yield from _inaccurate(spectra, constants)


def _undefined(spectra: Spectra) -> Iterator[str]:
    means = spectra.means
    if spectra.lost:
        yield (
            "the mean of the pooled texts is so large against their spread that rounding left nothing of it: R² and "
            "area are undefined (subtract a constant from the hidden states)"
        )
    elif spectra.r2 is None:
        yield "the targets do not vary, or not against their mean: R² and area are undefined"
    elif (means.target_mean**2 > LARGE_OFFSET * spectra.target_variance).any():
        yield "the targets' mean is large against their spread, which costs R² digits: subtract a constant from them"
    if spectra.r2 is not None and spectra.r2 <= MIN_EXPLAINED_SHARE:
        yield "the probe explains nothing: retained_centered and area are undefined"


def _inaccurate(spectra: Spectra, constants: Theorem2Constants) -> Iterator[str]:
    covariance = spectra.covariance
    width, still = len(covariance.scale), int(np.sum(covariance.scale == 0))
    if still:
        yield (
            f"{still} of {width} dimensions hardly vary beside the others, or beside their own mean: R² and the probe "
            "leave them out"
        )
    error = max(factor.error for factor in (spectra.prefix, spectra.pooled, covariance))
    if error >= TOLERATED:
        yield (
            "some dimensions are nearly combinations of others, or means or sizes of dimensions are far apart: R², "
            f"area and ntps may be wrong by up to {error:.0e}, and ranks be too low"
        )
    if np.sum(spectra.perception.values) < theory.rounding(width) * constants.upper:
        yield (
            "the constants of Theorem 2 are so far apart that the rounding of ntps_full outweighs the loss: they are "
            "no bounds here, and excess_loss itself is right"
        )
    sizes = np.sqrt(np.diag(spectra.means.target_gram).clip(0))
    ratio = sizes.max() / sizes[sizes > 0].min() if sizes.any() else 1.0
    if ratio >= FAR_APART:
        yield (
            f"the targets are up to {ratio:.0e} times apart in size: ntps and the rank of the perception problem may "
            "leave the smallest out (bring them to one scale)"
        )

"""How much of what a probe learns lies in next-token directions, for new texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from ntps import theory
from ntps.validation.judged import Array, Estimate
from ntps.validation.labels import Labels
from ntps.validation.layer_fit import LayerFit

MOST_DIRECTIONS = 256
"""Largest subspace that is probed; the share of the objective beyond it counts with all features."""
RANDOM_SUBSPACES = 2


@dataclass(frozen=True)
class Area:
    """``area_cv`` of one layer, and what directions at random would reach.

    Attributes:
        area: ``Σ_k Δshare(k) · R²_cv(V_k) / R²_cv(all)``.
        chance: The same of random subspaces, as many and as large.
    """

    area: Estimate
    chance: float | None


def layer_area(
    features: Float64[Array, "texts dims"],
    fit: LayerFit,
    labels: Labels,
    directions: Float64[Array, "dims directions"],
    share: Float64[Array, " directions"],
) -> Area:
    """Probes the subspaces of the first k next-token directions.

    Args:
        features: Standardized pooled texts.
        fit: The probe of all features.
        labels: Labels of the texts.
        directions: V, at least as many columns as are probed.
        share: ``next_token_share`` of the first k = 1, 2, … directions.
    """
    if not len(share) or np.isnan(share).any() or not (fit.left_out.r2 or 0.0) > 0:
        return Area(Estimate(None), None)
    grid = theory.share_grid(share, max(1, min(len(labels) // 2, MOST_DIRECTIONS)))
    most = int(grid.dimensions[-1])
    own = theory.subspace_basis(fit.standardization, directions[:, :most])
    bases = [own, *(theory.random_basis(fit.standardization, most, seed) for seed in range(RANDOM_SUBSPACES))]
    gain, *others = (
        theory.area_gain(features, basis, grid, labels.targets, fit.left_out, labels.parts) for basis in bases
    )
    chance = [theory.area_cv(other, fit.left_out) for other in others]
    figure = theory.ratio(gain[:, None], fit.left_out.gain[:, None])
    found = theory.intervals(figure, labels.draws)
    value, low, high = (None if np.isnan(end[0]) else float(end[0]) for end in (found.value, found.low, found.high))
    return Area(Estimate(value, low, high), float(np.mean([each for each in chance if each is not None])))

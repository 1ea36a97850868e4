"""What a ridge probe reaches on texts left out: its penalty, its R², and the area under the curve of subspaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64
from scipy import linalg

from ntps.theory.alignment import ordered_basis
from ntps.theory.factor import Array, rounding
from ntps.theory.ridge import Ids, RidgeDecomposition, Standardization, decompose_features

PENALTIES = 10.0 ** np.arange(-4.0, 4.25, 0.5)
"""Penalties, relative to the mean of ‖z‖² over texts: from a probe that follows all but a ten-thousandth of what it
sees, to one that predicts the mean. At the lower end the rounding of products of features is still below 1e-8."""
LEVELS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
"""Shares of the autoregressive objective at which subspaces are probed."""


@dataclass(frozen=True)
class LeftOut:
    """A ridge probe with the penalty whose squared error on parts left out is least.

    Attributes:
        penalty: α.
        relative_penalty: The same over the mean of ‖z‖².
        border: Whether the choice is the least penalty of the grid (the labels are a linear function almost without
            noise: a smaller one might do better) or the largest (the features do not help).
        losses: Mean squared error of texts left out, for each penalty of the grid.
        degrees_of_freedom: ``trace H`` at the penalty.
        loss: Squared error of each text left out, summed over outputs.
        baseline: The same for the mean of the other parts.
    """

    penalty: float
    relative_penalty: float
    border: Literal["least", "largest"] | None
    losses: Float64[Array, " penalties"]
    degrees_of_freedom: float
    loss: Float64[Array, " texts"]
    baseline: Float64[Array, " texts"]

    @property
    def gain(self) -> Float64[Array, " texts"]:
        """Loss that the probe saves."""
        return self.baseline - self.loss

    @property
    def r2(self) -> float | None:
        """``Σ gain / Σ baseline``: 0 for a probe that predicts the mean; None for constant targets."""
        total = float(self.baseline.sum())
        return float(self.gain.sum()) / total if total > 0 else None


def choose_penalty(
    decomposition: RidgeDecomposition,
    targets: Float64[Array, "texts outputs"],
    parts: Int64[Ids, " texts"] | None = None,
    grid: Float64[Array, " penalties"] = PENALTIES,
) -> LeftOut:
    """Leaves out each text, or each group of texts, at every penalty of a grid.

    Args:
        decomposition: Of standardized features.
        targets: What is predicted.
        parts: Groups, numbered from 0 on, that are left out whole; each text is one by default.
        grid: Ascending penalties, relative to the mean of ‖z‖².
    """
    # From one of the targets: constant ones leave exactly nothing.
    shifted = targets - targets[0]
    penalties = grid * decomposition.mean_diagonal
    residuals = decomposition.left_out_residuals(shifted, penalties, parts)
    loss = np.stack([np.einsum("ij,ij->i", each, each) for each in residuals])
    losses = loss.mean(axis=1)
    # Of equals, the larger penalty: it needs the features less.
    index = len(grid) - 1 - int(losses[::-1].argmin())
    borders: dict[int, Literal["least", "largest"]] = {0: "least", len(grid) - 1: "largest"}
    return LeftOut(
        penalty=float(penalties[index]),
        relative_penalty=float(grid[index]),
        border=borders.get(index),
        losses=losses,
        degrees_of_freedom=decomposition.degrees_of_freedom(float(penalties[index])),
        loss=loss[index],
        baseline=np.sum((shifted - _means_of_others(shifted, parts)) ** 2, axis=1),
    )


def _means_of_others(
    targets: Float64[Array, "texts outputs"], parts: Int64[Ids, " texts"] | None
) -> Float64[Array, "texts outputs"]:
    """Mean of the targets of all other parts."""
    identity = np.arange(len(targets)) if parts is None else parts
    sums = np.zeros((int(identity.max()) + 1, targets.shape[1]))
    np.add.at(sums, identity, targets)
    others = len(targets) - np.bincount(identity, minlength=len(sums))[identity]
    return np.asarray((targets.sum(axis=0) - sums[identity]) / others[:, None])


@dataclass(frozen=True)
class ShareGrid:
    """Where subspaces are probed, and what each R² weighs in ``Σ_k Δshare(k) · R²(V_k)``.

    Attributes:
        dimensions: k, ascending.
        weights: Between two k, R² is taken to be linear in the share.
        rest: Weight of the R² of all features, for the share beyond the last k.
    """

    dimensions: Int64[Ids, " cuts"]
    weights: Float64[Array, " cuts"]
    rest: float


def share_grid(
    share: Float64[Array, " directions"], most: int, levels: Float64[Array, " levels"] = LEVELS
) -> ShareGrid:
    """The first dimension, and those at which the share of the autoregressive objective first reaches some levels.

    Args:
        share: Cumulative share of the first k = 1 … r directions, never decreasing, at last 1.
        most: Largest dimension to probe, at least 1: below the number of texts, or all is seen anyway.
        levels: Ascending, below 1.
    """
    reached = np.minimum(np.searchsorted(share, levels), len(share) - 1) + 1
    # A V of few directions ends before the space of features does: then its own end counts, and nothing is left over.
    dimensions = np.unique(np.concatenate(([1], reached, [len(share)])))
    dimensions = dimensions[dimensions <= most]
    nodes = np.concatenate(([0.0], share[dimensions - 1], [1.0]))
    steps = np.diff(share, prepend=0.0)
    # How much of each node's R² stands in the interpolated one, summed over all k by what each adds to the share.
    interval = np.searchsorted(dimensions, np.arange(1, len(share) + 1))
    width = nodes[interval + 1] - nodes[interval]
    upper = np.divide(share - nodes[interval], width, out=np.ones_like(share), where=width > 0)
    weights = np.zeros(len(nodes))
    np.add.at(weights, interval + 1, steps * upper)
    np.add.at(weights, interval, steps * (1 - upper))
    return ShareGrid(dimensions, weights[1:-1], float(weights[-1]))


def subspace_basis(
    standardization: Standardization, directions: Float64[Array, "dims directions"]
) -> Float64[Array, "dims directions"]:
    """Orthonormal basis of what directions see of standardized features, in their order.

    A direction v sees ``vᵀ x = (scale ∘ v)ᵀ z`` but for a constant. The first k columns span what the first k
    directions see, so a probe of them is the ridge probe of all features, its weights confined to that span.

    Args:
        standardization: Of the features.
        directions: V.

    Returns:
        The basis, with zeros where a direction sees no more than those before it.
    """
    scaled = standardization.scale[:, None] * directions
    basis, triangle = linalg.qr(scaled, mode="economic", check_finite=False)
    noise = rounding(len(scaled)) * np.linalg.norm(scaled, axis=0)
    if scaled.shape[1] <= len(scaled) and np.all(np.abs(np.diag(triangle)) > noise):
        return np.asarray(basis)
    return ordered_basis(scaled, noise)


def random_basis(standardization: Standardization, columns: int, seed: int) -> Float64[Array, "dims {columns}"]:
    """Orthonormal basis of random subspaces of the standardized features that vary, for the chance level."""
    varies = standardization.scale > 0
    basis = np.zeros((len(varies), columns))
    drawn = np.random.default_rng(seed).standard_normal((int(varies.sum()), min(columns, int(varies.sum()))))
    basis[varies, : drawn.shape[1]] = linalg.qr(drawn, mode="economic")[0]
    return basis


def area_gain(
    features: Float64[Array, "texts dims"],
    basis: Float64[Array, "dims directions"],
    grid: ShareGrid,
    targets: Float64[Array, "texts outputs"],
    everything: LeftOut,
    parts: Int64[Ids, " texts"] | None = None,
) -> Float64[Array, " texts"]:
    """Each text's part in ``Σ_k Δshare(k) · R²_cv(V_k)``, over its baseline.

    Args:
        features: Standardized.
        basis: Of V, or of random subspaces, up to the largest dimension of the grid.
        grid: Where to probe; each probe has a penalty of its own.
        targets: What is predicted.
        everything: The probe of all features.
        parts: Groups that are left out whole.
    """
    seen = features @ basis
    gain = grid.rest * everything.gain
    for dimension, weight in zip(grid.dimensions, grid.weights, strict=True):
        gain += weight * choose_penalty(decompose_features(seen[:, :dimension]), targets, parts).gain
    return gain


def area_cv(gain: Float64[Array, " texts"], everything: LeftOut) -> float | None:
    """``Σ_k Δshare(k) · R²_cv(V_k) / R²_cv(all)``, of :func:`area_gain`.

    1 where a first direction holds all that a probe can use, above 1 where the subspaces generalize better than all
    features do; None where the probe of all features does not save any loss, so that there is nothing to divide by.
    Where its R² is not clearly above 0, the ratio means nothing either: that is for its interval to say.
    """
    total = float(everything.gain.sum())
    return float(gain.sum()) / total if total > 0 else None

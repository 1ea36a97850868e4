"""The closed forms of every layer, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float64
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from ntps import theory
from ntps.errors import InputError
from ntps.moments.accumulator import Moments
from ntps.moments.cautions import cautions
from ntps.moments.curves import Curves, paper_curves, regularized_ntps, released_curves
from ntps.moments.means import Means
from ntps.moments.spectra import Spectra
from ntps.options.scoring import Convention
from ntps.theory import LinearProbe

THREADED_WIDTH = 1024
"""Width above which a second BLAS thread is worth its start; below it, threads cost more than they bring as soon as
another process wants the same cores."""
LEADING = 256
"""Most next-token directions that are kept for probes of their subspaces."""


def score_layers(
    moments: dict[int, Moments],
    layer_names: Sequence[str],
    convention: Convention = "paper",
    centered: bool = False,
    penalties: Mapping[int, float] | None = None,
) -> Iterator[LayerScore]:
    """Scores layers in ascending order and forgets their moments, so that memory falls while results come.

    Layers are not scored side by side: SciPy's routines keep Python's lock while they run, so threads would wait for
    each other, and the BLAS has threads of its own for matrices that are large enough.

    Args:
        moments: Moments by index of the layer; emptied.
        layer_names: Name of every layer of the model.
        convention: See :func:`~ntps.moments.layer_score.score_moments`.
        centered: Likewise.
        penalties: Likewise, by layer.
    """
    pools = ThreadpoolController()
    for layer in sorted(moments):
        means = moments.pop(layer).means()
        threads = 1 if len(means.prefix_gram) <= THREADED_WIDTH else torch.get_num_threads()
        with pools.limit(limits=threads, user_api="blas"):
            penalty = penalties.get(layer) if penalties else None
            score = score_moments(means, convention, centered, layer=layer, name=layer_names[layer], penalty=penalty)
        yield score


Array = NDArray[np.float64]


@dataclass(frozen=True)
class Directions:
    """The leading next-token directions of a layer.

    Attributes:
        basis: First columns of V.
        share: Share of the autoregressive objective that the first k = 1, 2, … carry, to the last column of V.
    """

    basis: Float64[Array, "dims leading"]
    share: Float64[Array, " directions"]


@dataclass(frozen=True, repr=False)
class LayerScore:
    """Score of one layer. Values that are undefined are None, with a sentence in ``warnings``.

    Attributes:
        layer: Index of the layer: 0 is the embedding output.
        name: Name of the layer, such as ``block.3``.
        convention: ``paper`` or ``released``; the curves follow it, all other values do not depend on it.
        texts: Number of texts n.
        hidden_size: Width d.
        curves: Every curve.
        rank_pooled: Rank of N.
        rank_perception: Rank of M, the columns of U.
        rank_autoregressive: Columns of V.
        rank_centered: Rank of the pooled covariance.
        area: ``Σ_k (share(k) − share(k−1)) · retained_centered(k)``, in [0, 1].
        chance_area: What ``area`` would be on average if the label directions pointed anywhere (whitened pooled space).
        r2: R² of the least-squares probe with intercept, on the texts it was fitted to.
        r2_adjusted: The same corrected for the number of coefficients.
        best_loss: ``L*(U) = E‖y‖² − Σ Λ``.
        target_energy: ``E‖y‖²``.
        next_token_loss: Equation 2 at its minimum with all columns of V.
        bound_lower_constant: Theorem 2's lower constant.
        bound_upper_constant: Theorem 2's upper constant.
        perception_eigenvalues: Λ, descending.
        condition: Condition numbers of the unit-diagonal ``prefix_gram``, ``pooled_gram`` and pooled covariance.
        cutoff: Relative cut-offs that decided the ranks.
        k_share95: Smallest k at which ``next_token_share`` reaches 0.95.
        ntps_share95: ``ntps`` (Algorithm 1) at that k, a rule fixed in advance.
        chance_ntps: ``k / d`` at that k: the score of an isotropic random U.
        ntps_share95_ridge: ``ntps`` at that k with the U of a ridge probe, where its penalty is known.
        r2_test_ols: Held-out R² of the least-squares probe.
        accuracy_test_ols: Its held-out accuracy, for classes.
        warnings: What a reader must know about this layer.
        probe: The least-squares probe itself.
        directions: What ``area`` weighs.

    Examples:
        >>> import torch
        >>> moments = ntps.Moments(hidden_size=8, targets=2)
        >>> mask = torch.ones(100, 5, dtype=torch.bool)
        >>> moments.update(torch.randn(100, 5, 8), mask, torch.eye(2)[torch.arange(100) % 2])
        >>> score = ntps.score_moments(moments, name="block.3")
        >>> score.name, score.texts, score.rank_autoregressive
        ('block.3', 100, 8)
    """

    layer: int
    name: str
    convention: Convention
    texts: int
    hidden_size: int
    curves: Curves
    rank_pooled: int
    rank_perception: int
    rank_autoregressive: int
    rank_centered: int
    area: float | None
    chance_area: float | None
    r2: float | None
    r2_adjusted: float | None
    best_loss: float
    target_energy: float
    next_token_loss: float
    bound_lower_constant: float
    bound_upper_constant: float
    perception_eigenvalues: tuple[float, ...]
    condition: Mapping[str, float]
    cutoff: Mapping[str, float]
    k_share95: int | None
    ntps_share95: float | None
    chance_ntps: float | None
    probe: LinearProbe
    directions: Directions
    ntps_share95_ridge: float | None = None
    r2_test_ols: float | None = None
    accuracy_test_ols: float | None = None
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        figures = ", ".join(f"{key}={getattr(self, key)}" for key in ("area", "chance_area", "r2", "ntps_share95"))
        return f"LayerScore({self.name or f'layer {self.layer}'}, {self.texts} texts, d={self.hidden_size}, {figures})"

    def to_frame(self) -> pd.DataFrame:
        """The curves as a table: one row per k, the columns of ``curves.parquet``."""
        return pd.DataFrame({"convention": self.convention, "layer": self.layer, **vars(self.curves)})


def score_moments(
    moments: Moments | Means,
    convention: Convention = "paper",
    centered: bool = False,
    *,
    layer: int = 0,
    name: str = "",
    penalty: float | None = None,
) -> LayerScore:
    """Scores one layer from its moments, in closed form.

    Args:
        moments: Moments of the layer, or their means.
        convention: ``paper`` (Algorithm 1 with the rank cap) or ``released`` (the authors' sweep, for comparison).
        centered: Whether both problems get an intercept: covariances instead of second moments.
        layer: Index to record.
        name: Name to record.
        penalty: What a ridge probe that was validated on texts left out adds to the covariance, in units of each
            dimension's variance.

    Raises:
        InputError: Unknown convention, or no texts.

    Examples:
        >>> import torch
        >>> moments = ntps.Moments(hidden_size=8, targets=2)
        >>> mask = torch.ones(100, 5, dtype=torch.bool)
        >>> moments.update(torch.randn(100, 5, 8), mask, torch.eye(2)[torch.arange(100) % 2])
        >>> score = ntps.score_moments(moments)
        >>> 0 <= score.area <= 1
        True
    """
    if convention not in get_args(Convention):
        raise InputError(f"convention must be paper or released, not {convention!r}")
    means = moments.means() if isinstance(moments, Moments) else moments
    spectra = Spectra.of(means, centered)
    means = spectra.means
    paper = paper_curves(spectra)
    width, rank = len(means.pooled_gram), spectra.covariance.rank
    constants = theory.theorem2_constants(means.pooled_gram, spectra.pooled, spectra.perception)
    target_energy = float(np.trace(means.target_gram))
    share95 = _first_reaching(paper.next_token_share, 0.95)
    return LayerScore(
        layer=layer,
        name=name,
        convention=convention,
        texts=means.texts,
        hidden_size=width,
        curves=paper if convention == "paper" else released_curves(spectra),
        rank_pooled=spectra.pooled.rank,
        rank_perception=spectra.perception.rank,
        rank_autoregressive=spectra.autoregressive.rank,
        rank_centered=rank,
        area=_area(paper.next_token_share, paper.retained_centered),
        chance_area=_area(paper.next_token_share, np.minimum(paper.k / max(rank, 1), 1.0)),
        r2=spectra.r2,
        r2_adjusted=None if spectra.r2 is None else theory.adjusted_r2(spectra.r2, means.texts, rank),
        best_loss=max(target_energy - float(np.sum(spectra.perception.values)), 0.0),
        target_energy=target_energy,
        next_token_loss=max(means.next_energy - float(np.sum(spectra.autoregressive.values)), 0.0),
        bound_lower_constant=constants.lower,
        bound_upper_constant=constants.upper,
        perception_eigenvalues=tuple(spectra.perception.values.tolist()),
        condition={
            "prefix_gram": spectra.prefix.condition,
            "pooled_gram": spectra.pooled.condition,
            "pooled_covariance": spectra.covariance.condition,
        },
        cutoff={
            "prefix_gram": spectra.prefix.cutoff,
            "prefix_next": spectra.autoregressive.cutoff,
            "pooled_gram": spectra.pooled.cutoff,
            "pooled_target": spectra.perception.cutoff,
            "pooled_covariance": spectra.covariance.cutoff,
        },
        k_share95=share95,
        ntps_share95=None if share95 is None else _defined(paper.ntps[share95 - 1]),
        chance_ntps=None if share95 is None else share95 / width,
        ntps_share95_ridge=None if share95 is None or penalty is None else regularized_ntps(spectra, penalty, share95),
        probe=theory.fit_probe(spectra.covariance, spectra.cross_covariance, means.pooled_mean, means.target_mean),
        directions=Directions(spectra.autoregressive.basis[:, :LEADING], paper.next_token_share),
        warnings=tuple(cautions(spectra, constants, validated=penalty is not None)),
    )


def _area(share: Float64[Array, " directions"], kept: Float64[Array, " directions"]) -> float | None:
    """``Σ_k (share(k) − share(k−1)) · kept(k)``; None where either is undefined or there is no k."""
    return _defined(float(np.diff(share, prepend=0.0) @ kept)) if len(share) else None


def _first_reaching(share: Float64[Array, " directions"], level: float) -> int | None:
    reached = np.flatnonzero(share >= level - 1e-12)
    return int(reached[0]) + 1 if len(reached) else None


def _defined(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

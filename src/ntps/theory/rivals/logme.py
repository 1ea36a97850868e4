"""LogME: the evidence of a Bayesian linear model."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from ntps.theory.factor import Array, rounding

STEP = 0.25
"""Decades between the ratios α/β among which the best one is sought first."""
BEYOND = 8.0
"""Decades that they reach beyond the largest and the smallest eigenvalue: what lies further changes nothing."""


def logme(features: Float64[Array, "texts dims"], targets: Float64[Array, "texts outputs"]) -> float | None:
    """Largest log evidence per text of ``y ~ N(F w, I/β), w ~ N(0, I/α)``, averaged over outputs (arXiv 2102.11005).

    You et al. 2021 iterate ``α = γ / ‖m‖²``, ``β = (n − γ) / ‖y − F m‖²`` with the posterior mean m and
    ``γ = Σ_i s_i² / (s_i² + α/β)``. For a given ``t = α/β`` the best β is known, so the evidence is a function of t
    alone, and its largest value is found for each output anew:

        ``−½ log(R(t) / n) − ½ − ½ log 2π − Σ_i log(1 + s_i² / t) / 2n``
        with ``R(t) = ‖y‖² − Σ_i (u_iᵀ y)² s_i² / (s_i² + t)``.

    Args:
        features: F, as they are, neither centred nor scaled; a single thin SVD serves all outputs.
        targets: y; outputs that are 0 throughout are left out. One-hot for classes.

    Returns:
        Any real number, in nats per text; higher is better. The same for rotated and scaled features. None where the
        evidence has no largest value, because fewer directions than texts hold the targets exactly, or no target is
        there.
    """
    vectors, values, _ = np.linalg.svd(features, full_matrices=False)
    kept = values > rounding(max(features.shape)) * values[0]
    spectrum, projected = values[kept] ** 2, (vectors[:, kept].T @ targets) ** 2
    energy = np.sum(targets**2, axis=0)
    rest = energy - projected.sum(axis=0)
    rest[(rest < rounding(len(features)) * energy) | (len(spectrum) == len(features))] = 0.0
    there = energy > 0
    if not there.any() or (len(spectrum) < len(features) and (rest[there] == 0).any()):
        return None
    pairs = zip(projected.T[there], rest[there], strict=True)
    return float(np.mean([_largest_evidence(spectrum, *pair, len(features)) for pair in pairs]))


def _largest_evidence(
    spectrum: Float64[Array, " rank"], projected: Float64[Array, " rank"], rest: float, texts: int
) -> float:
    # A hundred modules more, which nothing else of a score needs.
    from scipy.optimize import minimize_scalar

    def evidence(exponent: Float64[Array, " ratios"] | float) -> Float64[Array, " ratios"]:
        ratio = 10.0 ** np.reshape(exponent, (-1, 1))
        residual = rest + np.sum(projected * (ratio / (ratio + spectrum)), axis=1)
        volume = np.sum(np.log1p(spectrum / ratio), axis=1)
        return np.asarray(-0.5 * (np.log(residual / texts) + 1.0 + np.log(2 * np.pi) + volume / texts))

    ends = np.log10([spectrum.min(initial=1.0), spectrum.max(initial=0.0) or 1.0])
    grid = np.arange(ends[0] - BEYOND, ends[1] + BEYOND + STEP, STEP)
    best = grid[np.argmax(evidence(grid))]
    bounds = (best - STEP, best + STEP)
    found = minimize_scalar(lambda x: -evidence(x)[0], bounds=bounds, method="bounded", options={"xatol": 1e-7})
    return float(-found.fun)

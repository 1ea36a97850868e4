"""Optimal heads of Theorem 1 and the losses that they minimize, for any feature matrix."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from ntps.theory.factor import Array, factorize


def next_token_head(
    prefix_gram: Float64[Array, "dims dims"],
    prefix_next: Float64[Array, "dims dims"],
    features: Float64[Array, "dims features"],
) -> Float64[Array, "dims features"]:
    """Optimal ``W`` of Theorem 1: predicts ``x_{t+1}`` as ``W Vᵀ c_t``.

    Args:
        prefix_gram: D.
        prefix_next: S.
        features: V, any matrix. For V of Theorem 1, ``Vᵀ D V = I`` and W is ``Sᵀ V``.

    Returns:
        W.
    """
    return _head(prefix_gram, prefix_next, features)


def next_token_loss(
    prefix_gram: Float64[Array, "dims dims"],
    prefix_next: Float64[Array, "dims dims"],
    next_energy: float,
    features: Float64[Array, "dims features"],
    head: Float64[Array, "dims features"],
) -> float:
    """Equation 2: ``E Σ_t ‖x_{t+1} − W Vᵀ c_t‖²``, with V and W as ``features`` and ``head``."""
    return _loss(prefix_gram, prefix_next, next_energy, features, head)


def perception_head(
    pooled_gram: Float64[Array, "dims dims"],
    pooled_target: Float64[Array, "dims outputs"],
    features: Float64[Array, "dims features"],
) -> Float64[Array, "outputs features"]:
    """Optimal ``Z`` of Theorem 1: predicts y as ``Z Uᵀ x̄``.

    Args:
        pooled_gram: N.
        pooled_target: M.
        features: U, any matrix. For U of Theorem 1, ``Uᵀ N U = I`` and Z is ``Mᵀ U``.

    Returns:
        Z.
    """
    return _head(pooled_gram, pooled_target, features)


def perception_loss(
    pooled_gram: Float64[Array, "dims dims"],
    pooled_target: Float64[Array, "dims outputs"],
    target_energy: float,
    features: Float64[Array, "dims features"],
    head: Float64[Array, "outputs features"],
) -> float:
    """The perception loss ``E ‖y − Z Uᵀ x̄‖²``, with U and Z as ``features`` and ``head``; a sum over outputs."""
    return _loss(pooled_gram, pooled_target, target_energy, features, head)


def _head(
    gram: Float64[Array, "dims dims"], cross: Float64[Array, "dims outputs"], features: Float64[Array, "dims features"]
) -> Float64[Array, "outputs features"]:
    seen = factorize(features.T @ gram @ features)
    return seen.unwhiten(seen.whiten(features.T @ cross)).T


def _loss(
    gram: Float64[Array, "dims dims"],
    cross: Float64[Array, "dims outputs"],
    energy: float,
    features: Float64[Array, "dims features"],
    head: Float64[Array, "outputs features"],
) -> float:
    linear = np.sum((features.T @ cross) * head.T)
    quadratic = np.sum((features.T @ gram @ features) * (head.T @ head))
    return float(energy - 2 * linear + quadratic)

"""All k of one layer in closed form, against nineteen pseudo-inverses on dense eigenproblems.

    python benchmarks/closed_forms.py [--width 2048] [--classes 6] [--rounds 5]

ntps gives every curve for every k (and ranks, bounds, the probe and its figures); the dense way, which solves whitened
eigenproblems and projects as the released sweep does, gives Algorithm 1's score at nineteen k. Moments are synthetic
and well conditioned, so that the dense way works at all; at the nineteen k both must agree, or the command fails.
"""

from __future__ import annotations

import numpy as np
import typer
from scipy import linalg

from common import Array, interleaved, medians, ratio, show
from ntps import LayerScore, score_moments
from ntps.moments.means import Means

ABSOLUTE_CUTOFF = 1e-8
TOLERANCE = 1e-6


def synthetic_means(width: int, classes: int = 6, seed: int = 0) -> Means:
    """Moments of ``4 d`` texts of two tokens: random states that keep half of what came before, and classes in them."""
    random = np.random.default_rng(seed)
    texts = 4 * width
    scale = np.linspace(0.5, 2.0, width)
    first = random.standard_normal((texts, width)) * scale
    second = 0.5 * first + random.standard_normal((texts, width)) * np.linspace(0.5, 1.5, width)
    pooled = (first + second) / 2
    labels = (pooled @ random.standard_normal((width, classes))).argmax(axis=1)
    targets = np.eye(classes)[labels]
    return Means(
        texts=texts,
        prefix_gram=first.T @ first / texts,
        prefix_next=first.T @ second / texts,
        next_energy=float(np.sum(second**2)) / texts,
        pooled_gram=pooled.T @ pooled / texts,
        pooled_target=pooled.T @ targets / texts,
        target_gram=targets.T @ targets / texts,
        pooled_mean=pooled.mean(axis=0),
        target_mean=targets.mean(axis=0),
        prefixes=1.0,
        prefix_sum=first.mean(axis=0),
        next_sum=second.mean(axis=0),
    )


def sweep_sizes(width: int) -> list[int]:
    """The nineteen k: 5 %, 10 % … 95 % of the columns."""
    return [max(1, step * width // 20) for step in range(1, 20)]


def pseudo_inverse_sweep(means: Means) -> Array:
    """Algorithm 1 at nineteen k: ``(19,)``.

    As in the released sweep, as many columns of U are projected as of V. All but the first ``rank M`` are an arbitrary
    basis of a kernel; the result is that of the first.
    """
    autoregressive = _dense(means.prefix_gram, means.prefix_next)
    perception = _dense(means.pooled_gram, means.pooled_target)
    classes = means.pooled_target.shape[1]
    scores = []
    for k in sweep_sizes(len(means.prefix_gram)):
        v, u = autoregressive[:, :k], perception[:, :k]
        captured, energy = np.sum((v @ (linalg.pinv(v) @ u)) ** 2, axis=0), np.sum(u**2, axis=0)
        scores.append(np.sum(captured[:classes]) / np.sum(energy[:classes]))
    return np.array(scores)


def _dense(gram: Array, cross: Array) -> Array:
    """Solutions of ``B Bᵀ w = λ A w``, largest λ first, where A's eigenvalues exceed the sweep's absolute cut-off."""
    values, vectors = linalg.eigh(gram)
    kept = values > ABSOLUTE_CUTOFF
    whitener = vectors[:, kept] / np.sqrt(values[kept])
    whitened = whitener.T @ cross
    return np.asarray((whitener @ linalg.eigh(whitened @ whitened.T)[1])[:, ::-1])


def deviation(score: LayerScore, sweep: Array) -> float:
    """Largest difference at the nineteen k."""
    k = np.array(sweep_sizes(score.hidden_size))
    return float(np.abs(score.curves.ntps[k - 1] - sweep).max())


def main(width: int = 2048, classes: int = 6, rounds: int = 5) -> None:
    """Time both in turn, and check that they agree."""
    means = synthetic_means(width, classes)
    seconds, results = interleaved(
        {"sweep": lambda: pseudo_inverse_sweep(means), "ntps": lambda: score_moments(means)}, rounds
    )
    worst = deviation(results["ntps"], results["sweep"])
    show(
        {
            "width": width,
            "classes": classes,
            "k": {"sweep": len(results["sweep"]), "ntps": len(results["ntps"].curves.k)},
            "seconds": medians(seconds),
            "sweep_over_ntps": ratio(seconds["sweep"], seconds["ntps"]),
            "deviation": worst,
            "agree": worst <= TOLERANCE,
        }
    )
    if worst > TOLERANCE:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)

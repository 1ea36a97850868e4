"""Intervals of figures for new texts, from predictions of texts left out: nothing is fitted again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray

from ntps.theory.factor import Array
from ntps.theory.ridge import Ids

DRAWS = 1000
LEVEL = 0.95
WIDENING = 1.25
"""How much wider than the spread of the draws an interval is. Predictions of texts left out come from probes that share
their other texts, which the draws do not see: over tasks, layers and samples of 400 and 1,500 texts, the error of the
figures was 1.0 to 1.3 (accuracy) and 1.1 to 1.5 (R²) times that spread."""
BLOCK = 2**21
"""Weights of texts that are sorted at a time: 16 MiB."""
OUTSIDE = float(np.sqrt(np.e - 1))
"""Deviation of the mean of the texts outside a draw, over that of all texts: a share of 1/e stands outside."""

Figure = Callable[[Float64[Array, "draws texts"]], Float64[Array, "draws layers"]]
"""From weights of texts to values of layers, or of whatever is compared; NaN if undefined."""


@dataclass(frozen=True)
class Intervals:
    """Values of layers with the ends of their intervals; NaN where a figure is undefined in too many draws."""

    value: Float64[Array, " layers"]
    low: Float64[Array, " layers"]
    high: Float64[Array, " layers"]


@dataclass(frozen=True)
class Choice:
    """The best of some layers, with what it reaches on texts that it was not chosen on.

    Attributes:
        index: The layer that is best on all texts.
        value: Its figure without the winner's curse: less what it gains, outside the draws, on the layers that are best
            inside them.
        low: Lower end of the interval.
        high: Its upper end.
        frequency: Share of the draws in which each layer is the best.
        equals: Layers whose difference from the best one, on the same texts, does not have 0 outside its interval.
    """

    index: int
    value: float
    low: float
    high: float
    frequency: Float64[Array, " layers"]
    equals: Bool[NDArray[np.bool_], " layers"]


@dataclass(frozen=True)
class Comparison:
    """Models side by side; of matrices, rows are compared with columns.

    Attributes:
        values: What each model's chosen layer reaches, without the winner's curse.
        difference: Row minus column.
        half: Half the width of its interval; those of all pairs hold together.
        first: The best place that each model may have, 1 being the best of all.
        last: The worst one.
    """

    values: Float64[Array, " models"]
    difference: Float64[Array, "models models"]
    half: Float64[Array, "models models"]
    first: Int64[Ids, " models"]
    last: Int64[Ids, " models"]


def draw_texts(
    texts: int, groups: Int64[Ids, " texts"] | None = None, *, seed: int, draws: int = DRAWS
) -> Float64[Array, "{draws} {texts}"]:
    """How often each text is drawn; groups, numbered from 0 on, are drawn whole."""
    random = np.random.default_rng(seed)
    identity = np.arange(texts) if groups is None else groups
    count = int(identity.max()) + 1
    weights = np.empty((draws, texts))
    for row in weights:
        row[:] = np.bincount(random.integers(count, size=count), minlength=count)[identity]
    return weights


def ratio(numerators: Float64[Array, "texts layers"], denominators: Float64[Array, "texts wholes"]) -> Figure:
    """``Σ numerator / Σ denominator`` over texts, undefined where the latter is not positive.

    Accuracy is hits over ones, R² the loss that is saved over the loss of the mean, micro-averaged F1 twice the labels
    found over labels found and labels there.

    Args:
        numerators: Those of each layer.
        denominators: Likewise, or one that all layers share.
    """

    def figure(weights: Float64[Array, "draws texts"]) -> Float64[Array, "draws layers"]:
        whole = weights @ denominators
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(whole > 0, (weights @ numerators) / whole, np.nan)

    return figure


def balanced_accuracy(hits: Float64[Array, "texts layers"], classes: Int64[Ids, " texts"]) -> Figure:
    """Mean over the classes that occur of the share of hits."""
    members = [np.flatnonzero(classes == label) for label in np.unique(classes)]

    def figure(weights: Float64[Array, "draws texts"]) -> Float64[Array, "draws layers"]:
        total, present = np.zeros((len(weights), hits.shape[1])), np.zeros((len(weights), 1))
        for rows in members:
            size = weights[:, rows].sum(axis=1, keepdims=True)
            total += weights[:, rows] @ hits[rows] / np.maximum(size, 1.0)
            present += size > 0
        return total / np.where(present > 0, present, np.nan)

    return figure


def mean_average_precision(
    scores: Sequence[Float64[Array, "texts labels"]], sets: Float64[Array, "texts labels"]
) -> Figure:
    """Average precision of each label, averaged over those that occur, as scikit-learn's with macro average.

    Args:
        scores: Those of each layer.
        sets: Label sets.
    """

    def figure(weights: Float64[Array, "draws texts"]) -> Float64[Array, "draws layers"]:
        blocks = np.array_split(weights, 1 + weights.size // BLOCK)
        # A row for each text: what is sorted and summed then lies side by side.
        found = (
            [_mean_precision(np.ascontiguousarray(block.T), each, sets > 0.5) for each in scores] for block in blocks
        )
        return np.concatenate([np.stack(each, axis=1) for each in found])

    return figure


def _mean_precision(
    drawn: Float64[Array, "texts draws"],
    scores: Float64[Array, "texts labels"],
    present: Bool[NDArray[np.bool_], "texts labels"],
) -> Float64[Array, " draws"]:
    """The same for one layer."""
    total, labels = np.zeros((2, drawn.shape[1]))
    for score, there in zip(scores.T, present.T, strict=True):
        if not there.any():
            continue
        order = np.argsort(-score, kind="stable")
        right = order[there[order]]
        # Texts of one score are found together, and precision counts only where one of them is right.
        first = np.flatnonzero(np.diff(score[right], prepend=np.inf))
        ends = np.searchsorted(-score[order], -score[right[first]], side="right")
        added = np.add.reduceat(drawn[order[: ends[-1]]], np.concatenate(([0], ends[:-1])), axis=0)
        hits = np.add.reduceat(drawn[right], first, axis=0)
        found, hits_found = added.cumsum(axis=0), hits.cumsum(axis=0)
        precision = np.divide(hits_found, found, out=np.zeros_like(found), where=found > 0)
        size = hits_found[-1]
        total += np.einsum("ij,ij->j", hits, precision) / np.where(size > 0, size, 1.0)
        labels += size > 0
    return np.asarray(total / np.where(labels > 0, labels, np.nan))


def intervals(figure: Figure, weights: Float64[Array, "draws texts"], widening: float = WIDENING) -> Intervals:
    """Percentile intervals of each layer's figure, made wider than the spread of the draws by a factor."""
    value = figure(np.ones((1, weights.shape[1])))[0]
    low, high = _ends(figure(weights), value, widening)
    return Intervals(value, low, high)


def choose(figure: Figure, weights: Float64[Array, "draws texts"]) -> Choice:
    """Chooses inside each draw and judges outside it; ties go to the first layer.

    Raises:
        ValueError: Nothing can be chosen, as no layer has a figure.
    """
    value, inside, best, reached, center = _chosen(figure, weights)
    index = int(np.nanargmax(value))
    low, high = _ends(reached[:, None], np.array([center]), WIDENING / OUTSIDE)
    lowest, highest = _ends(inside - inside[:, [index]], value - value[index])
    # Where a difference has no interval, nothing tells the two apart.
    equals = ~((lowest > 0) | (highest < 0) | np.isnan(value))
    return Choice(
        index=index,
        value=center,
        low=float(low[0]),
        high=float(high[0]),
        frequency=np.bincount(best, minlength=len(value)) / max(len(best), 1),
        equals=np.asarray(equals),
    )


def compare(
    figures: Sequence[Figure], weights: Float64[Array, "draws texts"], units: int, level: float = LEVEL
) -> Comparison:
    """Compares models, each by the layer that is chosen for it, on the same draws of the same texts.

    As in :func:`choose`, each model's layer is chosen inside a draw and judged outside it. The intervals of all pairs
    hold together: they are as many standard deviations wide as the largest deviation of any pair is in 95 % of the
    draws, or at another level. A place is ruled out if enough models are better, or worse, by more than that (Mogstad,
    Romano, Shaikh and Wilhelm 2024, "Inference for ranks").

    Args:
        figures: Of the layers of each model.
        weights: How often each text is drawn.
        units: How many texts or groups stand for themselves.
        level: How often all intervals hold.

    Raises:
        ValueError: A model has no layer with a figure.
    """
    chosen = [_chosen(figure, weights) for figure in figures]
    values, reached = np.array([each.value for each in chosen]), np.stack([each.reached for each in chosen])
    difference = values[:, None] - values
    known = ~np.isnan(reached).any(axis=0)
    half = np.full(difference.shape, np.inf)
    if known.mean() >= level:
        spread = reached[:, None, known] - reached[:, known]
        deviation = spread.std(axis=-1)
        alike = deviation < 1e-12
        with np.errstate(invalid="ignore", divide="ignore"):
            standardized = np.abs(spread - spread.mean(axis=-1, keepdims=True)) / deviation[..., None]
        standardized[alike] = 0.0
        critical = np.quantile(standardized.max(axis=(0, 1)), level)
        # Where all draws agree they say nothing.
        half = np.where(alike, certain_share(units, level), WIDENING / OUTSIDE * critical * deviation)
    np.fill_diagonal(half, 0.0)
    better = difference > half
    return Comparison(
        values=values,
        difference=difference,
        half=half,
        first=1 + better.sum(axis=0),
        last=len(values) - better.sum(axis=1),
    )


class _Chosen(NamedTuple):
    """What :func:`choose` is made of, by layer, by draw, or both."""

    values: Float64[Array, " layers"]
    inside: Float64[Array, "draws layers"]
    best: Int64[Ids, " usable"]
    reached: Float64[Array, " draws"]
    value: float


def _chosen(figure: Figure, weights: Float64[Array, "draws texts"]) -> _Chosen:
    values = figure(np.ones((1, weights.shape[1])))[0]
    if np.isnan(values).all():
        raise ValueError("no layer has a figure to be chosen by")
    index = int(np.nanargmax(values))
    inside, outside = figure(weights), figure((weights == 0).astype(np.float64))
    usable = ~np.isnan(inside).all(axis=1)
    best = np.nanargmax(inside[usable], axis=1)
    reached = np.full(len(weights), np.nan)
    reached[usable] = outside[usable, best]
    # On average the chosen layer reaches outside the draws what it reaches on all texts: comparing with it there leaves
    # only what the choice costs, which is never negative, and 0 where every draw chooses it.
    lost = (outside[:, index] - reached)[~np.isnan(outside[:, index] - reached)]
    return _Chosen(values, inside, best, reached, float(values[index] - max(0.0, lost.mean() if len(lost) else 0.0)))


def certain_share(units: int, level: float = LEVEL) -> float:
    """How far from 0 or 1 a share may be that was 0 or 1 in all of some independent texts or groups.

    The draws are all alike then and say nothing; this is the end of Clopper's and Pearson's interval.
    """
    return float(1.0 - ((1 - level) / 2) ** (1 / units))


def _ends(
    draws: Float64[Array, "draws layers"], center: Float64[Array, " layers"], widening: float = WIDENING
) -> tuple[Float64[Array, " layers"], Float64[Array, " layers"]]:
    """Quantiles of the draws, widened about a center; NaN where more draws are NaN than a tail holds."""
    tail = (1 - LEVEL) / 2
    undefined = np.isnan(draws)
    kept = undefined.mean(axis=0) <= tail
    filled = np.where(undefined, center, draws)
    ends = center + widening * (np.quantile(filled, [tail, 1 - tail], axis=0) - center)
    low, high = np.where(kept, ends, np.nan)
    return low, high

"""Learning curves: what a probe of fewer texts reaches on the others, and what twice as many texts would bring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from ntps import theory
from ntps.theory import RidgeDecomposition
from ntps.validation.judged import CRITERION, Array, Estimate, Judged, bounded, criterion, estimate, judge
from ntps.validation.labels import REPEATED, Ids, Labels

PARTS = (4, 2)
"""Into how many equal parts the texts are dealt: each part is learned from, and judged on the others."""
FEWEST = 40
"""Below so many texts or groups, a quarter of them is too few to learn from."""
EXPONENT = 0.6
"""The next doubling leaves that power of the share of the error that the last two left: a half would be a power law;
over six tasks, 300 and 1,000 texts and their doubles a little more came out."""
SPREAD = 0.02
"""Standard deviation of what came out about that."""


@dataclass(frozen=True)
class LearningCurve:
    """What a probe reaches, by the number of texts that it learns from.

    Attributes:
        texts: A quarter of the texts, a half, all of them, and twice as many.
        reached: The figure by which probes are compared for each; of twice as many, what is expected.
    """

    texts: tuple[int, int, int, int]
    reached: tuple[Estimate, Estimate, Estimate, Estimate]


def learning_curve(decomposition: RidgeDecomposition, whole: Judged, labels: Labels) -> LearningCurve | None:
    """Fits probes to parts of the texts; None where these are too few.

    The texts are dealt to equal parts as folds are, so that no group is cut, and the probe of each part finds its own
    penalty without its other texts.

    Args:
        decomposition: Of the features of all texts.
        whole: What folds say about the probe of all texts.
        labels: The labels.
    """
    if labels.units < FEWEST:
        return None
    features = decomposition.vectors * np.sqrt(decomposition.eigenvalues)
    quarter, half = (_judged_part(features, labels, parts) for parts in PARTS)
    name, steps = CRITERION[labels.kind], [quarter, half, whole]
    # One after the other: the last bits of a figure must not depend on what else is measured.
    alone = [criterion([each], labels) for each in steps]
    reached = [estimate(name, figure, labels, theory.WIDENING) for figure in alone]

    def doubled(weights: Float64[Array, "draws texts"]) -> Float64[Array, "draws 1"]:
        first, _, last = (1.0 - figure(weights) for figure in alone)
        return 1.0 - last * np.divide(last, first, out=np.ones_like(last), where=first > 0) ** EXPONENT

    found = theory.intervals(doubled, labels.draws)
    value, low, high = (float(each[0]) for each in (found.value, found.low, found.high))
    margins = (np.hypot(value - end, 1.96 * SPREAD) for end in (low, high))
    low, high = value - next(margins), value + next(margins)
    expected = bounded(name, min(value, 1.0), low, high, labels.units)
    texts = len(labels)
    return LearningCurve((texts // 4, texts // 2, texts, 2 * texts), (reached[0], reached[1], reached[2], expected))


def _judged_part(features: Float64[Array, "texts dims"], labels: Labels, parts: int) -> Judged:
    """What probes of one part in so many reach on all other texts."""
    repeats = 2 if len(labels) <= REPEATED and labels.kind == "classes" else 1
    predictions = [each for seed in range(repeats) for each in _predictions(features, labels, parts, seed)]
    if labels.kind == "multilabel":
        predictions = predictions[:1]
    targets = labels.targets
    loss = np.mean([((targets - each) ** 2).sum(axis=1) for each, _ in predictions], axis=0)
    baseline = np.mean([((targets - each) ** 2).sum(axis=1) for _, each in predictions], axis=0)
    return judge([each for each, _ in predictions], labels, loss, baseline)


def _predictions(
    features: Float64[Array, "texts dims"], labels: Labels, parts: int, seed: int
) -> Iterator[tuple[Float64[Array, "texts outputs"], Float64[Array, "texts outputs"]]]:
    """What each text is predicted to be by the probe of another part, and the mean of that part."""
    dealt = theory.stratified_folds(labels.strata, labels.parts, seed=seed, folds=parts)
    count = int(dealt.max()) + 1
    predicted, means = [], []
    for part in range(count):
        found, mean = _of_part(features, labels, np.flatnonzero(dealt == part))
        predicted.append(found)
        means.append(mean)
    rows = np.arange(len(labels))
    for shift in range(1, count):
        other = (dealt + shift) % count
        yield np.stack(predicted)[other, rows], np.stack(means)[other]


def _of_part(
    features: Float64[Array, "texts dims"], labels: Labels, members: Int64[Ids, " part"]
) -> tuple[Float64[Array, "texts outputs"], Float64[Array, " outputs"]]:
    """Predictions of one part's probe for all texts, and the mean of its targets."""
    known = labels.take(members)
    mean = features[members].mean(axis=0)
    own = features[members] - mean
    decomposition = theory.decompose_features(own)
    penalty = theory.choose_penalty(decomposition, known.targets, known.parts).penalty
    weights = own.T @ decomposition.duals(known.targets, penalty)
    target_mean = known.targets.mean(axis=0)
    return target_mean + (features - mean) @ weights, target_mean

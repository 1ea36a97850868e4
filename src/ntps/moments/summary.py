"""One layer to look at, by a rule that is fixed in advance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ntps import theory
from ntps.moments.score import LayerScore

RULE = "the layer with the highest adjusted R² of the least-squares probe on the training texts"
FALLBACK = "the last layer, because the texts are too few (or their targets too constant) to compare layers"


def summarize(scores: Sequence[LayerScore]) -> dict[str, Any]:
    """The ``summary`` block: the chosen layer and its main figures.

    The rule sees training texts only, so held-out figures of the chosen layer are honest. With too few texts for an
    adjusted R², every layer fits perfectly and the last one is taken.
    """
    adjusted = {score.r2_adjusted: score for score in reversed(scores) if score.r2_adjusted is not None}
    best = adjusted[max(adjusted)] if adjusted else scores[-1]
    return {
        "layer": best.layer,
        "name": best.name,
        "rule": RULE if adjusted else FALLBACK,
        "area": best.area,
        "chance_area": best.chance_area,
        "r2": best.r2,
        "r2_adjusted": best.r2_adjusted,
        "r2_test": best.r2_test,
        "accuracy_test": best.accuracy_test,
        "few_texts": theory.few_texts(best.texts, best.rank_pooled),
    }

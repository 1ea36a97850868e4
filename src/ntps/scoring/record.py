"""What a scoring run leaves: the record, its rows, and its summary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ntps import theory
from ntps.jobs.record import Record
from ntps.moments.layer_score import LayerScore
from ntps.shapes import MAYBE, Shape

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


class ScoreRecord(Record):
    """A finished scoring run."""

    kind = "score"
    shape: ClassVar[Shape] = {
        **Record.shape,
        "layers": [{"layer": int, "name": str, **dict.fromkeys(("r2_test", "accuracy_test"), MAYBE)}],
        "summary": {
            **dict.fromkeys(("area", "chance_area", "r2", "r2_adjusted", "r2_test", "accuracy_test"), MAYBE),
            "layer": int,
            "name": str,
            "few_texts": bool,
        },
    }
    columns = ("layer", "k", "ntps", "retained_centered", "next_token_share")


def layer_row(score: LayerScore) -> dict[str, Any]:
    """The entry of a layer in ``result.json``."""
    left_out = {"curves", "probe", "convention", "texts", "hidden_size"}
    row = {name: value for name, value in vars(score).items() if name not in left_out}
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

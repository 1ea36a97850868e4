"""The result in three lines of plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ntps.scoring.record import Summary

CLEAR = 4.0
"""From so many times chance on, the autoregressive subspace counts as carrying what the probe uses.

Both numbers come from eleven tasks and one small model (``benchmarks/plain_words.py``): the three tasks from 4 on are
the ones whose probes exceed 90 % accuracy. Nothing more stands behind them.
"""
LITTLE = 2.0
"""Up to so many times chance it counts as carrying little."""


def plain_words(summary: Summary) -> list[str]:
    """Three lines: which layer, how much of the probe survives next-token prediction, and what that suggests."""
    return [_which_layer(summary), _how_much(summary), _what_next(summary)]


def percent(share: float | None) -> str:
    """A share as a percentage, or a dash; beyond a hundred times the whole, its size."""
    if share is None:
        return "–"
    return f"{100 * share:.1f} %" if abs(share) < 100 else f"{100 * share:.0e} %"


def _which_layer(summary: Summary) -> str:
    held_out = [
        f"{name} {percent(share)}"
        for name, share in (("R²", summary.r2_test), ("accuracy", summary.accuracy_test))
        if share is not None
    ]
    tail = f"; held out: {', '.join(held_out)}" if held_out else "; no held-out texts"
    adjusted = "" if summary.r2_adjusted is None else f" (adjusted {percent(summary.r2_adjusted)})"
    verdict = "the last layer" if summary.r2_adjusted is None else "where labels fit best"
    return (
        f"Layer {summary.layer} ({summary.name}), {verdict}: a linear probe explains "
        f"R² = {percent(summary.r2)}{adjusted} in sample{tail}."
    )


def _how_much(summary: Summary) -> str:
    if summary.area is None or summary.chance_area is None:
        return "How much of that the autoregressive subspace keeps is undefined here: see the warnings."
    return (
        f"Next-token directions keep {percent(summary.area)} of the probe's R² there (area: directions weighted by "
        f"what they predict); directions at random would keep {percent(summary.chance_area)}, so this is "
        f"{summary.area / summary.chance_area:.1f} times chance."
    )


def _what_next(summary: Summary) -> str:
    if summary.area is None or summary.chance_area is None:
        return "This suggests nothing about probe or LoRA."
    if summary.few_texts:
        rather = "add texts" if summary.r2_test is None else "look at the held-out figures, or add texts"
        return f"No advice: there are too few texts for the width of the model, so in-sample figures flatter; {rather}."
    if summary.r2_test is not None and summary.r2_test <= 0:
        return (
            "The probe explains nothing on held-out texts, so its directions are mostly noise: add texts, or expect "
            "little from a linear probe of this model."
        )
    times = summary.area / summary.chance_area
    caution = "This is a tendency across tasks, not a promise."
    if times >= CLEAR:
        return f"Pretraining uses what the labels need: try a linear probe first, LoRA has less to add. {caution}"
    if times <= LITTLE and summary.area < 0.5:
        return f"Next-token prediction hardly uses what the labels need: LoRA has more to gain over a probe. {caution}"
    return f"Neither a linear probe nor LoRA is clearly favoured: measure both. {caution}"

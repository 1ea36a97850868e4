"""What a score says, in a few sentences of plain words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ntps.scoring.record import ScoreFile, Summary

FIGURES = {"accuracy": "accuracy", "mean_average_precision": "mean average precision", "r2": "R²"}
"""What the figures by which layers are compared are called."""


def plain_words(result: ScoreFile) -> list[str]:
    """Which layer and how well its probe does on new texts, what all layers do, and what next-token directions keep."""
    if result.summary.chosen_cv is None:
        return list(_in_sample(result.summary))
    return [*_which_layer(result), *_all_layers(result), _next_token(result.summary)]


def percent(share: float | None) -> str:
    """A share as a percentage, or a dash; beyond a hundred times the whole, its size."""
    if share is None:
        return "–"
    return f"{100 * share:.1f} %" if abs(share) < 100 else f"{100 * share:.0e} %"


def _which_layer(result: ScoreFile) -> Iterator[str]:
    summary = result.summary
    assert summary.criterion is not None and summary.chosen_cv is not None
    figure = FIGURES[summary.criterion]
    test = getattr(summary, f"{summary.criterion}_test")
    tested, majority = "", ""
    if test is not None and result.task.test is not None:
        interval = _interval(getattr(summary, f"{summary.criterion}_test_interval"))
        tested = f", and {percent(test)} {interval} on the {result.task.test.texts:,} test texts"
    if summary.majority is not None and summary.criterion == "accuracy":
        majority = f"; always answering {summary.majority!r} gives {percent(summary.majority_accuracy)}"
    yield (
        f"A linear probe of {summary.name} reaches {figure} {percent(summary.chosen_cv)} "
        f"{_interval(summary.chosen_cv_interval)} on new texts{tested}{majority}."
    )
    yield from _undecided(summary)
    others = [name for name in summary.equals or () if name != summary.name]
    if "embed" in (summary.name, *others):
        yield "The embedding is as good as any layer: the words alone carry it, whatever their order."
    if others:
        yield f"{_listed([row.name for row in result.layers], others)} cannot be told from {summary.name}."


def _undecided(summary: Summary) -> Iterator[str]:
    """Whether there are too few texts to tell the probe from no probe, and how many would do."""
    low, high = summary.chosen_cv_interval or (None, None)
    nothing = (summary.majority_accuracy or 0.0) if summary.criterion == "accuracy" else 0.0
    if summary.chosen_cv is None or low is None or high is None or low > nothing or summary.cv_texts is None:
        return
    against = "the most frequent class" if summary.criterion == "accuracy" else "nothing"
    gap = summary.chosen_cv - nothing
    if gap <= 0:
        yield f"That is no better than {against}: these texts show nothing that the probe could use."
        return
    enough = summary.cv_texts * ((summary.chosen_cv - low) / gap) ** 2
    digits = 10 ** max(0, math.floor(math.log10(enough)) - 1)
    rounded = math.ceil(enough / digits) * digits
    yield f"{summary.cv_texts:,} texts are too few to tell that from {against}: about {rounded:,} would do."


def _all_layers(result: ScoreFile) -> Iterator[str]:
    summary, together = result.summary, result.all_layers
    value = None if together is None else getattr(together, f"{summary.criterion}_cv")
    if value is not None and len(result.layers) > 1:
        interval = _interval(getattr(together, f"{summary.criterion}_cv_interval"))
        yield f"One probe of all layers together reaches {percent(value)} {interval}, and leaves nothing to choose."


def _next_token(summary: Summary) -> str:
    area, chance = summary.area_cv, summary.chance_area_cv
    if area is None or chance is None:
        return "The probe explains nothing of new texts, so that next-token directions have nothing to keep."
    low, high = summary.area_cv_interval or (None, None)
    than = "which they cannot be told from"
    if low is not None and low > chance:
        than = "less than they do"
    elif high is not None and high < chance:
        than = "more than they do"
    return (
        f"Next-token directions keep {percent(area)} {_interval(summary.area_cv_interval)} of what it explains of new "
        f"texts; as many random directions keep {percent(chance)}, {than}."
    )


def _in_sample(summary: Summary) -> Iterator[str]:
    """Of a score that left no texts out."""
    test = next((each for each in (summary.accuracy_test, summary.r2_test) if each is not None), None)
    held_out = "" if test is None else f"; on the test texts, {percent(test)}"
    yield (
        f"{summary.name}, {summary.rule}, explains R² {percent(summary.r2)} of the texts that its probe was fitted to"
        f"{held_out}."
    )
    yield "Nothing here holds for new texts: that takes a score with `cv_texts` above 0, of two texts or more."


def _interval(ends: Sequence[float | None] | None) -> str:
    """Both ends of a 95 % interval."""
    low, high = ends or (None, None)
    return "" if low is None or high is None else f"({100 * low:.1f} to {100 * high:.1f} %)"


def _listed(order: Sequence[str], names: Sequence[str]) -> str:
    """Names of layers, neighbours as a range."""
    places = sorted(order.index(name) for name in names)
    ranges: list[list[int]] = []
    for place in places:
        if ranges and ranges[-1][-1] == place - 1:
            ranges[-1].append(place)
        else:
            ranges.append([place])
    parts = []
    for each in ranges:
        first, last = order[each[0]], order[each[-1]]
        parts += [f"{first} to {last}"] if len(each) > 2 else [order[place] for place in each]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"

"""What a score says, in a few sentences of plain words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ntps.scoring.record import ScoreFile, Summary
    from ntps.training.records import ProbeFile

FIGURES = {"accuracy": "accuracy", "mean_average_precision": "mean average precision", "r2": "R²"}
"""What the figures by which layers are compared are called."""
EMBEDDING = {
    "best": "no single layer is better than the embedding: the words alone carry it, whatever their order",
    "equal": "the embedding may be as good: the words alone may carry it, whatever their order",
}
"""What an embedding says that is as good as the best layer."""


def plain_words(result: ScoreFile) -> list[str]:
    """Which layer and how well its probe does on new texts, what all layers do, and what next-token directions keep."""
    if result.summary.criterion is None:
        return list(_in_sample(result.summary))
    return [*_which_layer(result), *all_layers_words(result), _next_token(result.summary)]


def short_name(name: str) -> str:
    """The last part of a path; a hub id or the name of a task as it is."""
    path = Path(name)
    return (path.name or name) if path.is_absolute() or name.startswith(("./", "../", "~")) else name


def percent(share: float | None) -> str:
    """A share as a percentage, or a dash."""
    return "–" if share is None else f"{_hundredths(share)} %"


def with_ends(value: float | None, ends: Sequence[float | None] | None, sign: str = "") -> str:
    """Percentages in a table, where the interval may lie on one side: it ends where shares do.

    Args:
        value: The share.
        ends: Both ends of its interval.
        sign: ``+`` for differences.
    """
    if value is None:
        return "–"
    low, high = ends or (None, None)
    between = "" if low is None or high is None else f" ({100 * low:{sign}z.1f} to {100 * high:{sign}z.1f})"
    return f"{100 * value:{sign}z.1f}{between}"


def _hundredths(share: float) -> str:
    """Beyond a hundred times the whole, its size."""
    return f"{100 * share:z.1f}" if abs(share) < 100 else f"{100 * share:.0e}"


def _which_layer(result: ScoreFile) -> Iterator[str]:
    summary = result.summary
    assert summary.criterion is not None
    several = len(result.layers) > 1
    value, interval = summary.reached
    own = several and summary.chosen_cv is None
    flattered = " (as the best of several layers, which flatters it)" if own else ""
    test = getattr(summary, f"{summary.criterion}_test")
    tested, majority = "", ""
    if test is not None and result.task.test is not None:
        ends = getattr(summary, f"{summary.criterion}_test_interval")
        tested = f", and {with_interval(test, ends)} on {_test_texts(result.task.test.texts)}"
    if summary.majority is not None and summary.criterion == "accuracy":
        of = " on the training texts" if tested else ""
        majority = f"; always answering {summary.majority!r} gives {percent(summary.majority_accuracy)}{of}"
    elif summary.criterion == "mean_average_precision":
        majority = f"; labels in a fixed order give {percent(summary.baseline_cv)}"
    yield (
        f"A linear probe of {summary.name} reaches {FIGURES[summary.criterion]} {with_interval(value, interval)} on "
        f"new texts{flattered}{tested}{majority}."
    )
    low = None if interval is None else interval[0]
    yield from _undecided(summary, value, low)
    others = [name for name in summary.equals or () if name != summary.name]
    if result.embedding is not None:
        words = EMBEDDING[result.embedding]
        yield f"{words[0].upper()}{words[1:]}."
    if others:
        yield f"{listed([row.name for row in result.layers], others)} cannot be told from {summary.name}."


def _test_texts(count: int) -> str:
    return "the one test text" if count == 1 else f"the {count:,} test texts"


def _undecided(summary: Summary, value: float | None, low: float | None) -> Iterator[str]:
    """Whether there are too few texts to tell the probe from no probe, and how many would do."""
    if summary.cv_texts is None or value is None:
        return
    if low is None:
        yield f"{summary.cv_texts:,} texts, or those of a label, are too few for an interval."
        return
    nothing = summary.blind
    if low > nothing:
        return
    against = {
        "accuracy": "the most frequent class",
        "mean_average_precision": "labels in a fixed order",
        "r2": "the mean",
    }[summary.criterion or "r2"]
    gap = value - nothing
    if gap <= 0:
        yield f"That is no better than {against}: these texts show nothing that the probe could use."
        return
    enough = summary.cv_texts * ((value - low) / gap) ** 2
    digit = 10 ** math.floor(math.log10(enough))
    rounded = math.ceil(enough / digit) * digit
    yield f"{summary.cv_texts:,} texts are too few to tell that from {against}: about {rounded:,} would do."


def all_layers_words(result: ScoreFile | ProbeFile) -> Iterator[str]:
    """What one probe of all layers together does."""
    summary, together = result.summary, result.all_layers
    value = None if together is None else getattr(together, f"{summary.criterion}_cv")
    if value is not None and len(result.layers) > 1:
        reached = with_interval(value, getattr(together, f"{summary.criterion}_cv_interval"))
        yield f"One probe of all layers together reaches {reached}, and leaves nothing to choose."


def _next_token(summary: Summary) -> str:
    area, chance, ends = summary.area_cv, summary.chance_area_cv, summary.area_cv_interval
    if area is None or chance is None:
        return "The probe explains nothing of new texts, so that next-token directions have nothing to keep."
    low, high = ends or (None, None)
    if low is None or high is None:
        return "The probe explains too little of new texts to say how much of it next-token directions keep."
    than = "less than they do" if low > chance else "more than they do" if high < chance else "about as much"
    return (
        f"Next-token directions keep {with_interval(area, ends)} of what it explains of new texts; as many random "
        f"directions keep {percent(chance)}, {than}."
    )


def _in_sample(summary: Summary) -> Iterator[str]:
    """Of a score that left no texts out."""
    test = next((each for each in (summary.accuracy_test, summary.r2_test) if each is not None), None)
    held_out = "" if test is None else f"; on test texts, {percent(test)}"
    yield (
        f"{summary.name}, {summary.rule}, explains R² {percent(summary.r2)} of the texts that its probe was fitted to"
        f"{held_out}."
    )
    yield (
        "Nothing here holds for new texts: that takes a score with `cv_texts` above 0, of two texts or more that are "
        "neither equal nor of one group."
    )


def with_interval(value: float | None, ends: Sequence[float | None] | None) -> str:
    """A share with both ends of its 95 % interval, if it has one."""
    low, high = ends or (None, None)
    return (
        percent(value) if low is None or high is None else f"{percent(value)} ({_hundredths(low)} to {percent(high)})"
    )


def listed(order: Sequence[str], names: Sequence[str]) -> str:
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

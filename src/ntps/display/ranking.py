"""Models side by side: a table, Markdown, and a few sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from ntps.display.sentences import EMBEDDING, FIGURES, percent, with_ends, with_interval
from ntps.display.tables import TITLES

if TYPE_CHECKING:
    from ntps.study.ranking.record import RankedModel, Ranking


WORDS = ("model", "layer")
"""Columns of names."""
AREA, TEXTS, LORA = "area /\nrandom", "texts", "LoRA"
"""Titles of the one column that there is place for."""


def ranking_table(ranking: Ranking) -> Table:
    """One row per model, the best first."""
    titles, rows = _cells(ranking)
    table = Table(caption=_caption(ranking))
    for title in titles:
        table.add_column(title, justify="left" if title in WORDS else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def ranking_markdown(ranking: Ranking) -> str:
    """The same in Markdown, with its caption."""
    titles, rows = _cells(ranking)
    ruler = ["---" if title in WORDS else "--:" for title in titles]
    heads = [title.replace("\n", " ") for title in titles]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (heads, ruler, *rows)]
    return "\n".join([*lines, "", _caption(ranking), "", *ranking_words(ranking)])


def ranking_words(ranking: Ranking) -> list[str]:
    """Which model is the best, which others cannot be told from it, and what no model at all would give."""
    scored = {row.model for row in ranking.models}
    return [
        *_best(ranking),
        *_steps(ranking),
        *(f"{row.model}: {EMBEDDING[row.embedding]}." for row in ranking.models if row.embedding),
        *_samples(ranking),
        *(f"{sentence}." for sentence in ranking.unused),
        *(f"LoRA is not forecast for {row.model}: {row.lora_missing}" for row in ranking.models if row.lora_missing),
        *(
            f"{each.model} has no score{' of more texts' if each.model in scored else ''}: {each.cause}"
            for each in ranking.missing
        ),
    ]


def _best(ranking: Ranking) -> Iterator[str]:
    best, figure = ranking.models[0], FIGURES[ranking.criterion]
    reached = f"{figure} {with_interval(best.value, best.value_interval)} on new texts at {best.layer}"
    if len(ranking.models) == 1:
        yield f"{best.model} alone has a score: {reached}."
    elif best.equals:
        many = len(best.equals)
        others = f"{', '.join(best.equals[:-1])} and {best.equals[-1]}" if many > 1 else best.equals[0]
        yield f"{best.model} comes first, with {reached}; {others} cannot be told from it."
    else:
        yield f"{best.model} is the best, with {reached}."
    if best.all_layers is not None:
        together = with_interval(best.all_layers, best.all_layers_interval)
        yield f"One probe of all its layers together reaches {together}."
    if ranking.criterion == "accuracy":
        yield f"Always answering {ranking.majority!r} gives {percent(ranking.baseline)}."
    elif ranking.criterion == "mean_average_precision":
        yield f"Labels in a fixed order give {percent(ranking.baseline)}."
    yield from _no_better(ranking)


def _no_better(ranking: Ranking) -> Iterator[str]:
    """Which models do not certainly reach more, by the best layer, than an answer that does not look at the texts."""
    lows = {row.model: (row.value_interval or (None,))[0] for row in ranking.models}
    none = [model for model, low in lows.items() if low is None or low <= (ranking.baseline or 0.0)]
    than = "answering the mean of the targets" if ranking.criterion == "r2" else "that"
    if len(none) == len(lows):
        yield f"Nothing here is certainly better than {than}: these texts show nothing by which to choose a model."
    elif none:
        yield f"Not certainly better than {than}: {', '.join(none)}."


def _steps(ranking: Ranking) -> Iterator[str]:
    """How far apart the probes of all layers are, from each model to the next."""
    steps = [row for row in ranking.models if row.all_layers_step is not None]
    if steps:
        found = (f"{row.model} {with_ends(row.all_layers_step, row.all_layers_step_interval, '+')}" for row in steps)
        yield f"One probe of all layers, less that of the model above, in points: {', '.join(found)}."


def _samples(ranking: Ranking) -> Iterator[str]:
    """After how many texts a ranking ended that may end early, and why."""
    if ranking.until is None:
        return
    subject = "which model is the best" if ranking.until == "best" else "the order of all models"
    whole, many = ranking.samples[-1], len(ranking.samples)
    used = f"all {whole:,}" if ranking.texts == whole else f"{ranking.texts:,} of {whole:,}"
    if len(ranking.models) == 1:
        yield f"Stopped after {used} texts: there is no second model to compare with."
    elif ranking.decided:
        certain = f"certain at 95 %, over the {many} samples that might be taken" if many > 1 else "certain at 95 %"
        yield f"Stopped after {used} texts: {subject} is {certain}."
    elif ranking.texts < whole:
        yield f"Stopped after {used} texts: fewer than two of the models that are not told apart have a score."
    else:
        yield f"All {whole:,} texts do not tell {subject}."


def _cells(ranking: Ranking) -> tuple[list[str], list[list[str]]]:
    """Titles, and the cells of each row."""
    column = _column(ranking)
    titles = ["place", "model", TITLES[ranking.criterion], "behind", "layer", column, "size", "time"]
    return titles, [_row(row, column) for row in ranking.models]


def _column(ranking: Ranking) -> str:
    """What the column after the layer says."""
    if any(row.lora is not None or row.lora_missing for row in ranking.models):
        return LORA
    return AREA if ranking.until is None else TEXTS


def _row(row: RankedModel, column: str) -> list[str]:
    areas = ("–" if value is None else f"{value:z.2f}" for value in (row.area_cv, row.chance_area_cv))
    shown = {
        AREA: "–" if row.area_cv is None else " / ".join(areas),
        TEXTS: f"{row.texts:,}" if row.texts is not None else "–",
        LORA: with_ends(row.lora, row.lora_interval),
    }
    return [
        row.place,
        row.model,
        _figure(row.value, row.value_interval),
        _figure(row.behind, row.behind_interval),
        row.layer,
        shown[column],
        _size(row.parameters),
        "–" if row.seconds is None else f"{row.seconds:,.0f} s",
    ]


def _caption(ranking: Ranking) -> str:
    in_turn = f"{ranking.texts:,} in turn" if ranking.until is None else "in turn, as many as the table says"
    explained = {
        AREA: "; area: share of the probe's R² kept by next-token directions, and by random ones",
        TEXTS: "",
        LORA: "; LoRA: a forecast, in brackets its 95 % prediction interval; nothing was trained",
    }
    return (
        f"{TITLES[ranking.criterion]}: of a ridge probe of each model's best layer on texts left out ({in_turn}), "
        "± 95 %; behind: the difference from the first model on the same texts; places and differences hold together "
        f"at 95 %{explained[_column(ranking)]}."
    )


def _figure(value: float | None, ends: Sequence[float | None] | None) -> str:
    """A percentage, ± half of its interval."""
    if value is None:
        return "–"
    low, high = ends or (None, None)
    half = "" if low is None or high is None else f" ± {50 * (high - low):.1f}"
    return f"{100 * value:z.1f}{half}"


def _size(parameters: int) -> str:
    for name, unit in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if parameters >= unit:
            return f"{parameters / unit:.3g}{name}"
    return str(parameters)

"""Advice as a person reads it: a table, and a few sentences that end with what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from ntps.display.sentences import percent, with_interval

if TYPE_CHECKING:
    from ntps.advice.calibration import Calibration
    from ntps.advice.errors import ForecastErrors
    from ntps.advice.record import AdviceFile


def advice_table(result: AdviceFile) -> Table:
    """What each way to solve the task reaches on new texts, and what it costs."""
    table = Table(caption=advice_caption(result))
    table.add_column("", no_wrap=True)
    for title in ("accuracy %", "95 %", "time"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, value, ends, time in advice_rows(result):
        low, high = ends or (None, None)
        interval = "" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"
        table.add_row(name, "–" if value is None else f"{100 * value:.1f}", interval, time)
    return table


LIKELY = 2 / 3
"""From here on a gain is called likely; with a third or less it is unlikely."""
Row = tuple[str, float | None, Sequence[float | None] | None, str]
"""A way to solve the task, its accuracy with both ends of the interval, and its time."""


def advice_rows(result: AdviceFile) -> Iterator[Row]:
    """The most frequent class, each probe, and the forecast."""
    summary, costs, together = result.summary, result.costs, result.all_layers
    last, a_pass = result.layers[-1], duration(costs.forward)
    yield f"always {summary.majority!r}", summary.majority_accuracy, None, ""
    yield f"probe of the last layer, {last.name}", last.accuracy_cv, last.accuracy_cv_interval, a_pass
    if summary.layer != last.layer:
        yield f"probe of the best layer, {summary.name}", summary.chosen_cv, summary.chosen_cv_interval, a_pass
    if len(result.layers) > 1:
        yield "probe of all layers", together.accuracy_cv, together.accuracy_cv_interval, a_pass
    yield "tangent probe", summary.tangent_cv, summary.tangent_cv_interval, duration(costs.advice)
    if (lora := result.lora) is not None:
        yield "LoRA, forecast", lora.accuracy, lora.accuracy_interval, f"~{duration(costs.lora)}"


def advice_words(result: AdviceFile) -> list[str]:
    """The best probe, the forecast, the learning curve and the decision."""
    return [*_probes(result), *_forecast(result), *_curve(result), _decision(result)]


def advice_caption(result: AdviceFile) -> str:
    """What the rows are."""
    block = result.calibration
    parts = ["On new texts. Probes: ridge, on texts left out, time that of the pass"]
    if result.summary.layer != result.layers[-1].layer:
        parts.append("the best layer's is less what its choice flatters")
    parts.append(
        "tangent probe: ridge on the last layer and its derivatives by LoRA's weights, LoRA in its linear regime"
    )
    if result.lora is not None:
        models = f"{block.models} model{'s' if block.models > 1 else ''}"
        parts.append(
            f"LoRA: forecast from {block.cells} trained cells of {block.tasks} tasks and {models}, with its prediction "
            "interval"
        )
    return "; ".join(parts) + "."


def _probes(result: AdviceFile) -> Iterator[str]:
    summary = result.summary
    what = "one probe of all layers together" if summary.best == "all layers" else f"a linear probe of {summary.best}"
    low = (summary.best_cv_interval or (None, None))[0]
    told = "" if low is None or low > summary.majority_accuracy else ", from which these texts do not tell it"
    yield (
        f"Without training, {what} reaches {with_interval(summary.best_cv, summary.best_cv_interval)}; always "
        f"answering {summary.majority!r} gives {percent(summary.majority_accuracy)}{told}."
    )


def _forecast(result: AdviceFile) -> Iterator[str]:
    lora = result.lora
    if lora is None:
        yield "Nothing is forecast for LoRA: the calibration is too far away from this model and task."
        return
    if lora.outside:
        yield (
            f"The calibration does not reach this far: {'; '.join(lora.outside)}. The intervals of the forecast are "
            f"{lora.stretch:.1f} times as wide for that, which two runs alone have tested"
            f"{'; from twice as wide on, nothing is decided' if lora.too_wide else ''}."
        )
    low, high = lora.gain_interval or (None, None)
    chance = f"the chance that it gains more than {result.settings.worth:g} is {100 * lora.chance:.0f} %"
    yield f"LoRA would gain {points(lora.gain)} points ({points(low)} to {points(high)}); {chance}{_known(result)}."


def _known(result: AdviceFile) -> str:
    """That the calibration holds what is forecast."""
    block = result.calibration
    held = [name for name, same in (("model", block.same_model), ("task", block.same_task)) if same]
    very = " and ".join(f"this very {name}" for name in held)
    return f"; the calibration holds {very}, so that this is no test of the forecast" if held else ""


def _curve(result: AdviceFile) -> Iterator[str]:
    if not result.learning_curve:
        return
    *known, doubled = result.learning_curve
    parts = [f"{percent(point.accuracy)} from {point.texts:,}" for point in known]
    low, now = (doubled.accuracy_interval or (None, None))[0], known[-1].accuracy
    nothing = ", which may be no gain" if low is not None and now is not None and low <= now else ""
    yield (
        f"The best probe reaches {', '.join(parts[:-1])} and {parts[-1]} texts; twice as many, {doubled.texts:,}, "
        f"would bring it to about {with_interval(doubled.accuracy, doubled.accuracy_interval)}{nothing}."
    )


def _decision(result: AdviceFile) -> str:
    summary, lora, worth = result.summary, result.lora, f"{result.settings.worth:g} points"
    if lora is None:
        return "Advice: none about LoRA; calibrate it on models of your own (`ntps calibrate`)."
    keep, here = f"keep the probe ({summary.best})", f"about {duration(result.costs.lora)} here"
    word = "even" if lora.too_wide else in_words(lora.chance, summary.decision)
    match word:
        case "very likely" | "likely":
            return f"Advice: train LoRA ({here}), which is {word} to gain more than {worth}{_certain(result)}."
        case "very unlikely" | "unlikely":
            return f"Advice: {keep}; LoRA is {word} to gain {worth}{_certain(result)}."
    return (
        f"Advice: whether LoRA gains {worth} cannot be told{_certain(result)}. {keep[0].upper()}{keep[1:]}, or train "
        f"LoRA to see: {here}."
    )


def in_words(chance: float, decision: str) -> str:
    """A chance as a word.

    ``very unlikely`` up to 10 % and ``very likely`` from 90 % on, which is what decides; else ``unlikely`` up to 1/3
    and ``likely`` from 2/3 on; ``even`` between the two, where nobody can tell.
    """
    if decision != "undecided":
        return "very likely" if decision == "lora" else "very unlikely"
    return "likely" if chance >= LIKELY else "unlikely" if chance <= 1 - LIKELY else "even"


def _certain(result: AdviceFile) -> str:
    """What more texts would do, where nothing is decided."""
    summary, texts = result.summary, f"{result.task.texts:,} texts"
    if summary.decision != "undecided":
        return ""
    if summary.enough_texts is None:
        return f" from {texts}, and more of them would not make it certain (10 % or less, or 90 % or more)"
    return f" from {texts}; about {summary.enough_texts:,} would make it certain (10 % or less, or 90 % or more)"


def points(share: float | None) -> str:
    """A difference of shares in points, with its sign."""
    return "–" if share is None else f"{100 * share:+.1f}"


def duration(seconds: float) -> str:
    """In the largest unit that leaves a number above one."""
    for name, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"


def errors_table(by: str, rows: Sequence[ForecastErrors]) -> Table:
    """Errors of forecasts for what was left out whole."""
    table = Table(title=f"Every {by} left out in turn")
    table.add_column("forecast from", no_wrap=True)
    for title in ("accuracy,\nmedian", "gain,\nRMS", "gain,\nSpearman", "covered\nat 95 %", "gain\ncovered"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        covered = ["" if each is None else f"{100 * each:.0f} %" for each in (row.coverage, row.gain_coverage)]
        rank = "" if row.rank is None else f"{row.rank:z.2f}"
        table.add_row(row.name, f"{100 * row.accuracy:.1f}", f"{100 * row.gain:.1f}", rank, *covered)
    return table


def calibration_words(calibration: Calibration) -> list[str]:
    """What a calibration is of."""
    cells = calibration.cells
    sizes = [cell.texts for cell in cells]
    of = {name: len({getattr(cell, name) for cell in cells}) for name in ("task", "model")}
    texts = f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,}"
    return [
        f"{len(cells)} cells of {of['task']} tasks and {of['model']} model{'s' if of['model'] > 1 else ''}, {texts} "
        "texts; errors in points."
    ]

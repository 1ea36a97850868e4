"""What a study found, in words that stand up to a referee."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from ntps.display.finetune import NAMES
from ntps.display.sentences import percent
from ntps.report.study_tables import ways
from ntps.report.tabular import p_text, written
from ntps.study.analysis.accuracies import TWO_SIDED, accuracies, gain_probe, side_by_side
from ntps.study.analysis.correlations import FIXED, LEFT_OUT, PROBE_ACCURACY, SELECTED, Correlation, Correlations
from ntps.study.analysis.measures import MEASURES, RIVAL_RULES, RULES, Measure
from ntps.study.analysis.reader import StudyResults

LEVEL = 0.05
FEW_TASKS = 20
TRAINED = {"lora", "full", "scratch", "score-after-lora"}
"""Measurements that are no probe of the frozen model."""
SUBJECTS = {
    "accuracy": "accuracy of a linear probe on training texts",
    "held_out": "accuracy of a linear probe on test texts",
    "gain": "gain from LoRA over the probe",
}


MEANING = (
    "ρ compares two orders of the tasks: 1 where the task with the higher score always has the higher figure, 0 where "
    "the one says nothing of the other, −1 where it is the other way round. p is how often tasks that are shuffled at "
    "random look as strong."
)


NOTHING = "No run says anything of accuracy on texts not seen yet."
DECISIONS = {"lora": "train LoRA", "probe": "keep the probe", "undecided": "undecided"}
"""Advice in words."""


def lead(results: StudyResults) -> list[str]:
    """What was reached on texts not seen, in a sentence with its numbers, and how much was measured."""
    reached = _reached(results)
    return [*((reached,) if reached else forecasts(results) or (NOTHING,)), _coverage(results)]


def _reached(results: StudyResults) -> str | None:
    """The best probe and whatever was trained: means over the tasks and models that have all that most of them have."""
    frame, named = side_by_side(results), ways(results)
    frame = frame[frame["figure"] == "accuracy"]
    counts = {name: int(frame[name].notna().sum()) for name in named}
    complete = [name for name, count in counts.items() if count and count == max(counts.values())]
    frame = frame.dropna(subset=complete)
    if not complete or frame.empty:
        return None
    means = {name: float(frame[name].to_numpy(dtype=float).mean()) for name in complete}
    probes = [name for name in complete if name not in TRAINED]
    shown = [*sorted(probes, key=means.__getitem__)[-1:], *(name for name in complete if name in TRAINED)]
    many = len(frame) > 1
    where = f"On {frame['task'].iloc[0]}, {frame['model'].iloc[0]} reaches"
    if many:
        models, tasks = (_count(frame[key].nunique(), key) for key in ("model", "task"))
        where = f"On texts not seen, {models} on {tasks} reach, on average,"
    shown.sort(key=means.__getitem__, reverse=True)
    parts = [
        f"{percent(means[name])} (± {100 * _mean_half(frame, name):.1f}) with {_article(named[name])}" for name in shown
    ]
    reached = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    majority = float(frame["majority"].to_numpy(dtype=float).mean())
    than = "" if math.isnan(majority) else f"; the most frequent class alone gives {percent(majority)}"
    return f"{where} an accuracy of {reached}{than}."


def _mean_half(frame: pd.DataFrame, name: str) -> float:
    """Half of the 95 % interval of a mean: texts of tasks are independent, models err on the same texts of a task."""
    halves = frame.groupby("task")[f"{name}_half"].sum().to_numpy(dtype=float)
    return float(np.linalg.norm(halves)) / len(frame)


def _article(way: str) -> str:
    if way == NAMES["scratch"]:
        return "training from scratch"
    return f"the {way}" if "probe" in way else way


def gains(results: StudyResults) -> tuple[str, ...]:
    """What LoRA gains over the probe, in a sentence; nothing where it is not known."""
    frame = accuracies(results).dropna(subset=["gain"])
    if frame.empty:
        return ()
    gain = frame["gain"]
    clear = (gain > TWO_SIDED * np.hypot(frame["probe_error"], frame["lora_error"])).sum()
    over = f"over the {NAMES[gain_probe(results)]}"
    if len(frame) == 1:
        return (f"LoRA gains {_points(gain.iloc[0])} points {over}.",)
    return (
        f"LoRA gains {_points(gain.mean())} points {over} on average, from {_points(gain.min())} to "
        f"{_points(gain.max())}; in {clear} of {len(frame)} the gain is larger than what chance in the test texts "
        "explains.",
    )


def forecasts(results: StudyResults) -> tuple[str, ...]:
    """What LoRA is forecast to gain, in a sentence; nothing where it is not."""
    frame = results.advice.dropna(subset=["gain"])
    if frame.empty:
        return ()
    gain, decisions = frame["gain"].astype(float), frame["decision"].value_counts()
    parts = [f"{words} in {decisions[name]}" for name, words in DECISIONS.items() if name in decisions]
    many = len(frame) > 1
    spread = f" on average, from {_points(gain.min())} to {_points(gain.max())}" if many else ""
    return (
        f"LoRA is forecast to gain {_points(gain.mean())} points over the best probe{spread}, without any training; "
        f"advice: {', '.join(parts)} of {len(frame)}.",
    )


def prediction(correlations: Correlations) -> tuple[str, ...]:
    """Whether the score goes with what was measured; nothing where no coefficient is defined."""
    if not any(math.isfinite(each.coefficient) for each in correlations.found):
        return ()
    return (_headline(correlations), MEANING, *_measures(correlations), *_caution(correlations))


def _headline(correlations: Correlations) -> str:
    parts = []
    for measure in MEASURES:
        if measure.key in SUBJECTS and (found := _best_rule(measure, correlations)):
            if _convinces(found):
                parts.append(f"{found[0].predictor} goes with the {SUBJECTS[measure.key]} ({_shown(found)})")
            else:
                parts.append(f"nothing that was fixed in advance goes with the {SUBJECTS[measure.key]} beyond chance")
    tasks = sorted({each.tasks for each in correlations.found if math.isfinite(each.coefficient)})
    over = f"{tasks[0]}" if len(tasks) == 1 else f"{tasks[0]} to {tasks[-1]}"
    return f"Over {over} tasks, {'; '.join(parts)}."


def _coverage(results: StudyResults) -> str:
    counts = results.runs["status"].value_counts()
    done, failed, missing = (int(counts.get(status, 0)) for status in ("done", "failed", "missing"))
    rest = [f"{number} {what}" for number, what in ((failed, "failed"), (missing, "did not run")) if number]
    return (
        f"{_count(len(results.models), 'model')}, {_count(len(results.tasks), 'task')}: {done} of "
        f"{_count(len(results.runs), 'run')} finished{''.join(f', {each}' for each in rest)}."
    )


def _measures(correlations: Correlations) -> Iterator[str]:
    for measure in MEASURES:
        if measure.key in SUBJECTS and _best_rule(measure, correlations):
            subject = SUBJECTS[measure.key]
            yield f"{subject[0].upper()}{subject[1:]}: {' '.join(_sentences(measure, correlations))}"


def _sentences(measure: Measure, correlations: Correlations) -> Iterator[str]:
    own = _defined(measure, correlations)
    best = _best_rule(measure, correlations)
    tried = {each.predictor for each in correlations.found if (each.measure, each.basis) == (measure.key, FIXED)}
    verdict = "goes with it" if _convinces(best) else "does not go with it beyond chance"
    yield (
        f"of the {len(tried - {PROBE_ACCURACY})} rules fixed in advance, {best[0].predictor} comes closest and "
        f"{verdict}: {_shown(best)}, corrected for the rules tried."
    )
    if selected := [each for each in own if each.basis == SELECTED]:
        alone = f" ({_naive(selected)} if one forgets that)"
        yield (
            "The pair (layer, k) whose NTPS goes with it most strongly, selected on the same data, has "
            f"{_shown(selected)} once every shuffle repeats the selection{alone}."
        )
    if left_out := [each for each in own if each.basis == LEFT_OUT]:
        yield f"Chosen without the task that it then scores, the pair has {_shown(left_out)}."
    if probe := [each for each in own if each.predictor == PROBE_ACCURACY and each.basis == FIXED]:
        yield (
            f"Probe accuracy alone has {_shown(probe)}; the gain contains minus that accuracy, so part of this is "
            "arithmetic."
        )


def _defined(measure: Measure, correlations: Correlations) -> list[Correlation]:
    return [each for each in correlations.found if each.measure == measure.key and math.isfinite(each.coefficient)]


def _best_rule(measure: Measure, correlations: Correlations) -> list[Correlation]:
    """The rule with the strongest median over models in the claimed direction: its correlation in each model."""
    own, sign = _defined(measure, correlations), 1 if measure.direction == "positive" else -1
    by_rule = [[each for each in own if each.predictor == rule.label] for rule in (*RULES, *RIVAL_RULES)]
    return max(by_rule, key=lambda found: sign * _median(found) if found else -math.inf)


def _caution(correlations: Correlations) -> Iterator[str]:
    tasks = [each.tasks for each in correlations.found if math.isfinite(each.coefficient)]
    if tasks and max(tasks) < FEW_TASKS:
        yield (
            f"{max(tasks)} tasks are few: intervals are wide, and one task can turn a coefficient. The sign sought is "
            "the one that the paper claims; p-values are of permutations of the tasks, and are not corrected for the "
            "number of models and measures."
        )


def _shown(found: Sequence[Correlation]) -> str:
    """One coefficient with all that belongs to it, or a summary over models."""
    if len(found) == 1:
        (one,) = found
        # Draws from a perfect order are perfect: such an interval has no width, and says nothing.
        interval = f", 95 % interval {_rho(one.low)} to {_rho(one.high)}" if one.low < one.high else ""
        return f"ρ = {_rho(one.coefficient)}{interval}, p {_p(one.p_value)}"
    agree = f"p ≤ {LEVEL} in {_significant(found)} of them"
    return f"a median ρ of {_rho(_median(found))} over {len(found)} models, with {agree}"


def _naive(found: Sequence[Correlation]) -> str:
    if len(found) == 1:
        return f"p {_p(found[0].p_alone)}"
    return f"in {sum(each.p_alone <= LEVEL for each in found)}"


def _convinces(found: Sequence[Correlation]) -> bool:
    """Whether more than half of the models agree that it is not chance."""
    return 2 * _significant(found) > len(found)


def _significant(found: Sequence[Correlation]) -> int:
    return sum(each.p_value <= LEVEL for each in found)


def _median(found: Sequence[Correlation]) -> float:
    return float(np.median([each.coefficient for each in found]))


def _rho(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _p(value: float) -> str:
    text = p_text(value)
    return text.replace("<", "< ") if text.startswith("<") else f"= {text}"


def _points(share: float) -> str:
    return written(share, "points")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

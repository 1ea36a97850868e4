"""What a study found, in words that stand up to a referee."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from ntps.report.correlations import FIXED, LEFT_OUT, PROBE_ACCURACY, SELECTED, Correlation, Correlations
from ntps.report.measures import MEASURES, RULES, Measure
from ntps.report.reader import StudyResults
from ntps.report.tabular import p_text

LEVEL = 0.05
FEW_TASKS = 20
SUBJECTS = {
    "accuracy": "Accuracy of a linear probe, training texts",
    "held_out": "Accuracy of a linear probe, test texts",
    "gain": "Gain from LoRA over the probe",
}


def finding(results: StudyResults, correlations: Correlations) -> list[str]:
    """Paragraphs: how much was measured, then what goes with each measure, then what to make of it."""
    return [_coverage(results), *_measures(correlations), *_caution(correlations)]


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
        if measure.key in SUBJECTS:
            yield f"{SUBJECTS[measure.key]}: {' '.join(_sentences(measure, correlations))}"


def _sentences(measure: Measure, correlations: Correlations) -> Iterator[str]:
    own = [each for each in correlations.found if each.measure == measure.key and math.isfinite(each.coefficient)]
    if not own:
        reasons = {reason for (_, key), reason in correlations.reasons.items() if key == measure.key}
        yield f"nothing can be said: {'; '.join(sorted(reasons)) or 'it was not measured'}."
        return
    sign = 1 if measure.direction == "positive" else -1
    by_rule = {rule.label: [each for each in own if each.predictor == rule.label] for rule in RULES}
    best = max((label for label, found in by_rule.items() if found), key=lambda label: sign * _median(by_rule[label]))
    verdict = "goes with it" if _convinces(by_rule[best]) else "does not go with it beyond chance"
    yield (
        f"of the {len(RULES)} rules fixed in advance, {best} comes closest and {verdict}: {_shown(by_rule[best])}, "
        "corrected for the rules tried."
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
        interval = f" (95 % interval {_rho(one.low)} to {_rho(one.high)})" if math.isfinite(one.low) else ""
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


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

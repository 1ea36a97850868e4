"""Which score goes with which measurement over tasks: by rules fixed in advance, selected, and left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ntps.errors import InputError
from ntps.study.analysis.accuracies import accuracies
from ntps.study.analysis.measures import (
    MEASURES,
    Array,
    Measure,
    ModelScores,
    ProbeLayer,
    Rule,
    measured,
    model_scores,
)
from ntps.study.analysis.reader import StudyResults
from ntps.study.analysis.surface import Surface
from ntps.study.statistics import FixedScore, fixed_scores, leave_one_out, select_pair, spearman

FIXED, SELECTED, LEFT_OUT = "fixed in advance", "selected on the same data", "chosen without the task"
PROBE_ACCURACY = "probe accuracy"
"""The other predictor of the gain from LoRA: accuracy of the linear probe on test texts."""


@dataclass(frozen=True)
class Correlation:
    """One predictor against one measure over the tasks of one model.

    Attributes:
        model: The model.
        measure: Key of the measure.
        predictor: What predicts.
        basis: How the predictor was chosen.
        layer: Its layer.
        k: Its k, as people read it.
        tasks: Number of tasks.
        coefficient: Spearman's ρ.
        low: Lower end of the bootstrap interval over tasks.
        high: Its upper end.
        p_alone: Its p-value had it been the only one.
        p_value: Its p-value that counts all that was tried: the pairs, or the rules.
        points: ``task, x, y``.
    """

    model: str
    measure: str
    predictor: str
    basis: str
    layer: str
    k: str
    tasks: int
    coefficient: float
    low: float
    high: float
    p_alone: float
    p_value: float
    points: pd.DataFrame


@dataclass(frozen=True)
class Correlations:
    """All correlations of a study.

    Attributes:
        found: The correlations.
        surfaces: Coefficients of all pairs, by model and measure.
        reasons: Why there is none, by model and measure.
    """

    found: tuple[Correlation, ...]
    surfaces: dict[tuple[str, str], Surface]
    reasons: dict[tuple[str, str], str]

    def one(self, model: str, measure: str, *, predictor: str = "", basis: str = FIXED) -> Correlation | None:
        """The correlation of a model and measure with that basis, and predictor where one is named."""
        chosen = (
            each
            for each in self.found
            if (each.model, each.measure, each.basis) == (model, measure, basis) and predictor in ("", each.predictor)
        )
        return next(chosen, None)

    def frame(self) -> pd.DataFrame:
        """One row per correlation, without its points."""
        names = [name for name in Correlation.__dataclass_fields__ if name != "points"]
        return pd.DataFrame([{name: getattr(each, name) for name in names} for each in self.found], columns=names)


def correlate(results: StudyResults, probe_layer: ProbeLayer = "same") -> Correlations:
    """Holds every score against every measure.

    Args:
        results: The study.
        probe_layer: Whose probe: that of the score's own layer, or that of the last layer.
    """
    found: list[Correlation] = []
    surfaces: dict[tuple[str, str], Surface] = {}
    reasons: dict[tuple[str, str], str] = {}
    for model in results.models:
        for measure in MEASURES:
            scores = model_scores(results, model, measure, probe_layer)
            if scores is None:
                reasons[model, measure.key] = "there is no score, or the probe or fine-tuning beside it was not run"
                continue
            case = _Case.of(results, model, measure, scores, probe_layer)
            if not case.kept.any():
                reasons[model, measure.key] = "it was measured on no task that was scored"
                continue
            for part in (case.by_rule, case.selected, case.left_out, case.by_probe):
                try:
                    found += part()
                except InputError as error:
                    reasons.setdefault((model, measure.key), str(error))
                    # Points may be looked at where statistics say nothing.
                    found += case.untested() if part == case.by_rule else ()
            if any((each.model, each.measure, each.basis) == (model, measure.key, SELECTED) for each in found):
                surfaces[model, measure.key] = case.surface()
    return Correlations(tuple(found), surfaces, reasons)


@dataclass(frozen=True)
class _Case:
    """One model and measure: the tasks that have both."""

    model: str
    measure: Measure
    scores: ModelScores
    kept: NDArray[np.bool_]
    values: Array
    probe: Array

    @classmethod
    def of(
        cls, results: StudyResults, model: str, measure: Measure, scores: ModelScores, probe_layer: ProbeLayer
    ) -> _Case:
        values = measured(results, model, measure, scores, probe_layer)
        kept = np.logical_and.reduce(np.isfinite(np.column_stack([values, scores.rules])), axis=1)
        frame = accuracies(results)
        probe = (
            frame[frame["model"] == model].set_index("task")["probe"].reindex(scores.tasks).to_numpy(dtype=np.float64)
        )
        return cls(model, measure, scores, kept, values[kept], probe)

    @property
    def ntps(self) -> Array:
        return self.scores.ntps[self.kept]

    def own(self) -> Array:
        """What was measured, at the layer of each rule: (tasks, rules)."""
        return np.take_along_axis(self.values, self.scores.rule_layers[self.kept], axis=1)

    def correlation(self, predictor: str, basis: str, x: Array, y: Array, **figures: Any) -> Correlation:
        tasks = [task for task, kept in zip(self.scores.tasks, self.kept, strict=True) if kept]
        nothing = dict.fromkeys(("coefficient", "low", "high", "p_alone", "p_value"), np.nan) | {"layer": "–", "k": "–"}
        return Correlation(
            model=self.model,
            measure=self.measure.key,
            predictor=predictor,
            basis=basis,
            tasks=len(tasks),
            points=pd.DataFrame({"task": tasks, "x": x, "y": y}),
            **{**nothing, **figures},
        )

    def by_rule(self) -> Iterator[Correlation]:
        rules = self.scores.rules[self.kept]
        own = self.own()
        tested = fixed_scores(rules, own, self.measure.direction)
        for index, (rule, test) in enumerate(zip(self.scores.tried, tested, strict=True)):
            yield self.correlation(
                rule.label,
                FIXED,
                rules[:, index],
                own[:, index],
                layer=self.scores.layer_of(index),
                k=_k(rule),
                **_figures(test),
            )

    def untested(self) -> Iterator[Correlation]:
        for index, rule in enumerate(self.scores.tried):
            x, y = self.scores.rules[self.kept, index], self.own()[:, index]
            yield self.correlation(rule.label, FIXED, x, y, layer=self.scores.layer_of(index), k=_k(rule))

    def selected(self) -> Iterator[Correlation]:
        pair = select_pair(self.ntps, self.values, self.measure.direction)
        fraction = self.scores.fractions[pair.k]
        yield self.correlation(
            f"NTPS, strongest of {pair.pairs} pairs",
            SELECTED,
            self.ntps[:, pair.layer, pair.k],
            self.values[:, pair.layer],
            layer=self.scores.names[pair.layer],
            k=f"{100 * fraction:.0f} % of V",
            coefficient=pair.coefficient,
            p_alone=pair.naive_p_value,
            p_value=pair.p_value,
        )

    def left_out(self) -> Iterator[Correlation]:
        # Pairs of several layers enter one ranking, so that one measurement must serve them all: the last layer's.
        values = self.values[:, -1]
        if len(values) < 5:
            return
        held_out = leave_one_out(self.ntps, values, self.measure.direction)
        yield self.correlation(
            "NTPS, pair chosen on the other tasks",
            LEFT_OUT,
            np.array(held_out.ranks),
            values,
            coefficient=held_out.coefficient,
            p_value=held_out.p_value,
        )

    def by_probe(self) -> Iterator[Correlation]:
        if self.measure.probe is not None:
            return
        probe = self.probe[self.kept]
        (test,) = fixed_scores(probe[:, None], self.values[:, -1], self.measure.direction)
        yield self.correlation(
            PROBE_ACCURACY,
            FIXED,
            100 * probe,
            self.values[:, -1],
            layer=self.scores.names[-1],
            **_figures(test),
        )

    def surface(self) -> Surface:
        pairs = zip(np.moveaxis(self.ntps, 1, 0), self.values.T, strict=True)
        coefficients = np.stack([spearman(scores, values) for scores, values in pairs])
        sought = coefficients if self.measure.direction == "positive" else -coefficients
        layer, k = np.unravel_index(int(np.nanargmax(sought)), sought.shape)
        title = f"{self.model}\n{self.measure.label}"
        return Surface(title, self.scores.names, self.scores.fractions, coefficients, (int(layer), int(k)))


def _k(rule: Rule) -> str:
    return "at 95 % share" if rule.column == "ntps_share95" else "all"


def _figures(test: FixedScore) -> dict[str, float]:
    return {
        "coefficient": test.coefficient,
        "low": test.low,
        "high": test.high,
        "p_alone": test.p_value,
        "p_value": test.adjusted_p_value,
    }

"""What NTPS is meant to follow, and the scores by rules fixed in advance, as arrays over tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ntps.study.analysis.accuracies import accuracies
from ntps.study.analysis.reader import StudyResults

Array = NDArray[np.float64]
ProbeLayer = Literal["same", "last"]
"""Which layer's probe a score is held against: that of its own layer, or that of the last one."""


@dataclass(frozen=True)
class Measure:
    """Something that NTPS may predict.

    Attributes:
        key: Short name.
        label: What it is, with its unit.
        direction: Of the relation that the paper claims.
        probe: Kind and split of the probe and the figure taken from it; None for the gain from LoRA.
        scale: From a figure to the unit of the label.
    """

    key: str
    label: str
    direction: Literal["positive", "negative"]
    probe: tuple[str, str, str] | None
    scale: float = 1.0


MEASURES = (
    Measure("mse", "MSE of OLS, training texts", "negative", ("ols", "train", "mse")),
    Measure("accuracy", "logistic accuracy, training texts (%)", "positive", ("logistic", "train", "accuracy"), 100.0),
    Measure("held_out", "logistic accuracy, test texts (%)", "positive", ("logistic", "test", "accuracy"), 100.0),
    Measure("gain", "LoRA gain over the probe (points)", "negative", None, 100.0),
)


@dataclass(frozen=True)
class Rule:
    """A score by a rule that was fixed before looking.

    Attributes:
        key: Short name.
        label: What it is.
        column: Of the table of layers.
        depth: Of the layer, from 0 (embedding) to 1 (last): the nearest layer that every task has.
        chosen_by: Instead of a depth, a column of that table: each task's layer is the one where it is highest. It is
            of training texts alone. Such a rule is not used where a task lacks its figures.
    """

    key: str
    label: str
    column: str
    depth: float = 1.0
    chosen_by: str | None = None


RULES = (
    Rule("area_chosen", "area for new texts, layer chosen by a ridge probe", "area_cv", chosen_by="chosen"),
    Rule("area_adjusted", "area, layer chosen by adjusted R²", "area", chosen_by="r2_adjusted"),
    Rule("ntps_last", "NTPS of the last layer", "ntps_share95", 1.0),
    Rule("ntps_middle", "NTPS of the middle layer", "ntps_share95", 0.5),
    Rule("area_last", "area of the last layer", "area", 1.0),
    Rule("area_middle", "area of the middle layer", "area", 0.5),
)
RIVAL_RULES = tuple(
    Rule(f"{name}_last", f"{label} of the last layer", name, 1.0)
    for name, label in {
        "h_score": "H-score",
        "h_score_shrunk": "shrunk H-score",
        "logme": "LogME",
        "discriminant_accuracy": "discriminant accuracy",
        "transrate": "TransRate",
        "knn_accuracy": "kNN accuracy",
        "n_leep": "N-LEEP",
    }.items()
)
"""Held against measures too, and counted in p, where every task of a model has them."""
ALWAYS = tuple(rule for rule in RULES if rule.chosen_by is None)
"""What every score has; the others are not used where a task of a model lacks their figures."""
MAIN_RULE = next(rule for rule in RULES if rule.key == "ntps_last")
"""What figures 2 and 3 draw: the paper's score at one k and one layer that nobody chose."""


@dataclass(frozen=True)
class ModelScores:
    """The scores of one model on the tasks where it has them, before fine-tuning.

    Attributes:
        tasks: Names of the tasks.
        layers: Indices of the layers that every task has.
        names: Their names.
        fractions: k as fractions of the columns of V.
        ntps: (tasks, layers, fractions); NaN where undefined.
        tried: The rules that are held against measures.
        rules: (tasks, rules), in their order.
        rule_layers: (tasks, rules) position of each rule's layer.
    """

    tasks: list[str]
    layers: list[int]
    names: list[str]
    fractions: list[float]
    ntps: Array
    tried: tuple[Rule, ...]
    rules: Array
    rule_layers: NDArray[np.int64]

    def layer_of(self, rule: int) -> str:
        """Name of a rule's layer, or of none where tasks differ in it."""
        places = set(self.rule_layers[:, rule].tolist())
        return self.names[places.pop()] if len(places) == 1 else "by task"


def model_scores(results: StudyResults, model: str, measure: Measure, probe_layer: ProbeLayer) -> ModelScores | None:
    """Collects the scores of a model, in layers where they can be held against a measure.

    Returns:
        The scores; None where there is none, or no probe of the same layer.
    """
    own = results.layers[(results.layers["model"] == model) & (results.layers["measurement"] == "score")]
    if measure.probe is not None and probe_layer == "same":
        own = own[own["layer"].isin(_probes(results, model, measure.probe)["layer"])]
    if own.empty:
        return None
    tasks = list(dict.fromkeys(own["task"]))
    known = own.drop_duplicates("layer").sort_values("layer").set_index("layer")
    layers = [int(layer) for layer in known.index if (own["layer"] == layer).sum() == len(tasks)]
    if not layers:
        return None
    curves = results.curves[results.curves["model"] == model]
    fractions = sorted(set(curves["fraction"]))
    index = pd.MultiIndex.from_product([tasks, layers, fractions])
    ntps = curves.set_index(["task", "layer", "fraction"])["ntps"].reindex(index).to_numpy(dtype=np.float64)
    depths = known.loc[layers, "depth"].to_numpy(dtype=np.float64)
    by_layer = own.set_index(["task", "layer"])
    whole = pd.MultiIndex.from_product([tasks, layers])

    def figures(column: str) -> Array:
        """(tasks, layers)."""
        return by_layer[column].reindex(whole).to_numpy(dtype=np.float64).reshape(len(tasks), len(layers))

    tried, places, columns = [], [], []
    for rule in (*RULES, *RIVAL_RULES):
        if rule.chosen_by is None:
            # Of two layers that are equally near the middle, the deeper one.
            nearest = len(layers) - 1 - int(np.argmin(np.abs(depths[::-1] - rule.depth)))
            place = np.full(len(tasks), nearest)
        else:
            place = np.nan_to_num(figures(rule.chosen_by), nan=-np.inf).argmax(axis=1)
        needed = [figures(name)[np.arange(len(tasks)), place] for name in (rule.column, rule.chosen_by) if name]
        if rule in ALWAYS or np.isfinite(needed).all():
            tried.append(rule)
            places.append(place)
            columns.append(needed[0])
    return ModelScores(
        tasks=tasks,
        layers=layers,
        names=[str(name) for name in known.loc[layers, "name"]],
        fractions=[float(fraction) for fraction in fractions],
        ntps=ntps.reshape(len(tasks), len(layers), len(fractions)),
        tried=tuple(tried),
        rules=np.stack(columns, axis=1),
        rule_layers=np.stack(places, axis=1),
    )


def measured(
    results: StudyResults, model: str, measure: Measure, scores: ModelScores, probe_layer: ProbeLayer
) -> Array:
    """What was measured on each task of a model, held against each layer's score.

    Returns:
        (tasks, layers), in the unit of the measure; NaN where it was not measured.
    """
    shape = (len(scores.tasks), len(scores.layers))
    if measure.probe is None:
        frame = accuracies(results)
        gains = frame[frame["model"] == model].set_index("task")["gain"].reindex(scores.tasks).to_numpy(dtype=float)
        return np.broadcast_to(measure.scale * gains[:, None], shape)
    own, column = _probes(results, model, measure.probe), measure.probe[2]
    if probe_layer == "last":
        last = own[own["last"].astype(bool)].set_index("task")[column].reindex(scores.tasks).to_numpy(dtype=float)
        return np.broadcast_to(measure.scale * last[:, None], shape)
    index = pd.MultiIndex.from_product([scores.tasks, scores.layers])
    figures = own.set_index(["task", "layer"])[column].reindex(index).to_numpy(dtype=float)
    return measure.scale * figures.reshape(shape)


def _probes(results: StudyResults, model: str, probe: tuple[str, str, str]) -> pd.DataFrame:
    kind, split, _column = probe
    probes = results.probes
    return probes[(probes["model"] == model) & (probes["kind"] == kind) & (probes["split"] == split)]

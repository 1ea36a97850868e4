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
    """

    key: str
    label: str
    column: str
    depth: float


RULES = (
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
MAIN_RULE = RULES[0]
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
        tried: The rules: :data:`RULES`, and those of :data:`RIVAL_RULES` that every task has.
        rules: (tasks, rules), in their order.
        rule_layers: (rules,) position of each rule's layer.
    """

    tasks: list[str]
    layers: list[int]
    names: list[str]
    fractions: list[float]
    ntps: Array
    tried: tuple[Rule, ...]
    rules: Array
    rule_layers: list[int]


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
    places = own.drop_duplicates("layer").sort_values("layer").set_index("layer")
    layers = [int(layer) for layer in places.index if (own["layer"] == layer).sum() == len(tasks)]
    if not layers:
        return None
    curves = results.curves[results.curves["model"] == model]
    fractions = sorted(set(curves["fraction"]))
    index = pd.MultiIndex.from_product([tasks, layers, fractions])
    ntps = curves.set_index(["task", "layer", "fraction"])["ntps"].reindex(index).to_numpy(dtype=np.float64)
    depths = places.loc[layers, "depth"].to_numpy(dtype=np.float64)
    by_layer = own.set_index(["task", "layer"])
    last = by_layer.loc[[(task, layers[-1]) for task in tasks]]
    tried = (*RULES, *(rule for rule in RIVAL_RULES if last[rule.column].notna().all()))
    # Of two layers that are equally near the middle, the deeper one.
    nearest = [int(np.argmin(np.abs(depths[::-1] - rule.depth))) for rule in tried]
    rule_layers = [len(layers) - 1 - place for place in nearest]
    columns = [
        [by_layer.loc[(task, layers[place]), rule.column] for task in tasks]
        for rule, place in zip(tried, rule_layers, strict=True)
    ]
    return ModelScores(
        tasks=tasks,
        layers=layers,
        names=[str(name) for name in places.loc[layers, "name"]],
        fractions=[float(fraction) for fraction in fractions],
        ntps=ntps.reshape(len(tasks), len(layers), len(fractions)),
        tried=tried,
        rules=np.array(columns, dtype=np.float64).T,
        rule_layers=rule_layers,
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

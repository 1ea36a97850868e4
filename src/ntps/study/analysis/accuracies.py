"""What every way to solve a task reaches, and what LoRA gains over a linear probe."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ntps.study.analysis.reached import PROBES
from ntps.study.analysis.reader import StudyResults

BEST_LAYER = ("score", "ridge")
"""Whose layer was chosen among all by texts left out."""
TWO_SIDED = 1.96
"""Standard errors on each side of a 95 % interval."""


def gain_probe(results: StudyResults) -> str:
    """The kind of probe that LoRA is compared with: the first of :data:`PROBES` that was measured on test texts."""
    measured = set(results.probes.loc[results.probes["split"] == "test", "kind"])
    return next((kind for kind in PROBES if kind in measured), PROBES[0])


def accuracies(results: StudyResults) -> pd.DataFrame:
    """Accuracy on test texts of a probe, LoRA and training from scratch: one row per model and task.

    Returns:
        ``model, task, test_texts, majority, probe, lora, scratch`` as shares, then ``probe_error, lora_error,
        scratch_error`` (binomial standard errors) and ``gain`` (LoRA minus probe), NaN where not measured.
    """
    pairs = results.runs.groupby(["model", "task"], sort=False)["test_texts"].max().reset_index()
    probes, tuned = results.probes, results.finetunes
    kind = gain_probe(results)
    layer = "last" if kind == PROBES[0] else "chosen"
    found = {"probe": probes[(probes["kind"] == kind) & probes[layer].astype(bool) & (probes["split"] == "test")]}
    found |= {name: tuned[(tuned["method"] == name) & (tuned["split"] == "test")] for name in ("lora", "scratch")}
    known = [each.loc[each["split"] == "test", ["model", "task", "majority"]] for each in (probes, tuned)]
    majority = pd.concat(known).astype({"majority": float}).groupby(["model", "task"])["majority"].first()
    frame = pairs.join(majority, on=["model", "task"])
    for name, rows in found.items():
        frame = frame.join(rows.groupby(["model", "task"])["accuracy"].first().rename(name), on=["model", "task"])
    frame = frame.astype(dict.fromkeys(("test_texts", "majority", *found), float))
    for name in found:
        frame[f"{name}_error"] = np.sqrt(frame[name] * (1 - frame[name]) / frame["test_texts"])
    frame["gain"] = frame["lora"] - frame["probe"]
    return frame


def side_by_side(results: StudyResults) -> pd.DataFrame:
    """Whatever was measured on texts that were not seen: one row per task and model that has something.

    Returns:
        ``task, model, figure, texts, split, majority, best_layer`` (the one that training texts choose), then for each
        measurement its value as a share, under its name, half of its 95 % interval (``NAME_half``) and the layer that
        it is of (``NAME_layer``).
    """
    reached = results.reached.astype(dict.fromkeys(("value", "low", "high", "texts", "majority"), float))
    # Results of older versions have no interval.
    variance = (reached["value"] * (1 - reached["value"]) / reached["texts"]).where(reached["figure"] == "accuracy")
    normal = TWO_SIDED * variance**0.5
    reached["half"] = ((reached["high"] - reached["low"]) / 2).fillna(normal)
    measured = set(reached["measurement"])
    order = [name for name in dict.fromkeys(results.runs["measurement"]) if name in measured]
    groups = reached.groupby(["task", "model", "figure"], sort=False)
    rows = [{"task": task, "model": model, "figure": figure, **_row(own)} for (task, model, figure), own in groups]
    columns = ["task", "model", "figure", "texts", "split", "majority", "best_layer"]
    return pd.DataFrame(rows, columns=columns + [f"{name}{end}" for name in order for end in ("", "_half", "_layer")])


def _row(own: pd.DataFrame) -> dict[str, object]:
    """The runs of one model on one task."""
    by_name = {str(row["measurement"]): row for row in own.to_dict("records")}
    layers = [each["layer"] for name in (*BEST_LAYER, *by_name) if (each := by_name.get(name)) and each["layer"]]
    best = layers[0] if layers else None
    # Of the training texts, a score knows the most frequent class, and a probe that of the test texts.
    head = list(by_name.values())[-1]
    row: dict[str, object] = {name: head[name] for name in ("texts", "split", "majority")} | {"best_layer": best}
    for name, each in by_name.items():
        row |= {name: each["value"], f"{name}_half": each["half"], f"{name}_layer": each["layer"]}
    return row

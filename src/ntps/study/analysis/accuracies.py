"""Tables 1 and 2, LoRA gains, costs and failures of a study."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ntps.study.analysis.reader import StudyResults

PROBE = "adamw"
"""The probe that the paper compares fine-tuning with: mean token of the last layer, trained by AdamW."""


def accuracies(results: StudyResults) -> pd.DataFrame:
    """Accuracy on test texts of every way to solve a task: one row per model and task.

    Returns:
        ``model, task, test_texts, majority, probe, lora, scratch`` as shares, then ``probe_error, lora_error,
        scratch_error`` (binomial standard errors) and ``gain`` (LoRA minus probe), NaN where not measured.
    """
    pairs = results.runs.groupby(["model", "task"], sort=False)["test_texts"].max().reset_index()
    probes, tuned = results.probes, results.finetunes
    found = {"probe": probes[(probes["kind"] == PROBE) & probes["last"].astype(bool) & (probes["split"] == "test")]}
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

"""A fine-tuning run as a person uses it: its words, and how it compares with others on the same texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ntps.display.probe import main_figure
from ntps.display.sentences import percent
from ntps.errors import InputError
from ntps.study.analysis.reached import PROBES
from ntps.study.analysis.reader import read_result
from ntps.training.records import FinetuneFile, FinetuneSummary, ProbeFile

NAMES = {
    "ridge": "ridge probe",
    "ols": "least-squares probe",
    "logistic": "logistic probe",
    "adamw": "AdamW probe",
    "tangent": "tangent probe",
    "lora": "LoRA",
    "full": "full fine-tuning",
    "scratch": "from scratch",
}
"""Measurements that can be compared, in the order in which they are named."""


def finetune_words(result: FinetuneFile) -> str:
    """One sentence: what was trained for how long, and how well it does."""
    summary = result.summary
    name = NAMES[result.measurement]
    trained = (
        f"{name[0].upper()}{name[1:]}, {summary.steps:,} steps of {result.settings.batch_size}{_kept(summary)}, "
        f"{summary.trainable_parameters:,} of {summary.total_parameters:,} parameters trained: "
    )
    return f"{trained}{main_figure(result)}."


def _kept(summary: FinetuneSummary) -> str:
    if summary.validation is None:
        return ""
    return f", weights of step {summary.kept_step:,} by {summary.validation_texts:,} texts held back"


def read_compared(folders: Sequence[Path]) -> list[ProbeFile | FinetuneFile]:
    """Results of probes and fine-tuning runs to compare with.

    Raises:
        InputError: A folder holds no such result.
    """
    found = []
    for folder in folders:
        result = read_result(folder)
        if not isinstance(result, ProbeFile | FinetuneFile):
            raise InputError(f"{folder} holds no probe and no fine-tuning run: give such folders with `compare`")
        found.append(result)
    return found


def comparison(result: FinetuneFile, others: Sequence[ProbeFile | FinetuneFile]) -> str:
    """One line: the most frequent class, probe, LoRA and its gain, from scratch.

    Args:
        result: The fine-tuning run.
        others: Of the same texts; those of other texts are left out, and counted.
    """
    split = result.summary.main
    figure = "r2" if result.task.target_kind == "regression" else "accuracy"

    def texts(each: ProbeFile | FinetuneFile) -> str | None:
        block = each.task if split == "train" else each.task.test
        return None if block is None else block.fingerprint

    same = [each for each in others if texts(each) == texts(result)]
    values = {each.measurement: getattr(each.summary.figures[split], figure) for each in (*same, result)}
    majority = result.summary.majority_accuracy[split]
    parts = [] if majority is None else [f"most frequent class {percent(majority)}"]
    parts += [f"{NAMES[name]} {percent(values[name])}" for name in NAMES if name in values]
    probe = next((name for name in PROBES if name in values), None)
    if probe is not None and "lora" in values:
        parts.append(f"gain of LoRA over the {NAMES[probe]} {100 * (values['lora'] - values[probe]):+.1f} points")
    kind = "R²" if figure == "r2" else "Accuracy"
    left_out = len(others) - len(same)
    note = f" ({left_out} of other texts left out)" if left_out else ""
    return f"{kind}: {', '.join(parts)}{note}."

"""A fine-tuning run as a person uses it: its words, its figure, and how it compares with others on the same texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntps.errors import InputError
from ntps.report.probe import standard_error
from ntps.report.reader import measurement_of, read_result
from ntps.report.result import Result
from ntps.report.words import percent
from ntps.training import FinetuneRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {
    "ols": "least-squares probe",
    "logistic": "logistic probe",
    "adamw": "AdamW probe",
    "lora": "LoRA",
    "full": "full fine-tuning",
    "scratch": "from scratch",
}
"""Measurements that can be compared, in the order in which they are named."""
PROBES = ("adamw", "logistic", "ols")
"""Whose accuracy LoRA gains over: the paper's if it is there."""


class FinetuneResult(Result):
    """What :func:`ntps.finetune` returns: training losses, and figures on the test texts, by step.

    Attributes:
        record: Everything that is or would be on disk but the weights.
    """

    record: FinetuneRecord

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draws the training loss as a running mean, and the losses on the test texts as points (figure S1).

        Args:
            path: Where to write the figure (PNG, PDF or SVG by its ending); not written by default.
        """
        # Matplotlib takes a second to import, and only drawing needs it.
        from ntps.report.figures import save_figure
        from ntps.report.loss_curves import draw_losses

        result = self.record.result
        losses = self.to_frame().assign(
            model=result["model"]["id"], task=result["task"]["id"], method=measurement_of(result)
        )
        losses["cross_entropy"] = losses["loss"]
        figure = draw_losses(losses, columns=1)
        if result["task"]["target_kind"] == "regression":
            figure.axes[0].set_ylabel("mean squared error", fontsize=9)
        save_figure(figure, None if path is None else Path(path))
        return figure

    @classmethod
    def load(cls, folder: str | Path) -> FinetuneResult:
        """Reads a result from its folder.

        Raises:
            InputError: There is no readable result of a fine-tuning run.
        """
        return cls(FinetuneRecord.read(Path(folder)))

    def __repr__(self) -> str:
        return f"{super().__repr__()}\n{finetune_words(self.record.result)}"


def finetune_words(result: Mapping[str, Any]) -> str:
    """One sentence: what was trained for how long, and how well it does.

    Args:
        result: Content of ``result.json`` of a fine-tuning run.
    """
    summary, task = result["summary"], result["task"]
    split = "train" if summary["test"] is None else "test"
    texts = (task if split == "train" else task["test"])["texts"]
    figures = summary[split]
    name = NAMES[measurement_of(result)]
    trained = (
        f"{name[0].upper()}{name[1:]}, {summary['steps']:,} steps of {result['settings']['batch_size']}, "
        f"{summary['trainable_parameters']:,} of {summary['total_parameters']:,} parameters trained: "
    )
    counted = f"on {texts:,} {'training' if split == 'train' else 'test'} texts"
    if figures["accuracy"] is None:
        return f"{trained}R² {percent(figures['r2'])}, mean squared error {figures['mse']:.4g} {counted}."
    error = standard_error(figures["accuracy"], texts)
    return f"{trained}accuracy {percent(figures['accuracy'])} ± {percent(error)} (one standard error) {counted}."


def read_compared(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Results of probes and fine-tuning runs to compare with.

    Raises:
        InputError: A folder holds no such result.
    """
    found = []
    for folder in folders:
        result = read_result(folder)
        if result.get("kind") not in ("probe", "finetune"):
            raise InputError(f"{folder} holds no probe and no fine-tuning run: give such folders with --compare")
        found.append(result)
    return found


def comparison(result: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    """One line: the most frequent class, probe, LoRA and its gain, from scratch.

    Args:
        result: Content of ``result.json`` of a fine-tuning run.
        others: Of the same texts; those of other texts are left out, and counted.
    """
    split = "train" if result["summary"]["test"] is None else "test"
    figure = "r2" if result["task"]["target_kind"] == "regression" else "accuracy"

    def texts(each: Mapping[str, Any]) -> Any:
        block = each["task"] if split == "train" else each["task"]["test"]
        return None if block is None else block["fingerprint"]

    same = [each for each in others if texts(each) == texts(result)]
    values = {measurement_of(each): each["summary"][split][figure] for each in (*same, result)}
    majority = result["summary"]["majority_accuracy"][split]
    parts = [] if majority is None else [f"most frequent class {percent(majority)}"]
    parts += [f"{NAMES[name]} {percent(values[name])}" for name in NAMES if name in values]
    probe = next((name for name in PROBES if name in values), None)
    if probe is not None and "lora" in values:
        parts.append(f"gain of LoRA over the {NAMES[probe]} {100 * (values['lora'] - values[probe]):+.1f} points")
    kind = "R²" if figure == "r2" else "Accuracy"
    left_out = len(others) - len(same)
    note = f" ({left_out} of other texts left out)" if left_out else ""
    return f"{kind}: {', '.join(parts)}{note}."

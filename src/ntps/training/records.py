"""What probes and fine-tuning leave: ``result.json`` and ``curves.parquet``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from ntps.files import PROBE, writing
from ntps.jobs.blocks import LayerBlock, SettingsBlock
from ntps.jobs.new_texts import AllLayers, ChosenLayer, Interval, NewTexts
from ntps.jobs.record import Record, ResultFile
from ntps.json_files import Block, Figure, Items
from ntps.training.probes.saved import SavedProbe, SavedTangentProbe


class FiguresBlock(Block):
    """Figures of the texts of a split; see :class:`~ntps.training.metrics.Metrics`."""

    accuracy: Figure = None
    balanced_accuracy: Figure = None
    mse: Figure = None
    squared_loss: Figure = None
    r2: Figure = None
    cross_entropy: Figure = None
    accuracy_interval: Interval = None
    r2_interval: Interval = None


class BySplit(Block):
    """Figures of both splits.

    Attributes:
        train: Null where they were not measured.
        test: Null where there are no test texts.
    """

    train: FiguresBlock | None
    test: FiguresBlock | None

    @property
    def figures(self) -> dict[str, FiguresBlock]:
        """Those that there are, by split."""
        return {name: each for name, each in (("train", self.train), ("test", self.test)) if each is not None}


class SplitsSummary(BySplit):
    """Figures of both splits.

    Attributes:
        majority_accuracy: By split, of always answering the most frequent class of the training texts.
    """

    majority_accuracy: Mapping[str, Figure]

    @property
    def main(self) -> str:
        """The split that counts: ``test`` where there are test texts."""
        return "train" if self.test is None else "test"


class ProbeRow(BySplit, NewTexts, LayerBlock):
    """The probe of one layer; figures outside ``train`` and ``test`` are those of a ridge probe of the same texts.

    For ``tangent`` they are its own.

    Attributes:
        rank: For ``ols``.
        condition: Likewise.
        iterations: For ``logistic``.
        steps: For ``adamw``.
    """

    rank: int | None = None
    condition: Figure = None
    iterations: int | None = None
    steps: int | None = None
    warnings: Items[str]


class ProbeSummary(SplitsSummary, ChosenLayer):
    """The layer that the ridge probe is best in, and the figures of the kind of probe that was asked for."""


class ProbeSettingsBlock(SettingsBlock):
    """The options of a probe, with the numbers of its kind.

    Attributes:
        kind: ``ridge``, ``ols``, ``logistic``, ``adamw`` or ``tangent``.
    """

    kind: str


class ProbeFile(ResultFile):
    """``result.json`` of a probe.

    Attributes:
        all_layers: Null where only one layer was probed by another kind than ``ridge``.
    """

    settings: ProbeSettingsBlock
    layers: Items[ProbeRow]
    all_layers: AllLayers | None = None
    summary: ProbeSummary

    @property
    def measurement(self) -> str:
        """What was measured, by the name that studies give it."""
        return self.settings.kind


@dataclass(frozen=True, repr=False)
class ProbeRecord(Record):
    """A finished probe; its curves have a row per layer, epoch and split, and are empty for closed forms.

    Attributes:
        weights: The probes themselves, for the kinds ``ridge`` and ``tangent``.
    """

    kind = "probe"
    file = ProbeFile
    result: ProbeFile
    weights: SavedProbe | SavedTangentProbe | None = None

    def write(self, folder: Path) -> None:
        """Writes the weights, if there are any, before the files that every record has."""
        if self.weights is not None:
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
            self.weights.write(folder / PROBE)
        super().write(folder)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads what :meth:`write` wrote.

        Raises:
            InputError: The folder holds no readable result of this kind.
        """
        record = super().read(folder)
        match record.result.settings.kind:
            case "ridge":
                return replace(record, weights=SavedProbe.read(folder / PROBE))
            case "tangent":
                return replace(record, weights=SavedTangentProbe.read(folder / PROBE))
        return record


class FinetuneSummary(SplitsSummary):
    """How a trained classifier does.

    Attributes:
        validation: Of the training texts that were held back, which chose the weights; null where there are none.
        validation_texts: How many they are.
        steps: Steps that were done.
        kept_step: The step whose weights were kept and measured: of those that were evaluated, the most accurate one on
            texts held back (for real targets that of the least loss); the last one where there are none.
        stopped: Why training ended: `all steps were done` or `no better evaluation`.
    """

    validation: FiguresBlock | None = None
    validation_texts: int = 0
    steps: int
    kept_step: int | None = None
    stopped: str | None = None
    trainable_parameters: int
    total_parameters: int


class FinetuneSettingsBlock(SettingsBlock):
    """The options of fine-tuning: every number of the recipe.

    Attributes:
        recipe: ``standard`` or ``paper``.
        steps: Most steps of the optimizer.
        patience: Evaluations without a better one that end the training; null where none does.
    """

    method: str
    from_scratch: bool
    recipe: str = "paper"
    steps: int | None = None
    batch_size: int
    patience: int | None = None
    processes: int = 1


class FinetuneFile(ResultFile):
    """``result.json`` of fine-tuning."""

    settings: FinetuneSettingsBlock
    summary: FinetuneSummary

    @property
    def measurement(self) -> str:
        """What was measured, by the name that studies give it."""
        return "scratch" if self.settings.from_scratch else self.settings.method


class FinetuneRecord(Record):
    """A finished fine-tuning run."""

    kind = "finetune"
    file = FinetuneFile
    result: FinetuneFile

"""What a scoring run leaves: the record, its rows, and its summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ntps import theory
from ntps.files import LEFT_OUT, writing
from ntps.jobs.blocks import LabelsBlock, LayerBlock, SettingsBlock
from ntps.jobs.new_texts import FALLBACK, AllLayers, ChosenLayer, Validated
from ntps.jobs.record import Record, ResultFile
from ntps.json_files import Block, Figure, Items
from ntps.moments.layer_score import LayerScore
from ntps.scoring.validated import LayerNewTexts
from ntps.validation.left_out_texts import LeftOutTexts

IN_SAMPLE = "the layer with the highest adjusted R² of the least-squares probe on the training texts"


class LayerRow(LayerNewTexts, LayerBlock):
    """One layer; see :class:`~ntps.moments.layer_score.LayerScore`.

    Attributes:
        r2_test_ols: Held-out R² of the least-squares probe.
        accuracy_test_ols: Its held-out accuracy.
    """

    rank_pooled: int
    rank_perception: int
    rank_autoregressive: int
    rank_centered: int
    area: Figure
    chance_area: Figure
    r2: Figure
    r2_adjusted: Figure
    best_loss: Figure
    target_energy: Figure
    next_token_loss: Figure
    bound_lower_constant: Figure
    bound_upper_constant: Figure
    perception_eigenvalues: Items[Figure]
    condition: Mapping[str, Figure]
    cutoff: Mapping[str, Figure]
    k_share95: int | None
    ntps_share95: Figure
    chance_ntps: Figure
    r2_test_ols: Figure = None
    accuracy_test_ols: Figure = None
    warnings: Items[str]

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """Those of the scores of others too."""
        return self.warnings if self.rivals is None else (*self.warnings, *self.rivals.warnings)

    @classmethod
    def of(cls, score: LayerScore, new_texts: Mapping[str, object]) -> LayerRow:
        """The row of a layer that was scored, with its figures for new texts."""
        known = {name: getattr(score, name) for name in cls.model_fields if hasattr(score, name)}
        # There from the first version on, null where undefined.
        return cls.model_validate({"r2_test": None, "accuracy_test": None, **known, **new_texts})


class Summary(LayerNewTexts, ChosenLayer):
    """The layer that the rule chose, and its main figures, as in its row.

    Attributes:
        majority_accuracy: Accuracy of always answering the most frequent class of the training texts.
        majority: That class.
        few_texts: Whether in-sample figures flatter, because the texts are few for the rank.
    """

    area: Figure
    chance_area: Figure
    r2: Figure
    r2_adjusted: Figure
    few_texts: bool
    majority_accuracy: Figure = None
    majority: str | None = None

    @property
    def reached(self) -> tuple[float | None, Sequence[float | None] | None]:
        """What new texts are said to give, with the interval: less what the choice flatters, where that is known."""
        if self.chosen_cv is not None:
            return self.chosen_cv, self.chosen_cv_interval
        return getattr(self, f"{self.criterion}_cv"), getattr(self, f"{self.criterion}_cv_interval")

    @property
    def blind(self) -> float:
        """What an answer reaches that does not look at the texts."""
        known = self.majority_accuracy if self.criterion == "accuracy" else self.baseline_cv
        return known or 0.0


class ChangeRow(Block):
    """A layer before and after fine-tuning, at one k; see :class:`~ntps.jobs.blocks.LayerBlock`.

    Attributes:
        k: Columns of V.
        ntps_after: Null where V no longer has k columns.
    """

    layer: int
    name: str | None
    area_before: Figure = None
    area_after: Figure = None
    r2_before: Figure = None
    r2_after: Figure = None
    area_cv_before: Figure = None
    area_cv_after: Figure = None
    r2_cv_before: Figure = None
    r2_cv_after: Figure = None
    k: int | None
    ntps_before: Figure
    ntps_after: Figure
    ntps_change_percent: Figure


class ChangeBlock(Block):
    """What an adapter changed.

    Attributes:
        baseline: The ``summary`` without the adapter.
        rule: How k was chosen.
        at: The layer and k of ``--at``.
    """

    baseline: Mapping[str, object]
    rule: str
    layers: Items[ChangeRow]
    at: ChangeRow | None


class MergedPart(Block):
    """One of the runs whose statistics were added up; see :class:`~ntps.jobs.blocks.TaskBlock`."""

    folder: str
    id: str
    source: str
    split: str | None
    selection: Mapping[str, object] | None
    texts: int
    tokens: int
    fingerprint: str
    texts_fingerprint: str
    tokens_fingerprint: str


class ScoreSettingsBlock(SettingsBlock):
    """The options of a score.

    Attributes:
        convention: Whose curves were computed: ``paper`` or ``released``.
        centered: Whether both problems have an intercept.
        world_size: Number of processes.
        products: Whose float64 products the sums were made of: ``torch``, or ``numpy`` on AMD's processors, where
            OpenBLAS is faster than MKL.
        cv_texts: Most texts that are left out in turn.
        rivals: Whether the scores of others were computed too.
    """

    convention: str
    centered: bool
    cv_texts: int | None = None
    rivals: bool | None = None
    world_size: int | None
    products: str | None = None


class ScoreFile(ResultFile):
    """``result.json`` of a score."""

    settings: ScoreSettingsBlock
    layers: Items[LayerRow]
    all_layers: AllLayers | None = None
    summary: Summary
    change: ChangeBlock | None = None
    merged: Items[MergedPart] | None = None

    @property
    def measurement(self) -> str:
        """What was measured, by the name that studies give it."""
        return "score-after-lora" if self.model.adapter else "score"

    @property
    def embedding(self) -> Literal["best", "equal"] | None:
        """Whether the embedding, whose words have no order, is the best layer, or cannot be told from it.

        None where it is worse, and where the best layer itself may tell nothing.
        """
        summary = self.summary
        if summary.criterion is None or len(self.layers) < 2:
            return None
        low = (summary.reached[1] or (None,))[0]
        if low is None or low <= summary.blind:
            return None
        embed = self.model.layer_names[0]
        return "best" if summary.name == embed else "equal" if embed in (summary.equals or ()) else None


@dataclass(frozen=True, repr=False)
class ScoreRecord(Record):
    """A finished scoring run.

    Attributes:
        left_out: How right every probe is, text by text, for ``left_out.safetensors``; None where none was fitted, and
            in a record that was read.
    """

    kind = "score"
    file = ScoreFile
    columns = ("layer", "k", "ntps", "retained_centered", "next_token_share")
    result: ScoreFile
    left_out: LeftOutTexts | None = None

    def write(self, folder: Path) -> None:
        """Writes all files, ``result.json`` last."""
        if self.left_out is not None:
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
            self.left_out.write(folder / LEFT_OUT)
        super().write(folder)


def summarize(scores: Sequence[LayerScore], rows: Sequence[LayerRow], found: Validated, task: LabelsBlock) -> Summary:
    """The ``summary`` block: the chosen layer and its main figures.

    The rule sees training texts only, so held-out figures of the chosen layer are honest. Without figures for new
    texts, adjusted R² chooses; with too few texts for that, every layer fits perfectly and the last one is taken.

    Args:
        scores: The layers.
        rows: Their rows.
        found: What is known about new texts.
        task: Whose classes are counted.
    """
    adjusted = {score.r2_adjusted: score.layer for score in reversed(scores) if score.r2_adjusted is not None}
    chosen = adjusted[max(adjusted)] if adjusted else scores[-1].layer
    rule = IN_SAMPLE if adjusted else FALLBACK
    best = found.chosen({row.layer: row.name for row in rows})
    if found.choice is not None:
        chosen = found.choice.layer
    ((score, row),) = ((score, row) for score, row in zip(scores, rows, strict=True) if score.layer == chosen)
    shown = {name: value for name, value in row if name in Summary.model_fields and name in row.model_fields_set}
    few_texts = theory.few_texts(score.texts, score.rank_pooled)
    return Summary.model_validate({**shown, "rule": rule, **best, **task.majority, "few_texts": few_texts})

"""What a scoring run leaves: the record, its rows, and its summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ntps import theory
from ntps.jobs.blocks import LayerBlock, SettingsBlock
from ntps.jobs.record import Record, ResultFile
from ntps.json_files import Block, Figure, Items
from ntps.moments.layer_score import LayerScore

RULE = "the layer with the highest adjusted R² of the least-squares probe on the training texts"


FALLBACK = "the last layer, because the texts are too few (or their targets too constant) to compare layers"


class LayerRow(LayerBlock):
    """One layer; see :class:`~ntps.moments.layer_score.LayerScore`."""

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
    r2_test: Figure
    accuracy_test: Figure
    warnings: Items[str]

    @classmethod
    def of(cls, score: LayerScore) -> LayerRow:
        """The row of a layer that was scored."""
        return cls.model_validate(score, from_attributes=True)


class Summary(LayerBlock):
    """The layer that the rule chose, and its main figures; see :class:`~ntps.moments.layer_score.LayerScore`.

    Attributes:
        rule: How it was chosen.
        few_texts: Whether in-sample figures flatter, because the texts are few for the rank.
    """

    rule: str
    area: Figure
    chance_area: Figure
    r2: Figure
    r2_adjusted: Figure
    r2_test: Figure
    accuracy_test: Figure
    few_texts: bool


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
    """

    convention: str
    centered: bool
    world_size: int | None
    products: str | None = None


class ScoreFile(ResultFile):
    """``result.json`` of a score."""

    settings: ScoreSettingsBlock
    layers: Items[LayerRow]
    summary: Summary
    change: ChangeBlock | None = None
    merged: Items[MergedPart] | None = None

    @property
    def measurement(self) -> str:
        """What was measured, by the name that studies give it."""
        return "score-after-lora" if self.model.adapter else "score"


class ScoreRecord(Record):
    """A finished scoring run."""

    kind = "score"
    file = ScoreFile
    columns = ("layer", "k", "ntps", "retained_centered", "next_token_share")
    result: ScoreFile


def summarize(scores: Sequence[LayerScore]) -> Summary:
    """The ``summary`` block: the chosen layer and its main figures.

    The rule sees training texts only, so held-out figures of the chosen layer are honest. With too few texts for an
    adjusted R², every layer fits perfectly and the last one is taken.
    """
    adjusted = {score.r2_adjusted: score for score in reversed(scores) if score.r2_adjusted is not None}
    best = adjusted[max(adjusted)] if adjusted else scores[-1]
    return Summary(
        layer=best.layer,
        name=best.name,
        rule=RULE if adjusted else FALLBACK,
        area=best.area,
        chance_area=best.chance_area,
        r2=best.r2,
        r2_adjusted=best.r2_adjusted,
        r2_test=best.r2_test,
        accuracy_test=best.accuracy_test,
        few_texts=theory.few_texts(best.texts, best.rank_pooled),
    )

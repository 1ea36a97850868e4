"""What a scoring run left on disk, and what other labels make of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch

from ntps.errors import InputError
from ntps.files import INDEX, MOMENTS, POOLED, RESULT
from ntps.forward.pooled_texts import Array, PooledArrays, PooledIndex, read_labels, read_pooled
from ntps.jobs.blocks import TaskBlock
from ntps.jobs.kept_texts import OtherLabels
from ntps.jobs.new_texts import AllLayers, Validated
from ntps.jobs.record import Provenance
from ntps.json_files import Items, read_json
from ntps.moments.accumulator import Moments
from ntps.moments.layer_score import LayerScore
from ntps.moments.sums_folder import SumsIndex, read_layer_moments
from ntps.scoring.record import LayerRow, MergedPart, ScoreFile, ScoreRecord, ScoreSettingsBlock
from ntps.scoring.validated import LayerNewTexts
from ntps.tasks.task import Task
from ntps.theory import PredictionSums
from ntps.validation.choice import LayerChoice
from ntps.validation.cross_validation import CrossValidation, Read
from ntps.validation.held_out import HeldOut
from ntps.validation.judged import Estimate
from ntps.validation.labels import Labels

REMEDY = "compute the moments again"


class StoredIndex(Provenance, SumsIndex):
    """What the index beside the statistics of a score says."""

    settings: ScoreSettingsBlock
    layers: Items[int]
    warnings: Items[str]
    merged: Items[MergedPart] | None = None


@dataclass(frozen=True)
class PooledLabels:
    """Pooled texts that were kept, with their labels.

    Attributes:
        read: Pooled texts of a layer.
        labels: Labels of the texts.
    """

    read: Read
    labels: Labels


@dataclass(frozen=True)
class StoredRun:
    """The folder of a scoring run.

    Attributes:
        folder: The folder.
        index: What stands beside the statistics.
        test: Whether to give held-out figures.
    """

    folder: Path
    index: StoredIndex
    test: bool

    @classmethod
    def open(cls, folder: Path, test: bool) -> StoredRun:
        """Finds the statistics of a run.

        Raises:
            InputError: There are none.
        """
        path = folder / MOMENTS / INDEX
        if not path.exists():
            raise InputError(
                f"{folder} holds no statistics: give a folder that `ntps score --out` wrote, without `moments` drop"
            )
        index = read_json(path, StoredIndex, REMEDY)
        names, layers = index.model.layer_names, index.layers
        if not layers or not set(layers) <= set(range(len(names))) or len(names) != index.model.num_layers + 1:
            raise InputError(f"{path} lists layers that the model does not have: {REMEDY}")
        return cls(folder, index, test)

    @property
    def doubts(self) -> list[str]:
        """What cannot be known about the statistics."""
        if self.index.digests is not None:
            return []
        return [f"the statistics in {self.folder} are of an older ntps without checksums: damage would not be noticed"]

    @property
    def task(self) -> TaskBlock:
        """The ``task`` block."""
        return self.index.task if self.test else self.index.task.model_copy(update={"test": None})

    @property
    def warnings(self) -> list[str]:
        """What a reader must know of the labels."""
        if self.task.test is None or self._rows:
            return []
        return [f"there are no held-out figures, because the run in {self.folder} has not come to its end"]

    def moments(self, layer: int) -> Moments:
        """The moments of a layer."""
        moments = read_layer_moments(self.folder / MOMENTS, layer)
        block, model = self.index.task, self.index.model
        shape = (moments.texts, moments.tokens, moments.hidden_size, moments.targets)
        if shape != (block.texts, block.tokens, model.hidden_size, block.classes):
            raise InputError(
                f"layer {layer} in {self.folder / MOMENTS} is of other texts, another model or other labels than its "
                f"{INDEX} says: {REMEDY}"
            )
        return moments

    def with_held_out(self, score: LayerScore) -> LayerScore:
        """The score of a layer with the held-out figures of least squares, which depend on no choice of curves."""
        row = self._rows.get(score.layer) if self.test else None
        if row is None:
            return score
        # Older versions knew no other probe.
        figures = (row.r2_test_ols, row.accuracy_test_ols) if row.cross_validated else (row.r2_test, row.accuracy_test)
        return replace(score, r2_test_ols=figures[0], accuracy_test_ols=figures[1])

    @property
    def texts(self) -> PooledLabels | None:
        """The pooled training texts with their labels, if both were kept."""
        folder = self.folder / POOLED / "train"
        if not (folder / INDEX).exists():
            return None
        arrays = self.pooled("train")
        labels = Labels.of_arrays(self.index.task.target_kind, partial(read_labels, folder))
        return None if labels is None else PooledLabels(arrays.__getitem__, labels)

    def validated(self, layers: Sequence[int]) -> Validated:
        """What the run found to hold for new texts, as far as that depends on no other layer than these."""
        rows = {
            layer: self._rows[layer].given(LayerNewTexts, test=self.test) for layer in layers if layer in self._rows
        }
        summary = None if self._result is None else self._result.summary
        if self._result is None or summary is None or summary.criterion is None or len(rows) < len(layers):
            return Validated(rows)
        criterion = summary.criterion
        if len(self._rows) == len(layers):
            indices = {row.name: row.layer for row in self._result.layers}
            ends = summary.chosen_cv_interval or (None, None)
            equals = tuple(indices[name] for name in summary.equals or ())
            choice: LayerChoice | None = LayerChoice(summary.layer, Estimate(summary.chosen_cv, *ends), equals)
            together = self._result.all_layers
        else:
            # What a layer chosen among fewer reaches was not measured then.
            figures = {layer: getattr(self._rows[layer], f"{criterion}_cv") for layer in layers}
            known = {layer: figure for layer, figure in figures.items() if figure is not None}
            choice = LayerChoice(max(known, key=known.__getitem__), Estimate(None), ()) if known else None
            together = None
        if together is not None and not self.test:
            together = AllLayers.model_validate(together.given(AllLayers, test=False))
        return Validated(rows, together, choice, criterion, summary.cv_texts or 0, summary.baseline_cv)

    def held_out(self, probes: CrossValidation) -> HeldOut | None:
        """What ridge probes predict for the pooled test texts, if those were kept with their labels."""
        folder = self.folder / POOLED / "test"
        if self.task.test is None or not self._rows or not (folder / INDEX).exists():
            return None
        labels = Labels.of_arrays(self.task.target_kind, partial(read_labels, folder))
        return None if labels is None else probes.predict(self.pooled("test"), labels)

    def pooled(self, part: str) -> PooledArrays:
        """Pooled texts by layer of a part, ``train`` or ``test``.

        Raises:
            InputError: They were not kept, or belong to another run.
        """
        place = self.folder / POOLED / part
        if not (place / INDEX).exists():
            raise InputError(
                f"{self.folder} holds no pooled {part} texts, which other labels need: score the model again with "
                "`keep_pooled`"
            )
        remedy = "score the model again with `keep_pooled`"
        if read_json(place / INDEX, PooledIndex, remedy).settings_hash != self.index.settings_hash:
            raise InputError(f"{place} belongs to another run than {MOMENTS}: {remedy}")
        arrays = read_pooled(place)
        if not set(arrays) >= set(self.index.layers):
            raise InputError(f"{place} lacks layers of {MOMENTS}: {remedy}")
        return arrays

    @cached_property
    def _result(self) -> ScoreFile | None:
        return ScoreRecord.read(self.folder).result if (self.folder / RESULT).exists() else None

    @property
    def _rows(self) -> dict[int, LayerRow]:
        return {} if self._result is None else {row.layer: row for row in self._result.layers}


class RelabelledRun:
    """A run as it would be with other labels for the same texts.

    Attributes:
        task: The ``task`` block.
        warnings: What a reader must know of the labels.
    """

    def __init__(self, run: StoredRun, task: Task) -> None:
        other = OtherLabels.of(run.folder, task, run.task, run.index.warnings)
        self._run, self._task = run, task
        self._pooled = run.pooled("train")
        self._targets = task.targets(task.train.labels)
        self._test: PooledArrays = run.pooled("test") if other.test else {}
        self.task, self.warnings = other.block, list(other.warnings)

    def moments(self, layer: int) -> Moments:
        """The moments of a layer."""
        moments, pooled = self._run.moments(layer), self._pooled[layer]
        total = moments.sums["pooled_sum"].numpy()
        # Rounding aside, which a sum of so many squares bounds, the rows must sum to what was summed then.
        slack = 1e-6 * np.sqrt(moments.texts * moments.sums["pooled_gram"].diagonal().numpy())
        if pooled.shape != (moments.texts, len(total)) or not (np.abs(pooled.sum(axis=0) - total) <= slack).all():
            raise InputError(
                f"the pooled texts of layer {layer} in {self._run.folder} do not belong to its statistics: score the "
                "model again with `keep_pooled`"
            )
        return relabelled(moments, pooled, self._targets)

    @property
    def texts(self) -> PooledLabels:
        """The pooled training texts with the other labels."""
        return PooledLabels(self._pooled.__getitem__, Labels.of(self._task, self._task.train))

    def validated(self, layers: Sequence[int]) -> Validated:
        """Nothing is known about these labels yet."""
        return Validated()

    def held_out(self, probes: CrossValidation) -> HeldOut | None:
        """What ridge probes predict for the pooled test texts."""
        if not self._test or self._task.test is None:
            return None
        return probes.predict(self._test, Labels.of(self._task, self._task.test))

    def with_held_out(self, score: LayerScore) -> LayerScore:
        """The score of a layer with the held-out figures of least squares."""
        if not self._test or self._task.test is None:
            return score
        predicted, targets = score.probe.predict(self._test[score.layer]), self._task.targets(self._task.test.labels)
        sums = PredictionSums.of(predicted, targets)
        accuracy = sums.accuracy if self._task.kind == "classes" else None
        return replace(score, r2_test_ols=sums.r2, accuracy_test_ols=accuracy)


def relabelled(moments: Moments, pooled: Array, targets: Array) -> Moments:
    """The moments of the same texts with other targets.

    Args:
        moments: Moments with any targets.
        pooled: ``(n, d)`` the pooled texts.
        targets: ``(n, c)`` the other targets.
    """
    other = Moments(moments.hidden_size, targets.shape[1], pooling=moments.pooling)
    # All other sums know nothing of labels.
    known = {"pooled_target": pooled.T @ targets, "target_gram": targets.T @ targets, "target_sum": targets.sum(axis=0)}
    for name, total in other.sums.items():
        total.copy_(torch.from_numpy(np.asarray(known[name])) if name in known else moments.sums[name])
    other.texts, other.tokens, other.resolution = moments.texts, moments.tokens, moments.resolution
    return other

"""What a scoring run left on disk, and what other labels make of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from ntps.errors import InputError
from ntps.files import INDEX, MOMENTS, POOLED, RESULT
from ntps.forward.pooled_texts import Array, PooledArrays, PooledIndex, read_pooled
from ntps.jobs.blocks import TaskBlock
from ntps.jobs.provenance import relabel_task
from ntps.jobs.record import Provenance
from ntps.jobs.session import shared_groups
from ntps.json_files import Items, read_json
from ntps.moments.accumulator import Moments
from ntps.moments.layer_score import LayerScore
from ntps.moments.sums_folder import SumsIndex, read_layer_moments
from ntps.scoring.record import LayerRow, MergedPart, ScoreRecord, ScoreSettingsBlock
from ntps.tasks.task import Split, Task
from ntps.theory import PredictionSums

REMEDY = "compute the moments again"


class StoredIndex(Provenance, SumsIndex):
    """What the index beside the statistics of a score says."""

    settings: ScoreSettingsBlock
    layers: Items[int]
    warnings: Items[str]
    merged: Items[MergedPart] | None = None


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
        if self.task.test is None or self._held_out:
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
        """The score of a layer with its held-out figures, which depend on no choice of curves."""
        row = self._held_out.get(score.layer) if self.test else None
        return score if row is None else replace(score, r2_test=row.r2_test, accuracy_test=row.accuracy_test)

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
    def _held_out(self) -> dict[int, LayerRow]:
        if not (self.folder / RESULT).exists():
            return {}
        return {row.layer: row for row in ScoreRecord.read(self.folder).result.layers}


class RelabelledRun:
    """A run as it would be with other labels for the same texts.

    Attributes:
        task: The ``task`` block.
        warnings: What a reader must know of the labels.
    """

    def __init__(self, run: StoredRun, task: Task) -> None:
        block = run.task
        _require_same_texts(run, task.train, block)
        self._run, self._task = run, task
        self._pooled = run.pooled("train")
        self._targets = task.targets(task.train.labels)
        self._test: PooledArrays = {}
        self.warnings: list[str] = []
        if task.test is not None and block.test is not None:
            if task.test.texts_fingerprint == block.test.texts_fingerprint:
                self._test = run.pooled("test")
                self.warnings = [line for line in shared_groups(task) if line not in run.index.warnings]
            else:
                self.warnings = [f"there are no held-out figures, because {task.id} has other test texts"]
        self.task = relabel_task(block, task, bool(self._test))

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

    def with_held_out(self, score: LayerScore) -> LayerScore:
        """The score of a layer with its held-out figures."""
        if not self._test or self._task.test is None:
            return score
        predicted, targets = score.probe.predict(self._test[score.layer]), self._task.targets(self._task.test.labels)
        sums = PredictionSums.of(predicted, targets)
        return replace(score, r2_test=sums.r2, accuracy_test=sums.accuracy if self._task.kind == "classes" else None)


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


def _require_same_texts(run: StoredRun, split: Split, block: TaskBlock) -> None:
    if split.texts_fingerprint == block.texts_fingerprint:
        return
    counts = "" if len(split) == block.texts else f" ({len(split)} texts here, {block.texts} there)"
    raise InputError(
        f"the labels do not belong to the texts that {run.folder} was computed from{counts}: give the same texts in "
        "the same order, each with its label, and the same `split`, `limit` and `seed`"
    )

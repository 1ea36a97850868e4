"""Pooled texts that a score kept, as whoever fits something else to them reads them: their own labels or others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ntps.errors import InputError
from ntps.files import INDEX, POOLED
from ntps.forward.pooled_texts import PooledArrays, read_labels, read_pooled
from ntps.jobs.blocks import SettingsBlock, TaskBlock
from ntps.jobs.provenance import relabel_task
from ntps.jobs.record import Provenance
from ntps.jobs.session import shared_groups
from ntps.json_files import Items, read_json
from ntps.moments.sums_folder import SumsIndex
from ntps.tasks.task import Task
from ntps.validation.labels import Labels

REMEDY = "score the model again with `keep_pooled`"


class KeptIndex(Provenance, SumsIndex):
    """What the index beside pooled texts says of the run that kept them."""

    settings: SettingsBlock
    warnings: Items[str] = ()


@dataclass(frozen=True)
class OtherLabels:
    """Labels of a task for texts that were kept.

    Attributes:
        block: The ``task`` block with these labels.
        test: Whether the test texts are those that were kept, so that there are held-out figures.
        warnings: What a reader must know of the labels.
    """

    block: TaskBlock
    test: bool
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path, task: Task, block: TaskBlock, said: Sequence[str]) -> OtherLabels:
        """Finds out whether a task has the texts that a run read.

        Args:
            folder: Folder of the run.
            task: The task with the other labels.
            block: The run's ``task`` block.
            said: The run's own warnings.

        Raises:
            InputError: Its training texts are others.
        """
        if task.train.texts_fingerprint != block.texts_fingerprint:
            counts = f" ({len(task.train)} texts here, {block.texts} there)"
            raise InputError(
                f"the labels do not belong to the texts that {folder} was computed from"
                f"{'' if len(task.train) == block.texts else counts}: give the same texts in the same order, each with "
                "its label, and the same `split`, `limit` and `seed`"
            )
        if task.test is None or block.test is None:
            return cls(relabel_task(block, task, test=False), False, ())
        test = task.test.texts_fingerprint == block.test.texts_fingerprint
        warnings = [line for line in shared_groups(task) if line not in said]
        if not test:
            warnings = [f"there are no held-out figures, because {task.id} has other test texts"]
        return cls(relabel_task(block, task, test), test, tuple(warnings))


@dataclass(frozen=True)
class KeptTexts:
    """Pooled texts of every layer with labels.

    Attributes:
        index: What the run says of itself.
        block: The ``task`` block.
        train: Pooled training texts by layer.
        labels: Their labels.
        test: Pooled test texts by layer; None without held-out figures.
        test_labels: Their labels.
        warnings: What a reader must know.
    """

    index: KeptIndex
    block: TaskBlock
    train: PooledArrays
    labels: Labels
    test: PooledArrays | None
    test_labels: Labels | None
    warnings: tuple[str, ...]

    @classmethod
    def open(cls, folder: Path, task: Task | None, test: bool) -> KeptTexts:
        """Reads what a score kept.

        Args:
            folder: Folder of the score.
            task: The same texts with other labels; their own by default.
            test: Whether to read test texts.

        Raises:
            InputError: Nothing was kept, something is damaged, or the task has other texts.
        """
        train, tested = folder / POOLED / "train", folder / POOLED / "test"
        if not (train / INDEX).exists():
            raise InputError(f"{folder} holds no pooled texts: {REMEDY}")
        index = read_json(train / INDEX, KeptIndex, REMEDY)
        block, warnings = index.task, list(index.warnings)
        if block.test is not None and test and not (tested / INDEX).exists():
            warnings.append(f"there are no held-out figures, because the run in {folder} has not come to its end")
            test = False
        if not test:
            block = block.model_copy(update={"test": None})
        if task is not None:
            other = OtherLabels.of(folder, task, block, warnings)
            block, warnings, test = other.block, [*warnings, *other.warnings], other.test
        arrays = read_pooled(train)
        labels = _labels(train, block) if task is None else Labels.of(task, task.train)
        if block.test is None:
            return cls(index, block, arrays, labels, None, None, tuple(warnings))
        if read_json(tested / INDEX, KeptIndex, REMEDY).settings_hash != index.settings_hash:
            raise InputError(f"{tested} belongs to another run than {train}: {REMEDY}")
        test_labels = _labels(tested, block) if task is None or task.test is None else Labels.of(task, task.test)
        return cls(index, block, arrays, labels, read_pooled(tested), test_labels, tuple(warnings))


def _labels(folder: Path, block: TaskBlock) -> Labels:
    labels = Labels.of_arrays(block.target_kind, partial(read_labels, folder))
    if labels is None:
        raise InputError(f"{folder} holds no labels: {REMEDY}, or give a task with labels")
    return labels

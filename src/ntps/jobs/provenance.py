"""The provenance blocks of a result: what was scored, with what."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version

from ntps.files import SCHEMA
from ntps.jobs.blocks import LabelsBlock, ModelBlock, SplitBlock, TaskBlock
from ntps.jobs.clock import Clock
from ntps.jobs.command import COMMAND
from ntps.jobs.record import Provenance
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokenizer import tokenizer_fingerprint
from ntps.models.tokenizing.tokens import TokenizedTexts
from ntps.tasks.task import Split, Task

PACKAGES = ("ntps", "torch", "transformers", "tokenizers", "datasets", "numpy", "scipy")


def describe_model(model: LanguageModel) -> ModelBlock:
    """The ``model`` block."""
    return ModelBlock(
        id=model.id,
        revision=model.revision,
        architecture=model.architecture,
        parameters=model.parameters,
        hidden_size=model.hidden_size,
        num_layers=model.num_layers,
        layer_names=model.layer_names,
        tokenizer=model.tokenizer_id,
        tokenizer_fingerprint=tokenizer_fingerprint(model.tokenizer),
        weights=model.weights(),
        adapter=None if model.adapter is None else dict(model.adapter),
    )


def describe_task(task: Task, tokens: TokenizedTexts, test_tokens: TokenizedTexts | None) -> TaskBlock:
    """The ``task`` block: the split that was scored, and the one that held-out figures come from, if any."""
    test = None if task.test is None or test_tokens is None else _describe_split(task.test, test_tokens)
    return _task_block(_describe_split(task.train, tokens), task, test)


def relabel_task(block: TaskBlock, task: Task, test: bool) -> TaskBlock:
    """The ``task`` block of the same texts with other labels.

    Args:
        block: The block of the run that read the texts.
        task: The task with the other labels.
        test: Whether its test split has the texts of that run's.
    """

    def other_labels(split: Split, of: SplitBlock) -> SplitBlock:
        of_labels = {"dropped": dict(split.dropped), "groups": split.group_count, "fingerprint": split.fingerprint}
        return of.model_copy(update={"split": split.name, **of_labels})

    held_out = other_labels(task.test, block.test) if test and task.test and block.test else None
    return _task_block(other_labels(task.train, block), task, held_out)


def _task_block(train: SplitBlock, task: Task, test: SplitBlock | None) -> TaskBlock:
    labels = LabelsBlock(
        id=task.id,
        source=task.source,
        revision=task.revision,
        classes=task.outputs,
        target_kind=task.kind,
        label_names=task.label_names,
        class_counts=task.class_counts(task.train),
        selection=dict(task.selection),
        notes=task.notes,
    )
    return TaskBlock.model_validate({**train.to_dict(), **labels.to_dict(), "test": test})


def identity(model: ModelBlock, task: TaskBlock, dtype: str) -> dict[str, str | None]:
    """What the numbers of a run follow from, beside its settings; not where model and task came from.

    Args:
        model: The ``model`` block.
        task: The ``task`` block.
        dtype: Dtype of the forward pass.
    """
    return {
        "architecture": model.architecture,
        "weights": model.weights,
        "dtype": dtype,
        "texts": task.fingerprint,
        "tokens": task.tokens_fingerprint,
        "test_texts": None if task.test is None else task.test.fingerprint,
    }


def _describe_split(split: Split, tokens: TokenizedTexts) -> SplitBlock:
    return SplitBlock(
        split=split.name,
        texts=len(split),
        groups=split.group_count,
        tokens=int(tokens.lengths.sum()),
        dropped=dict(split.dropped),
        truncated=tokens.truncated,
        fingerprint=split.fingerprint,
        texts_fingerprint=split.texts_fingerprint,
        tokens_fingerprint=tokens.fingerprint,
    )


def versions(*more: str) -> dict[str, str]:
    """The ``versions`` block; ``more`` names the packages that only some runs use."""
    return {"python": platform.python_version(), **{name: _version(name) for name in (*PACKAGES, *more)}}


_version = cache(version)
"""Each looks through the metadata of the package, for milliseconds."""


def envelope(kind: str, provenance: Provenance, clock: Clock, *packages: str) -> dict[str, object]:
    """What every ``result.json`` begins with.

    Args:
        kind: The kind of the result.
        provenance: What was measured, with what.
        clock: Where the seconds went.
        packages: Packages that only this kind uses.
    """
    found = versions(*packages)
    return {
        "schema": SCHEMA,
        "kind": kind,
        "ntps_version": found.pop("ntps"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": COMMAND.get(),
        **provenance.to_dict(),
        "timing": clock.seconds(),
        "versions": found,
    }

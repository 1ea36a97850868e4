"""The provenance blocks of a result: what was scored, with what."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from ntps.files import SCHEMA
from ntps.jobs.clock import Clock
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokens import TokenizedTexts
from ntps.tasks.task import Split, Task

PACKAGES = ("ntps", "torch", "transformers", "tokenizers", "datasets", "numpy", "scipy")


def describe_model(model: LanguageModel) -> dict[str, Any]:
    """The ``model`` block."""
    return {
        "id": model.id,
        "revision": model.revision,
        "architecture": model.architecture,
        "parameters": model.parameters,
        "hidden_size": model.hidden_size,
        "num_layers": model.num_layers,
        "layer_names": list(model.layer_names),
        "tokenizer": model.tokenizer_id,
        "weights": model.weights(),
        "adapter": None if model.adapter is None else dict(model.adapter),
    }


def describe_task(task: Task, tokens: TokenizedTexts, test_tokens: TokenizedTexts | None) -> dict[str, Any]:
    """The ``task`` block: the split that was scored, and the one that held-out figures come from, if any."""
    return {
        **_describe_labels(task),
        **_describe_split(task.train, tokens),
        "test": None if task.test is None or test_tokens is None else _describe_split(task.test, test_tokens),
    }


def _describe_labels(task: Task) -> dict[str, Any]:
    counts = task.class_counts(task.train)
    return {
        "id": task.id,
        "source": task.source,
        "revision": task.revision,
        "classes": task.outputs,
        "target_kind": task.kind,
        "label_names": list(task.label_names),
        "class_counts": None if counts is None else list(counts),
        "selection": dict(task.selection),
        "notes": list(task.notes),
    }


def relabel_task(block: Mapping[str, Any], task: Task, test: bool) -> dict[str, Any]:
    """The ``task`` block of the same texts with other labels.

    Args:
        block: The block of the run that read the texts.
        task: The task with the other labels.
        test: Whether its test split has the texts of that run's.
    """

    def other_labels(split: Split, of: Mapping[str, Any]) -> dict[str, Any]:
        return {**of, "split": split.name, "dropped": dict(split.dropped), "fingerprint": split.fingerprint}

    return {
        **other_labels(task.train, block),
        **_describe_labels(task),
        "test": other_labels(task.test, block["test"]) if test and task.test else None,
    }


def identity(model: Mapping[str, Any], task: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """What the numbers of a run follow from, beside its settings; not where model and task came from.

    Args:
        model: The ``model`` block.
        task: The ``task`` block.
        dtype: Dtype of the forward pass.
    """
    return {
        "architecture": model["architecture"],
        "weights": model["weights"],
        "dtype": dtype,
        "texts": task["fingerprint"],
        "tokens": task["tokens_fingerprint"],
        "test_texts": task["test"] and task["test"]["fingerprint"],
    }


def _describe_split(split: Split, tokens: TokenizedTexts) -> dict[str, Any]:
    return {
        "split": split.name,
        "texts": len(split),
        "tokens": int(tokens.lengths.sum()),
        "dropped": dict(split.dropped),
        "truncated": tokens.truncated,
        "fingerprint": split.fingerprint,
        "texts_fingerprint": split.texts_fingerprint,
        "tokens_fingerprint": tokens.fingerprint,
    }


def versions(*more: str) -> dict[str, str]:
    """The ``versions`` block; ``more`` names the packages that only some runs use."""
    return {"python": platform.python_version(), **{name: version(name) for name in (*PACKAGES, *more)}}


def envelope(kind: str, provenance: Mapping[str, Any], clock: Clock, *packages: str) -> dict[str, Any]:
    """What every ``result.json`` begins with.

    Args:
        kind: The kind of the result.
        provenance: The blocks ``settings_hash``, ``model``, ``task`` and ``settings``.
        clock: Where the seconds went.
        packages: Packages that only this kind uses.
    """
    found = versions(*packages)
    return {
        "schema": SCHEMA,
        "kind": kind,
        "ntps_version": found.pop("ntps"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **provenance,
        "timing": clock.seconds(),
        "versions": found,
    }

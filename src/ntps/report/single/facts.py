"""What was measured, with what, as every page of a single result ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ntps.display.sentences import short_name
from ntps.jobs.record import ResultFile
from ntps.jobs.unused_rows import unused_rows

MOST_CLASSES = 12
"""Names of classes that a page lists."""


def facts(result: ResultFile) -> Iterator[tuple[str, str]]:
    """Names and values: date, model, texts, classes, settings."""
    model, task = result.model, result.task
    yield "made", f"{date_of(result.created)}, by ntps {result.ntps_version}"
    if result.command is not None:
        yield "command", result.command
    revision = f", revision {model.revision}" if model.revision else ""
    yield "model", f"{model.id}{revision}: {model.architecture}, {model.parameters:,} parameters"
    if model.adapter:
        yield "adapter", str(model.adapter.get("id", "merged into the weights"))
    yield "weights", f"SHA-256 {model.weights[:16]}…"
    source = f"{task.id}, revision {task.revision}" if task.revision else task.id
    yield "task", source if task.split is None else f"{source}, split {task.split}"
    test = "" if task.test is None else f"; {task.test.texts:,} test texts, {task.test.tokens:,} tokens"
    yield "texts", f"{task.texts:,} training texts, {task.tokens:,} tokens{test}"
    if unused := unused_rows(task):
        yield "not used", "; ".join(unused)
    yield from _labels(result)
    settings = result.settings.to_dict()
    known = (settings.get(name) for name in ("dtype", "device", "pooling"))
    yield "forward pass", ", ".join(str(value) for value in known if value)


def subject(result: ResultFile) -> str:
    """``MODEL on TASK``, as titles say it."""
    return f"{short_name(result.model.id)} on {short_name(result.task.id)}"


def _labels(result: ResultFile) -> Iterator[tuple[str, str]]:
    task = result.task
    if task.target_kind == "regression":
        yield "targets", f"{task.classes} real"
        return
    names = task.label_names[:MOST_CLASSES]
    counts = task.class_counts
    shown = [name if counts is None else f"{name} ({counts[place]:,})" for place, name in enumerate(names)]
    more = "" if len(names) == len(task.label_names) else " …"
    yield "classes" if task.target_kind == "classes" else "labels", f"{task.classes}: {', '.join(shown)}{more}"


def date_of(created: str) -> str:
    """``2026-01-31 12:00 UTC`` of a time in ISO 8601."""
    return f"{datetime.fromisoformat(created):%Y-%m-%d %H:%M} UTC"

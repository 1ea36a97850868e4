"""From a definition to runs: each with its folder and with all that changes its numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ntps.errors import InputError
from ntps.files import existing
from ntps.models.registry import EMBEDDED as EMBEDDED_MODEL
from ntps.options.advising import AdviseSettings
from ntps.study.measurements import MEASUREMENTS
from ntps.study.runs import Run
from ntps.study.specs import ModelSpec, Study, TaskSpec
from ntps.tasks.catalogue import local_copy
from ntps.tasks.registry import EMBEDDED as EMBEDDED_TASK
from ntps.tasks.registry import REGISTRY

PROSE = (".md", ".gitattributes", ".gitignore")
"""Files beside a model that do not change it."""
FIRST = ("name", "text_columns", "label_column", "config", "train_texts", "test_texts", "seed")
"""What the first version compared of a task; with the defaults of all later fields, a run is the same as its."""


def plan_runs(study: Study, results: Path, data_dir: str | None = None) -> list[Run]:
    """Every run of a study, those of one model and task beside each other.

    Args:
        study: The study.
        results: Folder that holds ``MODEL/REVISION/TASK/MEASUREMENT/``.
        data_dir: Folder with local copies of named tasks.

    Raises:
        InputError: A file of a model or task cannot be read.
    """
    return [
        run
        for model in study.models
        for task in study.tasks
        for run in _runs_of(study, model, task, results.resolve(), data_dir)
    ]


def _runs_of(study: Study, model: ModelSpec, task: TaskSpec, results: Path, data_dir: str | None) -> Iterator[Run]:
    made: dict[str, Run] = {}
    shared = {"model": _model_identity(model), "task": _task_identity(task, data_dir)}
    measured = study.measured(task)
    # Whatever becomes of the others, statistics stay that another measurement reads.
    read = {needed for name in measured if MEASUREMENTS[name].on_moments for needed in MEASUREMENTS[name].after}
    for name, settings in measured.items():
        needs = tuple(made[needed] for needed in MEASUREMENTS[name].after)
        numbers = {key: value for key, value in settings.identity().items() if key not in settings.not_hashed}
        if isinstance(settings, AdviseSettings) and settings.calibration is not None:
            # A file that was replaced makes another forecast.
            numbers["calibration"] = _content(Path(settings.calibration))
        identity: dict[str, Any] = {**shared, "measurement": name, "settings": numbers}
        if needs:
            identity["continues"] = {run.measurement: run.digest for run in needs}
        folder = results / model.folder / task.name / name
        keep_moments = study.moments == "keep" or name in read
        made[name] = Run(model, task, name, settings, folder, identity, needs, keep_moments)
    yield from made.values()


def local_task(task: TaskSpec, data_dir: str | None) -> Path | None:
    """Where a task's files lie on this machine; None if the hub has them."""
    if path := existing(task.id):
        return path
    entry = REGISTRY.get(task.id)
    return local_copy(entry, data_dir) if entry and not task.config else None


def _model_identity(model: ModelSpec) -> dict[str, Any]:
    """Which weights and tokenizer: of a folder by content, so that it may move, but not change unnoticed."""
    identity: dict[str, Any] = {"name": model.name, "revision": model.revision, "dtype": model.dtype}
    identity["weights"] = _content(Path(model.id)) if model.local and model.id != EMBEDDED_MODEL else None
    if model.tokenizer:
        path = Path(model.tokenizer)
        identity["tokenizer"] = _content(path) if path.is_dir() else model.tokenizer
    return identity


def _task_identity(task: TaskSpec, data_dir: str | None) -> dict[str, Any]:
    values = {each.name: getattr(task, each.name) for each in fields(task) if each.name != "id"}
    defaults = {each.name: each.default for each in fields(task)}
    identity = {name: value for name, value in values.items() if name in FIRST or value != defaults[name]}
    path = local_task(task, data_dir)
    embedded = task.id == EMBEDDED_TASK and path is None
    # The texts of the embedded task come with ntps.
    identity["texts"] = f"ntps {version('ntps')}" if embedded else task.id if path is None else _content(path)
    return identity


def _content(path: Path) -> str:
    return _digest(tuple(_files(path)))


def _files(path: Path) -> Iterator[tuple[Path, int, int]]:
    """Files with size and time: as long as these stay, so does the content."""
    try:
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            if file.is_file() and not file.name.lower().endswith(PROSE):
                about = file.stat()
                yield file, about.st_size, about.st_mtime_ns
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check its rights") from error


@cache
def _digest(files: Sequence[tuple[Path, int, int]]) -> str:
    """SHA-256 over names and contents, in hexadecimal."""
    digest = hashlib.sha256()
    for path, size, _time in files:
        digest.update(f"{path.name} {size} ".encode())
        try:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}): check its rights") from error
    return digest.hexdigest()

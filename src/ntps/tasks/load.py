"""Loading a task by name, hub id or path."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from pathlib import Path

from ntps.errors import InputError
from ntps.files import existing
from ntps.hub import holds_results_only
from ntps.options.keywords import takes
from ntps.tasks.build import LoadOptions, build_task
from ntps.tasks.catalogue import local_copy, refuse_folder_of_a_task
from ntps.tasks.embedded.docstrings import docstring_source
from ntps.tasks.registry import EMBEDDED, REGISTRY, TASK_NAMES, Entry
from ntps.tasks.sources.files import EXTENSIONS
from ntps.tasks.sources.hub import hub_source
from ntps.tasks.sources.local import holds_task, path_source
from ntps.tasks.sources.source import Source
from ntps.tasks.task import Task

FILES = (".json", ".txt", ".gz", ".zip", ".arrow", ".xlsx")
"""Endings that a hub id hardly has, beside those of the files that can be read."""
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@takes(LoadOptions)
def load_task(options: LoadOptions) -> Task:
    """Loads a task: an existing path, else a name of the registry, else a dataset of the hub.

    Returns:
        The task, with its splits.

    Raises:
        InputError: The task cannot be found or used; the message is one sentence with the cause and the remedy.

    Examples:
        >>> task = ntps.load_task(limit=100)  # the embedded one
        >>> len(task.train), len(task.test), task.outputs
        (100, 100, 6)
    """
    task = EMBEDDED if options.task is None else str(options.task)
    path = None if options.task is None else _path_of(task)
    if task == EMBEDDED and path is None:
        return _embedded(options)
    source = _by_path(path, task) if path else _by_name(task, options.data_dir, options.config)
    return build_task(task, source, options)


def _path_of(task: str) -> Path | None:
    """The path that a task is given by; a folder that holds no task is none where the name means something else."""
    path = existing(task)
    if path is None:
        return None
    if not path.is_dir() or holds_task(path):
        return path
    hub_id = HUB_ID.fullmatch(task) and not _looks_like_path(task) and holds_results_only(path)
    return None if task in TASK_NAMES or hub_id else path


def _by_path(path: Path, task: str) -> Source:
    source = path_source(path)
    note = f"The path '{task}' exists, so it is used and not the registry task of that name."
    return replace(source, notes=(note, *source.notes)) if task in REGISTRY else source


def _by_name(task: str, data_dir: str | Path | None, config: str | None) -> Source:
    if existing(task) is None:
        return _find(task, data_dir, config)
    beside = f"The folder '{task}' holds no train file, so "
    try:
        source = _find(task, data_dir, config)
    except InputError as error:
        raise InputError(f"{beside}the name was looked up instead: {error}") from error
    return replace(source, notes=(f"{beside}the task of that name is used.", *source.notes))


def _find(task: str, data_dir: str | Path | None, config: str | None) -> Source:
    name, _, revision = task.partition("@")
    entry = REGISTRY.get(name)
    if entry:
        return _registered(entry, revision, data_dir, config)
    if _looks_like_path(task):
        raise InputError(f"{task} does not exist: check the path, or give the name of a task (see `ntps tasks`).")
    if HUB_ID.fullmatch(name):
        return hub_source(name, revision or None, config)
    close = difflib.get_close_matches(name, TASK_NAMES, n=3, cutoff=0.5)
    meant = f"perhaps you mean {' or '.join(close)}." if close else "`ntps tasks` lists the names."
    raise InputError(f"'{task}' is neither a path, nor a known task, nor a hub id like owner/name; {meant}")


def _looks_like_path(task: str) -> bool:
    parts = task.partition("@")[0].count("/")
    return parts > 1 or task.startswith((".", "~", "/")) or task.lower().endswith((*EXTENSIONS, *FILES))


def _registered(entry: Entry, revision: str, data_dir: str | Path | None, config: str | None) -> Source:
    copy = None if revision or config else local_copy(entry, data_dir)
    if copy:
        source = path_source(copy)
        notes = (*([entry.copy_remark] if entry.copy_remark else []), *source.notes)
        return replace(source, description=f"registry: {entry.name} (local copy {copy})", notes=notes)
    if not revision and not config:
        refuse_folder_of_a_task(entry, data_dir)
    return _from_hub(entry, revision, config)


def _from_hub(entry: Entry, revision: str, config: str | None) -> Source:
    source = hub_source(entry.hub_id, revision or entry.revision, config or entry.config)
    splits = {"train": "train", **({"test": entry.test} if entry.test else {})}
    missing = [split for split in splits.values() if split not in source.splits]
    if missing:
        raise InputError(
            f"{entry.hub_id} at {source.revision} has no split '{missing[0]}' but {', '.join(source.splits)}; choose "
            f"another revision with {entry.name}@REVISION."
        )
    notes = [f"The hub's split '{entry.test}' serves as the test split."] if entry.test not in (None, "test") else []
    if entry.hub_remark:
        notes.append(entry.hub_remark)
    return replace(
        source,
        description=f"registry: {entry.name} (hub {entry.hub_id})",
        splits=tuple(splits),
        read=lambda split: source.read(splits[split]),
        text=entry.text,
        label=entry.label,
        label_names=entry.class_names or None,
        hold_out=entry.test is None,
        notes=tuple(notes),
    )


def _embedded(options: LoadOptions) -> Task:
    if options.text_columns or options.label_column or options.group_column is not None or options.split != "train":
        raise InputError(
            "The embedded task has one text column, one label column, no groups, and is scored on its train split: "
            "leave out `text_columns`, `label_column`, `group_column` and `split`, or name a task, after the model."
        )
    task = build_task(EMBEDDED, docstring_source(), options)
    # Results of earlier versions name no columns here.
    return replace(task, selection={**task.selection, "text_columns": [], "label_column": None})

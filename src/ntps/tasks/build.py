"""From a source to a task: columns, labels, held-out split, limit."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ntps.errors import InputError
from ntps.options.keywords import values
from ntps.options.limits import check_names, check_number, check_seed
from ntps.options.shared import TaskOptions
from ntps.tasks.labels.encode import encode_labels
from ntps.tasks.labels.labels import EncodedLabels
from ntps.tasks.sources.columns import Columns, choose_columns
from ntps.tasks.sources.rows import Rows, usable_rows
from ntps.tasks.sources.source import Source
from ntps.tasks.splits import hold_out, limited, number_groups, without
from ntps.tasks.task import Split, Task


@dataclass(frozen=True)
class LoadOptions(TaskOptions):
    """What a task is loaded with.

    Attributes:
        task: A path, a registry name or a hub id, the last two perhaps with ``@revision``; None or ``docstrings`` for
            the embedded task.
        split: The split that is scored.
        limit: At most so many texts of the scored split, and as many of the test split unless ``limit_test`` is given.
        seed: Seed of the sample.
        data_dir: Folder whose ``NAME/train.*`` stand in for registry tasks; else the environment variable
            ``NTPS_DATA``.
        limit_test: At most so many texts of the test split.
        test: Whether a test split is read, where there is one.
        nested: Whether the sample of a limit is part of that of every larger one.
    """

    task: str | Path | None = None
    limit_test: int | None = field(default=None, kw_only=True)
    test: bool = field(default=True, kw_only=True)
    nested: bool = field(default=False, kw_only=True)

    def selection(self, available: int) -> dict[str, Any]:
        """What a result records of these options, with the number of usable rows before the limit."""
        chosen = values(self, TaskOptions) | {"limit_test": self.limit_test}
        for elsewhere in ("data_dir", "config"):
            del chosen[elsewhere]
        drawn = {"nested": True} if self.nested else {}
        return {**chosen, "text_columns": list(self.text_columns), "available": available, **drawn}

    def __post_init__(self) -> None:
        check_seed("seed", self.seed)
        check_names("text_columns", self.text_columns, "text")
        for name in ("limit", "limit_test"):
            check_number(name, getattr(self, name), whole=True, at_least=1, optional=True)


def build_task(task_id: str, source: Source, options: LoadOptions) -> Task:
    """Reads what a task needs from a source and checks that it can be scored.

    Raises:
        InputError: The split does not exist, or its rows are malformed, unlabelled or all of one class.
    """
    offered = source.splits if not source.hold_out else ("train", "test")
    if options.split not in offered:
        raise InputError(f"{task_id} has no split '{options.split}': choose `split` from {', '.join(offered)}.")
    table = source.read(source.splits[0] if source.hold_out else options.split)
    text, label = options.text_columns or source.text, options.label_column or source.label
    columns = choose_columns(table, text, label, options.group_column)
    encoded, notes = _encode(usable_rows(table, columns), source, columns, options)
    train = whole = encoded.splits[options.split]
    test = next((split for name, split in encoded.splits.items() if name != options.split), None)
    more = []
    if source.hold_out:
        train, test = hold_out(whole, encoded.kind)
        if options.split == "test":
            train, test = without(test, "not held out", len(train), whole.dropped), None
        how = "stratified, seed 42" if columns.group is None else "stratified, groups whole, seed 42"
        more.append(f"The source has no test split, so 30 % of its rows were held out ({how}).")
    test = test if options.test else None
    _check(train, test, encoded, table.origin)
    if encoded.kind != "classes":
        more.insert(
            0,
            f"The targets are real vectors of width {len(encoded.names)} and not one-hot classes: every formula stays "
            f"as it is, outputs that vary more weigh more, and there is no accuracy.",
        )
    task = Task(
        id=task_id,
        source=source.description,
        revision=source.revision,
        kind=encoded.kind,
        label_names=encoded.names,
        train=train,
        test=test,
        notes=(*source.notes, *columns.notes, *notes, *encoded.notes, *more),
    )
    return _limited(task, replace(options, text_columns=columns.text, label_column=columns.label))


def _encode(scored: Rows, source: Source, columns: Columns, options: LoadOptions) -> tuple[EncodedLabels, list[str]]:
    """The labels of the scored split and of the first held-out split that has any, and notes on the other splits."""
    class_names = source.label_names if source.label in (None, columns.label) else None
    named = (options.label_column or source.label) is not None
    notes = []
    splits = {options.split: scored}
    unread = [name for name in source.splits if name != options.split]
    found = None
    for name in source.held_out(options.split) if options.test and not source.hold_out else ():
        unread.remove(name)
        table = source.read(name)
        if columns.label not in table.columns:
            notes.append(f"The split '{name}' has no column '{columns.label}' and is not used.")
            continue
        group = columns.group if columns.group in table.columns else None
        rows = usable_rows(table, replace(columns, group=group))
        if not _hidden(rows, scored):
            found = encode_labels({**splits, name: rows}, columns.label, class_names, named)
            if len(found.splits[name]):
                if name != "test":
                    notes.append(f"The split '{name}' serves as the test split.")
                if group != columns.group:
                    unknown = "so which of its texts belong with training texts is not known"
                    notes.append(f"The split '{name}' has no column '{columns.group}', {unknown}.")
                break
        found = None
        notes.append(f"The split '{name}' has no labelled texts and is not used.")
    if unread:
        notes.append(f"Not read: {', '.join(unread)} ({'splits' if len(unread) > 1 else 'a split'}).")
    return found or encode_labels(splits, columns.label, class_names, named), notes


def _hidden(rows: Rows, scored: Rows) -> bool:
    """Whether all labels of a held-out split are -1, as benchmarks hide them, and none is that is scored."""

    def hidden(label: object) -> bool:
        if isinstance(label, list):
            return len(label) > 0 and all(map(hidden, label))
        return label == -1 or (isinstance(label, str) and label.strip() in ("-1", "-1.0"))

    return all(map(hidden, rows.labels)) and not any(map(hidden, scored.labels))


def _check(scored: Split, test: Split | None, encoded: EncodedLabels, origin: str) -> None:
    """Refuses a scored split without labels or of one class, and a test split that has none of its classes."""
    dropped = ", ".join(f"{count} with {reason}" for reason, count in scored.dropped.items())
    if not len(scored):
        raise InputError(f"{origin}: no row can be used ({dropped}): check `text_columns` and `label_column`.")
    if encoded.kind != "classes":
        return
    present = np.unique(scored.labels)
    if len(present) < 2:
        left_out = f" once rows are dropped ({dropped})" if dropped else ""
        raise InputError(
            f"{origin}: all labels are of one class, '{encoded.names[int(present[0])]}'{left_out}; a task needs two "
            f"classes at least."
        )
    if test is not None and not np.isin(test.labels, present).any():
        names = _listed(np.unique(test.labels).tolist(), encoded.names)
        raise InputError(
            f"The splits '{scored.name}' and '{test.name}' have no class in common (the latter has {names}): "
            f"write their labels alike."
        )


def _limited(task: Task, options: LoadOptions) -> Task:
    """What the limits leave of a task, with its selection and a note on classes that are left without texts.

    Raises:
        InputError: All labels that are left are of one class.
    """
    how = (options.limit_first, options.seed, options.nested)
    train = limited(task.train, options.limit, *how)
    test = task.test and limited(task.test, options.limit_test or options.limit, *how)
    train, test = number_groups(train, test)
    left = replace(task, train=train, test=test, selection=options.selection(len(task.train)))
    if task.kind != "classes":
        return left
    taught = set(train.labels.tolist())
    if len(taught) < 2:
        raise InputError(
            f"{task.id}: the {len(train)} texts that `limit` leaves are all of one class; raise `limit`"
            f"{', or leave out `limit_first`' if options.limit_first else ''}."
        )
    absent = set(range(task.outputs)) - taught
    tested = absent & set(test.labels.tolist()) if test else set()
    notes = []
    if test and tested:
        occur = "1 class occurs" if len(tested) == 1 else f"{len(tested)} classes occur"
        notes.append(f"{occur} in the split '{test.name}' only: {_listed(tested, task.label_names)}.")
    if untold := absent - tested:
        have = "1 class has" if len(untold) == 1 else f"{len(untold)} classes have"
        notes.append(f"{have} no text at all: {_listed(untold, task.label_names)}.")
    return replace(left, notes=(*task.notes, *notes))


def _listed(labels: Collection[int], names: Sequence[str]) -> str:
    shown = ", ".join(f"'{names[label]}'" for label in sorted(labels)[:5])
    return shown + (", ..." if len(labels) > 5 else "")

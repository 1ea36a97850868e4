"""From a source to a task: columns, labels, held-out split, limit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ntps.errors import InputError
from ntps.limits import check_seed
from ntps.tasks.labels.encode import encode_labels
from ntps.tasks.labels.encoded import Encoded
from ntps.tasks.labels.forms import without_hidden
from ntps.tasks.labels.numbering import class_order, numbered
from ntps.tasks.sources.columns import choose_columns
from ntps.tasks.sources.rows import Rows, usable_rows
from ntps.tasks.sources.source import Source
from ntps.tasks.sources.table import Table
from ntps.tasks.splits import hold_out, limited, without
from ntps.tasks.task import Split, Task


@dataclass(frozen=True)
class Options:
    """What the user asked for, beside the task itself; names as in :func:`ntps.tasks.load.load_task`."""

    text_columns: Sequence[str] = ()
    label_column: str | None = None
    split: str = "train"
    limit: int | None = None
    limit_first: bool = False
    seed: int = 0
    limit_test: int | None = None
    test: bool = True

    def selection(self, available: int) -> dict[str, Any]:
        """What a result records of these options, with the number of usable rows before the limit."""
        chosen = {name: value for name, value in asdict(self).items() if name != "test"}
        return {**chosen, "text_columns": list(self.text_columns), "available": available}

    def __post_init__(self) -> None:
        check_seed("The seed of the sample", self.seed)
        for limit in (self.limit, self.limit_test):
            if limit is not None and limit < 1:
                raise InputError(f"The limit is {limit} texts: give a number of at least 1, or leave --limit out.")

    def test_part(self, split: Split) -> Split:
        """What the limits leave of the test split."""
        return limited(split, self.limit_test or self.limit, self.limit_first, self.seed)


def build_task(task_id: str, source: Source, options: Options) -> Task:
    """Reads what a task needs from a source and checks that it can be scored.

    Raises:
        InputError: The split does not exist, or its rows are malformed, unlabelled or all of one class.
    """
    offered = source.splits if not source.hold_out else ("train", "test")
    if options.split not in offered:
        raise InputError(f"{task_id} has no split '{options.split}': choose --split from {', '.join(offered)}.")
    table = source.read(source.splits[0] if source.hold_out else options.split)
    columns = choose_columns(table, options.text_columns or source.text, options.label_column or source.label)
    notes = [*source.notes, *columns.notes]

    parts: dict[str, Rows] = {options.split: usable_rows(table, columns)}
    names, indices = _class_names(table, columns.label, source)
    named = (options.label_column or source.label) is not None
    encoded = _encode(parts, columns.label, names, indices, named)
    held_out = source.held_out(options.split) if options.test and not source.hold_out else ()
    looked_at = {options.split}
    for name in held_out:
        looked_at.add(name)
        other = source.read(name)
        if columns.label not in other.columns:
            notes.append(f"The split '{name}' has no column '{columns.label}' and is left out.")
            continue
        rows = without_hidden(usable_rows(other, columns), parts[options.split])
        candidate = _encode({**parts, name: rows}, columns.label, names, indices, named)
        if len(candidate.splits[name]):
            encoded = candidate
            if name != "test":
                notes.append(f"The split '{name}' serves as the test split.")
            break
        notes.append(f"The split '{name}' has no labelled texts and is left out.")
    if unused := [name for name in source.splits if name not in looked_at]:
        notes.append(f"Not read: {', '.join(unused)} ({'splits' if len(unused) > 1 else 'a split'}).")
    train, test, more = _train_and_test(encoded, options, source.hold_out)
    _check(train, encoded, table.origin)
    _check_common(train, test, encoded)
    notes += [*encoded.notes, *_real_vectors(encoded), *more]

    chosen = replace(options, text_columns=columns.text, label_column=columns.label)
    task = Task(
        id=task_id,
        source=source.description,
        revision=source.revision,
        kind=encoded.kind,
        label_names=encoded.names,
        train=train,
        test=test,
        notes=tuple(notes),
    )
    return limited_task(task, chosen)


def limited_task(task: Task, options: Options) -> Task:
    """What the limits leave of a task, with its selection and a note on classes that are left without texts.

    Raises:
        InputError: All labels that are left are of one class.
    """
    train = limited(task.train, options.limit, options.limit_first, options.seed)
    test = task.test and options.test_part(task.test)
    if task.kind == "classes" and len(np.unique(train.labels)) < 2:
        raise InputError(
            f"{task.id}: the {len(train)} texts that --limit leaves are all of one class; raise --limit"
            f"{', or leave out --limit-first' if options.limit_first else ''}."
        )
    left = replace(task, train=train, test=test, selection=options.selection(len(task.train)))
    return replace(left, notes=(*task.notes, *_untaught(left)))


def _class_names(table: Table, column: str, source: Source) -> tuple[tuple[str, ...] | None, bool]:
    """Class names from the source, and whether a class-label feature says that lists hold class indices."""
    return source.label_names if source.label in (None, column) else None, column in table.class_names


def _encode(
    parts: Mapping[str, Rows], column: str, known: tuple[str, ...] | None, indices: bool, named: bool
) -> Encoded:
    """Encodes the labels of all parts, whose tables may number the classes differently."""
    features = [rows.table.class_names[column] for rows in parts.values() if column in rows.table.class_names]
    if features and (known or indices):
        order, known = class_order(known, features)
        parts = {name: numbered(rows, column, order) for name, rows in parts.items()}
    return encode_labels(parts, column, known, indices, named)


def _train_and_test(encoded: Encoded, options: Options, split_now: bool) -> tuple[Split, Split | None, list[str]]:
    if not split_now:
        test = next((split for name, split in encoded.splits.items() if name != options.split), None)
        return encoded.splits[options.split], test, []
    train, test = hold_out(encoded.splits[options.split], encoded.kind)
    note = "The source has no test split, so 30 % of its rows were held out (stratified, seed 42)."
    if options.split == "train":
        return train, test if options.test else None, [note]
    return without(test, "not held out", len(train), encoded.splits[options.split].dropped), None, [note]


def _check(scored: Split, encoded: Encoded, origin: str) -> None:
    dropped = ", ".join(f"{count} with {reason}" for reason, count in scored.dropped.items())
    if not len(scored):
        raise InputError(f"{origin}: no row can be used ({dropped}): check --text-column and --label-column.")
    present = np.unique(scored.labels)
    if encoded.kind == "classes" and len(present) < 2:
        left_out = f" once rows are dropped ({dropped})" if dropped else ""
        raise InputError(
            f"{origin}: all labels are of one class, '{encoded.names[int(present[0])]}'{left_out}; a task needs two "
            f"classes at least."
        )


def _real_vectors(encoded: Encoded) -> list[str]:
    """What a reader of a result must know about targets that are not classes."""
    if encoded.kind == "classes":
        return []
    return [
        f"The targets are real vectors of width {len(encoded.names)} and not one-hot classes: every formula stays as "
        f"it is, outputs that vary more weigh more, and there is no accuracy."
    ]


def _check_common(train: Split, test: Split | None, encoded: Encoded) -> None:
    """Refuses a test split that has none of the classes of the scored one."""
    if test is None or encoded.kind != "classes" or np.isin(test.labels, train.labels).any():
        return
    names = _listed(np.unique(test.labels).tolist(), encoded.names)
    raise InputError(
        f"The splits '{train.name}' and '{test.name}' have no class in common (the latter has {names}): "
        f"write their labels alike."
    )


def _untaught(task: Task) -> list[str]:
    """Tells which classes have no text to learn from."""
    if task.kind != "classes":
        return []
    names = task.label_names
    absent = set(range(task.outputs)) - set(task.train.labels.tolist())
    notes = []
    if task.test is not None and (tested := absent & set(task.test.labels.tolist())):
        absent -= tested
        occur = "1 class occurs" if len(tested) == 1 else f"{len(tested)} classes occur"
        notes.append(f"{occur} in the split '{task.test.name}' only: {_listed(tested, names)}.")
    if absent:
        have = "1 class has" if len(absent) == 1 else f"{len(absent)} classes have"
        notes.append(f"{have} no text at all: {_listed(absent, names)}.")
    return notes


def _listed(labels: Collection[int], names: Sequence[str]) -> str:
    shown = ", ".join(f"'{names[label]}'" for label in sorted(labels)[:5])
    return shown + (", ..." if len(labels) > 5 else "")

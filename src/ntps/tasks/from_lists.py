"""Tasks from Python lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ntps.errors import InputError
from ntps.tasks.build import LoadOptions, build_task
from ntps.tasks.sources.source import Source
from ntps.tasks.sources.table import Table
from ntps.tasks.task import Task


def task_from_lists(
    texts: Iterable[str],
    labels: Iterable[object],
    *,
    test_texts: Iterable[str] | None = None,
    test_labels: Iterable[object] | None = None,
    groups: Iterable[object] | None = None,
    test_groups: Iterable[object] | None = None,
    label_names: Sequence[str] | None = None,
    name: str = "memory",
) -> Task:
    """Makes a task of texts and labels at hand, by the same rules as for files.

    Args:
        texts: The texts to score.
        labels: A label for each: class numbers or names, decimals for regression, lists for several labels. Arrays and
            tensors will do.
        test_texts: Texts for held-out figures.
        test_labels: Their labels.
        groups: The group of each text, such as its author: texts of one group belong together.
        test_groups: The groups of the test texts; one that training texts have too is the same.
        label_names: Names of the classes, in the order of their numbers.
        name: What to call the task.

    Raises:
        InputError: The lists differ in length, or their contents are no texts and labels.

    Examples:
        >>> task = ntps.task_from_lists(["a good day", "a bad day", "good"], ["good", "bad", "good"])
        >>> task.label_names, task.class_counts(task.train)
        (('bad', 'good'), (1, 2))
    """
    if (test_texts is None) != (test_labels is None):
        raise InputError("test_texts and test_labels belong together: give both or neither.")
    if test_groups is not None and (groups is None or test_texts is None):
        raise InputError("test_groups are the groups of test_texts, beside groups: give all three, or leave them out.")
    tables = {"train": _table(f"{name} (train)", texts, labels, groups)}
    if test_texts is not None and test_labels is not None:
        tables["test"] = _table(f"{name} (test)", test_texts, test_labels, test_groups)
    names = tuple(label_names) if label_names is not None else None
    source = Source("memory", tuple(tables), tables.__getitem__, text=("text",), label="label", label_names=names)
    return build_task(name, source, LoadOptions(group_column=None if groups is None else "group"))


def _table(origin: str, texts: Iterable[str], labels: Iterable[object], groups: Iterable[object] | None) -> Table:
    columns: dict[str, list[object]] = {"text": list(texts), "label": [_plain(label) for label in labels]}
    if groups is not None:
        columns["group"] = [_plain(group) for group in groups]
    for name, values in columns.items():
        if len(values) != len(columns["text"]):
            raise InputError(f"{origin} has {len(columns['text'])} texts but {len(values)} {name}s: give one each.")
    if not columns["text"]:
        raise InputError(f"{origin} is empty: a task needs labelled texts.")
    return Table(origin, columns)


def _plain(label: object) -> object:
    """A label, or a group, without the wrappers of NumPy and torch."""
    if hasattr(label, "tolist"):
        return label.tolist()
    return list(label) if isinstance(label, tuple) else label

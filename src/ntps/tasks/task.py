"""What a task is: labelled texts, their targets, and where they came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

TargetKind = Literal["classes", "multilabel", "regression"]


@dataclass(frozen=True)
class Split:
    """One part of a task, after its filters.

    Attributes:
        name: Name of the split in its source, such as ``train``.
        texts: The texts, none of them empty, length n.
        labels: ``(n,)`` int64 class indices, or ``(n, c)`` float64 for multi-label and regression tasks.
        dropped: All other rows that it has in its source, by the reason why they are not used, such as
            ``{"empty text": 3}``.
        groups: ``(n,)`` the number of each text's group, if it is known which texts belong together. Numbers mean the
            same in both splits of a task: those of the training texts count from 0 on, as they first appear, and
            those that only test texts have go on from there.
    """

    name: str
    texts: Sequence[str]
    labels: NDArray[np.int64] | NDArray[np.float64]
    dropped: Mapping[str, int] = field(default_factory=dict)
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the ordered texts and labels, with their groups if there are any, in hexadecimal."""
        columns: list[Sequence[object]] = [self.texts, self.labels.tolist()]
        if self.groups is not None:
            columns.append(by_appearance(self.groups).tolist())
        return _digest(map(list, zip(*columns, strict=True)))

    @cached_property
    def texts_fingerprint(self) -> str:
        """SHA-256 over the ordered texts alone, in hexadecimal."""
        return _digest(self.texts)

    @property
    def group_count(self) -> int | None:
        """Number of groups, if they are known."""
        return None if self.groups is None else len(np.unique(self.groups))

    @cached_property
    def kept_together(self) -> NDArray[np.int64] | None:
        """``(n,)`` numbers of the parts that no fold may cut, from 0 on; None where every text stands alone.

        Texts of one group and texts that are equal are of one part, and so is whatever they connect in a chain.
        """
        # SciPy, which comes with it, takes longer to load than most tasks.
        from ntps.theory import joined_groups

        rows: dict[str, int] = {}
        equal = np.array([rows.setdefault(text, row) for row, text in enumerate(self.texts)], dtype=np.int64)
        if len(rows) == len(self) and self.group_count in (None, len(self)):
            return None
        return joined_groups(equal) if self.groups is None else joined_groups(equal, self.groups)


def by_appearance(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same groups, numbered from 0 on as they first appear."""
    _, first, places = np.unique(numbers, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[places]


def _digest(values: Iterable[object]) -> str:
    digest = hashlib.sha256()
    for value in values:
        digest.update(json.dumps(value, ensure_ascii=True).encode("ascii") + b"\n")
    return digest.hexdigest()


MOST_NAMES = 8
"""Labels that the representation of a task names."""


@dataclass(frozen=True)
class Task:
    """Labelled texts to score a model on.

    Attributes:
        id: The name, hub id or path as the user gave it.
        source: What the id was taken to be: ``file``, ``hub``, ``registry`` or ``embedded``, with details.
        revision: Commit of a hub dataset, or versions for the embedded task; None for local files.
        kind: What the labels are.
        label_names: Class names, or names of the outputs; length c.
        train: The split that is scored.
        test: The split for held-out figures, if there is one.
        notes: Choices made while loading, one sentence each (which columns were detected, and so on).
        selection: How the texts were chosen: columns, limit, seed, and so on; JSON types.

    Examples:
        >>> task = ntps.task_from_lists(["a good day", "a bad day"], ["good", "bad"])
        >>> task.kind, task.train.texts[0]
        ('classes', 'a good day')
        >>> task.targets(task.train.labels).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """

    id: str
    source: str
    revision: str | None
    kind: TargetKind
    label_names: tuple[str, ...]
    train: Split
    test: Split | None = None
    notes: tuple[str, ...] = ()
    selection: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        test = "" if self.test is None else f", {len(self.test):,} test texts"
        names = ", ".join(self.label_names[:MOST_NAMES]) + (" …" if len(self.label_names) > MOST_NAMES else "")
        return f"Task({self.id}: {len(self.train):,} training texts{test}, {self.kind} {names})"

    @property
    def shared_texts(self) -> int:
        """Test texts that are training texts too, but for blanks around them."""
        if self.test is None:
            return 0
        trained = {text.strip() for text in self.train.texts}
        return sum(text.strip() in trained for text in self.test.texts)

    @property
    def shared_groups(self) -> int:
        """Test texts whose group has training texts too."""
        if self.test is None or self.test.groups is None or self.train.groups is None:
            return 0
        return int(np.isin(self.test.groups, self.train.groups).sum())

    @property
    def outputs(self) -> int:
        """Width c of a target vector."""
        return len(self.label_names)

    def targets(self, labels: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Target vectors y of some labels.

        Args:
            labels: A selection of a split's ``labels``, ``(n,)`` or ``(n, c)``.

        Returns:
            ``(n, c)`` float64: one-hot rows for classes, the labels themselves otherwise.
        """
        if self.kind != "classes":
            return np.asarray(labels, dtype=np.float64)
        one_hot = np.zeros((len(labels), self.outputs))
        one_hot[np.arange(len(labels)), labels] = 1.0
        return one_hot

    def class_counts(self, split: Split) -> tuple[int, ...] | None:
        """Texts of each class in a split (or with each label set, for multi-label tasks); None for regression."""
        if self.kind == "regression":
            return None
        if self.kind == "classes":
            return tuple(np.bincount(split.labels.astype(np.int64), minlength=self.outputs).tolist())
        return tuple(int(count) for count in split.labels.sum(axis=0))

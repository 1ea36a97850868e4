"""The labels of a task's splits, before and after encoding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, compress

import numpy as np
from numpy.typing import NDArray

from ntps.errors import InputError
from ntps.tasks.sources.groups import group_numbers
from ntps.tasks.sources.rows import Rows
from ntps.tasks.sources.table import short
from ntps.tasks.task import Split, TargetKind


@dataclass(frozen=True)
class Labels:
    """The labels of all splits of a task, one split after the other: what they mean, they mean in each.

    Attributes:
        column: Name of the label column.
        splits: Usable rows by the name of their split, the scored one first.
        values: The labels, read as far as it goes.
    """

    column: str
    splits: Mapping[str, Rows]
    values: Sequence[object]

    @classmethod
    def of(cls, column: str, splits: Mapping[str, Rows]) -> Labels:
        """Labels as they stand in the tables."""
        return cls(column, splits, list(chain.from_iterable(rows.labels for rows in splits.values())))

    @property
    def origin(self) -> str:
        """What errors call the scored split."""
        return next(iter(self.splits.values())).table.origin

    def at(self, index: int) -> str:
        """Where a label stands, for an error message."""
        for rows in self.splits.values():
            if index < len(rows):
                return rows.at(index)
            index -= len(rows)
        raise IndexError(index)

    def read_as(self, values: Iterable[object]) -> Labels:
        """The same labels, read in another way."""
        return replace(self, values=list(values))

    def where(self, keep: Sequence[bool], reason: str) -> Labels:
        """The labels to keep; the rows of the others are counted as dropped for the given reason."""
        left = iter(keep)
        splits = {name: rows.where([next(left) for _ in rows.texts], reason) for name, rows in self.splits.items()}
        return Labels(self.column, splits, list(compress(self.values, keep)))


@dataclass(frozen=True)
class EncodedLabels:
    """Labels after encoding.

    Attributes:
        kind: What the labels turned out to be.
        names: Class names, or names of the outputs.
        splits: By name, with the rows that could not be used dropped and counted.
        notes: Choices to tell the user, one sentence each.
    """

    kind: TargetKind
    names: tuple[str, ...]
    splits: Mapping[str, Split]
    notes: tuple[str, ...] = ()


def encoded(
    kind: TargetKind,
    names: Sequence[str],
    labels: Labels,
    array: NDArray[np.int64] | NDArray[np.float64],
    notes: Iterable[str] = (),
) -> EncodedLabels:
    """Gives each split its texts, its part of the encoded labels, and its groups."""
    groups = group_numbers(labels.splits)
    splits, start = {}, 0
    for name, rows in labels.splits.items():
        splits[name] = Split(name, tuple(rows.texts), array[start : start + len(rows)], rows.dropped, groups[name])
        start += len(rows)
    return EncodedLabels(kind, tuple(names), splits, tuple(notes))


def mixed_types(labels: Labels, former: int, latter: int) -> InputError:
    """The error for two types of labels in one column, each by the index at which it first occurs."""
    return InputError(
        f"{labels.at(latter)}: label column '{labels.column}' mixes kinds, {short(labels.values[latter])} here and "
        f"{short(labels.values[former])} at {labels.at(former)}; write all labels the same way, and leave unknown ones "
        f"empty."
    )

"""What the labels of a task's parts became."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntps.errors import InputError
from ntps.tasks.sources.rows import Rows
from ntps.tasks.task import Split, TargetKind

Parts = Mapping[str, Rows]
"""Usable rows by the name of their split."""

LabelArray = NDArray[np.int64] | NDArray[np.float64]


@dataclass(frozen=True)
class Encoded:
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
    kind: TargetKind, names: Sequence[str], parts: Parts, labels: Sequence[LabelArray], notes: tuple[str, ...] = ()
) -> Encoded:
    """Puts the label arrays beside the texts of their parts."""
    splits = {
        name: Split(name, tuple(rows.texts), array, rows.dropped)
        for (name, rows), array in zip(parts.items(), labels, strict=True)
    }
    return Encoded(kind, tuple(names), splits, notes)


def short(value: object) -> str:
    """A value as errors show it."""
    try:
        shown = repr(value)
    except ValueError:  # a whole number with more digits than Python writes
        shown = "a number of thousands of digits"
    return shown if len(shown) <= 40 else f"{shown[:37]}..."


def mixed(column: str, former: tuple[str, object], latter: tuple[str, object]) -> InputError:
    """The error for two kinds of labels in one column, each as the place and the value where it first occurs."""
    return InputError(
        f"{latter[0]}: label column '{column}' mixes kinds, {short(latter[1])} here and {short(former[1])} at "
        f"{former[0]}; write all labels the same way, and leave unknown ones empty."
    )

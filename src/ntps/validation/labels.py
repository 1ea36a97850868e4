"""The labels that probes are validated on, and which texts are left out together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from ntps import theory
from ntps.tasks.task import Split, TargetKind, Task

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

REPEATED = 2000
"""Up to so many texts, folds are dealt several times: with few texts, accuracy depends on how they fall."""
REPEATS = 3


@dataclass(frozen=True)
class Labels:
    """Labels of some texts.

    Attributes:
        kind: What the labels are.
        targets: Target vectors y.
        groups: Numbers of groups that are left out whole; each text is one by default.
        digests: By which equal texts are found in other sets of texts, where they are known.
    """

    kind: TargetKind
    targets: Float64[Array, "texts outputs"]
    groups: Int64[Ids, " texts"] | None = None
    digests: Int64[Ids, " texts"] | None = None

    @classmethod
    def of(cls, task: Task, split: Split) -> Labels:
        """The labels of a split; texts that are equal are left out together."""
        digests = np.fromiter(map(_digest, split.texts), dtype=np.int64, count=len(split))
        return cls(task.kind, task.targets(split.labels), split.kept_together, digests)

    @classmethod
    def of_arrays(cls, kind: TargetKind, read: Callable[[str], NDArray[Any] | None]) -> Labels | None:
        """What :meth:`to_arrays` gave, read by name; None if it is not there."""
        targets = read("targets")
        return None if targets is None else cls(kind, targets, read("groups"), read("digests"))

    @classmethod
    def joined(cls, parts: Sequence[Labels]) -> Labels:
        """The labels of several sets of texts: equal texts of any are left out together, other groups stay apart."""
        groups, offset = [], 0
        for part in parts:
            own = np.arange(len(part)) if part.groups is None else part.groups
            groups.append(own + offset)
            offset += int(own.max(initial=-1)) + 1
        whole = np.concatenate(groups)
        known = [part.digests for part in parts if part.digests is not None]
        digests = np.concatenate(known) if len(known) == len(parts) else None
        if digests is not None:
            whole = theory.joined_groups(whole, np.unique(digests, return_inverse=True)[1].reshape(-1))
        alone = len(np.unique(whole)) == len(whole)
        targets = np.concatenate([part.targets for part in parts])
        return cls(parts[0].kind, targets, None if alone else whole, digests)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, to be kept in files."""
        arrays = {"targets": self.targets, "groups": self.groups, "digests": self.digests}
        return {name: array for name, array in arrays.items() if array is not None}

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, sample: Int64[Ids, " sample"]) -> Labels:
        """Those of some texts."""
        groups, digests = (None if each is None else each[sample] for each in (self.groups, self.digests))
        return Labels(self.kind, self.targets[sample], groups, digests)

    @cached_property
    def units(self) -> int:
        """How many texts or groups stand for themselves."""
        return len(self) if self.groups is None else len(np.unique(self.groups))

    @cached_property
    def parts(self) -> Int64[Ids, " texts"] | None:
        """The groups, numbered from 0 on without gaps."""
        if self.groups is None:
            return None
        return np.asarray(np.unique(self.groups, return_inverse=True)[1].reshape(-1), dtype=np.int64)

    @cached_property
    def classes(self) -> Int64[Ids, " texts"]:
        """Indices of the classes."""
        return np.asarray(self.targets.argmax(axis=1), dtype=np.int64)

    @property
    def raw(self) -> Ids | Array:
        """Indices of the classes, or the target vectors themselves."""
        return self.classes if self.kind == "classes" else self.targets

    @cached_property
    def strata(self) -> Int64[Ids, " texts"]:
        """What folds are alike in: classes, the rarest label of each set, or the size of the first number."""
        if self.kind == "classes":
            return self.classes
        return (
            theory.set_strata(self.targets) if self.kind == "multilabel" else theory.number_strata(self.targets[:, 0])
        )

    @cached_property
    def folds(self) -> list[Int64[Ids, " texts"]]:
        """The fold of each text, as often as folds are dealt."""
        repeats = REPEATS if self.kind == "classes" and len(self) <= REPEATED else 1
        return [theory.stratified_folds(self.strata, self.parts, seed=seed) for seed in range(repeats)]

    @cached_property
    def draws(self) -> Float64[Array, "draws texts"]:
        """How often each text is drawn, for intervals: the same draws for all probes, which makes them comparable."""
        return theory.draw_texts(len(self), self.parts, seed=0)


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], signed=True)


def seeded_sample(texts: int, most: int) -> Int64[Ids, " sample"]:
    """Ascending indices of at most so many texts, the same on every machine; all of them where they are no more."""
    if texts <= most:
        return np.arange(texts)
    return np.sort(np.random.default_rng(0).choice(texts, size=most, replace=False))

"""Splitting and sampling, repeatable on every machine."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ntps.tasks.task import Split, TargetKind

TEST_SHARE = 0.3
SPLIT_SEED = 42


def hold_out(whole: Split, kind: TargetKind) -> tuple[Split, Split]:
    """Splits 70/30 with seed 42; classes keep their shares.

    Returns:
        The train and the test part, each in the order of the source.
    """
    groups = [np.arange(len(whole))]
    if kind == "classes":
        order = np.argsort(whole.labels, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(whole.labels[order])) + 1)
    chooser = random.Random(SPLIT_SEED)
    test: list[int] = []
    for group in groups:
        test += chooser.sample(group.tolist(), round(TEST_SHARE * len(group)))
    train = sorted(set(range(len(whole))) - set(test))
    kept = without(take(replace(whole, name="train"), train), "held out", len(test))
    return kept, take(Split("test", whole.texts, whole.labels), sorted(test))


def limited(split: Split, limit: int | None, first: bool, seed: int) -> Split:
    """At most ``limit`` texts of a split: a prefix, or a sample in the order of the source."""
    if limit is None or limit >= len(split):
        return split
    rows = range(limit) if first else sorted(random.Random(seed).sample(range(len(split)), limit))
    return without(take(split, rows), "beyond the limit", len(split) - limit)


def without(split: Split, reason: str, count: int, more: Mapping[str, int] | None = None) -> Split:
    """A split that counts rows which are not among its own for one more reason."""
    return replace(split, dropped={**(split.dropped if more is None else more), reason: count})


def take(split: Split, rows: Sequence[int]) -> Split:
    """Some rows of a split."""
    texts = tuple(split.texts[row] for row in rows)
    return replace(split, texts=texts, labels=split.labels[np.asarray(rows, dtype=np.intp)])

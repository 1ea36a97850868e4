"""Splitting and sampling, repeatable on every machine."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ntps.tasks.task import Split, TargetKind, by_appearance

TEST_SHARE = 0.3
SPLIT_SEED = 42


def hold_out(whole: Split, kind: TargetKind) -> tuple[Split, Split]:
    """Splits 70/30 with seed 42; classes keep their shares, and groups that are known stay whole.

    Returns:
        The train and the test part, each in the order of the source.
    """
    parts = None if whole.groups is None else whole.kept_together
    if parts is None:
        parts = np.arange(len(whole))
    # The first text of a part stands for it.
    order = np.unique(parts, return_index=True)[1]
    strata = [order]
    if kind == "classes":
        order = order[np.argsort(whole.labels[order], kind="stable")]
        strata = np.split(order, np.flatnonzero(np.diff(whole.labels[order])) + 1)
    chooser = random.Random(SPLIT_SEED)
    chosen: list[int] = []
    for stratum in strata:
        chosen += chooser.sample(stratum.tolist(), round(TEST_SHARE * len(stratum)))
    held_out = np.isin(parts, parts[chosen])
    test = take(replace(whole, name="test", dropped={}), np.flatnonzero(held_out).tolist())
    train = take(replace(whole, name="train"), np.flatnonzero(~held_out).tolist())
    return without(train, "held out", len(test)), test


def limited(split: Split, limit: int | None, first: bool, seed: int, nested: bool = False) -> Split:
    """At most ``limit`` texts of a split: a prefix, or a sample in the order of the source.

    Nested samples are the beginnings of one order of all texts, so that each is part of every larger one.
    """
    if limit is None or limit >= len(split):
        return split
    drawn = len(split) if nested else limit
    rows = range(limit) if first else sorted(random.Random(seed).sample(range(len(split)), drawn)[:limit])
    return without(take(split, rows), "beyond the limit", len(split) - limit)


def without(split: Split, reason: str, count: int, more: Mapping[str, int] | None = None) -> Split:
    """A split that counts rows which are not among its own for one more reason."""
    return replace(split, dropped={**(split.dropped if more is None else more), reason: count})


def take(split: Split, rows: Sequence[int]) -> Split:
    """Some rows of a split."""
    texts = tuple(split.texts[row] for row in rows)
    places = np.asarray(rows, dtype=np.intp)
    groups = None if split.groups is None else split.groups[places]
    return replace(split, texts=texts, labels=split.labels[places], groups=groups)


def number_groups(train: Split, test: Split | None) -> tuple[Split, Split | None]:
    """Numbers the groups of both splits as :class:`Split` says, whatever their numbers were."""
    if train.groups is None:
        return train, test
    if test is None or test.groups is None:
        return replace(train, groups=by_appearance(train.groups)), test
    numbers = by_appearance(np.concatenate((train.groups, test.groups)))
    return replace(train, groups=numbers[: len(train)]), replace(test, groups=numbers[len(train) :])

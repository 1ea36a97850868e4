"""Folds for cross-validation: alike in their labels, and no text of one group on both sides."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from ntps.theory.factor import Array
from ntps.theory.ridge import Ids

FOLDS = 10


def stratified_folds(
    strata: Int64[Ids, " texts"], groups: Int64[Ids, " texts"] | None = None, *, seed: int, folds: int = FOLDS
) -> Int64[Ids, " texts"]:
    """Deals texts to folds, group by group, each to the fold that has fewest of its strata so far.

    Groups of several texts are dealt first, the largest ones leading; the others stratum by stratum, so that the folds'
    shares of a stratum, and where no group has several texts also their sizes, differ by at most one text.

    Strata with fewer texts than folds are dealt as one. A class that happens to be frequent among a few texts is
    preferred by the probe, and were its share the same in every fold, that would look like merit: with 77 classes in
    400 texts, accuracy came out 3.6 points too high.

    Args:
        strata: Numbers from 0 on: the class, or :func:`number_strata` or :func:`set_strata`.
        groups: Numbers of groups that are left out whole; each text is one by default.
        seed: Decides among equals; another one gives other folds.
        folds: How many, at least two; fewer where there are fewer groups, or where no stratum has as many texts: a fold
            without its share of the classes would meet a probe that has seen too much of the others.

    Returns:
        Fold of each text, every fold with at least one text: the same on every machine.

    Raises:
        ValueError: There are fewer than two groups, so nothing can be left out.
    """
    identity = _compact(np.arange(len(strata)) if groups is None else groups)
    sizes = np.bincount(identity)
    if len(sizes) < 2:
        raise ValueError("cross-validation needs at least two groups of texts")
    compact = _compact(strata)
    count = min(folds, len(sizes), max(2, np.bincount(compact).max()))
    compact = _pooled(compact, count)
    random = np.random.default_rng(seed).random(len(sizes))
    first = np.full(len(sizes), compact.max(initial=0))
    np.minimum.at(first, identity, compact)
    frequency = np.bincount(compact)
    members = np.split(compact[np.argsort(identity, kind="stable")], np.cumsum(sizes)[:-1])
    counts = np.zeros((count, len(frequency)))
    totals = np.zeros(count)
    dealt = np.empty(len(sizes), dtype=np.int64)
    for group in np.lexsort((random, first, -sizes)):
        inside = members[group]
        # The change in Σ (texts of the stratum in the fold)² / (texts of the stratum), but for what all folds share.
        crowding = (counts[:, inside] / frequency[inside]).sum(axis=1)
        fold = np.lexsort((totals, crowding))[0] if totals.all() else totals.argmin()
        dealt[group] = fold
        totals[fold] += len(inside)
        np.add.at(counts[fold], inside, 1)
    return np.asarray(dealt[identity])


def number_strata(values: Float64[Array, " texts"], folds: int = FOLDS) -> Int64[Ids, " texts"]:
    """Strata of numbers: in the order of size, every ``folds`` texts are one, of which each fold gets one."""
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks // folds


def set_strata(sets: Float64[Array, "texts labels"]) -> Int64[Ids, " texts"]:
    """Strata of label sets: the rarest label of a text, which is the one that folds could miss."""
    present = sets > 0.5
    frequency = np.where(present, present.sum(axis=0), len(sets) + 1)
    return np.asarray(np.where(present.any(axis=1), frequency.argmin(axis=1), sets.shape[1]))


def joined_groups(*partitions: Int64[Ids, " texts"]) -> Int64[Ids, " texts"]:
    """The finest groups that none of several partitions cuts: texts of one author, say, and texts that are duplicates.

    Args:
        partitions: Each the numbers of groups.

    Returns:
        Numbers from 0 on: texts that are connected through any chain of groups have the same one.
    """
    numbered = [_compact(partition) for partition in partitions]
    joined = np.arange(len(partitions[0]))
    while True:
        before = joined
        for partition in numbered:
            first = np.full(int(partition.max()) + 1, len(joined))
            np.minimum.at(first, partition, joined)
            joined = first[partition]
        # Each number is that of an earlier text of the same group, whose own may be lower yet: chains halve.
        joined = joined[joined]
        if np.array_equal(joined, before):
            return _compact(joined)


def _pooled(strata: Int64[Ids, " texts"], least: int) -> Int64[Ids, " texts"]:
    """The strata, numbered from 0 on, with all that have fewer texts than ``least`` as one."""
    frequency = np.bincount(strata)
    return _compact(np.where(frequency[strata] < least, len(frequency), strata))


def _compact(ids: Int64[Ids, " texts"]) -> Int64[Ids, " texts"]:
    """The same partition, numbered from 0 on."""
    return np.asarray(np.unique(ids, return_inverse=True)[1].reshape(-1))

"""Which texts share a batch, and which batches a process runs: decided once, so that runs repeat bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

Batch = Int64[NDArray[np.int64], " batch"]
"""Indices of texts."""


def plan_batches(lengths: Int64[NDArray[np.int64], " texts"], tokens_per_batch: int) -> list[Batch]:
    """Sorts texts by length, longest first, and fills batches up to a budget of padded tokens.

    Longest first, so that a run that is too large for the memory fails at once and the time left is never
    underestimated.

    Args:
        lengths: Tokens of each text.
        tokens_per_batch: Budget; a text that is longer gets a batch of its own.

    Returns:
        Batches that cover every text exactly once.
    """
    order = np.argsort(-lengths, kind="stable")
    batches = []
    start = 0
    while start < len(order):
        size = max(1, tokens_per_batch // int(lengths[order[start]]))
        batches.append(order[start : start + size])
        start += size
    return batches


@dataclass(frozen=True)
class Shard:
    """The batches of a plan that one of several processes runs.

    Every ``world``-th one, because neighbours in the plan cost about the same. They are the batches of one process
    alone: whoever runs them, the model returns the same states.

    Attributes:
        rank: Which process.
        world: How many there are.
        merged_batches: Numbers of batches that are in the sums of the first process already, ascending.
    """

    rank: int = 0
    world: int = 1
    merged_batches: tuple[int, ...] = ()

    def numbers(self, batches: int) -> Int64[NDArray[np.int64], " shard"]:
        """Numbers of its batches among so many."""
        left = np.setdiff1d(np.arange(batches), self.merged_batches, assume_unique=True)
        return left[self.rank :: self.world]

    def of(self, batches: Sequence[Batch]) -> list[Batch]:
        """Its batches."""
        return [batches[number] for number in self.numbers(len(batches))]


ALL = Shard()
"""The shard of a process that is alone."""


def cut(batch: Batch, lengths: Int64[NDArray[np.int64], " texts"], largest: int | None) -> list[Batch]:
    """A batch in parts of at most so many padded tokens, or of one text."""
    if largest is None or len(batch) * int(lengths[batch].max()) <= largest:
        return [batch]
    parts = plan_batches(lengths[batch], largest)
    return [batch[part] for part in parts]

"""Which texts a step sees, and how they reach the model: in groups of similar length, so that little is padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray

from ntps.forward.batch_plan import plan_batches
from ntps.models.tokenizing.tokens import TokenizedTexts
from ntps.tasks.task import Split, Task
from ntps.training.loss import label_tensor
from ntps.validation.labels import Labels


def text_order(texts: int, draws: int, seed: int) -> list[int]:
    """The first draws of an endless sequence of random permutations.

    Every step takes the next texts of it, however they are spread over processes and parts.

    Args:
        texts: Number of texts n.
        draws: How many to draw.
        seed: Seed of the permutations.
    """
    rng = np.random.default_rng(seed)
    rounds = [rng.permutation(texts) for _ in range(-(-draws // texts))]
    order: list[int] = np.concatenate(rounds)[:draws].tolist()
    return order


@dataclass(frozen=True, eq=False)
class Collator:
    """Makes tensors of some texts of a split, or of a part of it.

    Attributes:
        task: The task.
        split: The split.
        tokens: Tokens of the split.
        pad_id: Fills the rows of a group.
        tokens_per_batch: Padded tokens of a group, unless one text alone has more.
        part: Which texts of the split there are, and count from 0 on; all by default.
    """

    task: Task
    split: Split
    tokens: TokenizedTexts
    pad_id: int
    tokens_per_batch: int
    part: Int64[NDArray[np.int64], " part"] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def rows(self) -> Int64[NDArray[np.int64], " part"]:
        """Where the texts stand in the split."""
        return np.arange(len(self.split)) if self.part is None else self.part

    @cached_property
    def lengths(self) -> Int64[NDArray[np.int64], " part"]:
        """Tokens of each text."""
        return self.tokens.lengths[self.rows]

    @cached_property
    def labels(self) -> Labels:
        """Labels of the texts."""
        return Labels.of(self.task, self.split).take(self.rows)

    def __call__(self, texts: Sequence[int]) -> dict[str, Any]:
        """``ids`` and ``lengths``: one tensor a group, longest texts first; ``labels`` in the same order."""
        chosen = self.rows[np.asarray(texts, dtype=np.int64)]
        groups = [chosen[part] for part in plan_batches(self.tokens.lengths[chosen], self.tokens_per_batch)]
        return {
            "ids": [torch.as_tensor(self.tokens.padded(group, self.pad_id)) for group in groups],
            "lengths": [torch.as_tensor(self.tokens.lengths[group]) for group in groups],
            "labels": label_tensor(self.split.labels[np.concatenate(groups)], self.task.kind),
        }

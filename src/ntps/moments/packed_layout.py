"""Where the tokens of a padded batch stand, and in which order the statistics take them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from numpy.typing import NDArray
from torch import Tensor

from ntps.errors import InputError

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """The packed order of a ragged batch: step by step through time, longest text first within a step.

    In this order the texts that still go on at a step are the first rows of the step before, so prefix sums are one
    addition of whole blocks a step, whatever the lengths; and states that follow a prefix are all rows after the
    first step.

    Attributes:
        shape: Texts and width of the padded batch.
        rows: Position in the flattened batch of each token, in packed order.
        sizes: Texts that have a token at each step.
        final: Packed row of each text's last token, texts in the order of the batch.
        before_final: Row of its last prefix among the prefixes; -1 for texts of one token.
        lengths: Tokens of each text.
    """

    shape: tuple[int, int]
    rows: Int64[Tensor, " tokens"]
    sizes: tuple[int, ...]
    final: Int64[Tensor, " texts"]
    before_final: Int64[Tensor, " texts"]
    lengths: Int64[Tensor, " texts"]

    @property
    def tokens(self) -> int:
        """Real tokens."""
        return len(self.rows)

    def to(self, device: torch.device) -> Layout:
        """The same layout with its indices on a device."""
        if self.rows.device == device:
            return self
        moved = (index.to(device) for index in (self.rows, self.final, self.before_final, self.lengths))
        rows, final, before_final, lengths = moved
        return Layout(self.shape, rows, self.sizes, final, before_final, lengths)

    @classmethod
    def of_mask(cls, mask: Shaped[Tensor, "texts width"]) -> Layout:
        """Layout of a padded batch from its mask, which is true at real tokens.

        Raises:
            InputError: A row has no real token, or real tokens on both sides of padding.
        """
        real = mask.cpu().numpy()
        if not ((real == 0) | (real == 1)).all():
            raise InputError("mask has values besides 0 and 1: give 1 (or true) at real tokens and 0 elsewhere")
        real = real.astype(bool)
        # A row is contiguous when it has exactly one step from padding to text.
        starts = real[:, :1].sum(axis=1) + (real[:, 1:] & ~real[:, :-1]).sum(axis=1)
        if not (starts == 1).all():
            row = int(np.flatnonzero(starts != 1)[0])
            raise InputError(f"mask row {row} has no real token, or real tokens on both sides of padding")
        return cls.of_lengths(real.sum(axis=1), real.shape[1], real.argmax(axis=1)).to(mask.device)

    @classmethod
    def of_lengths(
        cls, lengths: Int64[Index, " texts"], width: int, first: Int64[Index, " texts"] | None = None
    ) -> Layout:
        """Layout of texts of some lengths in a batch of some width.

        Args:
            lengths: Tokens of each text, at least one.
            width: Columns of the batch.
            first: Column of each text's first token; 0 by default.
        """
        order = np.argsort(-lengths, kind="stable")
        steps = np.arange(int(lengths.max()))
        sizes = np.searchsorted(-lengths[order], -steps, side="left")
        # Row r of step t is text order[r].
        step = np.repeat(steps, sizes)
        offsets = np.concatenate(([0], np.cumsum(sizes)))
        rank = np.arange(len(step)) - offsets[step]
        text = order[rank]
        column = step if first is None else step + first[text]
        ranks = np.empty_like(order)
        ranks[order] = np.arange(len(order))
        # Prefix c_t stands where x_{t+1} stands, counted without the first step.
        final = offsets[lengths - 1] + ranks
        before_final = np.where(lengths > 1, final - len(lengths), -1)
        indices = (torch.from_numpy(index) for index in (text * width + column, final, before_final))
        rows, final_rows, before = indices
        return cls((len(lengths), width), rows, tuple(sizes.tolist()), final_rows, before, torch.from_numpy(lengths))

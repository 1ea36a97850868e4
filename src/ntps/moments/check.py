"""The start-up check: does a padded batch give what its texts give one by one?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ntps.models import LanguageModel, TokenizedTexts
from ntps.moments.memory import explained_memory

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""Largest relative difference of hidden states that is rounding, by dtype."""

CAUSAL_TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6, torch.float16: 1e-4, torch.bfloat16: 1e-3}
"""Largest relative change of earlier states under other later tokens, by dtype.

Much smaller, because both batches have one shape and so the same rounding: causal models change by exactly nothing.
"""

CHECK_TEXTS = 4
CHECK_TOKENS = 64
PADDING = 2


@dataclass(frozen=True)
class BatchingCheck:
    """What batching does to the hidden states of real tokens.

    Attributes:
        causal: Whether padding on the right leaves real tokens alone without a mask.
        deviation: Largest relative difference between batched and single texts, batched as the pass will be.
        tolerance: What counts as rounding in the model's dtype.
    """

    causal: bool
    deviation: float
    tolerance: float

    @property
    def passes(self) -> bool:
        """Whether the pass gives what single texts give, up to rounding; never for NaN."""
        return self.deviation <= self.tolerance


def check_batching(model: LanguageModel, tokens: TokenizedTexts, layers: Collection[int]) -> BatchingCheck:
    """Finds out whether later tokens change earlier states, and runs a few texts in one padded batch and one by one.

    Args:
        model: The model.
        tokens: Texts to choose from; the beginnings of a few of them are used.
        layers: Layers to compare.
    """
    longest = CHECK_TOKENS if model.context is None else max(1, min(CHECK_TOKENS, model.context - PADDING))
    by_length = np.argsort(tokens.lengths, kind="stable")
    chosen = by_length[np.unique(np.linspace(0, len(by_length) - 1, CHECK_TEXTS).astype(int))]
    rows = [tokens.padded(np.array([text]), model.pad_id)[0, :longest] for text in chosen]
    causal = _is_causal(model, rows[-1], max(layers))
    # More columns than the longest has, so that every row has padding.
    width = max(len(row) for row in rows) + PADDING
    ids = np.full((len(rows), width), model.pad_id)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    alone = [_states(model, torch.as_tensor(row)[None], None, layers) for row in rows]
    batched = _states(model, torch.as_tensor(ids), None if causal else torch.as_tensor(mask), layers)
    return BatchingCheck(causal, _deviation(batched, alone), TOLERANCE[model.dtype])


def _is_causal(model: LanguageModel, text: NDArray[np.int64], layer: int) -> bool:
    """Whether the states of a text's first half stay what they are when all later tokens are others."""
    kept = (len(text) + 1) // 2
    ids = np.stack([np.append(text, [model.pad_id] * PADDING)] * 2)
    ids[1, kept:] = (ids[1, kept:] + 1) % model.vocabulary
    first, second = (_states(model, torch.as_tensor(row)[None], None, [layer])[0][:, :kept] for row in ids)
    return _deviation([second], [[first]]) <= CAUSAL_TOLERANCE[model.dtype]


def _states(model: LanguageModel, ids: Tensor, mask: Tensor | None, layers: Collection[int]) -> list[Tensor]:
    seen: list[Tensor] = []
    device = model.device
    with explained_memory(len(ids), ids.numel()):
        model.visit_layers(
            ids.to(device),
            None if mask is None else mask.to(device),
            layers,
            lambda _layer, hidden: seen.append(hidden.to("cpu", torch.float64)),
        )
    return seen


def _deviation(batched: list[Tensor], alone: list[list[Tensor]]) -> float:
    worst = 0.0
    for row, states in enumerate(alone):
        for together, single in zip(batched, states, strict=True):
            difference = together[row, : single.shape[1]] - single[0]
            deviation = float(difference.norm() / single.norm().clamp(min=1e-300))
            if not np.isfinite(deviation):
                return float("nan")
            worst = max(worst, deviation)
    return worst

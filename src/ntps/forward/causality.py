"""The start-up check: does a padded batch give what its texts give one by one?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from numpy.typing import NDArray
from torch import Tensor

from ntps.forward.batch_plan import Batch, plan_batches
from ntps.forward.out_of_memory import OutOfMemory, explained_memory
from ntps.models.model import LanguageModel
from ntps.models.quiet import quiet_transformers
from ntps.models.tokenizing.tokens import TokenizedTexts

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""Largest relative difference of hidden states that is rounding, by dtype."""

CAUSAL_TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6, torch.float16: 1e-4, torch.bfloat16: 1e-3}
"""Largest relative change of earlier states under other later tokens, by dtype.

Much smaller, because both batches have one shape and so the same rounding: causal models change by exactly nothing.
"""

CHECK_TOKENS = 256
"""Padded tokens of a batch that are compared, or two texts where these are more."""
COMPARED_TOKENS = 64
"""Tokens of a text whose states are compared."""
CAUSAL_TOKENS, PADDING = 64, 2


@dataclass(frozen=True)
class BatchingCheck:
    """What batching does to the hidden states of real tokens.

    Attributes:
        causal: Whether padding on the right leaves real tokens alone without a mask.
        deviation: Largest relative difference between batched and single texts, batched as the pass will be.
        tolerance: What counts as rounding in the model's dtype.
        texts: How many texts were compared; none where every text is a batch of its own.
        longest: Tokens of the longest of them.
    """

    causal: bool
    deviation: float
    tolerance: float
    texts: int = 0
    longest: int = 0

    @property
    def passes(self) -> bool:
        """Whether the pass gives what single texts give, up to rounding; never for NaN."""
        return self.deviation <= self.tolerance


@quiet_transformers()
def check_batching(
    model: LanguageModel, tokens: TokenizedTexts, layers: Collection[int], tokens_per_batch: int
) -> BatchingCheck:
    """Finds out whether later tokens change earlier states, and compares texts in batches of the pass with them alone.

    Of the batch with the longest texts and of the one with most padding, a few texts run together, as wide as the batch
    is, and then one by one: windows and chunks inside a model show only at full length. That costs at most the tokens
    of two batches, twice.

    Args:
        model: The model.
        tokens: Texts of the pass.
        layers: Layers to compare.
        tokens_per_batch: Budget of a batch of the pass.
    """
    longest = CAUSAL_TOKENS if model.context is None else max(1, min(CAUSAL_TOKENS, model.context - PADDING))
    lengths = tokens.lengths
    causal = _is_causal(model, tokens.padded(np.array([lengths.argmax()]), model.pad_id)[0, :longest], max(layers))
    deviations, compared = [0.0], np.array([], dtype=np.int64)
    for batch in _telling(plan_batches(lengths, tokens_per_batch), lengths):
        ids = torch.as_tensor(tokens.padded(batch, model.pad_id))
        mask = None if causal else (torch.arange(ids.shape[1]) < torch.as_tensor(lengths[batch])[:, None]).long()
        places = [_places(int(length)) for length in lengths[batch]]
        try:
            together = _states(model, ids, mask, layers, places)
        except OutOfMemory:  # the pass will cut such a batch
            continue
        for row, place in enumerate(places):
            alone = _states(model, ids[row : row + 1, : lengths[batch[row]]], None, layers, [place])
            deviations.append(_deviation([rows[row] for rows in together], [rows[0] for rows in alone]))
        compared = np.append(compared, batch)
    return BatchingCheck(
        causal,
        float(np.max(deviations)),  # NaN, if there is one
        TOLERANCE[model.dtype],
        len(compared),
        int(lengths[compared].max(initial=0)),
    )


def _telling(plan: list[Batch], lengths: Int64[NDArray[np.int64], " texts"]) -> list[Batch]:
    """Parts of the first batch and of the one with most padding, from their longest text to their shortest."""
    padding = [len(batch) * int(lengths[batch].max()) - int(lengths[batch].sum()) for batch in plan]
    parts = []
    for number in sorted({0, int(np.argmax(padding))}):
        batch = plan[number]
        count = max(2, CHECK_TOKENS // int(lengths[batch].max()))
        if len(batch) > 1:
            parts.append(batch[np.unique(np.linspace(0, len(batch) - 1, count).astype(int))])
    return parts


def _is_causal(model: LanguageModel, text: Int64[NDArray[np.int64], " tokens"], layer: int) -> bool:
    """Whether the states of a text's first half stay what they are when all later tokens are others."""
    kept = (len(text) + 1) // 2
    ids = np.stack([np.append(text, [model.pad_id] * PADDING)] * 2)
    ids[1, kept:] = (ids[1, kept:] + 1) % model.vocabulary
    first, second = (_states(model, torch.as_tensor(row)[None], None, [layer], [_places(kept)])[0] for row in ids)
    return _deviation(second, first) <= CAUSAL_TOLERANCE[model.dtype]


def _places(length: int) -> Int64[Tensor, " places"]:
    """Tokens of a text to compare: the states of all tokens at all layers may not fit the memory."""
    return torch.linspace(0, length - 1, min(length, COMPARED_TOKENS)).long()


def _states(
    model: LanguageModel,
    ids: Int64[Tensor, "batch width"],
    mask: Int64[Tensor, "batch width"] | None,
    layers: Collection[int],
    places: list[Int64[Tensor, " places"]],
) -> list[list[Float64[Tensor, "places dims"]]]:
    """The states of some tokens of each text, by layer."""
    seen: list[list[Tensor]] = []
    device = model.device

    def sink(_layer: int, hidden: Tensor) -> None:
        chosen = [row[place.to(row.device)] for row, place in zip(hidden, places, strict=True)]
        seen.append([states.to("cpu", torch.float64) for states in chosen])

    with explained_memory(len(ids), ids.numel()):
        model.visit_layers(ids.to(device), None if mask is None else mask.to(device), layers, sink)
    return seen


def _deviation(batched: list[Float64[Tensor, "places dims"]], alone: list[Float64[Tensor, "places dims"]]) -> float:
    """Largest relative difference over layers; NaN where states are not finite."""
    changes = [
        float((together - single).norm() / single.norm().clamp(min=1e-300))
        for together, single in zip(batched, alone, strict=True)
    ]
    return float(np.max(changes)) if np.isfinite(changes).all() else float("nan")

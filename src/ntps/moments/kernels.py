"""Statistics of one ragged batch of hidden states, without a loop over texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from numpy.typing import NDArray
from torch import Tensor

from ntps.moments.buffers import Workspace
from ntps.moments.packed_layout import Layout
from ntps.options.passes import Pooling

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RaggedBatch:
    """Float64 rows that one batch adds to the moments; prefix and following lie in the workspace.

    Attributes:
        prefix: Prefix sums ``c_t``, t = 1 … T-1, of all texts.
        following: The states ``x_{t+1}`` that follow them.
        pooled: Pooled texts.
        finite: Whether every state of the text is finite.
        resolution: Relative rounding of the states, see :func:`resolution_of`.
    """

    prefix: Float64[Tensor, "prefixes dims"]
    following: Float64[Tensor, "prefixes dims"]
    pooled: Float64[Tensor, "texts dims"]
    finite: Bool[Tensor, " texts"]
    resolution: float


def resolution_of(dtype: torch.dtype) -> float:
    """Relative rounding of states: that of their dtype, or of float32 if the dtype is coarser.

    Models in half precision add up in float32, and dimensions a hundredth of the largest one are common and real.
    """
    return float(min(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps))


def ragged_batch(
    hidden: Float[Tensor, "texts width dims"], layout: Layout, pooling: Pooling, workspace: Workspace
) -> RaggedBatch:
    """Prefix sums, next states and pooled texts of a padded batch.

    Sums run in float64 along each text: a cumulative sum over the whole batch would cancel.

    Args:
        hidden: Hidden states; what stands at padding is never read.
        layout: Where the real tokens stand.
        pooling: How a text becomes one vector.
        workspace: Buffers to work in.
    """
    states = _packed(hidden, layout, workspace)
    following = states[layout.sizes[0] :]
    prefix = workspace.rows("prefix", len(following), states.shape[1], states.dtype, states.device)
    _prefix_sums(states, layout, out=prefix)
    last = states.index_select(0, layout.final)
    total = last
    if len(prefix):
        # Texts of one token have no prefix. Chosen without a mask index, which would make the host wait for a GPU.
        before = prefix.index_select(0, layout.before_final.clamp(min=0))
        total = last + torch.where(layout.before_final[:, None] >= 0, before, 0.0)
    # A sum over all tokens of a text is finite only if every state is.
    finite = torch.isfinite(total).all(dim=1)
    return RaggedBatch(prefix, following, _pool(total, last, layout, pooling), finite, resolution_of(hidden.dtype))


def symmetric(gram: Float64[Tensor, "dims dims"]) -> Float64[Tensor, "dims dims"]:
    """The full matrix whose upper triangle :func:`~ntps.moments.products.add_gram` kept."""
    return torch.triu(gram) + torch.triu(gram, diagonal=1).T


def _packed(
    hidden: Float[Tensor, "texts width dims"], layout: Layout, workspace: Workspace
) -> Float64[Tensor, "tokens dims"]:
    """States of real tokens in packed order."""
    width = hidden.shape[2]
    rows = workspace.rows("gathered", layout.tokens, width, hidden.dtype, hidden.device)
    torch.index_select(hidden.reshape(-1, width), 0, layout.rows, out=rows)
    if hidden.dtype == torch.float64:
        return rows
    return workspace.rows("states", layout.tokens, width, torch.float64, hidden.device).copy_(rows)


def _prefix_sums(states: Float64[Tensor, "tokens dims"], layout: Layout, out: Float64[Tensor, "prefixes dims"]) -> None:
    """Prefix sums, in packed order without the last step of each text."""
    if states.device.type == "cpu":
        _prefix_sums_by_step(states.numpy(), layout.sizes, out.numpy())
    else:
        _prefix_sums_padded(states, layout, out)


def _prefix_sums_by_step(
    states: Float64[Array, "tokens dims"], sizes: tuple[int, ...], out: Float64[Array, "prefixes dims"]
) -> None:
    """One addition of whole blocks a step: touches each row once."""
    previous = states[: sizes[0]]
    start = 0
    for step, size in enumerate(sizes[1:]):
        block = out[start : start + size]
        if step == 0:
            block[:] = previous[:size]
        else:
            # The states of this step stand one step further on in the packed order.
            first = start - sizes[step] + sizes[0]
            np.add(previous[:size], states[first : first + size], out=block)
        previous = block
        start += size


def _prefix_sums_padded(
    states: Float64[Tensor, "tokens dims"], layout: Layout, out: Float64[Tensor, "prefixes dims"]
) -> None:
    """One cumulative sum over a padded copy: few launches, for devices where a launch a step would cost more."""
    texts, width = layout.shape
    padded = torch.zeros(texts * width, states.shape[1], dtype=states.dtype, device=states.device)
    padded[layout.rows] = states
    sums = padded.view(texts, width, -1).cumsum(dim=1).view(texts * width, -1)
    # The prefix before a token stands one column to its left; padding on the left adds zeros.
    torch.index_select(sums, 0, layout.rows[layout.sizes[0] :] - 1, out=out)


def _pool(
    total: Float64[Tensor, "texts dims"], last: Float64[Tensor, "texts dims"], layout: Layout, pooling: Pooling
) -> Float64[Tensor, "texts dims"]:
    match pooling:
        case "mean":
            return total / layout.lengths[:, None]
        case "sum":
            return total
        case "last":
            return last

"""Memory that is used again: fresh pages cost more than the arithmetic done in them."""

from __future__ import annotations

import torch
from jaxtyping import Shaped
from torch import Tensor


class Workspace:
    """Buffers that all layers and all batches share.

    What :meth:`rows` returned is overwritten when the same name is taken again.
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}

    def rows(
        self, name: str, count: int, width: int, dtype: torch.dtype, device: torch.device
    ) -> Shaped[Tensor, "{count} {width}"]:
        """A contiguous tensor with arbitrary content."""
        key = (name, dtype, device)
        buffer = self._buffers.get(key)
        if buffer is None or buffer.numel() < count * width:
            self._buffers.pop(key, None)  # the old buffer is free before the larger one is made
            buffer = self._buffers[key] = torch.empty(count * width, dtype=dtype, device=device)
        return buffer[: count * width].view(count, width)

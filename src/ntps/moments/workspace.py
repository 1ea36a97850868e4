"""Memory that is used again: fresh pages cost more than the arithmetic done in them."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class Workspace:
    """Buffers that all layers and all batches share.

    What :meth:`rows` returned is overwritten when the same name is taken again.
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}

    def rows(self, name: str, count: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """A contiguous ``(count, width)`` tensor with arbitrary content."""
        key = (name, dtype, device)
        buffer = self._buffers.get(key)
        if buffer is None or buffer.numel() < count * width:
            self._buffers.pop(key, None)  # the old buffer is free before the larger one is made
            buffer = self._buffers[key] = torch.empty(count * width, dtype=dtype, device=device)
        return buffer[: count * width].view(count, width)


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# glibc raises its own thresholds to at most these values as large blocks are freed.
USUAL_MMAP, USUAL_TRIM = 32 << 20, 64 << 20
RETAIN = 1 << 30


@contextmanager
def retained_memory() -> Iterator[None]:
    """Lets the process keep the memory that tensors give back, so that the next ones find it mapped.

    By default glibc maps every tensor of more than 32 MiB anew and unmaps it afterwards; then each of its pages is
    faulted in and zeroed again, in a forward pass a fifth of all time. Where the C library is another, nothing changes.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is None or not hasattr(libc, "gnu_get_libc_version"):
        yield
        return
    libc.mallopt(M_MMAP_THRESHOLD, RETAIN)
    libc.mallopt(M_TRIM_THRESHOLD, RETAIN)
    try:
        yield
    finally:
        libc.mallopt(M_MMAP_THRESHOLD, USUAL_MMAP)
        libc.mallopt(M_TRIM_THRESHOLD, USUAL_TRIM)
        libc.malloc_trim(0)

"""Memory that a process keeps: fresh pages cost more than the arithmetic done in them."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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

"""Float32 that is float32: no TF32 and no bfloat16 in its place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def ieee_float32() -> Iterator[None]:
    """Keeps float32 products in float32, whatever the process was set to, and restores its settings afterwards.

    ``torch.set_float32_matmul_precision`` is a setting of the whole process: on some processors ``"medium"`` takes
    bfloat16, on some GPUs ``"high"`` takes TF32, and both move hidden states in the third digit. PyTorch keeps its
    older and its newer setting of this apart only in part, so they are saved and restored one by one.
    """
    backends: list[Any] = [torch.backends.cuda.matmul, torch.backends.mkldnn.matmul]  # type: ignore[attr-defined]
    if not all(hasattr(backend, "fp32_precision") for backend in backends):  # before PyTorch 2.9
        legacy = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(legacy)
        return
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "ieee"
    try:
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision

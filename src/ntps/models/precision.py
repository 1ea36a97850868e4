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
    bfloat16, on some GPUs ``"high"`` takes TF32, and both move hidden states in the third digit. The convolutions and
    recurrent layers of cuDNN take TF32 unless they are told not to. PyTorch keeps its older and its newer setting of
    this apart only in part, so they are saved and restored one by one.
    """
    torch_backends: Any = torch.backends
    if not hasattr(torch_backends.cuda.matmul, "fp32_precision"):  # before PyTorch 2.9
        legacy, convolutions = torch.get_float32_matmul_precision(), torch_backends.cudnn.allow_tf32
        torch.set_float32_matmul_precision("highest")
        torch_backends.cudnn.allow_tf32 = False
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(legacy)
            torch_backends.cudnn.allow_tf32 = convolutions
        return
    cudnn, mkldnn = torch_backends.cudnn, torch_backends.mkldnn
    backends = (torch_backends.cuda.matmul, cudnn.conv, cudnn.rnn, mkldnn.matmul, mkldnn.conv, mkldnn.rnn)
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "ieee"
    try:
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision

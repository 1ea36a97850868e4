"""Float64 products of rows, added to sums by the library that is faster on this processor.

The bits of a product may depend on where its operands begin in memory: MKL promises the same ones only for the same
alignment. So all that enters one lies in memory of our own, which PyTorch begins at a boundary of 64 bytes.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController
from torch import Tensor

Array = NDArray[np.float64]
Library = Literal["torch", "numpy"]
Product = tuple[Float64[Array, "rows columns"], Float64[Array, "terms rows"], Float64[Array, "terms columns"]]
"""``total``, ``left`` and ``right`` of ``total += leftᵀ right``."""

BANDS = 8
NUMPY_BANDS = 4
"""NumPy takes half of the work on the diagonal by itself, so that wide bands waste nothing."""
SMALLEST_BAND = 64
"""Narrower bands cost more in calls than they save in work."""
SMALLEST_CUDA_BAND = 224
"""The same on CUDA, where narrow products leave most of the device idle: on an H100, 16,384 tokens of width 896 take
0.35 ms by 4 bands, 0.42 by 8 and 0.47 by one; of width 2,048, 1.43 ms by 8, 1.49 by 4 and 2.22 by one."""
LARGE = 20_000_000
"""Multiplications above which threads are worth their start."""


def products_library(device: torch.device) -> Library:
    """Whose float64 products are taken on a device.

    The processor decides and not a measurement, so that every run on a machine gives the same bits.
    """
    return _fastest() if device.type == "cpu" else "torch"


@cache
def _fastest() -> Library:
    """MKL keeps its best kernels for Intel's processors: on AMD's, OpenBLAS is faster, most with AVX-512."""
    mkl = torch.backends.mkl.is_available()
    return "numpy" if mkl and "AuthenticAMD" in _processor() and _blas().lib_controllers else "torch"


def add_product(
    total: Float64[Tensor, "rows columns"], left: Float64[Tensor, "terms rows"], right: Float64[Tensor, "terms columns"]
) -> None:
    """``total += leftᵀ right``, in place."""
    if products_library(total.device) == "torch":
        total.addmm_(left.T, right)
        return
    sums, rows, others = total.numpy(), left.numpy(), right.numpy()
    _add([(sums[band], rows[:, band], others) for band in _bands(len(sums), torch.get_num_threads())])


def add_gram(gram: Float64[Tensor, "dims dims"], rows: Float64[Tensor, "rows dims"]) -> None:
    """``gram += rowsᵀ rows``, in place; only the upper triangle of ``gram`` is kept up to date.

    Bands of rows of the upper triangle take little more than half of a general product's work.
    """
    if products_library(gram.device) == "torch":
        smallest = SMALLEST_CUDA_BAND if gram.device.type == "cuda" else SMALLEST_BAND
        for band in _bands(len(gram), BANDS, smallest):
            gram[band, band.start :].addmm_(rows[:, band].T, rows[:, band.start :])
        return
    sums, array = gram.numpy(), rows.numpy()
    bands = _bands(len(sums), max(NUMPY_BANDS, 2 * torch.get_num_threads()))
    beside = [(sums[band, band.stop :], array[:, band], array[:, band.stop :]) for band in bands[:-1]]
    _add([*beside, *((sums[band, band], array[:, band], array[:, band]) for band in bands)])


def _bands(width: int, count: int, smallest: int = SMALLEST_BAND) -> list[slice]:
    band = max(-(-width // count), smallest)
    return [slice(start, min(start + band, width)) for start in range(0, width, band)]


def _add(products: Sequence[Product]) -> None:
    """Adds products to their sums, which do not overlap; each in one thread.

    OpenBLAS's own threads look busily for more work when theirs is done, and PyTorch's forward pass would wait for a
    core: ours sleep.
    """
    buffers = [torch.empty(total.shape, dtype=torch.float64).numpy() for total, _, _ in products]
    work = sum(total.size * len(left) for total, left, _ in products)
    threads = min(torch.get_num_threads(), len(products)) if work > LARGE else 1
    with _blas().limit(limits=1):
        if threads == 1:
            for product, buffer in zip(products, buffers, strict=True):
                _multiply_add(product, buffer)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(_multiply_add, products, buffers))


def _multiply_add(product: Product, buffer: Float64[Array, "rows columns"]) -> None:
    total, left, right = product
    # Sums beyond float64 are told when means are asked for, as after PyTorch's products, which do not warn either.
    with np.errstate(over="ignore", invalid="ignore"):
        np.matmul(left.T, right, out=buffer)
        total += buffer


@cache
def _blas() -> ThreadpoolController:
    """The OpenBLAS libraries that are loaded."""
    return ThreadpoolController().select(internal_api="openblas")


def _processor() -> str:
    """What the system says about the processor."""
    info = Path("/proc/cpuinfo")
    return info.read_text(encoding="utf-8") if info.exists() else platform.processor()

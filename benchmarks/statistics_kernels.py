"""The kernels of the statistics against their alternatives, for one layer of one batch.

    python benchmarks/statistics_kernels.py [--width 896] [--tokens 2048] [--length 32] [--rounds 9]
        [--device cuda] [--repeats 1]

For each job: median milliseconds of interleaved runs, each of so many calls that follow each other. `prefix_next` and
`gram` are a general and a symmetric product; `gram` comes by bands of its upper triangle. `prefix sums` come step by
step, by one cumulative sum over a padded copy, or by products of this copy with a triangle of ones. Where the device
is the processor, which decides between PyTorch and NumPy, products are taken by NumPy too, and by SciPy's `dsyrk`; and
`linear` is a float32 layer of the model, with the C library's usual memory and with memory that is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise

import numpy as np
import torch
import typer
from scipy.linalg.blas import dsyrk
from torch import Tensor

from common import interleaved, medians, show
from ntps.forward.malloc import retained_memory
from ntps.forward.stream import HOST
from ntps.moments import kernels, products
from ntps.moments.buffers import Workspace
from ntps.moments.kernels import RaggedBatch, ragged_batch
from ntps.moments.packed_layout import Layout
from ntps.moments.products import Library, add_gram, add_product

Job = Callable[[], object]

BANDS = (1, 2, 4, 8, 16)


def by(library: Library, bands: int, job: Job) -> Job:
    """A job with products of a library, the Gram by so many bands."""

    def chosen() -> None:
        products._fastest = cache(lambda: library)
        products.BANDS, products.SMALLEST_CUDA_BAND = bands, products.SMALLEST_BAND
        job()

    return chosen


def repeated(job: Job, repeats: int) -> Job:
    """The same job so many times."""

    def all_of_them() -> None:
        for _ in range(repeats):
            job()

    return all_of_them


def sums_by_step(states: Tensor, sizes: tuple[int, ...], out: Tensor) -> None:
    """One addition of whole blocks a step, by PyTorch."""
    out[: sizes[1]] = states[: sizes[1]]
    start, first = 0, sizes[0]
    for size, following in pairwise(sizes[1:]):
        block = out[start + size : start + size + following]
        torch.add(out[start : start + following], states[first : first + following], out=block)
        start, first = start + size, first + size


def sums_by_product(states: Tensor, layout: Layout, out: Tensor) -> None:
    """A padded copy times a triangle of ones."""
    texts, width = layout.shape
    padded = torch.zeros(texts * width, states.shape[1], dtype=states.dtype, device=states.device)
    padded[layout.rows] = states
    ones = torch.ones(width, width, dtype=states.dtype, device=states.device).tril()
    sums = (ones @ padded.view(texts, width, -1)).view(texts * width, -1)
    torch.index_select(sums, 0, layout.rows[layout.sizes[0] :] - 1, out=out)


def processor_jobs(batch: RaggedBatch, hidden: Tensor, gram: Tensor, cross: Tensor) -> dict[str, Job]:
    """What only a processor can choose between."""
    width = len(gram)
    triangle = np.zeros((width, width), order="F")
    weights = torch.randn(width * 38 // 7, width)

    def linear() -> None:
        for _ in range(5):
            torch.nn.functional.linear(hidden, weights)

    def kept() -> None:
        with retained_memory():
            linear()

    return {
        "prefix_next by numpy": by("numpy", 1, lambda: add_product(cross, batch.prefix, batch.following)),
        "gram by numpy": by("numpy", 1, lambda: add_gram(gram, batch.prefix)),
        "gram by dsyrk": lambda: dsyrk(1.0, batch.prefix.numpy().T, beta=1.0, c=triangle, overwrite_c=1, lower=1),
        "5 linear": linear,
        "5 linear, memory kept": kept,
    }


def main(
    width: int = 896, tokens: int = 2048, length: int = 32, rounds: int = 9, repeats: int = 1, device: str = "cpu"
) -> None:
    """Time all in turn."""
    torch.manual_seed(0)
    place, texts = torch.device(device), max(1, tokens // length)
    layout = Layout.of_lengths(np.full(texts, length), length).to(place)
    hidden, workspace = torch.randn(texts, length, width, device=place), Workspace()
    batch = ragged_batch(hidden, layout, "mean", workspace)
    states = torch.randn(texts * length, width, dtype=torch.float64, device=place)
    gram, cross = (torch.zeros(width, width, dtype=torch.float64, device=place) for _ in range(2))
    sums = torch.empty_like(batch.prefix)
    jobs: dict[str, Job] = {
        "prefix_next": by("torch", 1, lambda: add_product(cross, batch.prefix, batch.following)),
        **{f"gram by bands, {count}": by("torch", count, lambda: add_gram(gram, batch.prefix)) for count in BANDS},
        "gather, cast, prefix sums": lambda: ragged_batch(hidden, layout, "mean", workspace),
        "prefix sums by step": partial(sums_by_step, states, layout.sizes, sums),
        "prefix sums padded": partial(kernels._prefix_sums_padded, states, layout, sums),
        "prefix sums by product": partial(sums_by_product, states, layout, sums),
    }
    if place == HOST:
        jobs["prefix sums by step"] = partial(kernels._prefix_sums_by_step, states.numpy(), layout.sizes, sums.numpy())
        jobs |= processor_jobs(batch, hidden, gram, cross)
    seconds, _ = interleaved({name: repeated(job, repeats) for name, job in jobs.items()}, rounds, place)
    figures = {name: round(1e3 * median / repeats, 3) for name, median in medians(seconds).items()}
    show({"width": width, "tokens": texts * length, "length": length, "milliseconds": figures}, place)


if __name__ == "__main__":
    typer.run(main)

"""The kernels of the statistics against their alternatives, for one layer of one batch.

    python benchmarks/statistics_kernels.py [--width 896] [--tokens 2048] [--length 32] [--rounds 9]

For each job: median milliseconds of interleaved runs. `prefix_next` and `gram`, a general and a symmetric product, are
taken by PyTorch and by NumPy, between which the processor decides; `dsyrk` is SciPy's. `prefix sums` come step by step
or by one cumulative sum over a padded copy. `linear` is a float32 layer of the model, with the C library's usual memory
and with memory that is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import get_args

import numpy as np
import torch
import typer
from scipy.linalg.blas import dsyrk

from common import interleaved, medians, show
from ntps.forward.malloc import retained_memory
from ntps.moments import kernels, products
from ntps.moments.buffers import Workspace
from ntps.moments.kernels import ragged_batch
from ntps.moments.packed_layout import Layout
from ntps.moments.products import Library, add_gram, add_product

LIBRARIES = get_args(Library)


def main(width: int = 896, tokens: int = 2048, length: int = 32, rounds: int = 9) -> None:
    """Time all in turn."""
    torch.manual_seed(0)
    texts = max(1, tokens // length)
    layout = Layout.of_lengths(np.full(texts, length), length)
    hidden, workspace = torch.randn(texts, length, width), Workspace()
    batch = ragged_batch(hidden, layout, "mean", workspace)
    states = torch.randn(texts * length, width, dtype=torch.float64)
    gram, cross = torch.zeros(width, width, dtype=torch.float64), torch.zeros(width, width, dtype=torch.float64)
    sums, triangle = torch.empty_like(batch.prefix), np.zeros((width, width), order="F")
    weights = torch.randn(width * 38 // 7, width)

    def by(library: Library, job: Callable[[], None]) -> Callable[[], None]:
        def chosen() -> None:
            products._fastest = cache(lambda: library)
            job()

        return chosen

    def kept() -> None:
        with retained_memory():
            for _ in range(5):
                torch.nn.functional.linear(hidden, weights)

    jobs: dict[str, Callable[[], object]] = {
        **{
            f"prefix_next by {each}": by(each, lambda: add_product(cross, batch.prefix, batch.following))
            for each in LIBRARIES
        },
        **{f"gram by {each}": by(each, lambda: add_gram(gram, batch.prefix)) for each in LIBRARIES},
        "gram by dsyrk": lambda: dsyrk(1.0, batch.prefix.numpy().T, beta=1.0, c=triangle, overwrite_c=1, lower=1),
        "gather, cast, prefix sums": lambda: ragged_batch(hidden, layout, "mean", workspace),
        "prefix sums by step": lambda: kernels._prefix_sums_by_step(states.numpy(), layout.sizes, sums.numpy()),
        "prefix sums padded": lambda: kernels._prefix_sums_padded(states, layout, sums),
        "5 linear": lambda: [torch.nn.functional.linear(hidden, weights) for _ in range(5)],
        "5 linear, memory kept": kept,
    }
    seconds, _ = interleaved(jobs, rounds)
    figures = {name: round(1e3 * median, 2) for name, median in medians(seconds).items()}
    show({"width": width, "tokens": texts * length, "length": length, "milliseconds": figures})


if __name__ == "__main__":
    typer.run(main)

"""The bits of sums do not depend on where memory lies: misaligned operands give those of aligned ones.

Libraries may round otherwise where operands begin elsewhere, and whether they do differs from machine to machine. So
it is shown that they never begin elsewhere: products get the same alignments whatever they are made of.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ntps import Moments
from ntps.moments import products
from ntps.moments.products import Library
from ntps.moments.sums import SUMS
from ntps.moments.sums_file import SYMMETRIC
from ntps.scoring.stored_run import relabelled

BOUNDARY = 64
WIDTH, OUTPUTS = 131, 3
"""Odd, so that the rows of an operand begin in many places."""
Alignments = list[tuple[str, list[tuple[Any, ...]]]]


def one_off(values: Tensor) -> Tensor:
    """The same values, one element behind a boundary."""
    memory = torch.empty(values.numel() + 1, dtype=values.dtype)
    moved = memory[1:].view(values.shape).copy_(values)
    assert moved.data_ptr() % BOUNDARY == values.element_size()
    return moved


def batch(seed: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 30, (40,), generator=random)
    hidden = torch.randn(40, 30, WIDTH, generator=random, dtype=torch.float64).to(dtype)
    return hidden, torch.arange(30) < lengths[:, None], torch.randn(40, OUTPUTS, generator=random, dtype=torch.float64)


def filled(seed: int) -> Moments:
    moments = Moments(WIDTH, OUTPUTS)
    moments.update(*batch(seed))
    return moments


def same_bits(found: Moments, expected: Moments) -> bool:
    """Of what counts: below the diagonal of symmetric sums anything may stand."""
    counted = [[m.sums[n].triu() if n in SYMMETRIC else m.sums[n] for n in SUMS] for m in (found, expected)]
    return all(torch.equal(*pair) for pair in zip(*counted, strict=True))


class Operands(TorchDispatchMode):
    """Takes down where the operands of products and sums begin, relative to a boundary."""

    NAMES = ("addmm", "addmm_", "mm", "mv", "dot", "sum")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: Alignments = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in self.NAMES:
            tensors = [each for each in args if isinstance(each, Tensor)]
            self.seen.append((name, [(each.data_ptr() % BOUNDARY, each.shape, each.stride()) for each in tensors]))
        return func(*args, **(kwargs or {}))


@pytest.fixture(params=["torch", "numpy"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setattr(products, "_fastest", lambda: request.param)
    chosen: Library = request.param
    return chosen


@pytest.fixture
def operands(library: Library, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], Alignments]:
    """Runs something, and tells the alignments of all operands of its products."""

    def taken_down(action: Callable[[], object]) -> Alignments:
        watch = Operands()
        with watch, monkeypatch.context() as patch:

            def multiply_add(product: products.Product, buffer: products.Array) -> None:
                arrays = (*product, buffer)
                watch.seen.append(
                    ("matmul", [(each.ctypes.data % BOUNDARY, each.shape, each.strides) for each in arrays])
                )
                genuine(product, buffer)

            genuine = products._multiply_add
            patch.setattr(products, "_multiply_add", multiply_add)
            action()
        assert {name for name, _ in watch.seen} >= {"addmm_" if library == "torch" else "matmul", "dot", "mm", "sum"}
        return watch.seen

    return taken_down


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_states_and_targets_may_begin_anywhere(
    operands: Callable[[Callable[[], object]], Alignments], dtype: torch.dtype
) -> None:
    hidden, mask, y = batch(0, dtype)
    aligned, misaligned, foreign = (Moments(WIDTH, OUTPUTS) for _ in range(3))
    expected = operands(lambda: aligned.update(hidden, mask, y))
    assert operands(lambda: misaligned.update(one_off(hidden), one_off(mask), one_off(y))) == expected
    assert operands(lambda: foreign.update(hidden, mask, np.asfortranarray(one_off(y).numpy()))) == expected
    assert same_bits(misaligned, aligned) and same_bits(foreign, aligned)


def test_sums_that_were_read_go_on_as_if_they_had_never_been_away(
    operands: Callable[[Callable[[], object]], Alignments], tmp_path: Path
) -> None:
    ours = filled(1)
    kind = {"pooling": ours.pooling, "texts": str(ours.texts), "tokens": str(ours.tokens)}
    ours.save(tmp_path / "layer.safetensors")
    restored = Moments.load(tmp_path / "layer.safetensors")
    misaligned = Moments.from_sums({name: one_off(ours.sums[name]) for name in SUMS}, kind, "memory")
    merged = Moments(WIDTH, OUTPUTS).merge(restored)
    expected = operands(lambda: ours.update(*batch(2)))
    for moments in (restored, misaligned, merged):
        assert operands(partial(moments.update, *batch(2))) == expected
        assert same_bits(moments, ours)


def test_all_sums_begin_at_a_boundary() -> None:
    ours = filled(1)
    other = relabelled(ours, np.ones((ours.texts, WIDTH)), np.ones((ours.texts, OUTPUTS)))
    for moments in (ours, ours.copy(), ours + ours, other):
        assert {total.data_ptr() % BOUNDARY for total in moments.sums.values()} == {0}

"""Statistics against sums without any rounding, entry by entry, and immune to what the process is set to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ntps import Moments, load_model, score
from ntps.models.precision import ieee_float32
from ntps.moments import kernels
from ntps.moments.kernels import symmetric
from tiny import Array, padded, random_task, save_model

BOUND = 1e-12
SHIFT = 149
"""Every float32 is a multiple of 2⁻¹⁴⁹, so float32 states times 2¹⁴⁹ are integers, and Python's have no size limit."""

mkldnn: Any = torch.backends.mkldnn
SEVERAL_SETTINGS = hasattr(mkldnn, "matmul")
several_settings = pytest.mark.skipif(
    not SEVERAL_SETTINGS, reason="PyTorch before 2.9 has one setting for all libraries"
)

Exact = np.ndarray[Any, np.dtype[np.object_]]


def exact_sums(texts: Sequence[Array]) -> tuple[Exact, Exact, Exact]:
    """``Σ c cᵀ``, ``Σ c x_{t+1}ᵀ`` and ``Σ x_{t+1} x_{t+1}ᵀ`` in integers, scaled by 2²·¹⁴⁹."""
    width = texts[0].shape[1]
    prefix_gram, prefix_next, next_gram = (np.zeros((width, width), dtype=object) for _ in range(3))
    for text in texts:
        states = np.array([[int(np.ldexp(np.longdouble(x), SHIFT)) for x in row] for row in text], dtype=object)
        prefix, following = np.cumsum(states, axis=0)[:-1], states[1:]
        prefix_gram = prefix_gram + prefix.T @ prefix
        prefix_next = prefix_next + prefix.T @ following
        next_gram = next_gram + following.T @ following
    return prefix_gram, prefix_next, next_gram


def real(numbers: Exact) -> Array:
    """Exact sums as float64: the division of integers rounds once."""
    return np.array([[number / (1 << 2 * SHIFT) for number in row] for row in numbers])


def states(lengths: Sequence[int], scales: Array, mean: float, seed: int) -> list[Array]:
    random = np.random.default_rng(seed)
    return [
        ((random.normal(size=(length, len(scales))) + mean) * scales).astype(np.float32).astype(np.float64)
        for length in lengths
    ]


CASES = {
    "scales 1e6 apart": ((17, 9, 23, 1, 2, 30), np.geomspace(1e-3, 1e3, 8), 0.0),
    "large means": ((40, 33, 12), np.ones(6), 100.0),
    "4,096 tokens": ((4096, 4001), np.array([1e-3, 1.0, 1e3]), 0.3),
}


@contextmanager
def by_padded_sums() -> Iterator[None]:
    """The kernel of other devices, on this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "_prefix_sums", kernels._prefix_sums_padded)
        yield


@contextmanager
def by_step() -> Iterator[None]:
    yield


@pytest.mark.parametrize("kernel", [by_step, by_padded_sums])
@pytest.mark.parametrize("case", CASES)
def test_sums_are_exact_to_the_product_of_norms(case: str, kernel: Callable[[], Any]) -> None:
    """|found - exact| ≤ 1e-12 ‖row i‖ ‖row j‖ for every entry (i, j)."""
    lengths, scales, mean = CASES[case]
    texts = states(lengths, scales, mean, seed=len(lengths))
    moments = Moments(len(scales), 1)
    hidden, mask = padded(texts, "right")
    with kernel():
        for start in range(0, len(texts), 2):
            part = slice(start, start + 2)
            moments.update(hidden[part].to(torch.float32), mask[part], np.zeros((len(texts[part]), 1)))
    prefix_gram, prefix_next, next_gram = (real(numbers) for numbers in exact_sums(texts))
    prefix_norms, next_norms = np.sqrt(np.diag(prefix_gram)), np.sqrt(np.diag(next_gram))
    for found, exact, norms in (
        (symmetric(moments.sums["prefix_gram"]), prefix_gram, np.outer(prefix_norms, prefix_norms)),
        (moments.sums["prefix_next"], prefix_next, np.outer(prefix_norms, next_norms)),
    ):
        assert (np.abs(found.numpy() - exact) <= BOUND * norms).all()
    assert float(moments.sums["next_energy"]) == pytest.approx(np.trace(next_gram), rel=BOUND)


def test_float32_products_of_the_same_states_fail_the_bound() -> None:
    """The bound tells float64 kernels from cheaper ones."""
    text = states((4000,), np.ones(3), 0.3, seed=0)[0]
    prefix, following = np.cumsum(text, axis=0)[:-1].astype(np.float32), text[1:].astype(np.float32)
    prefix_gram, prefix_next, next_gram = (real(numbers) for numbers in exact_sums([text]))
    norms = np.sqrt(np.outer(np.diag(prefix_gram), np.diag(next_gram)))
    assert (np.abs(prefix.T @ following - prefix_next) > BOUND * norms).any()


def _by_legacy_setter() -> None:
    torch.set_float32_matmul_precision("medium")


def _by_new_setting() -> None:
    mkldnn.matmul.fp32_precision = "bf16"
    torch.backends.cuda.matmul.fp32_precision = "tf32"


def _precision() -> tuple[str, ...]:
    if not SEVERAL_SETTINGS:
        return (torch.get_float32_matmul_precision(),)
    return mkldnn.matmul.fp32_precision, torch.backends.cuda.matmul.fp32_precision


@pytest.fixture
def restored_precision() -> Iterator[None]:
    yield
    torch.set_float32_matmul_precision("highest")


@several_settings
def test_every_library_is_told_and_gets_its_setting_back() -> None:
    """cuDNN's convolutions and recurrent layers take TF32 unless they are told not to."""
    cudnn: Any = torch.backends.cudnn
    before = cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision
    assert "ieee" not in before
    with ieee_float32():
        assert cudnn.conv.fp32_precision == cudnn.rnn.fp32_precision == "ieee"
    assert (cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision) == before


@pytest.mark.usefixtures("restored_precision")
@pytest.mark.parametrize("lower", [_by_legacy_setter, pytest.param(_by_new_setting, marks=several_settings)])
def test_a_lower_precision_of_the_process_changes_no_bit(tmp_path: Path, lower: Callable[[], None]) -> None:
    """Neither of PyTorch's settings leaks into the pass, and both are as they were afterwards."""
    model, task = load_model(save_model(tmp_path / "model")), random_task(40)
    expected = score(model, task).to_dict()["layers"]
    lower()
    settings = _precision()
    assert settings not in {("ieee", "ieee"), ("highest",)}
    assert score(model, task).to_dict()["layers"] == expected
    assert _precision() == settings

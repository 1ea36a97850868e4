"""A pass on a CUDA device: the numbers of the processor, in true float32, within its memory, and timed truly."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from ntps import ScoreResult, Task, load_model, score
from ntps.checkpoint import checkpoint
from ntps.forward.batch_plan import plan_batches
from ntps.forward.pooled_texts import read_pooled
from ntps.forward.stopwatch import Stopwatch
from ntps.models import model as model_module
from ntps.models.precision import ieee_float32
from ntps.moments.kernels import symmetric
from ntps.moments.sums_file import SYMMETRIC
from ntps.moments.sums_folder import read_moments
from tiny import random_task, save_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

FLOAT32 = 1e-5
"""Relative error of sums of float32 states; TF32 makes it a hundred times larger."""


@pytest.fixture(scope="module")
def task() -> Task:
    return random_task(300, 3, test=60)


@pytest.fixture
def restored_precision() -> Iterator[None]:
    yield
    torch.set_float32_matmul_precision("highest")


def run(
    folder: Path, task: Task, out: Path, device: str, dtype: str = "float64", tokens_per_batch: int = 2048
) -> ScoreResult:
    """A score with all that a run can keep."""
    model = load_model(folder, device=device, dtype=dtype)
    return score(model, task, out=out, keep_pooled=True, tokens_per_batch=tokens_per_batch)


def wide_model(folder: Path) -> Path:
    """Wide enough that cuBLAS takes TF32 where it may."""
    return save_model(folder, hidden_size=256, intermediate_size=512)


def sums_of(out: Path) -> dict[tuple[int, str], Tensor]:
    return {
        (layer, name): symmetric(total) if name in SYMMETRIC else total
        for layer, moments in read_moments(out / "moments").items()
        for name, total in moments.sums.items()
    }


def deviation(out: Path, expected: Path) -> float:
    """Largest difference of a sum, relative to its norm."""
    others = sums_of(expected)
    return max(float((total - others[key]).norm() / others[key].norm()) for key, total in sums_of(out).items())


@pytest.mark.parametrize("kind", ["gpt2", "bert"])
def test_float64_gives_the_figures_of_the_processor(kind: str, task: Task, tmp_path: Path) -> None:
    """Sums, pooled texts of both splits, and every curve: causal models without a mask, BERT with one."""
    folder = save_model(tmp_path / "model", kind)
    found, expected = (run(folder, task, tmp_path / device, device) for device in ("cuda", "cpu"))
    assert deviation(tmp_path / "cuda", tmp_path / "cpu") <= 1e-10
    for split in ("train", "test"):
        pooled, others = (read_pooled(tmp_path / device / "pooled" / split) for device in ("cuda", "cpu"))
        for layer, rows in others.items():
            assert np.linalg.norm(pooled[layer] - rows) <= 1e-10 * np.linalg.norm(rows)
    for first, second in ((found.to_frame(), expected.to_frame()), (found.layers, expected.layers)):
        pd.testing.assert_frame_equal(first, second, check_exact=False, rtol=1e-8, atol=1e-10)
    assert found.to_dict()["settings"]["device"] == "cuda"


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_models_whose_norms_are_float32_agree_as_far(kind: str, task: Task, tmp_path: Path) -> None:
    """RMS norms and rotary angles of these compute in float32, whatever the dtype of the weights."""
    folder = save_model(tmp_path / "model", kind)
    found, expected = (run(folder, task, tmp_path / device, device) for device in ("cuda", "cpu"))
    assert deviation(tmp_path / "cuda", tmp_path / "cpu") <= 1e-6
    for name in ("area", "r2"):
        np.testing.assert_allclose(found.layers[name], expected.layers[name], rtol=0, atol=1e-4, err_msg=name)


def test_a_run_repeats_bit_for_bit(task: Task, tmp_path: Path) -> None:
    folder = wide_model(tmp_path / "model")
    for name in "ab":
        run(folder, task, tmp_path / name, "cuda", "float32")
    assert deviation(tmp_path / "a", tmp_path / "b") == 0


def test_a_run_goes_on_where_it_was_stopped(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums come back from the disk to the device, to the last bit."""
    folder, out = save_model(tmp_path / "model"), tmp_path / "run"
    run(folder, task, tmp_path / "whole", "cuda", tokens_per_batch=160)
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", float("inf"))
    save = checkpoint.Checkpoint.save

    def stop(self: checkpoint.Checkpoint, *arguments: object, **options: object) -> None:
        save(self, *arguments, **options)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoint.Checkpoint, "save", stop)
        run(folder, task, out, "cuda", tokens_per_batch=160)
    run(folder, task, out, "cuda", tokens_per_batch=160)
    assert deviation(out, tmp_path / "whole") == 0


@pytest.mark.usefixtures("restored_precision")
def test_tf32_that_the_process_asked_for_stays_out(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = wide_model(tmp_path / "model")
    run(folder, task, tmp_path / "exact", "cpu")
    torch.set_float32_matmul_precision("high")
    run(folder, task, tmp_path / "float32", "cuda", "float32")
    assert deviation(tmp_path / "float32", tmp_path / "exact") <= FLOAT32
    monkeypatch.setattr(model_module, "ieee_float32", nullcontext)
    run(folder, task, tmp_path / "tf32", "cuda", "float32")
    assert deviation(tmp_path / "tf32", tmp_path / "exact") > 10 * FLOAT32, "the bound tells TF32"


def test_convolutions_are_float32_too() -> None:
    """cuDNN takes TF32 for them unless told not to."""
    torch.manual_seed(0)
    layer, signal = nn.Conv1d(256, 256, 4, device="cuda"), torch.randn(8, 256, 512, device="cuda")
    exact = nn.Conv1d(256, 256, 4, device="cuda", dtype=torch.float64)
    exact.load_state_dict(layer.state_dict())
    with torch.no_grad():
        expected = exact(signal.double())
        plain = layer(signal)
        with ieee_float32():
            found = layer(signal)
    plain_error, error = (float((output - expected).norm() / expected.norm()) for output in (plain, found))
    assert error <= 1e-6
    assert plain_error > 10 * error, "the device would have taken TF32"


def test_bfloat16_states_are_near(task: Task, tmp_path: Path) -> None:
    folder = wide_model(tmp_path / "model")
    run(folder, task, tmp_path / "exact", "cpu")
    found = run(folder, task, tmp_path / "coarse", "cuda", "bfloat16")
    assert 1e-4 < deviation(tmp_path / "coarse", tmp_path / "exact") <= 0.2
    assert np.isfinite(found.layers["area"]).all()


def test_a_batch_that_the_device_cannot_hold_is_cut(tmp_path: Path) -> None:
    """A true refusal of the device's allocator: all texts as one batch need more than the process is granted."""
    task = random_task(2_000)
    folder = save_model(tmp_path / "model", "llama", intermediate_size=20_000)
    model = load_model(folder, device="cuda", dtype="float64")
    expected = score(model, task, tokens_per_batch=200)
    torch.cuda.empty_cache()
    granted = torch.cuda.memory_reserved() + 500_000_000
    torch.cuda.set_per_process_memory_fraction(granted / torch.cuda.get_device_properties(0).total_memory)
    try:
        found = score(model, task, tokens_per_batch=10**9)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert any("did not fit the memory" in warning for warning in found.warnings)
    for name in ("area", "r2", "best_loss", "next_token_loss"):
        np.testing.assert_allclose(found.layers[name], expected.layers[name], rtol=1e-8, err_msg=name)


def test_more_short_texts_than_a_grid_of_the_device_has_rows(tmp_path: Path) -> None:
    """Kernels of attention count texts in a dimension of 65,535."""
    task = random_task(70_000, longest=1)
    assert len(plan_batches(np.ones(len(task.train), dtype=np.int64), 10**6)) == 1
    for kind in ("llama", "bert"):
        model = load_model(save_model(tmp_path / kind, kind), device="cuda", dtype="float32")
        found, expected = (score(model, task, tokens_per_batch=budget) for budget in (10**6, 16_384))
        np.testing.assert_allclose(found.layers["r2"], expected.layers["r2"], atol=1e-4)


def test_the_stopwatch_agrees_with_a_host_that_waits() -> None:
    """Seconds of the device, of what was counted only, and nobody waits before they are asked for."""
    device, cycles, watch, waited = torch.device("cuda"), 100_000_000, Stopwatch(), 0.0
    for _ in range(3):
        torch.cuda._sleep(cycles)  # not counted
        torch.cuda.synchronize()
        began = time.perf_counter()
        with watch.counting(device):
            torch.cuda._sleep(cycles)
        asked = time.perf_counter() - began
        torch.cuda.synchronize()
        waited += (whole := time.perf_counter() - began)
        assert asked < whole / 2
    assert 0.5 * waited < watch.seconds() <= waited


def test_seconds_of_a_score_add_up(task: Task, tmp_path: Path) -> None:
    model = load_model(save_model(tmp_path / "model"), device="cuda")
    timing = score(model, task).to_dict()["timing"]
    assert min(timing[name] for name in ("forward", "statistics", "theory")) > 0
    assert timing["tokenize"] + timing["forward"] + timing["statistics"] + timing["theory"] <= timing["total"] + 0.01

"""A dry run: what it says about memory and disk is what the run takes, and nothing is written."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from ntps import Moments, load_model, score
from ntps.api import estimate
from ntps.models.model import LanguageModel
from ntps.moments.sums import packed_bytes, statistics_bytes
from ntps.scoring.dry_run import peak_memory
from tiny import DEPTH, WIDTH, random_task, save_model

HEADERS = 4096
"""Bytes a file that are not sums."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(save_model(tmp_path_factory.mktemp("llama"), "llama"))


@pytest.mark.parametrize(("width", "outputs"), [(1, 1), (16, 3), (64, 20)])
def test_statistics_take_what_is_allocated(width: int, outputs: int) -> None:
    sums = Moments(width, outputs).sums.values()
    assert statistics_bytes(width, outputs) == sum(value.numel() * value.element_size() for value in sums)


def test_disk_is_what_the_run_writes(model: LanguageModel, tmp_path: Path) -> None:
    task = random_task(60, 3, test=20)
    said = estimate(model, task, keep_pooled=True)
    score(model, task, out=tmp_path, keep_pooled=True)
    for name, pattern in (("moments", "moments/*.safetensors"), ("pooled", "pooled/*/*.npy")):
        files = list(tmp_path.glob(pattern))
        written = sum(file.stat().st_size for file in files)
        assert said["disk_bytes"][name] <= written <= said["disk_bytes"][name] + HEADERS * len(files)
    assert said["disk_bytes"]["pooled"] == 80 * (DEPTH + 1) * WIDTH * 8
    assert said["disk_bytes"]["moments"] == packed_bytes(WIDTH, 3, DEPTH + 1)
    other = estimate(model, task, moments="drop")["disk_bytes"]
    left_out = len(task.train) * (DEPTH + 1) * WIDTH * 4
    assert other == {"moments": 0, "pooled": 0, "progress": said["disk_bytes"]["progress"] + left_out}


def test_memory_and_texts_are_those_of_the_run(model: LanguageModel) -> None:
    task = random_task(60, 3, test=20)
    said, result = estimate(model, task, tokens_per_batch=40), score(model, task, tokens_per_batch=40).to_dict()
    weights = [*model.base.parameters(), *model.base.buffers()]
    assert said["memory_bytes"]["weights"] == sum(weight.nbytes for weight in weights)
    assert said["memory_bytes"]["statistics"] == (DEPTH + 1) * statistics_bytes(WIDTH, 3)
    for name, block in (("train", result["task"]), ("test", result["task"]["test"])):
        assert said["texts"][name]["texts"] == block["texts"] and said["texts"][name]["tokens"] == block["tokens"]
        assert said["texts"][name]["padded_tokens"] >= block["tokens"]
    assert said["model"] == result["model"] and said["settings"]["tokens_per_batch"] == 40
    assert said["processes"] == 1


def test_a_batch_is_measured() -> None:
    """Pages that are touched count, and those that were in use before do not."""
    grown = peak_memory(lambda: torch.ones(64 << 20, dtype=torch.uint8), torch.device("cpu"))
    if grown is None:
        pytest.skip("the system does not tell")
    assert 0.9 * (64 << 20) <= grown <= 1.5 * (64 << 20)
    assert (peak_memory(lambda: np.ones(8), torch.device("cpu")) or 0) < 1 << 20


def test_nothing_is_written(model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    estimate(model, random_task(30, 2))
    assert list(tmp_path.iterdir()) == []


def test_seconds_are_of_the_right_order() -> None:
    """The embedded model and task; the whole run takes between a fifth of the estimate and five times as much."""
    options = {"limit": 400, "layers": "0,2,-1"}
    said = estimate(**options)  # type: ignore[arg-type]
    began = time.perf_counter()
    result = score(**options).to_dict()  # type: ignore[arg-type]
    timing = result["timing"]
    took = timing["forward"] + timing["statistics"] + timing["theory"]
    assert took <= time.perf_counter() - began
    assert 0.2 * took < said["seconds"]["total"] < 5 * took
    seconds = said["seconds"]
    parts = sum(seconds[name] for name in ("train", "test", "closed_forms"))
    assert seconds["least"] <= seconds["total"] <= seconds["most"]
    assert seconds["total"] == pytest.approx(parts, abs=0.01)

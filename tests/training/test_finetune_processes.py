"""Fine-tuning as users run it: killed in the middle, and shared by several processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tiny import random_task, save_model, save_rows
from unwrapped import unwrapped

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
RECIPE = ["--steps", "30", "--learning-rate", "1e-2", "--eval-every", "10", "--save-every", "5"]
RECIPE += ["--device", "cpu", "-q"]
RECIPES = pytest.mark.parametrize("recipe", [["--recipe", "paper"], ["--patience", "3"]])
STILL = ["--lora-dropout", "0", "--head-dropout", "0"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and a task."""
    folder = tmp_path_factory.mktemp("place")
    save_model(folder / "model")
    (folder / "task").mkdir()
    task = random_task(40, test=11)
    assert task.test is not None
    for split in (task.train, task.test):
        save_rows(folder / "task" / f"{split.name}.jsonl", split.texts, split.labels.tolist())
    return folder


def start(
    place: Path,
    out: Path,
    *options: str,
    launcher: list[str] = [],  # noqa: B006
    batch_size: int = 4,
) -> subprocess.Popen[str]:
    recipe = [*RECIPE, "--batch-size", str(batch_size), *options]
    inputs = [str(place / "model"), str(place / "task")]
    command = [*launcher, "-m", "ntps", "finetune", *inputs, "--out", str(out), *recipe]
    return subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return output


def read(out: Path) -> tuple[dict[str, torch.Tensor], pd.DataFrame, dict[str, Any]]:
    tensors = {
        f"{name}:{key}": value
        for name in ("adapter_model", "head")
        for key, value in load_file(out / "adapter" / f"{name}.safetensors").items()
    }
    return tensors, pd.read_parquet(out / "curves.parquet"), json.loads((out / "result.json").read_text())


@pytest.mark.slow
@RECIPES
def test_killed_runs_end_with_the_same_bits(recipe: list[str], place: Path, tmp_path: Path) -> None:
    finish(start(place, tmp_path / "whole", *recipe))
    out, kills = tmp_path / "out", 0
    for checkpoint in ("checkpoint-5", "checkpoint-20"):
        process = start(place, out, *recipe)
        while process.poll() is None and not (out / "progress" / checkpoint).exists():
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        assert not (out / "result.json").exists()
    assert kills == 2
    finish(start(place, out, *recipe))
    (first, curves, result), (second, expected_curves, expected) = read(out), read(tmp_path / "whole")
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
    pd.testing.assert_frame_equal(curves, expected_curves, check_exact=True)
    for each in (result, expected):
        del each["created"], each["command"], each["timing"]
    assert result == expected


@pytest.mark.slow
@RECIPES
def test_two_processes_do_what_one_does(recipe: list[str], place: Path, tmp_path: Path) -> None:
    """Without dropout: the same texts in every step, as many steps, one schedule, every text once, the same choice."""
    still = [*recipe, *STILL]
    assert "30 steps of 4" in finish(start(place, tmp_path / "one", *still))
    # Only the first one speaks.
    assert finish(start(place, tmp_path / "two", *still, launcher=TORCHRUN)).count("30 steps of 4") == 1
    (first, curves, one), (second, other_curves, two) = read(tmp_path / "one"), read(tmp_path / "two")
    assert (one["settings"]["processes"], two["settings"]["processes"]) == (1, 2)
    assert one["settings_hash"] == two["settings_hash"]
    assert one["summary"]["kept_step"] == two["summary"]["kept_step"]
    exact = ["step", "split", "learning_rate"]
    pd.testing.assert_frame_equal(other_curves[exact], curves[exact], check_exact=True)
    pd.testing.assert_frame_equal(other_curves, curves, rtol=1e-3)
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, rtol=1e-2, atol=1e-4)
    assert two["summary"]["test"]["accuracy"] == one["summary"]["test"]["accuracy"]


@pytest.mark.slow
def test_a_step_that_cannot_be_shared(place: Path, tmp_path: Path) -> None:
    process = start(place, tmp_path / "out", launcher=TORCHRUN, batch_size=3)
    _output, errors = process.communicate()
    assert process.returncode
    assert "Error: --batch-size 3 cannot be divided among 2 processes" in unwrapped(errors)
    assert not (tmp_path / "out").exists()

"""SIGKILL in the middle of a study: the same command goes on, and makes no finished run again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grid import run_grid, save_grid, stamps
from same import assert_same

MEASUREMENTS = {"score": None, "adamw": {"epochs": 2}}


def start(grid: Path, out: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ntps", "study", str(grid), "--out", str(out), "-q", *options]
    # A shell starts what runs in the background with interrupts ignored, and children inherit that.
    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    while not path.exists():
        assert process.poll() is None, f"ended before {path} was there"
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--jobs", "2")])
def test_a_killed_study_goes_on_where_it_was(options: tuple[str, ...], tmp_path: Path) -> None:
    grid, out = save_grid(tmp_path / "grid", texts=1500, measurements=MEASUREMENTS), tmp_path / "out"
    run_grid(grid, tmp_path / "whole")
    folders = [Path(name).parent for name in stamps(tmp_path / "whole")]
    assert len(folders) == 4
    finished: dict[str, int] = {}
    # Killed when the first run is done, and again when something begins that was not done before.
    for file in ("first/score/result.json", "second/score/run.json"):
        process = start(grid, out, *options)
        wait_for(out / "results/model/local" / file, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert stamps(out).items() >= finished.items()
        finished = stamps(out)
    assert finished
    process = start(grid, out, *options)
    assert process.wait() == 0
    assert stamps(out).items() >= finished.items()
    for folder in folders:
        assert_same(out / folder, tmp_path / "whole" / folder)
    assert {row["status"] for row in json.loads((out / "study.json").read_text())["runs"]} == {"done"}


@pytest.mark.slow
def test_workers_end_with_the_study_that_is_killed(tmp_path: Path) -> None:
    grid, out = save_grid(tmp_path / "grid", texts=1500), tmp_path / "out"
    process = start(grid, out, "--jobs", "2")
    wait_for(out / "results/model/local/first/score/run.json", process)
    children = (Path("/proc") / str(process.pid) / "task" / str(process.pid) / "children").read_text().split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while any((Path("/proc") / child).exists() for child in children):
        assert time.monotonic() < deadline, "a worker lives on"
        time.sleep(0.05)
    assert children


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--jobs", "2")])
def test_an_interruption_ends_with_130(options: tuple[str, ...], tmp_path: Path) -> None:
    grid, out = save_grid(tmp_path / "grid", texts=1500), tmp_path / "out"
    process = start(grid, out, *options)
    wait_for(out / "results/model/local/first/score/run.json", process)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait() == 130
    assert json.loads((out / "study.json").read_text())["name"] == "grid"

"""SIGKILL in the middle of a study: the same command goes on, and makes no finished run again."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

import ntps
from grid import run_grid, save_grid, stamps, start, wait_for
from same import assert_same
from tiny import save_model, save_task

MEASUREMENTS = {"score": None, "adamw": {"epochs": 2}}


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
        process = start("study", grid, "--out", out, "-q", *options)
        wait_for(out / "results/model/local" / file, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert stamps(out).items() >= finished.items()
        finished = stamps(out)
    assert finished
    process = start("study", grid, "--out", out, "-q", *options)
    assert process.wait() == 0
    assert stamps(out).items() >= finished.items()
    for folder in folders:
        assert_same(out / folder, tmp_path / "whole" / folder)
    assert {row["status"] for row in json.loads((out / "study.json").read_text())["runs"]} == {"done"}


@pytest.mark.slow
def test_workers_end_with_the_study_that_is_killed(tmp_path: Path) -> None:
    grid, out = save_grid(tmp_path / "grid", texts=1500), tmp_path / "out"
    process = start("study", grid, "--out", out, "-q", "--jobs", "2")
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
    process = start("study", grid, "--out", out, "-q", *options)
    wait_for(out / "results/model/local/first/score/run.json", process)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait() == 130
    assert json.loads((out / "study.json").read_text())["name"] == "grid"


@pytest.mark.slow
def test_a_killed_ranking_goes_on_where_it_was(tmp_path: Path) -> None:
    models = [save_model(tmp_path / name, seed=seed) for seed, name in enumerate(("first", "second", "third"))]
    command, out = [save_task(tmp_path / "task.jsonl", 800), *models], tmp_path / "out"
    whole = ntps.rank(command[0], models, out=tmp_path / "whole").ranking
    for file in ("first/local/task/score/result.json", "third/local/task/score/run.json"):
        process = start("rank", *command, "--out", out)
        wait_for(out / "results" / file, process)
        process.kill()
        process.wait()
        assert not (out / "ranking.json").exists()
    finished = stamps(out)
    assert finished
    again = ntps.rank(command[0], models, out=out).ranking
    assert stamps(out).items() >= finished.items()
    for name in stamps(out):
        assert_same((out / name).parent, (tmp_path / "whole" / name).parent)
    changing = {"seconds": None, "folder": None}
    assert [row.model_copy(update=changing) for row in again.models] == [
        row.model_copy(update=changing) for row in whole.models
    ]

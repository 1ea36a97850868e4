"""The local engine: what is made, what is kept, what is recorded, and that nothing that fails takes the rest along."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from grid import Heard, begin, run_grid, save_grid, stamps
from ntps.checkpoint.lock import claim_folder
from ntps.errors import InputError
from ntps.study import runs
from ntps.study.analysis.reader import read_results
from ntps.study.engines import Job, run_in_workers
from ntps.study.measurements import MEASUREMENTS, ModelTaskCache
from ntps.study.runs import Run
from ntps.study.status import Overwrite, Status
from same import assert_same

FOLDERS = ("results/model/local/first/score", "results/model/local/second/score")


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    return save_grid(tmp_path / "grid")


def study_json(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "study.json").read_text())
    return content


def test_every_run_gets_a_folder_and_a_row(grid: Path, tmp_path: Path) -> None:
    run_grid(grid, tmp_path / "out")
    content = study_json(tmp_path / "out")
    assert (content["schema"], content["name"]) == (1, "grid")
    assert [row["folder"] for row in content["runs"]] == list(FOLDERS)
    for row in content["runs"]:
        assert (row["status"], row["cause"]) == ("done", None) and row["seconds"] > 0
        assert (tmp_path / "out" / row["folder"] / "result.json").exists()
    assert content["definition"]["measurements"]["score"]["pooling"] == "mean"


def test_a_finished_run_is_not_made_again(grid: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_grid(grid, out)
    before = stamps(out)
    again = run_grid(grid, out)
    assert stamps(out) == before
    assert not any(outcome.made for outcome in again.values())
    assert all(outcome.state.status is Status.done for outcome in again.values())


def test_what_a_kill_left_beside_a_result_is_cleared_away(grid: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_grid(grid, out)
    before = sorted(path.relative_to(out) for path in out.rglob("*"))
    (out / FOLDERS[0] / "progress" / "batch.3").mkdir(parents=True)
    (out / FOLDERS[0] / ".ntps.lock").touch()
    run_grid(grid, out)
    assert sorted(path.relative_to(out) for path in out.rglob("*")) == before


def test_words_are_placed_with_statistics_that_stay_for_them(grid: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(grid.read_text())
    content["measurements"] = {
        **content["measurements"],
        "words": {"tasks": ["second"], "lists": {"first": ["red", "blue"], "others": ["one", "two"]}, "layer": 1},
    }
    grid.write_text(yaml.safe_dump({**content, "moments": "drop"}))
    outcomes = run_grid(grid, tmp_path / "out")
    assert list(outcomes) == ["first/score", "second/score", "second/words"]
    assert {outcome.state.status for outcome in outcomes.values()} == {Status.done}
    assert [(tmp_path / "out" / folder / "moments").exists() for folder in FOLDERS] == [False, True]
    words = read_results(tmp_path / "out").words
    assert len(words) == 1 and words[0].summary.layer == 1
    assert [row.word for row in words[0].words] == ["red", "blue", "one", "two"]
    # Also where the runs lie elsewhere.
    begin(grid, tmp_path / "other", results=tmp_path / "out" / "results").run(Heard())
    assert read_results(tmp_path / "other").words == words


def test_a_planted_failure_is_recorded_and_the_rest_goes_on(tmp_path: Path) -> None:
    grid, out = save_grid(tmp_path / "grid", planted=True), tmp_path / "out"
    outcomes = run_grid(grid, out)
    assert [outcomes[f"{task}/score"].state.status for task in ("first", "second", "planted")] == [
        Status.done,
        Status.done,
        Status.failed,
    ]
    failure = json.loads((out / "results/model/local/planted/score/failure.json").read_text())
    assert "one class" in failure["sentence"] and "Traceback" in failure["traceback"] and failure["when"]
    row = study_json(out)["runs"][2]
    assert row["status"] == "failed" and row["cause"] == failure["sentence"]
    before = stamps(out)
    assert not run_grid(grid, out)["planted/score"].made
    again = run_grid(grid, out, "failed")["planted/score"]
    assert again.made and again.state.status is Status.failed
    assert stamps(out) == before


def test_a_failure_that_is_mended_leaves_no_trace(tmp_path: Path) -> None:
    grid, out = save_grid(tmp_path / "grid", planted=True), tmp_path / "out"
    run_grid(grid, out)
    rows = (grid.parent / "first/train.jsonl").read_text()
    (grid.parent / "planted/train.jsonl").write_text(rows)
    # The texts are others now: this run never failed.
    outcome = run_grid(grid, out)["planted/score"]
    assert outcome.made and outcome.state.status is Status.done
    assert not (outcome.run.folder / "failure.json").exists()


def test_a_defect_in_one_measurement_is_a_failure_with_its_traceback(
    grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_bench: ModelTaskCache, run: Run, _reporter: object) -> None:
        if run.task.name == "first":
            raise ZeroDivisionError("by zero")
        (run.folder / "result.json").write_text('{"schema": 1, "kind": "score"}')

    monkeypatch.setitem(MEASUREMENTS, "score", MEASUREMENTS["score"].__class__(MEASUREMENTS["score"].settings, fail))
    outcomes = run_grid(grid, tmp_path / "out")
    assert outcomes["first/score"].state.cause == "unexpected ZeroDivisionError: by zero"
    assert outcomes["second/score"].state.status is Status.done


def test_a_result_of_other_settings_is_neither_reused_nor_lost(grid: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_grid(grid, out)
    before = stamps(out)
    save_grid(grid.parent, measurements={"score": {"layers": "0"}})
    for overwrite in ("only-missing", "failed", "never"):
        outcome = run_grid(grid, out, overwrite)["first/score"]
        assert outcome.state.status is Status.other and not outcome.made
        assert "settings.layers None then, '0' now" in str(outcome.state.cause)
    assert stamps(out) == before
    assert {row["status"] for row in study_json(out)["runs"]} == {"failed"}
    assert run_grid(grid, out, "always")["first/score"].state.status is Status.done
    assert all(stamps(out)[name] != stamp for name, stamp in before.items())


def test_a_result_that_no_study_wrote_is_left_alone(grid: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out" / FOLDERS[0]
    folder.mkdir(parents=True)
    (folder / "result.json").write_text("{}")
    outcome = run_grid(grid, tmp_path / "out")["first/score"]
    assert outcome.state.status is Status.other and "no study wrote" in str(outcome.state.cause)
    assert (folder / "result.json").read_text() == "{}"


def test_half_a_result_is_none(grid: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_grid(grid, out)
    shutil.copytree(out, tmp_path / "undisturbed")
    whole = (out / FOLDERS[0] / "result.json").read_bytes()
    (out / FOLDERS[0] / "result.json").write_bytes(whole[: len(whole) // 2])
    outcome = run_grid(grid, out)["first/score"]
    assert outcome.made and outcome.state.status is Status.done
    assert_same(out / FOLDERS[0], tmp_path / "undisturbed" / FOLDERS[0])


def test_never_touches_no_folder_with_anything_in_it(grid: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out" / FOLDERS[0]
    folder.mkdir(parents=True)
    (folder / "note.txt").write_text("mine")
    outcomes = run_grid(grid, tmp_path / "out", "never")
    assert not outcomes["first/score"].made and outcomes["second/score"].made
    assert [path.name for path in folder.iterdir()] == ["note.txt"]


def test_two_studies_share_results(grid: Path, tmp_path: Path) -> None:
    other = save_grid(grid.parent, name="other")
    shared = tmp_path / "shared"
    run_with_results = {"results": shared}
    begin(grid, tmp_path / "a", **run_with_results).run(Heard())
    before = stamps(shared)
    outcomes = begin(other, tmp_path / "b", **run_with_results).run(Heard())
    assert not any(outcome.made for outcome in outcomes) and stamps(shared) == before
    for out in (tmp_path / "a", tmp_path / "b"):
        for row in study_json(out)["runs"]:
            assert (out / row["folder"] / "result.json").exists() and row["status"] == "done"
    with pytest.raises(InputError, match=r"belongs to the study grid.*`results`"):
        begin(other, tmp_path / "a")


def test_a_run_in_other_hands_is_waited_for(grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "RETRY_INTERVAL_S", 0.05)
    heard, out = Heard(), tmp_path / "out"
    with claim_folder(out / FOLDERS[0], overwrite=False):
        studying = begin(grid, out)
        thread = threading.Thread(target=studying.run, args=(heard,))
        thread.start()
        while len(heard.waits) < 3:
            time.sleep(0.01)
        assert [outcome.run.task.name for outcome in heard.ended] == ["second"]
    thread.join(timeout=60)
    assert {outcome.run.task.name for outcome in heard.ended} == {"first", "second"}
    assert all(outcome.state.status is Status.done for outcome in heard.ended)


def test_an_interruption_leaves_what_is_done(grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    score = MEASUREMENTS["score"]

    def interrupt(bench: ModelTaskCache, run: Run, reporter: Any) -> None:
        if run.task.name == "second":
            raise KeyboardInterrupt
        score.measure(bench, run, reporter)

    with monkeypatch.context() as patch:
        patch.setitem(MEASUREMENTS, "score", score.__class__(score.settings, interrupt))
        with pytest.raises(KeyboardInterrupt):
            run_grid(grid, out)
    assert [row["status"] for row in study_json(out)["runs"]] == ["done", "missing"]
    before = stamps(out)
    run_grid(grid, out)
    assert stamps(out).items() >= before.items() and len(stamps(out)) == 2


def test_a_plan_counts_what_is_to_do(grid: Path, tmp_path: Path) -> None:
    plan = begin(grid, tmp_path / "out").plan()
    assert [row.kept for row in plan] == [None, None]
    for row in plan:
        assert row.cost.tokens and row.cost.seconds and row.cost.memory_gb
    assert not (tmp_path / "out").exists()
    run_grid(grid, tmp_path / "out")
    assert [row.kept for row in begin(grid, tmp_path / "out").plan()] == ["done before"] * 2
    assert [row.kept for row in begin(grid, tmp_path / "out", overwrite=Overwrite.always).plan()] == [None] * 2


@pytest.mark.slow
def test_workers_leave_what_one_process_leaves(tmp_path: Path) -> None:
    grid = save_grid(tmp_path / "grid", planted=True)
    here = run_grid(grid, tmp_path / "here")
    workers = run_grid(grid, tmp_path / "workers", jobs=2)
    assert {name: outcome.state.status for name, outcome in here.items()} == {
        name: outcome.state.status for name, outcome in workers.items()
    }
    for folder in FOLDERS:
        assert_same(tmp_path / "workers" / folder, tmp_path / "here" / folder)


def kill_workers(folder: Path, times: int) -> Iterator[threading.Thread]:
    """Kills whichever process is at a run, as soon as it is at it."""

    def kill() -> None:
        for left in reversed(range(times)):
            while not (folder / "run.json").exists():
                time.sleep(0.002)
            known = {child.pid for child in multiprocessing.active_children()}
            for pid in known:
                os.kill(pid or 0, signal.SIGKILL)
            while {child.pid for child in multiprocessing.active_children()} & known:
                time.sleep(0.002)
            if left:
                # The next process takes seconds to start, and then writes it anew.
                (folder / "run.json").unlink(missing_ok=True)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    yield thread
    thread.join(timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize(("deaths", "status"), [(1, Status.done), (2, Status.failed)])
def test_a_worker_that_is_killed_takes_only_its_run_along(deaths: int, status: Status, tmp_path: Path) -> None:
    """Killed once, the run is made again; killed twice, it is recorded; the others are made in any case."""
    grid, out = save_grid(tmp_path / "grid", texts=3000), tmp_path / "out"
    heard = Heard()
    studying = begin(grid, out)
    job = Job(studying.runs, studying.overwrite)
    for _ in kill_workers(out / FOLDERS[0], deaths):
        run_in_workers(job, heard, 1)
    found = {outcome.run.task.name: outcome.state for outcome in heard.ended}
    assert found["first"].status is status and found["second"].status is Status.done
    assert len(heard.waits) == 1 and "died" in heard.waits[0]
    if status is Status.failed:
        assert "its process died (exit status -9) 2 times" in str(found["first"].cause)

"""``ntps study``: exit statuses, the plan, and sentences."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import ntps
from grid import save_grid, stamps
from ntps.cli import main
from ntps.errors import InputError
from unwrapped import unwrapped


def run(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["ntps", "study", *map(str, arguments)])
        main()
    return int(ended.value.code or 0)


def test_a_plan_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = save_grid(tmp_path / "grid", measurements={"score": None, "adamw": None})
    assert run(grid, "--out", tmp_path / "out", "--dry-run") == 0
    shown = capsys.readouterr().out
    for words in ("score", "adamw", "all", "tokens", "memory"):
        assert words in shown
    assert not (tmp_path / "out").exists()


def test_failures_end_with_3_and_successes_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(save_grid(tmp_path / "grid", planted=True), "--out", out) == 3
    said = capsys.readouterr()
    assert "2 made, 1 failed" in said.out and "one class" in said.err and "Traceback" not in said.err
    assert "1 of 3 runs have no result" in unwrapped(said.err).splitlines()[-1]
    assert run(save_grid(tmp_path / "grid"), "--out", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "grid"


@pytest.mark.parametrize(
    "option", [("--jobs", "0"), ("--overwrite", "maybe"), ("--engine", "slurm"), ("--data-dir", "no")]
)
def test_bad_usage_ends_with_2(option: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("models: [demo]\ntasks: [emotion]\nmeasurements: {score: }\n")
    assert run(path, "--out", tmp_path / "out", *option) == 2


def test_a_model_can_be_given_by_an_option(tmp_path: Path) -> None:
    grid = save_grid(tmp_path / "grid")
    other = save_grid(tmp_path / "grid", model="other").parent / "other"
    assert run(grid, "--model", other, "--out", tmp_path / "out", "-q") == 0
    assert all(name.startswith("results/other/local/") for name in stamps(tmp_path / "out"))


def test_in_python_it_is_one_call(tmp_path: Path) -> None:
    frame = ntps.run_study(save_grid(tmp_path / "grid", planted=True), tmp_path / "out")
    assert list(frame["status"]) == ["done", "done", "failed"]
    with pytest.raises(InputError, match="only-missing"):
        ntps.run_study(tmp_path / "grid" / "grid.yaml", tmp_path / "out", overwrite="sometimes")


@pytest.mark.slow
def test_the_command_runs_from_a_shell(tmp_path: Path) -> None:
    """Spawned processes import the program anew, which a program without a guard does not stand."""
    grid = save_grid(tmp_path / "grid")
    program = Path(sys.executable).with_name("ntps")
    if not program.exists():
        pytest.skip("ntps is not installed as a program")
    done = subprocess.run([program, "study", grid, "--out", tmp_path / "out", "--jobs", "2"], capture_output=True)
    assert done.returncode == 0, done.stderr
    assert len(stamps(tmp_path / "out")) == 2

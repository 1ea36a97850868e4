"""What is said of progress where no bar can be drawn, and what a shell completes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grid import save_grid
from ntps.cli import main
from ntps.cli.console import LINE_INTERVAL_S, Lines


def test_a_line_every_half_minute(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    lines = Lines(lambda: now)
    advance = lines.start("forward pass", 10_000, "tokens")
    said = []
    for _ in range(100):
        now += 1.0
        advance(100)
        said += [(now, line) for line in capsys.readouterr().err.splitlines()]
    assert [when for when, _ in said] == [LINE_INTERVAL_S, 2 * LINE_INTERVAL_S, 3 * LINE_INTERVAL_S]
    assert said[0][1] == "forward pass: 3,000 of 10,000 tokens, 100 tokens/s, 1.2 min left"
    # The half minute runs on over phases.
    lines.start("probes", 5, "layers")(1)
    assert capsys.readouterr().err == ""
    now += LINE_INTERVAL_S
    lines.start("probes", 5, "layers")(5)
    assert capsys.readouterr().err.startswith("probes: 5 of 5 layers")
    # Of a stream nobody knows the end.
    advance = lines.start("Predicting", None, "texts")
    now += LINE_INTERVAL_S
    advance(3_000)
    assert capsys.readouterr().err == "Predicting: 3,000 texts, 100 texts/s\n"


def run_study(*arguments: object) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(sys, "argv", ["ntps", "study", *map(str, arguments)])
        main()


def test_each_run_of_a_study_is_said_when_it_starts_and_when_it_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid, out = save_grid(tmp_path / "grid"), tmp_path / "out"
    run_study(grid, "--out", out)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("[")]
    count = len(lines) // 2
    assert count >= 2
    for number in range(count):
        started, ended = lines[2 * number : 2 * number + 2]
        place, _, run = started.partition(" started ")
        assert place == f"[{number + 1}/{count}]" and ended.startswith(f"{place} {run}: ")
    run_study(grid, "--out", out)
    again = [line for line in capsys.readouterr().err.splitlines() if line.startswith("[")]
    assert len(again) == count and all(line.endswith("done before") for line in again)
    run_study(grid, "--out", out, "-q")
    assert capsys.readouterr().err == ""


def test_a_shell_completes_commands_and_options() -> None:
    def completed(words: str) -> list[str]:
        environment = {**os.environ, "_NTPS_COMPLETE": "complete_bash", "COMP_WORDS": words}
        environment["COMP_CWORD"] = str(len(words.split()) - 1)
        code = "import sys; sys.argv = ['ntps']; from ntps.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        return done.stdout.split()

    assert completed("ntps sco") == ["score"]
    assert "--cv-texts" in completed("ntps score --cv")

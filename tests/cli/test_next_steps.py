"""What `ntps score` says to do next: commands that make a classifier of what was scored, as they stand there."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from ntps.cli import main
from tiny import random_texts, save_model, save_rows


def run(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["ntps", *map(str, arguments)])
        main()
    return int(ended.value.code or 0)


def steps(said: str) -> list[list[str]]:
    """The commands among some lines."""
    return [shlex.split(line)[1:] for line in said.splitlines() if line.startswith("  ntps ")]


@pytest.mark.parametrize("options", [(), ("--layers", "0,3", "--no-test"), ("--layers", "2", "--seed", "1")])
def test_the_commands_run_as_they_stand_and_take_the_better_probe_of_the_same_texts(
    options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("score", "demo", "docstrings", "--limit", "300", "--out", "run it", *options) == 0
    probe, predict = steps(capsys.readouterr().err)
    scored = json.loads(Path("run it", "result.json").read_text())
    better = scored["all_layers"]["accuracy_cv"] > scored["summary"]["chosen_cv"] and len(scored["layers"]) > 1
    assert ("--all-layers" in predict) == better
    assert run(*probe) == 0
    made = json.loads(Path("run it-probe", "result.json").read_text())
    assert made["task"]["fingerprint"] == scored["task"]["fingerprint"]
    assert made["task"]["test"] == scored["task"]["test"]
    if better:
        assert made["all_layers"]["accuracy_cv"] == pytest.approx(scored["all_layers"]["accuracy_cv"])
    else:
        assert made["summary"]["layer"] == scored["summary"]["layer"]
    save_rows(tmp_path / "new.jsonl", ["Draw a scatter plot."], ["?"])
    capsys.readouterr()
    assert run(*("new.jsonl" if word == "FILE.csv" else word for word in predict)) == 0
    assert json.loads(capsys.readouterr().out)["label"] in scored["task"]["label_names"]


def test_nothing_is_said_where_nothing_would_come_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = save_model(tmp_path / "model")
    task = save_rows(tmp_path / "task.jsonl", random_texts(60), [index % 2 for index in range(60)])
    assert run("score", model, task) == 0
    assert not steps(capsys.readouterr().err)
    for flag in ("--json", "--quiet"):
        assert run("score", "demo", "docstrings", "--limit", "200", flag) == 0
        assert not steps(capsys.readouterr().err)

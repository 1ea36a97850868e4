"""``ntps report`` and ``ntps words`` as they are called."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from ntps.cli import main
from report.factory import MEASUREMENTS, TASKS, StudyFactory
from unwrapped import unwrapped


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["ntps", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_partial_study_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = {("demo/tiny-lm", TASKS[0], "lora"): "out of memory"}
    StudyFactory(tasks=TASKS[:3], failed=failed).write(tmp_path)
    assert run(monkeypatch, "report", tmp_path, "--figures", "2,S1", "--probe-layer", "last") == 0
    out, err = capsys.readouterr()
    assert "1 model, 3 tasks: 20 of 21 runs finished, 1 failed" in out and "report.html" in out
    assert "1 run has no result" in err
    assert sorted(path.name for path in (tmp_path / "report" / "figures").glob("*.pdf")) == [
        "accuracies_picture.pdf",
        "figure_2.pdf",
        "figure_s1.pdf",
    ]
    assert "out of memory" in (tmp_path / "report" / "tables" / "failures.md").read_text()


def test_a_current_folder_that_was_removed_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert run(monkeypatch, "tasks") == 2
    assert "the current folder does not exist any more" in capsys.readouterr().err


@pytest.mark.parametrize("status", ["missing", "failed", "unreadable"])
def test_a_study_without_a_finished_run_is_reported(
    status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ntps study` names this command even when all of its runs failed."""
    runs = [("demo/tiny-lm", TASKS[0], measurement) for measurement in MEASUREMENTS]
    factory = {
        "missing": StudyFactory(tasks=TASKS[:1], missing=runs),
        "failed": StudyFactory(tasks=TASKS[:1], failed=dict.fromkeys(runs, "boom")),
        "unreadable": StudyFactory(tasks=TASKS[:1], measurements=("score",)),
    }[status]
    factory.write(tmp_path)
    for curves in tmp_path.rglob("curves.parquet"):
        curves.write_bytes(b"PAR1")
    assert run(monkeypatch, "report", tmp_path) == 0
    out, err = capsys.readouterr()
    assert "report.html" in out and "no result" in err
    table = (tmp_path / "report" / "tables" / "failures.md").read_text()
    assert {"missing": "missing", "failed": "boom", "unreadable": "cannot be read"}[status] in table


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["report", "EMPTY"], "there is no result in"),
        (["report", "EMPTY/missing"], "there is no folder"),
        (["report", "STUDY", "--figures", "7"], "there is no figure '7'"),
        (["report", "STUDY", "--out", "STUDY/study.json"], "cannot write"),
        (["words", "EMPTY", "--list", "a=b"], "give a folder that ntps score wrote"),
        (["words", "EMPTY", "--list", "ab"], "has no name"),
        (["words", "EMPTY", "--list", "a=b", "--list", "a =c"], "is given twice"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    study = StudyFactory(tasks=TASKS[:1], measurements=("score",)).write(tmp_path / "study")
    places = {"EMPTY": str(tmp_path / "empty"), "STUDY": str(study)}
    for word, place in places.items():
        arguments = [each.replace(word, place) for each in arguments]
    assert run(monkeypatch, *arguments) == 2
    err = unwrapped(capsys.readouterr().err)
    assert sentence in err and "Traceback" not in err and err.splitlines()[-1].startswith("Error: ")


def test_words_of_a_score_are_drawn_in_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert run(monkeypatch, "score", "--limit", 150, "--layers", "0,-1", "--no-test", "-q", "--out", folder) == 0
    lists = ("--list", "Code=tensor, gradient", "--list", "Be=is,are,was")
    assert run(monkeypatch, "words", folder, *lists, "--layer", 0) == 0
    assert "5 words in layer 0 (embed)" in capsys.readouterr().out
    assert run(monkeypatch, "report", folder) == 0
    assert (folder / "report" / "figures" / "figure_1.pdf").is_file()
    assert (folder / "report" / "figures" / "curves.pdf").is_file()
    page = (folder / "report" / "report.html").read_text()
    assert "words in the planes of U and V" in page and "In sample" in page
    # What is drawn and listed for new texts is what the result says.
    result = json.loads((folder / "result.json").read_text())
    drawn = pd.read_csv(folder / "report" / "figures" / "by_layer.csv")
    assert drawn["name"].tolist() == ["embed", "final_norm", "all layers"]
    for row, shown in zip((*result["layers"], result["all_layers"]), drawn.to_dict("records"), strict=True):
        low, high = row["accuracy_cv_interval"]
        assert shown["accuracy_cv"] == pytest.approx(row["accuracy_cv"])
        assert shown["accuracy_cv_half"] == pytest.approx((high - low) / 2)
    assert page.index("On new texts") < page.index("In sample")

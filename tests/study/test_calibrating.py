"""``ntps calibrate``: cells from studies are what their results say, and what is missing is named."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import ntps
from ntps.advice.calibration import Calibration
from ntps.cli import main
from ntps.errors import InputError
from ntps.options import recipes
from tiny import random_texts, save_model, save_rows

TASKS = 6


def save_study(
    folder: Path, name: str, measurements: dict[str, Any], tasks: int = TASKS, test: bool = True, seed: int = 0
) -> Path:
    """A study of one model on tasks of 60 texts."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "model").exists():
        save_model(folder / "model")
    for task in range(tasks):
        (folder / f"task{task}").mkdir(exist_ok=True)
        for split, size in (("train", 60), ("test", 30))[: 1 + test]:
            rows = random_texts(size, seed + 2 * task + (split == "test"))
            labels = [len(row.split()) % (2 + task % 2) for row in rows]
            save_rows(folder / f"task{task}" / f"{split}.jsonl", rows, labels)
    content = {
        "name": name,
        "models": [str(folder / "model")],
        "tasks": [str(folder / f"task{task}") for task in range(tasks)],
        "measurements": measurements,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    ntps.run_study(path, folder / name)
    return folder / name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, short_check: None) -> Iterator[Path]:
    """Where studies are, with a standard recipe of four steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "FEWEST_STEPS", 4)
        patch.setattr(recipes, "PASSES", 1)
        yield tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    return save_study(folder, "trained", {"score": None, "tangent": None, "lora": None})


def results(study: Path, task: str) -> dict[str, dict[str, Any]]:
    runs = (study / "results" / "model" / "local" / task).iterdir()
    return {run.name: json.loads((run / "result.json").read_text()) for run in runs}


def test_cells_are_what_the_results_say(trained: Path, tmp_path: Path) -> None:
    found = ntps.calibrate(trained, tmp_path / "calibration.json")
    assert found.unused == () and Calibration.read(tmp_path / "calibration.json") == found.calibration
    assert [cell.task for cell in found.calibration.cells] == [f"task{task}" for task in range(TASKS)]
    for cell in found.calibration.cells:
        runs = results(trained, cell.task)
        score, lora = runs["score"], runs["lora"]
        together = score["all_layers"]
        assert (cell.all_layers, cell.all_layers_test) == (together["accuracy_cv"], together["accuracy_test"])
        assert (cell.final, cell.final_test) == tuple(
            score["layers"][-1][name] for name in ("accuracy_cv", "accuracy_test")
        )
        assert cell.tangent == runs["tangent"]["layers"][0]["accuracy_cv"]
        assert cell.lora_test == lora["summary"]["test"]["accuracy"] and cell.test_texts == 30
        assert cell.gain == pytest.approx(cell.lora_test - cell.all_layers_test)
        assert (cell.texts, cell.classes) == (60, len(score["task"]["label_names"]))
    # One model is no model to leave out.
    assert list(found.errors()) == ["task"]


@pytest.mark.slow
def test_of_several_runs_the_one_counts_that_texts_held_back_prefer(trained: Path, folder: Path) -> None:
    faster = save_study(folder, "faster", {"lora": {"learning_rate": 0.05}}, tasks=TASKS)
    found = ntps.calibrate([trained, faster]).calibration.cells
    for cell in found:
        runs = [results(study, cell.task)["lora"]["summary"] for study in (trained, faster)]
        best = max(runs, key=lambda run: run["validation"]["accuracy"])
        assert cell.lora_test == best["test"]["accuracy"]
    assert ntps.calibrate([faster, trained]).calibration.cells[0].all_layers == found[0].all_layers


def test_what_is_no_cell_is_named(trained: Path, folder: Path) -> None:
    of_paper = {"score": None, "tangent": {"test": False}, "lora": {"recipe": "paper", "steps": 2}}
    paper = save_study(folder / "paper", "study", of_paper, tasks=1, seed=100)
    own = {"score": None, "tangent": {"test": False}, "lora": {"rank": 4, "steps": 2}}
    small = save_study(folder / "small", "study", own, tasks=1, seed=300)
    untested = save_study(folder / "untested", "study", {"score": None}, tasks=1, test=False, seed=200)
    found = ntps.calibrate([trained, paper, small, untested])
    assert len(found.calibration.cells) == TASKS
    # Models and tasks of one name are called by their paths.
    on = {name: f"{folder / name / 'model'} on 60 texts of {folder / name / 'task0'}" for name in ("paper", "small")}
    assert sorted(found.unused) == [
        f"{on['paper']} is not used: its LoRA held no texts back to say when to stop, as the standard recipe does",
        f"{on['small']} is not used: its LoRA is not the standard recipe's: steps 2 and not 4, rank 4 and not 32",
        "score of model on task0 is not used: it has no test texts",
    ]


def test_cells_of_files_are_joined_with_those_of_studies(trained: Path, folder: Path, tmp_path: Path) -> None:
    own = ntps.calibrate(trained, tmp_path / "own.json").calibration.cells
    shipped = Calibration.read().cells
    both = ntps.calibrate(["shipped", trained], tmp_path / "both.json")
    assert both.calibration.cells == (*shipped, *own) and both.unused == ()
    # The order of the arguments does not matter for studies, and a cell counts once.
    assert ntps.calibrate([trained, "shipped"]).calibration.cells == both.calibration.cells
    again = ntps.calibrate([tmp_path / "both.json", trained])
    assert again.calibration.cells == both.calibration.cells
    assert again.unused == (
        f"{TASKS} of {TASKS} cells of the study are not used, because they are there already: model on 60 texts of "
        "task0, model on 60 texts of task1, model on 60 texts of task2, …",
    )
    # A study of fewer tasks than a calibration needs adds to one.
    few = save_study(folder / "more", "few", {"score": None, "tangent": None, "lora": None}, tasks=1, seed=400)
    assert len(ntps.calibrate(["shipped", few]).calibration.cells) == len(shipped) + 1


def test_too_little_is_refused(trained: Path, folder: Path, tmp_path: Path) -> None:
    few = save_study(folder / "few", "few", {"score": None, "tangent": None, "lora": None}, tasks=1)
    with pytest.raises(InputError, match="trained cells of 1 tasks, and a calibration needs 6"):
        ntps.calibrate(few)
    with pytest.raises(InputError, match=r"study\.json"):
        ntps.calibrate(tmp_path)
    with pytest.raises(InputError, match="there is no nothere: give folders"):
        ntps.calibrate("nothere")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match=r"other\.json"):
        ntps.calibrate(["shipped", tmp_path / "other.json"])


def test_the_command_prints_errors(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for more in ((), ("--json",)):
        monkeypatch.setattr(sys, "argv", ["ntps", "calibrate", str(trained), "--out", str(tmp_path / "c.json"), *more])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        printed = capsys.readouterr().out
        if more:
            assert [row["name"] for row in json.loads(printed)["errors"]["task"]][:3] == [
                "forecast",
                "no gain",
                "mean gain",
            ]
        else:
            assert "Every task left out in turn" in printed and "6 cells of 6 tasks" in printed
    assert len(Calibration.read(tmp_path / "c.json").cells) == TASKS

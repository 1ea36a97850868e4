"""Probes of pooled texts that a score kept are those of the model, and need none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from ntps import InputError, LanguageModel, Task, load_model, probe, reprobe, score, task_from_lists
from ntps.cli import app
from ntps.options.probing import AdamWProbe
from tiny import DEPTH, random_task, save_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(save_model(tmp_path_factory.mktemp("qwen2")))


@pytest.fixture(scope="module")
def task() -> Task:
    return random_task(90, 3, test=40)


@pytest.fixture(scope="module")
def scored(model: LanguageModel, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scores") / "scored"
    score(model, task, out=folder, keep_pooled=True, moments="drop")
    return folder


def same(result: dict[str, Any]) -> dict[str, Any]:
    """All but times and where it comes from."""
    own = {"created", "command", "timing", "rescored"}
    return {name: value for name, value in result.items() if name not in own}


@pytest.mark.parametrize("kind", ["ridge", "ols", "logistic", AdamWProbe(epochs=2)])
def test_every_kind_is_what_a_probe_of_the_model_is(model: LanguageModel, task: Task, scored: Path, kind: Any) -> None:
    direct, again = probe(model, task, kind), reprobe(scored, kind=kind)
    assert same(again.to_dict()) == same(direct.to_dict())
    assert again.to_frame().equals(direct.to_frame()) and again.curves.equals(direct.curves)
    assert again.to_dict()["rescored"]["used"] == ["pooled"]


def test_other_labels(model: LanguageModel, task: Task, scored: Path) -> None:
    assert task.test is not None
    numbers = [float(len(text)) + 0.5 for text in task.train.texts]
    tested = [float(len(text)) + 0.5 for text in task.test.texts]
    other = task_from_lists(task.train.texts, numbers, test_texts=task.test.texts, test_labels=tested)
    direct, again = probe(model, other), reprobe(scored, other)
    assert same(again.to_dict()) == same(direct.to_dict()) and again.summary["criterion"] == "r2"
    untested = task_from_lists(task.train.texts, numbers, test_texts=["another text"], test_labels=[0.5])
    found = reprobe(scored, untested, layers="1:3")
    assert found.layers["layer"].tolist() == [1, 2]
    assert found.summary["test"] is None and any("has other test texts" in line for line in found.warnings)
    assert found.layers["r2_cv"].tolist() == again.layers["r2_cv"].tolist()[1:3]


def test_what_is_missing_is_said(model: LanguageModel, task: Task, scored: Path, tmp_path: Path) -> None:
    score(model, task, out=tmp_path / "plain", layers="0")
    with pytest.raises(InputError, match="holds no pooled texts: score the model again with `keep_pooled`"):
        reprobe(tmp_path / "plain")
    shutil.copytree(scored, tmp_path / "kept")
    for layer in range(1, DEPTH + 1):
        assert (tmp_path / "kept" / "pooled" / "train" / f"layer.{layer:03d}.npy").exists()
    (tmp_path / "kept" / "pooled" / "train" / "targets.npy").write_bytes(b"nothing")
    with pytest.raises(InputError, match="targets"):
        reprobe(tmp_path / "kept")
    with pytest.raises(InputError, match=r"do not belong to the texts.*89 texts here, 90 there"):
        reprobe(scored, task_from_lists(task.train.texts[:-1], np.arange(89) % 2))
    with pytest.raises(InputError, match="choose another `out`"):
        reprobe(scored, out=scored)


def test_the_command_runs_no_model(scored: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["probe", "--from", str(scored), "--kind", "ols", "--out", str(tmp_path / "again")])
    assert done.exit_code == 0 and "all layers" in done.output and (tmp_path / "again" / "result.json").exists()

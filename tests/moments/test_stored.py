"""Scores from disk: the same as from the model, with any curves and any labels, without the model."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ntps import InputError, Task, load_model, rescore, score
from ntps.forward.pooled_texts import read_pooled
from ntps.models.model import LanguageModel
from ntps.moments.accumulator import Moments
from ntps.tasks.from_lists import task_from_lists
from ntps.validation.rivals import RIVALS
from tiny import DEPTH, WIDTH, random_task, save_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(save_model(tmp_path_factory.mktemp("llama"), "llama"))


@pytest.fixture(scope="module")
def task() -> Task:
    return random_task(150, 3, test=50)


@pytest.fixture(scope="module")
def other(task: Task) -> Task:
    """The same texts, with their number of words as a real target."""
    assert task.test is not None
    parts = (task.train, task.test)
    lengths = [[float(len(text.split())) + 0.5 for text in part.texts] for part in parts]
    return task_from_lists(
        parts[0].texts, lengths[0], test_texts=parts[1].texts, test_labels=lengths[1], name="lengths"
    )


@pytest.fixture(scope="module")
def kept(model: LanguageModel, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "kept"
    score(model, task, out=folder, keep_pooled=True, tokens_per_batch=60)
    return folder


def told(result: Any) -> dict[str, Any]:
    """What a result says beside dates, times, where it comes from, and what batching did to the layers of the run."""
    found: dict[str, Any] = result.to_dict()
    del found["settings"]["batching_deviation"]
    return {name: value for name, value in found.items() if name not in ("created", "command", "timing", "rescored")}


@pytest.mark.parametrize("options", [{}, {"convention": "released"}, {"centered": True}, {"layers": "1,-1"}])
def test_the_same_labels_give_the_same_result_bit_for_bit(
    options: dict[str, Any], kept: Path, model: LanguageModel, task: Task
) -> None:
    again, direct = rescore(kept, **options), score(model, task, tokens_per_batch=60, **options)
    found, expected = told(again), told(direct)
    # The text of `layers` is not kept, the layers are.
    assert found == expected
    assert again.to_frame().equals(direct.to_frame())
    assert again.to_dict()["rescored"]["from"] == str(kept)


def test_no_model_is_asked(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LanguageModel, "visit_layers", lambda *_arguments: pytest.fail("the model ran"))
    monkeypatch.setattr("ntps.api.loading.load_model", lambda *_a, **_o: pytest.fail("the model was loaded"))
    assert len(rescore(kept).to_dict()["layers"]) == DEPTH + 1


@pytest.mark.parametrize("options", [{}, {"centered": True}, {"layers": "2"}])
def test_other_labels_give_what_a_run_with_them_gives(
    options: dict[str, Any], kept: Path, model: LanguageModel, other: Task
) -> None:
    again, direct = rescore(kept, other, **options), score(model, other, tokens_per_batch=60, **options)
    found, expected = told(again), told(direct)
    for name in ("settings_hash", "model", "task", "settings", "warnings"):
        assert found[name] == expected[name], name
    for mine, theirs in zip(found["layers"], expected["layers"], strict=True):
        for name in ("area", "r2", "r2_adjusted", "r2_test_ols", "best_loss", "target_energy", "ntps_share95"):
            assert mine[name] == pytest.approx(theirs[name], rel=1e-9, abs=1e-12), name
        assert mine["accuracy_test"] is theirs["accuracy_test"] is None
    first, second = again.to_frame(), direct.to_frame()
    np.testing.assert_allclose(first["ntps"], second["ntps"], atol=1e-9)
    np.testing.assert_allclose(first["retained_centered"], second["retained_centered"], atol=1e-9)
    assert again.to_dict()["rescored"]["used"] == ["moments", "pooled"]


def test_the_same_labels_from_pooled_texts_are_the_same_within_rounding(kept: Path, task: Task) -> None:
    given, own = rescore(kept, task).to_dict(), rescore(kept).to_dict()
    assert given["settings_hash"] == own["settings_hash"]
    for mine, theirs in zip(given["layers"], own["layers"], strict=True):
        for name in ("area", "r2", "r2_test", "accuracy_test", "r2_cv", "area_cv", "best_loss", "ntps_share95"):
            assert mine[name] == pytest.approx(theirs[name], rel=1e-12, abs=1e-12), name


def test_pooled_texts_are_written_in_the_same_pass(
    model: LanguageModel, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many batches through the model with them as without, and the same result."""
    calls: list[int] = []
    visit = LanguageModel.visit_layers

    def counting(self: LanguageModel, *arguments: Any) -> None:
        calls.append(1)
        visit(self, *arguments)

    monkeypatch.setattr(LanguageModel, "visit_layers", counting)
    plain = score(model, task, out=tmp_path / "plain", tokens_per_batch=60)
    without = len(calls)
    kept = score(model, task, out=tmp_path / "kept", tokens_per_batch=60, keep_pooled=True)
    assert len(calls) == 2 * without
    assert told(plain) == told(kept)
    assert task.test is not None
    for part, split in (("train", task.train), ("test", task.test)):
        pooled = read_pooled(tmp_path / "kept" / "pooled" / part)
        assert {rows.shape for rows in pooled.values()} == {(len(split), WIDTH)}
    assert not (tmp_path / "plain" / "pooled").exists()


def test_other_texts_are_refused(kept: Path, task: Task) -> None:
    fewer = random_task(149, 3)
    with pytest.raises(InputError, match=r"149 texts here, 150 there"):
        rescore(kept, fewer)
    turned = replace(task, train=replace(task.train, texts=task.train.texts[::-1]))
    with pytest.raises(InputError, match="do not belong to the texts"):
        rescore(kept, turned)


def test_other_test_texts_cost_the_held_out_figures_only(kept: Path, task: Task) -> None:
    assert task.test is not None
    shorter = replace(task, test=replace(task.test, texts=task.test.texts[:9], labels=task.test.labels[:9]))
    result = rescore(kept, shorter).to_dict()
    assert result["task"]["test"] is None and all(row["r2_test"] is None for row in result["layers"])
    assert any("held-out" in warning for warning in result["warnings"])
    assert rescore(kept, task, test=False).to_dict()["task"]["test"] is None


def test_what_is_missing_is_one_sentence(model: LanguageModel, task: Task, kept: Path, tmp_path: Path) -> None:
    score(model, task, out=tmp_path / "bare", moments="drop")
    with pytest.raises(InputError, match="no statistics"):
        rescore(tmp_path / "bare")
    score(model, task, out=tmp_path / "moments", layers="1")
    with pytest.raises(InputError, match="`keep_pooled`"):
        rescore(tmp_path / "moments", task)
    with pytest.raises(InputError, match="layer 3, only of 1"):
        rescore(tmp_path / "moments", layers="3")
    with pytest.raises(InputError, match="another `out`"):
        rescore(kept, out=kept, overwrite=True)
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "moments", copy)
    shutil.copytree(kept / "pooled", copy / "pooled")
    with pytest.raises(InputError, match="another run"):
        rescore(copy, task)
    (copy / "moments" / "index.json").write_text("{}")
    with pytest.raises(InputError, match="compute the moments again"):
        rescore(copy)


def test_a_run_that_has_not_ended_can_be_rescored(kept: Path, tmp_path: Path) -> None:
    """Statistics are on disk before scoring starts."""
    shutil.copytree(kept, tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    result = rescore(tmp_path / "run").to_dict()
    assert any("come to its end" in warning for warning in result["warnings"])
    assert all(row["r2_test"] is None for row in result["layers"])


def test_the_files_are_those_of_a_score(kept: Path, tmp_path: Path) -> None:
    result = rescore(kept, out=tmp_path / "again", centered=True)
    assert {path.name for path in (tmp_path / "again").iterdir()} == {
        ".ntps.json",
        "result.json",
        "curves.parquet",
        "held_out.safetensors",
        "left_out.safetensors",
    }
    assert json.loads((tmp_path / "again" / "result.json").read_text()) == result.to_dict()
    with pytest.raises(InputError, match="`overwrite`"):
        rescore(kept, out=tmp_path / "again")
    rescore(kept, out=tmp_path / "again", overwrite=True)


def test_an_interrupted_run_goes_on_with_its_pooled_texts(
    kept: Path, model: LanguageModel, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of batches before and after the interruption, and of those that were done twice."""
    put = Moments.add
    calls = 0

    def dying(self: Any, *arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 30:
            raise KeyboardInterrupt
        put(self, *arguments)

    monkeypatch.setattr("ntps.checkpoint.checkpoint.INTERVAL", 0.0)
    monkeypatch.setattr(Moments, "add", dying)
    with pytest.raises(KeyboardInterrupt):
        score(model, task, out=tmp_path / "run", keep_pooled=True, tokens_per_batch=60)
    parts = sorted(path.name for path in (tmp_path / "run" / "pooled" / "train").iterdir())
    assert parts == [f"layer.{layer:03d}.npy.part" for layer in range(DEPTH + 1)]
    with pytest.raises(InputError, match="pooled"):
        score(model, task, out=tmp_path / "run", tokens_per_batch=60)
    score(model, task, out=tmp_path / "run", keep_pooled=True, tokens_per_batch=60)
    for part in ("train", "test"):
        first, second = (read_pooled(folder / "pooled" / part) for folder in (tmp_path / "run", kept))
        for layer, rows in first.items():
            assert rows.tobytes() == second[layer].tobytes()


def test_without_pooled_texts_figures_for_new_texts_are_carried_over(
    model: LanguageModel, task: Task, tmp_path: Path
) -> None:
    direct = score(model, task, out=tmp_path, tokens_per_batch=60)
    again = rescore(tmp_path)
    assert again.to_dict()["layers"] == direct.to_dict()["layers"] and again.summary == direct.summary
    # Of other directions nothing is known, and one layer of two was chosen among more.
    centered = rescore(tmp_path, centered=True, layers="0,2")
    for row, own in zip(
        centered.to_dict()["layers"], (direct.to_dict()["layers"][layer] for layer in (0, 2)), strict=True
    ):
        assert row["accuracy_cv"] == own["accuracy_cv"] and row.get("area_cv") is None
        assert row["ntps_share95_ridge"] is None
    assert any("next-token directions are others" in warning for warning in centered.warnings)
    assert centered.summary["chosen_cv"] is None and centered.to_dict()["all_layers"] is None
    best = max(centered.to_dict()["layers"], key=lambda row: row["accuracy_cv"])
    assert centered.summary["layer"] == best["layer"]


@pytest.mark.parametrize("cv_texts", [20_000, 40])
def test_kept_pooled_texts_give_the_same_figures_for_new_texts(
    cv_texts: int, model: LanguageModel, task: Task, tmp_path: Path
) -> None:
    """In memory, in the folder, kept, and without the model."""
    options: dict[str, Any] = {"tokens_per_batch": 60, "cv_texts": cv_texts}
    plain = score(model, task, **options)
    assert plain.summary["cv_texts"] == min(cv_texts, len(task.train))
    score(model, task, out=tmp_path / "kept", keep_pooled=True, **options)
    for other in (score(model, task, out=tmp_path / "folder", **options), rescore(tmp_path / "kept")):
        assert other.to_dict()["layers"] == plain.to_dict()["layers"]
        assert other.to_dict()["all_layers"] == plain.to_dict()["all_layers"] and other.summary == plain.summary


def test_rivals_are_the_same_from_any_place(
    kept: Path, model: LanguageModel, task: Task, other: Task, tmp_path: Path
) -> None:
    """In the pass, from pooled texts that were kept, and carried over; only the hash says that they were asked for."""
    direct = score(model, task, tokens_per_batch=60, rivals=True, out=tmp_path / "run")
    plain = rescore(kept).to_dict()
    found = told(rescore(kept, rivals=True))
    assert found == told(direct) and found["settings_hash"] != plain["settings_hash"]
    for row, without in zip(found["layers"], plain["layers"], strict=True):
        values = row.pop("rivals")
        assert row == without and values.pop("warnings") == [] and None not in values.values()
        assert {*values} == {*RIVALS}
    frame = direct.layers
    assert {*RIVALS} <= {*frame} and not {*RIVALS} & {*rescore(kept).layers}
    assert frame["h_score"].between(0, 2).all() and (frame["n_leep"] <= 0).all()
    # What was asked for once is in what is made of it, without pooled texts too.
    for again in (rescore(tmp_path / "run"), rescore(tmp_path / "run", rivals=True, centered=True)):
        assert [row["rivals"] for row in again.to_dict()["layers"]] == [
            row["rivals"] for row in direct.to_dict()["layers"]
        ]
    lengths = rescore(kept, other, rivals=True)
    assert lengths.layers["logme"].notna().all() and lengths.layers["h_score"].isna().all()
    assert any(line.startswith("every layer: h_score, ") for line in lengths.warnings)


def test_rivals_without_pooled_texts_are_refused(model: LanguageModel, task: Task, tmp_path: Path) -> None:
    score(model, task, tokens_per_batch=60, out=tmp_path / "plain")
    with pytest.raises(InputError, match=r"`rivals` need pooled texts, which .*plain does not hold"):
        rescore(tmp_path / "plain", rivals=True)
    with pytest.raises(InputError, match=r"`rivals` .* give one above 0"):
        score(model, task, rivals=True, cv_texts=0)


def test_pooled_texts_that_went_missing_are_noticed(
    model: LanguageModel, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ntps.checkpoint.checkpoint.INTERVAL", 0.0)
    monkeypatch.setattr("ntps.scoring.score_run._ScoreRun.join", lambda *_a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        score(model, task, out=tmp_path, keep_pooled=True, tokens_per_batch=60)
    monkeypatch.undo()
    (tmp_path / "pooled" / "train" / "layer.001.npy.part").unlink()
    with pytest.raises(InputError, match=r"layer\.001.*`overwrite`"):
        score(model, task, out=tmp_path, keep_pooled=True, tokens_per_batch=60)
    score(model, task, out=tmp_path, tokens_per_batch=60, overwrite=True)
    assert not (tmp_path / "pooled").exists()


def test_keeping_pooled_texts_needs_a_folder(model: LanguageModel, task: Task) -> None:
    with pytest.raises(InputError, match="`out`"):
        score(model, task, keep_pooled=True)

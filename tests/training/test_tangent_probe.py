"""The tangent probe: its figures are those of a ridge on tangent features, and what is saved predicts again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from ntps import InputError, LanguageModel, ProbeResult, Task, load_model, probe, reprobe, task_from_lists
from ntps.display.probe import probe_words
from ntps.forward.tangents import TangentPass, TangentTexts
from ntps.jobs.session import RunSession
from ntps.models.adapters import lora
from ntps.options.probing import ProbeSettings
from ntps.training.probes import tangent
from ntps.training.probes.saved import SavedTangentProbe
from ntps.validation.tangents import GAMMA
from tiny import DEPTH, Array, random_task, random_texts, save_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(save_model(tmp_path_factory.mktemp("qwen2")))


@pytest.fixture(scope="module")
def task() -> Task:
    return random_task(40, 3, test=20)


@pytest.fixture(scope="module")
def probed(model: LanguageModel, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probes") / "run"
    probe(model, task, "tangent", seed=3, out=folder)
    return folder


def features_of(model: LanguageModel, task: Task, about: dict[str, Any]) -> dict[str, TangentTexts]:
    ready = RunSession(model, task, ProbeSettings(kind="tangent"), None)
    assert ready.test is not None and ready.test_tokens is not None
    passes = {
        "train": ready.work(task.train, ready.tokens, None),
        "test": ready.work(ready.test, ready.test_tokens, None),
    }
    return {split: TangentPass(work, **about).run() for split, work in passes.items()}


def test_the_figures_are_those_of_a_ridge_and_the_file_predicts_again(
    model: LanguageModel, task: Task, probed: Path, tmp_path: Path
) -> None:
    result = ProbeResult.load(probed)
    (row,) = result.to_dict()["layers"]
    saved = SavedTangentProbe.read(probed / "probe.safetensors")
    texts = features_of(model, task, saved.about["tangents"])
    assert saved.about["tangents"]["seed"] == 3 and saved.about["task"]["label_names"] == list(task.label_names)

    layer = row["layer"]
    pooled = texts["train"].pooled[layer].astype(np.float64)
    mean, scale = pooled.mean(axis=0), pooled.std(axis=0)

    def side_by_side(found: TangentTexts) -> Array:
        units = found.tangents / np.linalg.norm(found.tangents, axis=1, keepdims=True)
        return np.hstack(((found.pooled[layer] - mean) / scale / pooled.shape[1] ** 0.5, GAMMA**0.5 * units))

    rows = {split: side_by_side(found) for split, found in texts.items()}
    diagonal = ((rows["train"] - rows["train"].mean(axis=0)) ** 2).sum(axis=1).mean()
    fit = Ridge(alpha=row["penalty_cv"] * diagonal).fit(rows["train"], task.targets(task.train.labels))
    for split, labels in (("train", task.train.labels), ("test", task.test.labels)):  # type: ignore[union-attr]
        predicted = saved.ridge.predict(texts[split].pooled[layer], texts[split].tangents)
        np.testing.assert_allclose(predicted, fit.predict(rows[split]), atol=1e-6)
        assert row[split]["accuracy"] == pytest.approx(float(np.mean(predicted.argmax(axis=1) == labels)))
    assert row["accuracy_test"] == row["test"]["accuracy"] and row["accuracy_cv_interval"] is not None

    again = ProbeResult.load(probed).save(tmp_path / "again")
    assert (again / "probe.safetensors").read_bytes() == (probed / "probe.safetensors").read_bytes()
    (again / "probe.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot read a probe from"):
        ProbeResult.load(again)


def test_the_result_says_what_was_probed(model: LanguageModel, task: Task, probed: Path) -> None:
    result = ProbeResult.load(probed)
    summary = result.record.result.summary
    assert (summary.layer, summary.rule) == (DEPTH, "the only layer that was probed")
    assert result.to_dict()["all_layers"] is None
    first, second = probe_words(result.record.result)
    assert first.startswith("Ridge regression with tangent features") and "20 test texts" in first
    assert second.startswith("On training texts left out, it reaches accuracy")
    result.plot()
    # The same seed gives the same bits, another one another probe.
    same, other = (probe(model, task, "tangent", seed=seed).to_dict() for seed in (3, 4))
    assert same["layers"] == result.to_dict()["layers"] != other["layers"]
    assert same["settings_hash"] == result.to_dict()["settings_hash"] != other["settings_hash"]


def test_other_labels_than_classes(model: LanguageModel) -> None:
    texts = random_texts(70)
    numbers = [float(len(text)) + 0.5 for text in texts]
    sets = [[name for name in "aeo" if name in text] for text in texts]
    for labels, criterion in ((numbers, "r2"), (sets, "mean_average_precision")):
        found = task_from_lists(texts[:50], labels[:50], test_texts=texts[50:], test_labels=labels[50:])
        result = probe(model, found, "tangent")
        (row,) = result.to_dict()["layers"]
        assert result.summary["criterion"] == criterion and row[f"{criterion}_test"] is not None
        assert row[f"{criterion}_cv"] > result.summary["baseline_cv"]
        assert "None" not in " ".join(probe_words(result.record.result))


def test_many_texts_are_sampled(model: LanguageModel, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tangent, "CV_TEXTS", 25)
    result = probe(model, task, "tangent", test=False)
    assert result.summary["cv_texts"] == 25 and result.summary["test"] is None
    assert any("a seeded sample of 25 of 40 texts" in line for line in result.warnings)


def test_what_makes_no_sense_is_refused(
    model: LanguageModel, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="`pooling` must be mean for `kind` tangent, as in fine-tuning, not last"):
        probe(model, task, "tangent", pooling="last")
    with pytest.raises(InputError, match="`layers` must be -1 for `kind` tangent, which is of the last layer, not 0,2"):
        probe(model, task, "tangent", layers="0,2")
    with pytest.raises(InputError, match="`kind` tangent needs the model"):
        reprobe(tmp_path, kind="tangent")
    with pytest.raises(InputError, match="two training texts that are neither equal"):
        probe(model, task_from_lists(["the same text"] * 4, ["a", "b", "a", "b"]), "tangent")
    monkeypatch.setattr(lora, "TARGETS", (("other",),))
    with pytest.raises(InputError, match=r"projections of .* have unknown names.*choose another model"):
        probe(model, task, "tangent")

"""The standard recipe: training texts that are held back end the training and choose the weights; test texts do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntps import InputError, NumericalError, load_model, task_from_lists
from ntps.models.tokenizing.tokens import tokenize
from ntps.options.finetuning import FinetuneSettings
from ntps.options.recipes import FullFineTuning, LoRA
from ntps.tasks.task import Task
from ntps.training.finetuning import finetune_run as module
from ntps.training.finetuning.batches import Collator
from ntps.training.finetuning.finetune_run import run_finetune
from ntps.training.finetuning.held_back import Best, held_back
from ntps.training.finetuning.saved import load_classifier
from ntps.training.metrics import figures_of_logits
from ntps.training.records import FinetuneRecord
from ntps.validation.labels import Labels
from slow import slow
from tiny import random_task, random_texts, save_model
from trained import After, Interrupted, plain, weights

TASK = random_task(40, test=11)
# Memorized at once, so that the loss on other texts soon rises.
METHODS: dict[str, LoRA | FullFineTuning] = {
    "lora": LoRA(batch_size=4, learning_rate=2e-2, patience=2, steps=30),
    "full": FullFineTuning(batch_size=4, learning_rate=2e-2, patience=2, steps=30, from_scratch=True),
}
SETTINGS = FinetuneSettings(method=METHODS["lora"], eval_every=2, save_every=4)
Whole = Callable[[str], tuple[Path, FinetuneRecord]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("qwen2"))


def settings_of(method: str) -> FinetuneSettings:
    return replace(SETTINGS, method=METHODS[method])


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """What a run without interruption leaves."""

    @cache
    def run(method: str) -> tuple[Path, FinetuneRecord]:
        out = tmp_path_factory.mktemp("whole")
        return out, run_finetune(folder, TASK, settings_of(method), out=out)

    return run


@given(st.integers(2, 60), st.integers(1, 5), st.integers(1, 4), st.integers(0, 3))
def test_texts_are_dealt_once_by_groups_and_classes(texts: int, classes: int, size: int, seed: int) -> None:
    groups = np.arange(texts) // size
    labels = Labels("classes", np.eye(classes)[np.arange(texts) % classes], groups)
    trained, held = held_back(labels, seed)
    assert sorted([*trained, *held]) == list(range(texts))
    assert not set(groups[trained]) & set(groups[held])
    if groups.max() == 0:
        assert not len(held)
        return
    assert len(held) and len(trained)
    assert held.tolist() == held_back(labels, seed)[1].tolist()
    if size == 1 and texts >= 5 * classes:
        shares = np.bincount(labels.classes[held], minlength=classes), np.bincount(labels.classes) / 5
        assert np.abs(shares[0] - shares[1]).max() <= 1


def test_another_seed_holds_others_back_and_large_tasks_a_thousand() -> None:
    labels = Labels("classes", np.eye(2)[np.arange(30_000) % 2])
    first, second = (held_back(labels, seed)[1] for seed in (0, 1))
    assert len(first) == len(second) == 1000
    assert set(first) != set(second)


def test_the_best_evaluation_is_the_most_accurate_then_of_the_least_loss_then_the_first() -> None:
    def log(*figures: tuple[float, float]) -> list[dict[str, float]]:
        return [
            {"step": 7 * place, "eval_accuracy": accuracy, "eval_cross_entropy": loss}
            for place, (accuracy, loss) in enumerate(figures, start=1)
        ]

    assert Best.of([{"step": 3, "loss": 0.1}]) is None
    assert Best.of([{"step": 3, "loss": 0.1}, *log((0.5, 1), (0.6, 9), (0.5, 2))]) == Best(step=14, since=1)
    assert Best.of(log((0.5, 3), (0.5, 2), (0.5, 4), (0.5, 2))) == Best(step=14, since=2)
    assert Best.of(log((0.5, 3), (0.6, 2))) == Best(step=14, since=0)
    assert Best.of([{"step": step, "eval_mse": loss} for step, loss in ((1, 3), (2, 1), (3, 2))]) == Best(2, 1)
    with pytest.raises(NumericalError, match="lower `learning_rate`"):
        Best.of([{"step": 1, "eval_accuracy": 0.5}])


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_weights_that_are_kept_and_judged_are_those_that_did_best(method: str, folder: Path, whole: Whole) -> None:
    """Recomputed from what was saved: on the texts held back, and on the test texts."""
    out, record = whole(method)
    summary, curves = record.result.summary, record.curves
    held = curves[curves["split"] == "validation"]
    figures = zip((-held["accuracy"]).tolist(), held["loss"].tolist(), strict=True)
    evaluations = dict(zip(held["step"].tolist(), figures, strict=True))
    kept = min(evaluations, key=evaluations.__getitem__)
    assert summary.kept_step == kept < summary.steps < 30
    assert summary.stopped == "no better evaluation"
    assert held["step"].tolist() == list(range(2, summary.steps + 1, 2))
    assert sum(step > kept for step in evaluations) == 2
    classifier_of = load_model(folder if method == "lora" else out / "model")
    classifier = load_classifier(classifier_of, out)
    rows = held_back(Labels.of(TASK, TASK.train), SETTINGS.seed)[1]
    assert summary.validation_texts == len(rows) == 8
    assert TASK.test is not None
    for split, part, expected in ((TASK.train, rows, summary.validation), (TASK.test, None, summary.test)):
        tokens = tokenize(classifier_of, split.texts)
        collate = Collator(TASK, split, tokens, classifier_of.pad_id, 10_000, part)
        inputs = collate(range(len(collate)))
        order = np.argsort(-collate.lengths, kind="stable")
        logits = classifier(inputs["ids"], inputs["lengths"]).detach().double().numpy()
        found = figures_of_logits(logits, collate.labels.take(order))
        assert expected is not None
        assert found.cross_entropy == pytest.approx(expected.cross_entropy, rel=1e-5)
        assert found.accuracy == expected.accuracy
    assert summary.validation is not None
    assert evaluations[kept][1] == pytest.approx(summary.validation.cross_entropy, rel=1e-12)
    [tested] = curves[curves["split"] == "test"].to_dict("records")
    assert (tested["step"], tested["accuracy"]) == (summary.kept_step, summary.test.accuracy if summary.test else None)


def test_test_texts_change_neither_training_nor_the_choice(folder: Path, tmp_path: Path, whole: Whole) -> None:
    kept, expected = whole("lora")
    assert TASK.test is not None
    other = replace(TASK, test=replace(TASK.test, texts=random_texts(11, seed=9), labels=TASK.test.labels[::-1].copy()))
    record = run_finetune(folder, other, SETTINGS, out=tmp_path / "out")
    assert weights(tmp_path / "out") == weights(kept)
    first, second = (each.curves[each.curves["split"] != "test"] for each in (record, expected))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert record.result.summary.test != expected.result.summary.test


@pytest.mark.parametrize(("method", "steps"), [slow("lora", 3), ("lora", 7), slow("full", 7)])
def test_an_interrupted_run_stops_and_chooses_like_any_other(
    method: str, steps: int, folder: Path, tmp_path: Path, whole: Whole
) -> None:
    kept, expected = whole(method)
    with pytest.raises(Interrupted):
        run_finetune(folder, TASK, settings_of(method), out=tmp_path / "out", reporter=After(steps))
    reporter = After(1000)
    record = run_finetune(folder, TASK, settings_of(method), out=tmp_path / "out", reporter=reporter)
    assert reporter.left == 1000 - expected.result.summary.steps
    assert weights(tmp_path / "out") == weights(kept)
    assert plain(record) == plain(expected)
    pd.testing.assert_frame_equal(record.curves, expected.curves, check_exact=True)


def test_interrupted_once_patience_has_ended(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    kept, expected = whole("lora")

    def interrupt(*_args: Any, **_options: Any) -> None:
        raise Interrupted

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(module, "save_classifier", interrupt)
        run_finetune(folder, TASK, SETTINGS, out=tmp_path / "out")
    reporter = After(1000)
    record = run_finetune(folder, TASK, SETTINGS, out=tmp_path / "out", reporter=reporter)
    # Not one step more.
    assert reporter.left == 1000 - expected.result.summary.steps
    assert weights(tmp_path / "out") == weights(kept)
    assert plain(record) == plain(expected)
    pd.testing.assert_frame_equal(record.curves, expected.curves, check_exact=True)


def test_real_targets_are_held_back_too(folder: Path) -> None:
    task = task_from_lists(random_texts(20), [i / 7 for i in range(20)])
    record = run_finetune(folder, task, replace(SETTINGS, method=LoRA(batch_size=4, steps=4)))
    summary, curves = record.result.summary, record.curves
    assert summary.validation is not None and summary.validation.mse is not None
    assert summary.train is not None
    assert set(curves["split"]) == {"train", "validation"}
    assert summary.stopped == "all steps were done"


def test_texts_that_belong_together_cannot_be_held_back(folder: Path) -> None:
    task: Task = task_from_lists(["one text"] * 4, ["a", "b", "a", "b"])
    record = run_finetune(folder, task, replace(SETTINGS, method=LoRA(batch_size=2, steps=3)))
    summary = record.result.summary
    assert (summary.validation, summary.validation_texts, summary.kept_step) == (None, 0, 3)
    assert any("none could be held back" in warning for warning in record.result.warnings)


def test_what_the_standard_recipe_makes_of_texts_and_parameters() -> None:
    assert [LoRA().for_texts(texts).steps for texts in (10, 400, 800, 67_000)] == [200, 500, 1000, 2000]
    assert FinetuneSettings().for_texts(800).eval_every == 50
    rates = [LoRA().for_model(count).learning_rate for count in (10**4, 10**9)]
    assert rates == pytest.approx([2e-3, 3e-4])
    assert FullFineTuning().for_model(10**9).learning_rate == pytest.approx(3e-5)
    assert FullFineTuning(from_scratch=True).for_model(10**9).learning_rate == pytest.approx(3e-4)
    given_numbers = LoRA(steps=7, learning_rate=0.5)
    assert given_numbers.for_texts(800).for_model(10**9) == given_numbers
    assert LoRA() == LoRA(batch_size=16, patience=5)


def test_recipes_that_are_none() -> None:
    with pytest.raises(InputError, match=r"^`patience` means nothing to `recipe` paper"):
        LoRA(recipe="paper", patience=3)
    wrong: Any = "papers"
    with pytest.raises(InputError, match=r"^`recipe` must be one of standard, paper, not 'papers'"):
        LoRA(recipe=wrong)
    assert len({FinetuneSettings(eval_every=every).settings_hash(()) for every in (3, 4)}) == 2

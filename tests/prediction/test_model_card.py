"""Figures as model cards have them, read back by the hub's own library."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import EvalResult, ModelCardData
from huggingface_hub.repocard_data import model_index_to_eval_results

import ntps
from ntps import LanguageModel, Task
from ntps.errors import InputError


def read_back(results: list[EvalResult]) -> dict[str, float]:
    card: Any = ModelCardData(model_name="classifier", eval_results=results)
    _, found = model_index_to_eval_results(card.to_dict()["model-index"])
    assert all(each.task_type == "text-classification" for each in found)
    return {each.metric_type: each.metric_value for each in found}


def test_a_card_has_the_figures_on_test_texts(model: LanguageModel, task: Task) -> None:
    result = ntps.probe(model, replace(task, id="/tasks/mood.csv"))
    entries = result.to_eval_results()
    assert {entry.dataset_name for entry in entries} == {"mood.csv"}
    test = result.summary["test"]
    assert read_back(entries) == {name: test[name] for name in ("accuracy", "balanced_accuracy", "r2", "mse")}


def test_fine_tuned_classifiers_have_one_too(folder: Path, task: Task) -> None:
    result = ntps.finetune(folder, task, method=ntps.LoRA(rank=2, steps=2, batch_size=4))
    assert read_back(result.to_eval_results())["accuracy"] == result.summary["test"]["accuracy"]


def test_without_test_texts_or_a_classifier_there_is_none(model: LanguageModel, task: Task) -> None:
    with pytest.raises(InputError, match="this result has none: give a test split"):
        ntps.probe(model, replace(task, test=None)).to_eval_results()
    with pytest.raises(InputError, match="give the result of a probe, or of fine-tuning"):
        ntps.score(model, task, layers="0").to_eval_results()

"""A probe that was saved, at work: the same texts get the same labels, and another model is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from ntps import (
    FullFineTuning,
    InputError,
    LanguageModel,
    LoRA,
    Task,
    finetune,
    load_model,
    load_probe,
    probe,
    reprobe,
    score,
    task_from_lists,
)
from tiny import CONTEXT, DEPTH, random_texts, save_model


@pytest.fixture(scope="module")
def probed(model: LanguageModel, task: Task, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("probed") / "run"
    return out, probe(model, task, out=out).to_dict()


def accuracy(predicted: Any, task: Task) -> float:
    assert task.test is not None
    return float(np.mean(predicted == np.array(task.label_names)[task.test.labels]))


@pytest.mark.parametrize("kind", ["qwen2", "bert"])
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_it_is_as_accurate_as_the_probe_says(kind: str, pooling: Any, task: Task, tmp_path: Path) -> None:
    assert task.test is not None
    save_model(tmp_path / "model", kind)
    found = probe(tmp_path / "model", task, pooling=pooling, out=tmp_path / "run").to_dict()
    chosen, together = load_probe(tmp_path / "run"), load_probe(tmp_path / "run", all_layers=True)
    assert accuracy(chosen.predict(task.test.texts), task) == found["summary"]["test"]["accuracy"]
    assert accuracy(together.predict(task.test.texts), task) == found["all_layers"]["accuracy_test"]
    for each in (chosen, together):
        made = each.predict_proba(task.test.texts)
        np.testing.assert_allclose(made.sum(axis=1), 1.0)
        assert (np.array(each.label_names)[made.argmax(axis=1)] == each.predict(task.test.texts)).all()
    assert repr(chosen) == (
        f"Predictor(ridge probe of {found['summary']['name']} of {tmp_path / 'model'}; "
        "3 classes: class 0, class 1, class 2)"
    )
    assert f"{DEPTH + 1} layers together" in repr(together)


def test_a_probe_of_kept_texts_predicts_too(model: LanguageModel, task: Task, tmp_path: Path) -> None:
    assert task.test is not None
    score(model, task, out=tmp_path / "scored", keep_pooled=True)
    found = reprobe(tmp_path / "scored", out=tmp_path / "run").summary
    assert accuracy(load_probe(tmp_path / "run").predict(task.test.texts), task) == found["test"]["accuracy"]


def test_a_tangent_probe_predicts_too(model: LanguageModel, task: Task, tmp_path: Path) -> None:
    assert task.test is not None
    found = probe(model, task, "tangent", seed=3, out=tmp_path / "run").to_dict()
    loaded = load_probe(tmp_path / "run", model)
    assert accuracy(loaded.predict(task.test.texts), task) == found["summary"]["test"]["accuracy"]
    # Each text alone gets what it gets among others.
    parts = [loaded.predict_proba([text]) for text in task.test.texts[:5]]
    np.testing.assert_allclose(np.vstack(parts), loaded.predict_proba(task.test.texts)[:5], atol=1e-5)
    with pytest.raises(InputError, match="`all_layers` means nothing to a tangent probe"):
        load_probe(tmp_path / "run", model, all_layers=True)


def test_the_pass_ends_at_the_last_layer_that_is_needed(folder: Path, task: Task, tmp_path: Path) -> None:
    model = load_model(folder)
    probe(model, task, layers="1", test=False, out=tmp_path)
    ran = []
    for index, block in enumerate(model.blocks, start=1):
        block.register_forward_hook(lambda *_, index=index: ran.append(index))
    load_probe(tmp_path, model).predict(["ba be bi"])
    assert set(ran) == {1}


def test_label_sets_and_numbers(model: LanguageModel, tmp_path: Path) -> None:
    texts = random_texts(90)
    sets = [[name for name in "aeo" if name in text] for text in texts]
    numbers = [float(len(text)) + 0.5 for text in texts]
    given: dict[str, list[Any]] = {"sets": sets, "numbers": numbers}
    for name, labels in given.items():
        held = labels[60:]
        task = task_from_lists(texts[:60], labels[:60], test_texts=texts[60:], test_labels=held)
        result = probe(model, task, out=tmp_path / name)
        loaded = load_probe(tmp_path / name, model)
        predicted, figures = loaded.predict(texts[60:]), result.summary["test"]
        if name == "sets":
            assert predicted.shape == (30, 3) and predicted.dtype == bool
            wanted = np.array([[each in found for each in loaded.label_names] for found in held])
            assert (predicted == wanted).all(axis=1).mean() == figures["accuracy"]
            assert ((loaded.predict_proba(texts[60:]) >= 0.5) == predicted).all()
        else:
            assert np.mean((predicted - held) ** 2) == pytest.approx(figures["mse"])
            with pytest.raises(InputError, match="numbers are predicted, which have no probabilities"):
                loaded.predict_proba(texts[60:])


# --- which model -----------------------------------------------------------------------------------------------------


def test_a_model_that_moved_is_named_and_another_is_refused(
    probed: tuple[Path, dict[str, Any]], folder: Path, task: Task, tmp_path: Path
) -> None:
    assert task.test is not None
    moved = save_model(tmp_path / "moved")
    same = load_probe(probed[0]).predict(task.test.texts)
    assert (load_probe(probed[0], model=moved).predict(task.test.texts) == same).all()
    with pytest.raises(InputError) as refused:
        load_probe(probed[0], save_model(tmp_path / "other", seed=1))
    probe(moved, task, layers="0", out=tmp_path / "of moved")
    moved.rename(tmp_path / "again")
    with pytest.raises(InputError, match=r"cannot be loaded .*: if it lies elsewhere now, name it with `model`"):
        load_probe(tmp_path / "of moved")
    sentence = f"belongs to another model than {tmp_path / 'other'}: it was made of {folder}, whose weights differ"
    assert sentence in str(refused.value)
    with pytest.raises(InputError, match="`model` was loaded in float64, but what predicts was made in float32"):
        load_probe(probed[0], load_model(folder, dtype="float64"))


@pytest.mark.parametrize("method", [None, LoRA(steps=1), FullFineTuning(steps=1)])
def test_another_tokenizer_is_a_warning(
    method: LoRA | FullFineTuning | None, folder: Path, task: Task, tmp_path: Path
) -> None:
    if method is None:
        probe(folder, task, layers="0", out=tmp_path / "run")
    else:
        finetune(folder, task, method, out=tmp_path / "run")
    other = save_model(tmp_path / "other")
    pipeline = json.loads((other / "tokenizer.json").read_text())
    (other / "tokenizer.json").write_text(json.dumps({**pipeline, "normalizer": {"type": "Lowercase"}}))
    assert not load_probe(tmp_path / "run").warnings
    with pytest.warns(UserWarning, match="is not the one that this was made with"):
        load_probe(tmp_path / "run", tokenizer=other).predict(["ba be"])


def test_what_is_no_saved_probe(
    model: LanguageModel, task: Task, probed: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="holds neither a probe nor a classifier: give a folder that"):
        load_probe(tmp_path)
    probe(model, task, "ols", out=tmp_path / "ols")
    with pytest.raises(InputError, match="holds a probe of kind ols, whose weights are not kept"):
        load_probe(tmp_path / "ols")
    # A file of an earlier version, and one that says nothing about the model.
    with safe_open(probed[0] / "probe.safetensors", framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        about = json.loads(file.metadata()["ntps"])
    for missing, sentence in (("inverse_temperatures", "made no probabilities"), ("model", "the file has no model")):
        less = {name: value for name, value in about.items() if name != missing}
        (tmp_path / missing).mkdir()
        save_file(tensors, tmp_path / missing / "probe.safetensors", {"ntps": json.dumps(less)})
        with pytest.raises(InputError, match=sentence):
            load_probe(tmp_path / missing)


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ("ba be", "one text was given where a list of texts is needed"),
        (["ba", " "], "text 1 is ' ': give a text that is not empty"),
        (["ba", None], "text 1 is None"),
    ],
)
def test_texts_that_cannot_be_predicted(probed: tuple[Path, dict[str, Any]], texts: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        load_probe(probed[0]).predict(texts)


def test_texts_that_are_cut_are_told(probed: tuple[Path, dict[str, Any]]) -> None:
    loaded = load_probe(probed[0])
    texts = ["ba " * (CONTEXT + 1), "ba be"]
    with pytest.warns(UserWarning, match="1 of 2 texts were longer than the limit and lost their end"):
        loaded.predict(texts)
    assert loaded.predictions(texts).truncated == 1 and loaded.predictions(texts[1:]).truncated == 0


def test_no_texts_are_no_predictions(probed: tuple[Path, dict[str, Any]]) -> None:
    assert load_probe(probed[0]).predict([]).shape == (0,)
    assert load_probe(probed[0]).predict_proba([]).shape == (0, 3)


# --- fine-tuned classifiers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [LoRA(steps=4, batch_size=8), FullFineTuning(steps=4, batch_size=8)])
def test_a_classifier_is_as_accurate_as_its_figures_say(
    method: Any, folder: Path, model: LanguageModel, task: Task, tmp_path: Path
) -> None:
    assert task.test is not None
    result = finetune(folder, task, method, out=tmp_path / "run")
    loaded = load_probe(tmp_path / "run")
    assert accuracy(loaded.predict(task.test.texts), task) == result.summary["test"]["accuracy"]
    made, truth = loaded.predict_proba(task.test.texts), task.test.labels.astype(np.int64)
    loss = -np.log(made[np.arange(len(truth)), truth]).mean()
    assert loss == pytest.approx(result.summary["test"]["cross_entropy"], rel=1e-5)
    with pytest.raises(InputError, match="`all_layers` means nothing to a fine-tuned classifier"):
        load_probe(tmp_path / "run", all_layers=True)
    if isinstance(method, LoRA):
        assert repr(loaded).startswith("Predictor(LoRA classifier of")
        with pytest.raises(InputError, match="belongs to another model than"):
            load_probe(tmp_path / "run", save_model(tmp_path / "other", seed=1))
        with pytest.raises(InputError, match="`model` is loaded already, and an adapter would change it"):
            load_probe(tmp_path / "run", model)
    else:
        assert repr(loaded).startswith("Predictor(fine-tuned classifier of")
        with pytest.raises(InputError, match=r"`model` means nothing to .* which holds a whole model"):
            load_probe(tmp_path / "run", folder)

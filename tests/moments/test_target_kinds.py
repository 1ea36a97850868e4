"""Several labels a text and real targets against scikit-learn's least squares: y is a vector, whatever it means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import linalg
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from typer.testing import CliRunner

from ntps import ScoreResult, score
from ntps.cli import app
from ntps.models.load import load_model
from ntps.models.model import LanguageModel
from ntps.tasks.from_lists import task_from_lists
from ntps.tasks.task import Task
from tiny import DEPTH, WORDS, Array, random_texts, save_model, save_rows

KINDS = ("classes", "flags", "label lists", "one real target", "three real targets")
TRAIN, TEST = random_texts(240, seed=1), random_texts(90, seed=2)


def labels_of(kind: str, texts: list[str]) -> list[object]:
    """Labels that the words of a text decide, up to some noise."""
    rng = np.random.default_rng(len(texts))
    first = [WORDS.index(text.split()[0]) for text in texts]
    length = [len(text.split()) for text in texts]
    match kind:
        case "classes":
            return [f"class {index % 3}" for index in first]
        case "flags":
            return [
                [index % 2, int(count > 5), int(rng.random() < 0.3)] for index, count in zip(first, length, strict=True)
            ]
        case "label lists":
            return [["odd"] * (index % 2) + ["long"] * (count > 5) for index, count in zip(first, length, strict=True)]
        case "one real target":
            return [count / 3 + rng.normal() for count in length]
    # Outputs of very different size and offset, one of them a multiple of another.
    return [[100 + 0.5 * count, 0.01 * index, 0.02 * index] for index, count in zip(first, length, strict=True)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(save_model(tmp_path_factory.mktemp("model"), "llama"), dtype="float64")


@dataclass(frozen=True)
class Case:
    """A task, its result, and the targets as scikit-learn takes them."""

    task: Task
    result: ScoreResult
    targets: tuple[Array, Array]


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest, model: LanguageModel) -> Case:
    train, test = labels_of(request.param, TRAIN), labels_of(request.param, TEST)
    task = task_from_lists(TRAIN, train, test_texts=TEST, test_labels=test)
    return Case(task, score(model, task), (_targets(train), _targets(test)))


def _targets(labels: list[object]) -> Array:
    if isinstance(labels[0], str):
        return np.array([[label == f"class {i}" for i in range(3)] for label in labels], dtype=np.float64)
    if isinstance(labels[0], list) and all(isinstance(item, str) for label in labels for item in label):  # type: ignore
        return np.array([[name in label for name in ("long", "odd")] for label in labels], dtype=np.float64)  # type: ignore
    return np.array(labels, dtype=np.float64).reshape(len(labels), -1)


@pytest.fixture(scope="module")
def states(model: LanguageModel) -> tuple[list[list[Array]], list[list[Array]]]:
    """Hidden states by layer and text of both splits, from the library's own forward pass, one text at a time."""

    def of(texts: list[str]) -> list[list[Array]]:
        by_text = []
        for text in texts:
            ids = torch.tensor([model.tokenizer(text)["input_ids"]])
            with torch.inference_mode():
                hidden = model.base(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
            by_text.append([layer[0].numpy() for layer in hidden])
        return [list(layer) for layer in zip(*by_text, strict=True)]

    return of(TRAIN), of(TEST)


def autoregressive_subspace(texts: list[Array]) -> Array:
    prefixes = [np.cumsum(text, axis=0)[:-1] for text in texts]
    rows, following = np.concatenate(prefixes), np.concatenate([text[1:] for text in texts])
    gram, onward = rows.T @ rows, rows.T @ following
    directions: Array = linalg.eigh(onward @ onward.T, gram)[1]
    return directions[:, ::-1]


def loss(features: Array, targets: Array) -> float:
    fit = LinearRegression(fit_intercept=False).fit(features, targets)
    return float(np.sum((targets - fit.predict(features)) ** 2)) / len(targets)


@pytest.mark.parametrize("layer", range(DEPTH + 1))
def test_every_kind_of_target_agrees_with_least_squares(
    case: Case, states: tuple[list[list[Array]], list[list[Array]]], layer: int
) -> None:
    (train, test), (y_train, y_test) = states, case.targets
    pooled, held_out = (np.array([text.mean(axis=0) for text in split[layer]]) for split in (train, test))
    row = case.result.layers.iloc[layer]
    probe = LinearRegression().fit(pooled, y_train)
    weighted = {"multioutput": "variance_weighted"}
    assert row["r2"] == pytest.approx(r2_score(y_train, probe.predict(pooled), **weighted), abs=1e-9)
    assert row["r2_test_ols"] == pytest.approx(r2_score(y_test, probe.predict(held_out), **weighted), abs=1e-9)
    if case.task.kind == "classes":
        hits = probe.predict(held_out).argmax(axis=1) == y_test.argmax(axis=1)
        assert row["accuracy_test_ols"] == pytest.approx(hits.mean())
    else:
        assert row["accuracy_test"] is row["accuracy_test_ols"] is None

    energy = float(np.sum(y_train**2)) / len(y_train)
    best = loss(pooled, y_train)
    assert row["target_energy"] == pytest.approx(energy)
    assert row["best_loss"] == pytest.approx(best, abs=1e-8 * energy)
    directions = autoregressive_subspace(train[layer])
    curves = case.result.to_frame().query("layer == @layer")
    for k, excess in zip(curves["k"], curves["excess_loss"], strict=True):
        assert excess == pytest.approx(loss(pooled @ directions[:, :k], y_train) - best, abs=1e-8 * energy)


def test_the_result_says_what_the_targets_are(case: Case) -> None:
    block = case.result.to_dict()["task"]
    kind = case.task.kind
    width = case.targets[0].shape[1]
    assert (block["target_kind"], block["classes"], len(block["label_names"])) == (kind, width, width)
    said = [note for note in block["notes"] if "real vector" in note]
    if kind == "classes":
        assert said == []
    else:
        assert said == [
            f"The targets are real vectors of width {width} and not one-hot classes: every formula stays as it is, "
            f"outputs that vary more weigh more, and there is no accuracy."
        ]
    counts = None if kind == "regression" else case.targets[0].sum(axis=0).tolist()
    assert block["class_counts"] == counts


@pytest.mark.parametrize(
    ("kind", "counted"), [("classes", "3 classes"), ("flags", "3 labels"), ("one real target", "1 real target")]
)
def test_the_command_says_it_too(kind: str, counted: str, tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", "llama")
    rows = save_rows(tmp_path / "task.jsonl", TRAIN, labels_of(kind, TRAIN))
    ran = CliRunner().invoke(app, ["score", str(model), str(rows)], catch_exceptions=False)
    assert ran.exit_code == 0
    assert f"240 texts, {sum(len(text.split()) for text in TRAIN):,} tokens, {counted}" in ran.stdout
    assert ("real vectors" in ran.stderr.replace("\n", " ")) is (kind != "classes")

"""The pass over a tiny model: batches do not matter, and every figure is what its definition says."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from ntps import InputError, NumericalError, Task, score
from ntps.models.load import load_model
from ntps.models.model import LanguageModel
from ntps.options.passes import Pooling
from ntps.options.scoring import ScoreSettings
from ntps.scoring.record import ScoreRecord
from ntps.scoring.score_run import run_score
from ntps.tasks.from_lists import task_from_lists
from ntps.tasks.task import Split
from oracle import literal_moments
from tiny import CONTEXT, DEPTH, WORDS, Array, random_task, random_texts, save_model


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: save_model(tmp_path_factory.mktemp(kind), kind) for kind in ("qwen2", "llama", "gpt2", "bert")}


@pytest.fixture(scope="module")
def task() -> Task:
    return random_task(120, 3, test=40)


def states(model: LanguageModel, texts: list[str]) -> list[list[Array]]:
    """Hidden states of each text alone, by layer, by transformers' own account."""
    found = []
    for text in texts:
        ids = torch.tensor([model.tokenizer(text)["input_ids"]])
        with torch.no_grad():
            output = model.base(input_ids=ids, output_hidden_states=True)
        found.append([hidden[0].double().numpy() for hidden in output.hidden_states])
    return [list(layer) for layer in zip(*found, strict=True)]


def pooled(texts: list[Array], pooling: Pooling) -> Array:
    return np.stack([{"mean": x.mean(axis=0), "sum": x.sum(axis=0), "last": x[-1]}[pooling] for x in texts])


def run(model: LanguageModel, task: Task, **settings: Any) -> ScoreRecord:
    return run_score(model, task, ScoreSettings(**settings))


@pytest.mark.parametrize("kind", ["qwen2", "bert"])
def test_batches_do_not_matter_to_a_float64_model(kind: str, folders: dict[str, Path], task: Task) -> None:
    model = load_model(folders[kind], dtype="float64")
    alone, some, all_together = (run(model, task, tokens_per_batch=budget) for budget in (1, 64, 4096))
    assert alone.curves["tied"].sum() == 0
    for other in (some, all_together):
        pairs = zip(alone.result.to_dict()["layers"], other.result.to_dict()["layers"], strict=True)
        for first, second in pairs:
            assert first["rank_autoregressive"] == second["rank_autoregressive"]
            for name in ("area", "r2", "r2_adjusted", "r2_test", "accuracy_test", "best_loss", "next_token_loss"):
                assert second[name] == pytest.approx(first[name], abs=1e-9), name
        for name in ("ntps", "ntps_full", "excess_loss", "retained", "retained_centered", "next_token_share"):
            np.testing.assert_allclose(other.curves[name], alone.curves[name], atol=1e-8, err_msg=name)


def test_a_run_can_be_repeated_bit_for_bit(folders: dict[str, Path], task: Task) -> None:
    first, second = (run(load_model(folders["llama"]), task, layers="1,3") for _ in range(2))
    assert first.result.to_dict()["layers"] == second.result.to_dict()["layers"]
    assert first.result.to_dict()["settings_hash"] == second.result.to_dict()["settings_hash"]
    assert first.curves.equals(second.curves)


@pytest.mark.parametrize(("kind", "mask"), [("qwen2", "omitted"), ("gpt2", "omitted"), ("bert", "passed")])
def test_the_mask_is_left_out_for_causal_models_only(
    kind: str, mask: str, folders: dict[str, Path], task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    visit = LanguageModel.visit_layers

    def spy(model: LanguageModel, ids: torch.Tensor, attention: torch.Tensor | None, *rest: Any) -> None:
        seen.append(attention is not None)
        visit(model, ids, attention, *rest)

    monkeypatch.setattr(LanguageModel, "visit_layers", spy)
    result = run(load_model(folders[kind]), task, tokens_per_batch=100).result.to_dict()
    assert result["settings"]["attention_mask"] == mask
    assert seen[-1] is (mask == "passed")
    warned = [warning for warning in result["warnings"] if "autoregressive" in warning]
    assert len(warned) == (kind == "bert")


@pytest.mark.parametrize("pooling", ["mean", "sum", "last"])
@pytest.mark.parametrize("kind", ["llama", "bert"])
def test_held_out_figures_are_those_of_scikit_learn(
    kind: str, pooling: Pooling, folders: dict[str, Path], task: Task
) -> None:
    model = load_model(folders[kind], dtype="float64")
    assert task.test is not None
    rows = run(model, task, pooling=pooling, tokens_per_batch=50).result.to_dict()["layers"]
    y, y_test = task.targets(task.train.labels), task.targets(task.test.labels)
    train, test = (states(model, list(split.texts)) for split in (task.train, task.test))
    for row in rows:
        x, x_test = (pooled(found[row["layer"]], pooling) for found in (train, test))
        probe = LinearRegression().fit(x, y)
        predicted = probe.predict(x_test)
        assert row["r2"] == pytest.approx(r2_score(y, probe.predict(x), multioutput="variance_weighted"), abs=1e-8)
        assert row["r2_test_ols"] == pytest.approx(
            r2_score(y_test, predicted, multioutput="variance_weighted"), abs=1e-7
        )
        # [SEP] of BERT's embedding knows nothing but the length, where two classes can be predicted alike.
        first, second = np.sort(predicted, axis=1)[:, :-3:-1].T
        ties = np.sum(first - second < 1e-9) / len(predicted)
        accuracy = np.mean(predicted.argmax(axis=1) == task.test.labels)
        assert row["accuracy_test_ols"] == pytest.approx(accuracy, abs=ties + 1e-12)
        assert row["layer"] == 0 or ties == 0


def test_a_class_that_the_test_split_lacks_counts_as_scikit_learn_counts_it(folders: dict[str, Path]) -> None:
    """An output that does not vary has weight 0 in the variance-weighted R²."""
    task = random_task(120, 4, test=60)
    assert task.test is not None
    kept = np.flatnonzero(task.test.labels != 2)
    task = replace(task, test=Split("test", [task.test.texts[i] for i in kept.tolist()], task.test.labels[kept]))
    assert task.test is not None
    model = load_model(folders["llama"], dtype="float64")
    (row,) = run(model, task, layers="2").result.to_dict()["layers"]
    x, x_test = (pooled(states(model, list(split.texts))[2], "mean") for split in (task.train, task.test))
    predicted = LinearRegression().fit(x, task.targets(task.train.labels)).predict(x_test)
    expected = r2_score(task.targets(task.test.labels), predicted, multioutput="variance_weighted")
    assert row["r2_test_ols"] == pytest.approx(expected, abs=1e-7)


def test_losses_are_those_of_the_literal_moments(folders: dict[str, Path], task: Task) -> None:
    """From text to result, against matrices that are built text by text."""
    model = load_model(folders["gpt2"], dtype="float64")
    (row,) = run(model, task, layers="2", tokens_per_batch=40).result.to_dict()["layers"]
    literal = literal_moments(states(model, list(task.train.texts))[2], task.targets(task.train.labels))
    gain = np.linalg.solve(literal.prefix_gram, literal.prefix_next)
    assert row["next_token_loss"] == pytest.approx(literal.next_energy - np.sum(gain * literal.prefix_next), rel=1e-8)
    fit = np.linalg.solve(literal.pooled_gram, literal.pooled_target)
    assert row["best_loss"] == pytest.approx(literal.target_energy - np.sum(fit * literal.pooled_target), rel=1e-8)


@pytest.mark.parametrize("text", ["0,3,-1", "1:3", "-2", ":2", "2:", " 1 , 2 ", "0:4", "-1,-1,3"])
def test_layers_are_chosen_as_in_python(text: str, folders: dict[str, Path], task: Task) -> None:
    chosen: set[int] = set()
    for part in text.split(","):
        bounds = [int(bound) if bound.strip() else None for bound in part.split(":")]
        every = list(range(DEPTH + 1))
        chosen |= set(every[slice(*bounds)]) if len(bounds) > 1 else {every[bounds[0] or 0]}
    record = run(load_model(folders["llama"]), task, layers=text, test=False)
    assert [row["layer"] for row in record.result.to_dict()["layers"]] == sorted(chosen)
    assert sorted(set(record.curves["layer"])) == sorted(chosen)


def test_some_layers_score_as_among_all(folders: dict[str, Path], task: Task) -> None:
    model = load_model(folders["qwen2"])
    everything = {row["layer"]: row for row in run(model, task).result.to_dict()["layers"]}
    for row in run(model, task, layers="0,2").result.to_dict()["layers"]:
        assert row == everything[row["layer"]]


@pytest.mark.parametrize("text", ["4", "-5", "0:5", "9:12", "", "a", "1-3", "1:2:3", "2:1", "1,,2", "1.5"])
def test_layers_that_do_not_exist_are_refused(text: str, folders: dict[str, Path], task: Task) -> None:
    with pytest.raises(InputError, match="`layers`"):
        run(load_model(folders["llama"]), task, layers=text)


@pytest.mark.parametrize("settings", [{"pooling": "max"}, {"convention": "new"}, {"tokens_per_batch": 0}])
def test_settings_that_do_not_exist_are_refused(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(InputError, match=f"`{name}`"):
        ScoreSettings(**settings)


@pytest.mark.parametrize("block", [0, 2])
def test_states_that_are_not_finite_stop_the_run(block: int, folders: dict[str, Path], task: Task) -> None:
    model = load_model(folders["qwen2"], dtype="bfloat16")
    with torch.no_grad():
        model.blocks[block].get_parameter("mlp.down_proj.weight")[0] = float("nan")
    with pytest.raises(NumericalError, match=r"text \d+.*bfloat16") as caught:
        run(model, task)
    layer = block + 1
    assert f"layer {layer} ({model.layer_names[layer]})" in str(caught.value)


@pytest.mark.parametrize("kind", ["qwen2", "gpt2", "bert"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_spoiled_weight_goes_unnoticed(
    kind: str, value: float, folders: dict[str, Path], tmp_path: Path, task: Task
) -> None:
    """PyTorch's attention on the CPU makes finite numbers of queries that are NaN: states alone do not tell."""
    names = [name for name in load_file(folders[kind] / "model.safetensors") if "pooler" not in name]
    for name in (name for name in names if "1." in name and "weight" in name):
        folder = shutil.copytree(folders[kind], tmp_path / name)
        weights = load_file(folder / "model.safetensors")
        weights[name].fill_(value)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        with pytest.raises(NumericalError):
            run(load_model(folder), task, layers="-1")


def test_the_text_that_is_named_is_the_one(folders: dict[str, Path]) -> None:
    """One embedding row is spoiled, and one text uses it."""
    texts = [text.replace(WORDS[7], WORDS[8]) for text in random_texts(50)]
    texts[31] = f"{WORDS[0]} {WORDS[7]}"
    model = load_model(folders["llama"])
    with torch.no_grad():
        embedding = model.base.get_parameter("embed_tokens.weight")
        embedding[model.tokenizer.convert_tokens_to_ids(WORDS[7])] = float("inf")
    with pytest.raises(NumericalError, match=r"layer 0 \(embed\).*text 31 "):
        run(model, task_from_lists(texts, [i % 2 for i in range(50)]))


def test_long_texts_are_counted_and_told(folders: dict[str, Path]) -> None:
    texts = [*random_texts(40), " ".join(WORDS), " ".join(WORDS)]
    result = run(load_model(folders["gpt2"]), task_from_lists(texts, [i % 2 for i in range(42)])).result.to_dict()
    assert result["task"]["truncated"] == 2
    assert any(warning.startswith("2 of 42 texts") for warning in result["warnings"])
    assert result["task"]["tokens"] == sum(len(text.split()) for text in texts[:-2]) + 2 * CONTEXT


def test_no_test_leaves_held_out_figures_out(folders: dict[str, Path], task: Task) -> None:
    model = load_model(folders["llama"])
    rows = run(model, task, layers="1", test=False).result.to_dict()["layers"]
    assert (rows[0]["r2_test"], rows[0]["accuracy_test"]) == (None, None)
    (with_test,) = run(model, task, layers="1").result.to_dict()["layers"]
    assert {name: value for name, value in with_test.items() if "_test" not in name} == {
        name: value for name, value in rows[0].items() if "_test" not in name
    }


def test_numbers_as_labels_have_no_accuracy(folders: dict[str, Path]) -> None:
    rng = np.random.default_rng(0)
    task = task_from_lists(
        random_texts(60), rng.normal(size=60), test_texts=random_texts(20, 1), test_labels=rng.normal(size=20)
    )
    assert task.kind == "regression"
    (row,) = run(load_model(folders["llama"]), task, layers="1").result.to_dict()["layers"]
    assert row["accuracy_test"] is None and isinstance(row["r2_test"], float)


def test_the_summary_follows_its_rule(folders: dict[str, Path], task: Task) -> None:
    result = run(load_model(folders["llama"]), task).result.to_dict()
    names = (
        "layer",
        "name",
        "area",
        "r2",
        "r2_adjusted",
        "accuracy_cv",
        "r2_cv",
        "area_cv",
        "r2_test",
        "accuracy_test",
    )
    best = max(result["layers"], key=lambda row: row["accuracy_cv"])
    assert {name: result["summary"][name] for name in names} == {name: best[name] for name in names}
    assert "cross-validated accuracy" in result["summary"]["rule"] and best["name"] in result["summary"]["equals"]
    counts = np.bincount(task.train.labels)
    assert result["summary"]["majority"] == task.label_names[counts.argmax()]
    assert result["summary"]["majority_accuracy"] == counts.max() / counts.sum()
    in_sample = run(load_model(folders["llama"]), task, cv_texts=0).result.to_dict()
    best = max(in_sample["layers"], key=lambda row: row["r2_adjusted"])
    assert in_sample["summary"]["layer"] == best["layer"] and "adjusted R²" in in_sample["summary"]["rule"]
    assert "accuracy_cv" not in best and in_sample["all_layers"] is None


def test_the_summary_says_what_it_does_with_few_texts(folders: dict[str, Path]) -> None:
    """No layer can be told from another: the last one is taken, and the rule says so."""
    summary = run(load_model(folders["llama"]), random_task(10, 2), cv_texts=0).result.to_dict()["summary"]
    assert summary["layer"] == DEPTH and summary["r2_adjusted"] is None and summary["few_texts"]
    assert "last layer" in summary["rule"]


def test_options_that_a_loaded_model_or_task_cannot_follow_are_refused(folders: dict[str, Path], task: Task) -> None:
    """A limit that is silently left out would be a wrong result."""
    model = load_model(folders["llama"])
    for options in (
        {"limit": 10},
        {"split": "test"},
        {"label_column": "label"},
        {"dtype": "float64"},
        {"tokenizer": "x"},
    ):
        with pytest.raises(InputError, match=next(iter(options))):
            score(model, task, **options)

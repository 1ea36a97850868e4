"""A probe run on a tiny model: every figure is what scikit-learn makes of the pooled texts, and the record says so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, mean_squared_error, r2_score
from sklearn.preprocessing import StandardScaler

from ntps import InputError, LanguageModel, ProbeResult, Task, load_model, probe, score, task_from_lists
from ntps.display.probe import probe_words
from ntps.forward.pooled_texts import collect_pooled
from ntps.jobs.new_texts import ChosenLayer, NewTexts
from ntps.jobs.session import RunSession
from ntps.options.keywords import method_of
from ntps.options.passes import PassSettings
from ntps.options.probing import PROBES, AdamWProbe, LeastSquares, LogisticProbe, Probe, ProbeSettings
from ntps.training.probes.probe_run import run_probe
from ntps.training.probes.saved import SavedProbe
from ntps.training.records import ProbeRecord
from tiny import DEPTH, WIDTH, Array, random_task, random_texts, save_model

FIGURES = {"accuracy", "balanced_accuracy", "mse", "squared_loss", "r2", "cross_entropy"}
INTERVALS = {"accuracy_interval", "r2_interval"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(save_model(tmp_path_factory.mktemp("qwen2")))


@pytest.fixture(scope="module")
def task() -> Task:
    return random_task(200, 3, test=60)


@pytest.fixture(scope="module")
def pooled(model: LanguageModel, task: Task) -> dict[str, dict[int, Array]]:
    ready = RunSession(model, task, PassSettings(), None)
    assert ready.test is not None and ready.test_tokens is not None
    return {
        "train": collect_pooled(ready.work(task.train, ready.tokens, "texts")),
        "test": collect_pooled(ready.work(ready.test, ready.test_tokens, "texts")),
    }


def labels_of(task: Task) -> dict[str, Any]:
    assert task.test is not None
    return {"train": task.train.labels, "test": task.test.labels}


# --- figures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("intercept", [True, False])
def test_least_squares(model: LanguageModel, task: Task, pooled: Any, intercept: bool) -> None:
    rows = run_probe(model, task, ProbeSettings(kind=LeastSquares(intercept=intercept))).result.to_dict()["layers"]
    assert [row["layer"] for row in rows] == list(range(DEPTH + 1))
    labels = labels_of(task)
    for row in rows:
        assert row["condition"] < 1e8 and row["rank"] == WIDTH
        x = {split: pooled[split][row["layer"]] for split in pooled}
        fit = LinearRegression(fit_intercept=intercept).fit(x["train"], task.targets(labels["train"]))
        for split, rows_of_split in x.items():
            figures, values, targets = row[split], fit.predict(rows_of_split), task.targets(labels[split])
            assert figures["mse"] == pytest.approx(mean_squared_error(targets, values), abs=1e-8)
            assert figures["squared_loss"] == pytest.approx(3 * figures["mse"])
            assert figures["r2"] == pytest.approx(r2_score(targets, values, multioutput="variance_weighted"), abs=1e-8)
            assert figures["accuracy"] == accuracy_score(labels[split], values.argmax(axis=1))
            assert figures["cross_entropy"] is None


def test_logistic_regression(model: LanguageModel, task: Task, pooled: Any) -> None:
    rows = run_probe(model, task, ProbeSettings(kind=LogisticProbe(solver="saga"), seed=3)).result.to_dict()["layers"]
    labels = labels_of(task)
    assert len(rows) == DEPTH + 1
    for row in rows:
        scaler = StandardScaler().fit(pooled["train"][row["layer"]])
        x = {split: scaler.transform(pooled[split][row["layer"]]) for split in pooled}
        fit = LogisticRegression(solver="saga", max_iter=1000, tol=0.01, random_state=3).fit(
            x["train"], labels["train"]
        )
        for split, rows_of_split in x.items():
            predicted = fit.predict(rows_of_split)
            assert row[split]["accuracy"] == accuracy_score(labels[split], predicted)
            assert row[split]["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels[split], predicted))
            assert row[split]["cross_entropy"] == pytest.approx(
                log_loss(labels[split], fit.predict_proba(rows_of_split))
            )
            assert row[split]["mse"] is None


def test_adamw_on_the_last_layer(model: LanguageModel, task: Task) -> None:
    record = run_probe(model, task, ProbeSettings(kind=AdamWProbe(epochs=3, batch_size=32, learning_rate=1e-2)))
    (row,) = record.result.to_dict()["layers"]
    assert row["layer"] == DEPTH and row["steps"] == 3 * 7
    curves = record.curves
    assert list(zip(curves["epoch"], curves["step"], curves["split"], strict=True)) == [
        (epoch, 7 * epoch, split) for epoch in (1, 2, 3) for split in ("train", "test")
    ]
    last = curves[curves["split"] == "test"].iloc[-1]
    assert (last["cross_entropy"], last["accuracy"]) == (row["test"]["cross_entropy"], row["test"]["accuracy"])
    train = curves.loc[curves["split"] == "train", "cross_entropy"].to_numpy()
    assert (np.diff(train) < 0).all() and curves["mse"].isna().all()


def test_ridge_is_the_probe_of_the_score(model: LanguageModel, task: Task) -> None:
    """Every figure for new texts is that of the score, and of all layers together too."""
    scored = score(model, task).to_dict()
    found = run_probe(model, task, ProbeSettings()).result.to_dict()
    known = NewTexts.model_fields.keys()
    for row, other in zip(found["layers"], scored["layers"], strict=True):
        assert {name: row[name] for name in known & row.keys()} == {name: other[name] for name in known & other.keys()}
        assert row["test"]["accuracy"] == row["accuracy_test"] and row["test"]["r2"] == pytest.approx(row["r2_test"])
        assert row["test"]["accuracy_interval"] == pytest.approx(row["accuracy_test_interval"])
        assert row["test"]["r2_interval"] == pytest.approx(row["r2_test_interval"])
    assert found["all_layers"] == scored["all_layers"] and found["all_layers"]["accuracy_test"] is not None
    chosen = ChosenLayer.model_fields.keys()
    assert {name: found["summary"][name] for name in chosen} == {name: scored["summary"][name] for name in chosen}


@pytest.mark.parametrize("kind", [LeastSquares(), LogisticProbe(), AdamWProbe(epochs=1)])
def test_the_ridge_probe_on_training_texts_chooses_the_layer_of_every_kind(
    model: LanguageModel, task: Task, kind: Probe
) -> None:
    result = run_probe(model, task, ProbeSettings(kind=kind, layers="0:3")).result
    ridge = run_probe(model, task, ProbeSettings(layers="0:3", test=False)).result
    best = max(ridge.layers, key=lambda row: row.accuracy_cv or 0.0)
    (own,) = (row for row in result.layers if row.layer == best.layer)
    summary, labels = result.summary, labels_of(task)
    assert (summary.layer, summary.criterion, summary.equals) == (best.layer, "accuracy", ridge.summary.equals)
    assert (summary.train, summary.test) == (own.train, own.test)
    # Held-out figures are those of the kind alone.
    assert own.accuracy_cv == best.accuracy_cv and "accuracy_test" not in own.to_dict()
    frequent = np.bincount(labels["train"]).argmax()
    majority = {split: float(np.mean(labels[split] == frequent)) for split in labels}
    assert summary.to_dict()["majority_accuracy"] == majority
    assert {*summary.to_dict()["test"]} == FIGURES | INTERVALS
    first, *others = probe_words(result)
    assert re.search(r"accuracy \d+\.\d % \(\d+\.\d to \d+\.\d %\) on 60 test texts; the most frequent class", first)
    assert others[0].startswith(f"{best.name} is the layer where a ridge probe has the highest accuracy")
    assert any("cannot be told from" in line for line in others) is (len(summary.equals or ()) > 1)


def test_one_layer_is_no_choice(model: LanguageModel, task: Task) -> None:
    result = run_probe(model, task, ProbeSettings(kind=AdamWProbe(epochs=1))).result
    assert (result.summary.layer, result.summary.rule) == (DEPTH, "the only layer that was probed")
    assert result.all_layers is None and result.summary.criterion is None and len(probe_words(result)) == 1


def test_a_ridge_probe_needs_texts_to_leave_out(model: LanguageModel) -> None:
    task = task_from_lists(["the same text"] * 4, ["a", "b", "a", "b"])
    with pytest.raises(InputError, match=r"two training texts that are neither equal.*another `kind`"):
        run_probe(model, task, ProbeSettings())
    result = run_probe(model, task, ProbeSettings(kind="ols")).result
    assert result.summary.layer == DEPTH and "too few" in result.summary.rule


# --- kinds of targets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ridge", "ols", "adamw"])
def test_real_targets(model: LanguageModel, kind: Any) -> None:
    texts = random_texts(150)
    targets = [len(text) / 7 for text in texts]
    task = task_from_lists(texts[:100], targets[:100], test_texts=texts[100:], test_labels=targets[100:])
    record = run_probe(model, task, ProbeSettings(kind=kind))
    summary = record.result.to_dict()["summary"]
    for split in ("train", "test"):
        assert {name for name, value in summary[split].items() if value is None} == {
            "accuracy",
            "balanced_accuracy",
            "cross_entropy",
            "accuracy_interval",
            *(["r2_interval"] if split == "train" else []),
        }
        assert summary["majority_accuracy"][split] is None
    if kind == "adamw":
        assert record.curves["mse"].notna().all() and record.curves["accuracy"].isna().all()
    words = " ".join(probe_words(record.result))
    assert "R²" in words and "None" not in words


def test_logistic_refuses_real_targets(model: LanguageModel) -> None:
    task = task_from_lists(random_texts(20), np.linspace(0.1, 1, 20))
    with pytest.raises(InputError, match=r"real targets.*ridge, ols, adamw or tangent"):
        run_probe(model, task, ProbeSettings(kind="logistic"))


@pytest.mark.parametrize("kind", ["ridge", "ols", "logistic", "adamw"])
def test_label_sets(model: LanguageModel, kind: Any) -> None:
    texts = random_texts(120)
    labels = [[name for name in "aeo" if name in text] for text in texts]
    task = task_from_lists(texts[:90], labels[:90], test_texts=texts[90:], test_labels=labels[90:])
    summary = run_probe(model, task, ProbeSettings(kind=kind)).result.to_dict()["summary"]
    for split in ("train", "test"):
        assert 0 <= summary[split]["accuracy"] <= 1 and summary[split]["balanced_accuracy"] is None
        assert (summary[split]["cross_entropy"] is None) is (kind in ("ridge", "ols"))
        assert (summary[split]["mse"] is None) is (kind not in ("ridge", "ols"))


# --- what is recorded ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ridge", "ols", "logistic", "adamw"])
def test_without_test_texts(model: LanguageModel, task: Task, kind: Any) -> None:
    settings = ProbeSettings(kind=AdamWProbe(epochs=1) if kind == "adamw" else kind, test=False)
    result = ProbeResult(run_probe(model, task, settings))
    assert all(row["test"] is None for row in result.to_dict()["layers"])
    assert (
        result.summary["test"]
        is result.summary["majority_accuracy"]["test"]
        is result.to_dict()["task"]["test"]
        is None
    )
    assert ("training texts left out" if kind == "ridge" else "200 training texts, which it was fitted to") in repr(
        result
    )
    result.plot()


def test_only_numbers_that_apply_are_recorded_and_hashed(model: LanguageModel, task: Task) -> None:
    def run(kind: Probe | None = None, **settings: Any) -> Any:
        settings |= {"kind": kind or LeastSquares(), "layers": "-1"}
        return run_probe(model, task, ProbeSettings(**settings)).result.to_dict()

    once = AdamWProbe(epochs=1)
    first = run(once)
    assert first["settings"]["kind"] == "adamw" and first["settings"]["epochs"] == 1
    assert first["settings"]["learning_rate"] == 1e-4
    assert not {"solver", "intercept", "recipe"} & first["settings"].keys()
    assert run()["settings"]["intercept"] is True
    others = (run(AdamWProbe(epochs=2)), run(once, seed=1), run(), run(LeastSquares(intercept=False)))
    hashes = {each["settings_hash"] for each in (first, *others)}
    assert len(hashes) == 5
    assert run(tokens_per_batch=64)["settings_hash"] == run()["settings_hash"]


@pytest.mark.slow
def test_a_run_can_be_repeated_bit_for_bit_whatever_the_threads(model: LanguageModel, task: Task) -> None:
    threads = torch.get_num_threads()
    for settings in (ProbeSettings(kind="logistic"), ProbeSettings(kind=AdamWProbe(epochs=2))):
        found = []
        try:
            for count in (1, 2):
                torch.set_num_threads(count)
                record = run_probe(model, task, settings)
                found.append((record.result.to_dict()["layers"], record.curves))
        finally:
            torch.set_num_threads(threads)
        assert found[0][0] == found[1][0]
        pd.testing.assert_frame_equal(found[0][1], found[1][1], check_exact=True)


def test_few_texts_and_cut_texts_are_warned_about(model: LanguageModel) -> None:
    record = run_probe(model, random_task(30, 2), ProbeSettings(kind="ols", max_length=3))
    warnings = " ".join(record.result.to_dict()["warnings"])
    assert "30 training texts are few for 16 dimensions" in warnings and "lost their end" in warnings


def test_warnings_of_scikit_learn_are_kept_and_not_printed(
    model: LanguageModel, task: Task, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    from ntps.training.probes.logistic import LIMITS

    monkeypatch.setitem(LIMITS, "newton-cg", (1, 1e-12))
    warnings = run_probe(model, task, ProbeSettings(kind="logistic")).result.to_dict()["warnings"]
    assert any(text.startswith("every layer: newton-cg did not converge") for text in warnings)
    assert any(text.startswith("scikit-learn: ") for text in warnings)
    assert not recwarn.list


def test_a_class_that_only_test_texts_have(model: LanguageModel) -> None:
    task = random_task(100, 3, test=30)
    task.train.labels[task.train.labels == 2] = 1
    record = run_probe(model, task, ProbeSettings(kind="logistic", layers="-1"))
    assert record.result.to_dict()["summary"]["test"]["cross_entropy"] is None
    assert any("no training text" in text for text in record.result.to_dict()["warnings"])


# --- results ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ridge", "ols", "logistic", "adamw"])
def test_results_are_saved_loaded_and_drawn(model: LanguageModel, task: Task, kind: Any, tmp_path: Path) -> None:
    result = probe(model, task, AdamWProbe(epochs=2) if kind == "adamw" else kind, out=tmp_path / "run")
    files = {".ntps.json", "curves.parquet", "held_out.safetensors", "result.json"} | (
        {"probe.safetensors"} if kind == "ridge" else set()
    )
    assert {path.name for path in (tmp_path / "run").iterdir()} == files
    again = ProbeResult.load(tmp_path / "run")
    assert again.to_dict() == result.to_dict() == json.loads((tmp_path / "run" / "result.json").read_text())
    pd.testing.assert_frame_equal(again.to_frame(), result.to_frame())
    pd.testing.assert_frame_equal(again.curves, result.curves)
    assert len(result.to_frame()) == len(result.to_dict()["layers"]) and result.curves.empty == (kind != "adamw")
    assert all(f"<th>{row['name']}</th>" in result._repr_html_() for row in result.to_dict()["layers"])
    assert repr(again) == repr(result) and "60 test texts" in repr(result)
    assert len(again.layers) == len(result.to_dict()["layers"])
    assert again.layers["test_accuracy"].tolist() == [row["test"]["accuracy"] for row in result.to_dict()["layers"]]
    result.plot(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    figure = result.plot()
    assert figure.axes[0].get_xlabel() == ("epoch" if kind == "adamw" else "layer")
    assert "accuracy" in [axes.get_ylabel() for axes in figure.axes]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(labels) == ["most frequent class", "test texts", "training texts"]


def test_saved_weights_reproduce_the_held_out_accuracy(
    model: LanguageModel, task: Task, pooled: Any, tmp_path: Path
) -> None:
    result = probe(model, task, out=tmp_path / "run", layers="1:").to_dict()
    saved = SavedProbe.read(tmp_path / "run" / "probe.safetensors")
    labels, test = labels_of(task)["test"], pooled["test"]
    assert (saved.layer, saved.layers) == (result["summary"]["layer"], tuple(range(1, DEPTH + 1)))
    chosen, together = saved.chosen.predict(test[saved.layer]), saved.predict(test)
    assert float(np.mean(chosen.argmax(axis=1) == labels)) == result["summary"]["test"]["accuracy"]
    assert float(np.mean(together.argmax(axis=1) == labels)) == result["all_layers"]["accuracy_test"]
    assert saved.about["task"]["label_names"] == list(task.label_names)
    assert saved.about["model"]["weights"] == model.weights() and saved.about["settings"]["pooling"] == "mean"
    # A result that is loaded and saved again takes its weights along.
    ProbeResult.load(tmp_path / "run").save(tmp_path / "again")
    again = SavedProbe.read(tmp_path / "again" / "probe.safetensors")
    assert (again.predict(test) == together).all() and again.about == saved.about
    (tmp_path / "run" / "probe.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot read a probe from"):
        ProbeResult.load(tmp_path / "run")


def test_a_result_is_not_overwritten_unasked(model: LanguageModel, task: Task, tmp_path: Path) -> None:
    probe(model, task, out=tmp_path, layers="0")
    before = (tmp_path / "result.json").read_bytes()
    with pytest.raises(InputError, match="overwrite"):
        probe(model, task, out=tmp_path)
    assert (tmp_path / "result.json").read_bytes() == before
    assert len(probe(model, task, out=tmp_path, overwrite=True).layers) == DEPTH + 1


def test_a_score_is_not_a_probe(model: LanguageModel, task: Task, tmp_path: Path) -> None:
    from ntps import ScoreResult, score

    score(model, task, out=tmp_path / "score", moments="drop")
    with pytest.raises(InputError, match="not a probe"):
        ProbeRecord.read(tmp_path / "score")
    probe(model, task, out=tmp_path / "probe", layers="0")
    with pytest.raises(InputError, match="not a score"):
        ScoreResult.load(tmp_path / "probe")


# --- what is refused -------------------------------------------------------------------------------------------------


def given(name: str) -> Any:
    """What a user who checks no types may give."""
    return name


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LogisticProbe(solver=given("sag")), "`solver` must be one of newton-cg, saga"),
        (lambda: AdamWProbe(epochs=0), "`epochs` must be at least 1, not 0"),
        (lambda: AdamWProbe(batch_size=0), "`batch_size` must be at least 1"),
        (lambda: AdamWProbe(learning_rate=0.0), "`learning_rate` must be above 0"),
        (lambda: AdamWProbe(weight_decay=-1.0), "`weight_decay` must be at least 0"),
        (lambda: AdamWProbe(dropout=1.0), "`dropout` must be at least 0 and below 1"),
        (lambda: ProbeSettings(pooling=given("median")), "`pooling` must be one of"),
        (
            lambda: ProbeSettings(kind=given("lasso")),
            r"`kind` must be one of LeastSquares\(\), .*, or of ridge, ols, logistic, adamw, tangent, not 'lasso'",
        ),
        (
            lambda: method_of("kind", "logistic", PROBES, {"intercept": False}),
            "means nothing to `kind` logistic: .*ols",
        ),
        (
            lambda: method_of("kind", "ols", PROBES, {"batch_size": 3}),
            "`batch_size` means nothing to `kind` ols: .*adamw",
        ),
    ],
)
def test_settings_that_make_no_sense(make: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()

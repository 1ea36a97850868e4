"""Fine-tuning follows the recipe, changes only what it says, survives being interrupted, and can be loaded again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from ntps import FinetuneResult, InputError, NumericalError, finetune, load_model, task_from_lists
from ntps.models.adapters.files import WEIGHTS
from ntps.options.finetuning import FinetuneSettings
from ntps.options.recipes import METHODS, FullFineTuning, LoRA, Method
from ntps.training.finetuning import finetune_run as module
from ntps.training.finetuning import tuner
from ntps.training.finetuning.batches import Collator
from ntps.training.finetuning.classifier import Classifier
from ntps.training.finetuning.finetune_run import run_finetune
from ntps.training.finetuning.saved import load_classifier
from ntps.training.records import FinetuneRecord
from openelm import save_openelm
from slow import slow
from tiny import random_task, random_texts, save_model, tokenizer_of
from trained import After, Interrupted, plain, weights

QUICK = FinetuneSettings(
    method=LoRA(recipe="paper", steps=12, batch_size=4, learning_rate=1e-2),
    eval_every=5,
    save_every=4,
    tokens_per_batch=30,
)
TASK = random_task(30, test=11)
Whole = Callable[[FinetuneSettings], tuple[Path, FinetuneRecord]]


def with_numbers(settings: FinetuneSettings, method: Method | None = None, **given: Any) -> FinetuneSettings:
    """Settings with other numbers, of the run or of its method."""
    then = settings.recipe
    kind = type(then) if method is None else METHODS[method]
    names = [each.name for each in fields(kind)]
    numbers = {name: given.pop(name, getattr(then, name, None)) for name in names}
    return replace(settings, method=kind(**numbers), **given)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("qwen2"))


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """What a run without interruption leaves, once for all tests with the same settings."""

    @cache
    def run(settings: FinetuneSettings) -> tuple[Path, FinetuneRecord]:
        out = tmp_path_factory.mktemp("whole")
        return out, run_finetune(folder, TASK, settings, out=out)

    return run


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Trainers, as they are made."""
    made: list[Any] = []

    class Spied(tuner.Tuner):
        def __init__(self, classifier: Classifier, *rest: Any) -> None:
            self.before = {name: weight.detach().clone() for name, weight in classifier.named_parameters()}
            super().__init__(classifier, *rest)
            made.append(self)

    monkeypatch.setattr(tuner, "Tuner", Spied)
    return made


@pytest.mark.parametrize("kind", ["qwen2", "gpt2", "openelm"])
def test_lora_and_the_head_are_trained_and_nothing_else(kind: str, tmp_path: Path, spied: list[Any]) -> None:
    targets = {"qwen2": ["q_proj", "k_proj", "v_proj"], "gpt2": ["c_attn"], "openelm": ["qkv_proj"]}[kind]
    words = tokenizer_of("llama")
    model = save_openelm(tmp_path, words, len(words)) if kind == "openelm" else save_model(tmp_path, kind)
    base = load_model(model)
    record = run_finetune(model, TASK, with_numbers(QUICK, steps=4))
    [made] = spied
    after = dict(made.model.named_parameters())
    changed = {name for name, weight in after.items() if not torch.equal(weight, made.before[name])}
    trained = {name for name, weight in after.items() if weight.requires_grad}
    assert changed == trained
    lora = {name for name in trained if ".lora_A." in name or ".lora_B." in name}
    assert trained - lora == {"head.weight", "head.bias"}
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in lora} == set(targets)
    assert len(lora) == 2 * len(targets) * base.num_layers
    untouched = {name.replace(".base_layer.", "."): weight for name, weight in after.items() if name not in trained}
    for name, weight in base.base.named_parameters():
        assert torch.equal(untouched[f"base.base_model.model.{name}"], weight)
    counted = record.result.to_dict()["summary"]
    assert counted["trainable_parameters"] == sum(after[name].numel() for name in trained)
    assert counted["total_parameters"] == sum(weight.numel() for weight in after.values())


def test_the_optimizer_is_the_papers(folder: Path, spied: list[Any]) -> None:
    run_finetune(folder, TASK, FinetuneSettings(method=LoRA(recipe="paper", steps=2), test=False))
    [made] = spied
    [group] = made.optimizer.param_groups
    assert type(made.optimizer.optimizer).__name__ == "Adafactor"
    assert sum(each.numel() for each in group["params"]) == sum(
        each.numel() for each in made.model.parameters() if each.requires_grad
    )
    paper = {"eps": (1e-30, 1e-3), "clip_threshold": 1.0, "decay_rate": -0.8, "beta1": None, "weight_decay": 1e-5}
    paper |= {"initial_lr": 1e-4, "relative_step": False, "scale_parameter": False, "warmup_init": False}
    assert {name: group[name] for name in paper} == paper
    assert made.args.max_grad_norm == 0
    lora = made.model.base.active_peft_config
    assert (lora.r, lora.lora_alpha, lora.lora_dropout, lora.bias) == (32, 32, 0.05, "none")
    assert made.model.dropout.p == 0.05
    defaults = FinetuneSettings(method=LoRA(recipe="paper")).for_texts(1000)
    assert (defaults.recipe.steps, defaults.recipe.batch_size, defaults.recipe.learning_rate) == (5000, 1, 1e-4)
    assert defaults.eval_every == 500
    assert FullFineTuning(recipe="paper", from_scratch=True).for_texts(1000).steps == 10_000


def test_the_schedule_is_a_cosine_after_a_rise(folder: Path) -> None:
    settings = with_numbers(QUICK, steps=40, learning_rate=0.5, warmup=0.25, clip_threshold=1e-9, test=False)
    curves = run_finetune(folder, TASK, settings).curves
    assert curves["step"].tolist()[-1] == 40
    for step, rate in zip(curves["step"].tolist(), curves["learning_rate"].tolist(), strict=True):
        # The rate of the step itself, which is the row's last.
        done = step - 1
        share = done / 10 if done < 10 else 0.5 * (1 + np.cos(np.pi * (done - 10) / 30))
        assert rate == pytest.approx(0.5 * share, abs=1e-12)


def test_every_test_text_is_evaluated_once(folder: Path) -> None:
    """Whatever the budget of tokens: the figures are those of the logits of single texts."""
    out: dict[int, Any] = {}
    for budget in (1, 17, 10_000):
        settings = with_numbers(QUICK, tokens_per_batch=budget, lora_dropout=0.0, head_dropout=0.0)
        out[budget] = run_finetune(folder, TASK, settings)
    figures = [
        {name: value for name, value in record.result.to_dict()["summary"]["test"].items() if isinstance(value, float)}
        for record in out.values()
    ]
    for each in figures[1:]:
        assert each == pytest.approx(figures[0], rel=1e-4)
    first = out[1].curves
    tests = first[first["split"] == "test"]
    assert tests["step"].tolist() == [5, 10, 12]
    assert tests["cross_entropy"].tolist()[-1] == figures[0]["cross_entropy"]
    assert tests["accuracy"].tolist()[-1] == figures[0]["accuracy"]
    assert len({record.result.to_dict()["settings_hash"] for record in out.values()}) == 1


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("steps", [slow(1), 6, slow(12)])
def test_an_interrupted_run_ends_like_any_other(
    method: Any, steps: int, folder: Path, tmp_path: Path, whole: Whole
) -> None:
    settings = with_numbers(QUICK, method, **({"from_scratch": True} if method == "full" else {}))
    kept, expected = whole(settings)
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        run_finetune(folder, TASK, settings, out=out, reporter=After(steps))
    assert not (out / "result.json").exists()
    reporter = After(1000)
    record = run_finetune(folder, TASK, settings, out=out, reporter=reporter)
    # Nothing between checkpoints is done twice, and nothing more.
    assert reporter.left == 1000 - 12
    assert weights(out) == weights(kept)
    assert plain(record) == plain(expected)
    pd.testing.assert_frame_equal(record.curves, expected.curves, check_exact=True)
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [
            ".ntps.json",
            "curves.parquet",
            "held_out.safetensors",
            "result.json",
            "adapter" if method == "lora" else "model",
        ]
    )


def test_checkpoints_are_few_small_and_free_of_code(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Interrupted):
        run_finetune(folder, TASK, QUICK, out=tmp_path, reporter=After(12))
    checkpoints = sorted((tmp_path / "progress").glob("checkpoint-*"))
    assert [path.name for path in checkpoints] == ["checkpoint-4", "checkpoint-8"]
    kept = load_file(checkpoints[0] / "model.safetensors")
    assert not any("embed_tokens" in name or "base_layer" in name for name in kept)
    assert not (checkpoints[0] / "training_args.bin").exists()
    load, loaded = torch.load, []

    def spy(path: Any, *rest: Any, **options: Any) -> Any:
        loaded.append((Path(path).name, options.get("weights_only")))
        return load(path, *rest, **options)

    monkeypatch.setattr(torch, "load", spy)
    run_finetune(folder, TASK, QUICK, out=tmp_path)
    assert {name for name, _ in loaded} == {"optimizer.pt", "scheduler.pt", "rng_state.pth"}
    assert all(weights_only is True for _, weights_only in loaded)


def test_half_a_checkpoint_is_none(folder: Path, tmp_path: Path, whole: Whole) -> None:
    kept, expected = whole(QUICK)
    with pytest.raises(Interrupted):
        run_finetune(folder, TASK, QUICK, out=tmp_path / "out", reporter=After(11))
    half = tmp_path / "out" / "progress" / "checkpoint-8"
    (half / "complete").unlink()
    (half / "model.safetensors").write_bytes(b"half")
    record = run_finetune(folder, TASK, QUICK, out=tmp_path / "out")
    assert weights(tmp_path / "out") == weights(kept)
    assert plain(record) == plain(expected)


def test_interrupted_after_the_last_step(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    kept, expected = whole(QUICK)

    def interrupt(*_args: Any, **_options: Any) -> None:
        raise Interrupted

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(module, "save_classifier", interrupt)
        run_finetune(folder, TASK, QUICK, out=tmp_path / "out")
    reporter = After(13)
    record = run_finetune(folder, TASK, QUICK, out=tmp_path / "out", reporter=reporter)
    assert weights(tmp_path / "out") == weights(kept)
    assert plain(record) == plain(expected)
    pd.testing.assert_frame_equal(record.curves, expected.curves, check_exact=True)


# torch tells of a full disk in a RuntimeError.
FULL = "No space left on device", "basic_ios::clear: iostream error"


@pytest.mark.parametrize("error", [OSError(28, FULL[0]), RuntimeError(FULL[1]), torch.OutOfMemoryError("full")])
def test_what_the_machine_refuses(
    error: Exception, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_options: Any) -> None:
        raise error

    monkeypatch.setattr(tuner.Tuner, "save_model", refuse)
    sentence = r"cannot write .*(No space|iostream).*; free|out of memory in step 5: .* `accumulate`"
    with pytest.raises(InputError, match=sentence):
        run_finetune(folder, TASK, QUICK, out=tmp_path)


@pytest.mark.parametrize("tracker", ["nothing", "wandb"])
def test_trackers_that_are_not_there(tracker: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.integrations.integration_utils.is_wandb_available", lambda: False)
    with pytest.raises(InputError, match=f"`report_to` {tracker} cannot be used: "):
        run_finetune(folder, TASK, QUICK, report_to=[tracker])


def test_progress_of_another_run(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run_finetune(folder, TASK, QUICK, out=tmp_path, reporter=After(9))
    other = with_numbers(QUICK, rank=8)
    with pytest.raises(InputError, match=r"progress of another run, which differs in rank \(32 then, 8 now\)"):
        run_finetune(folder, TASK, other, out=tmp_path)
    reporter = After(1000)
    run_finetune(folder, TASK, other, out=tmp_path, overwrite=True, reporter=reporter)
    assert reporter.left == 1000 - 12


def test_no_resume_begins_again(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run_finetune(folder, TASK, QUICK, out=tmp_path, reporter=After(9))
    with pytest.raises(Interrupted):
        run_finetune(folder, TASK, QUICK, out=tmp_path, resume=False, reporter=After(2))
    assert not list((tmp_path / "progress").glob("checkpoint-*"))


@pytest.mark.parametrize("method", ["lora", "full"])
def test_it_reloads_to_the_same_logits(method: Any, folder: Path, tmp_path: Path, spied: list[Any]) -> None:
    record = run_finetune(folder, TASK, with_numbers(QUICK, method=method), out=tmp_path)
    [made] = spied
    assert TASK.test is not None
    model = load_model(folder if method == "lora" else tmp_path / "model")
    classifier = load_classifier(model, tmp_path)
    collate: Collator = made._evaluated
    expected = made.logits(collate)
    inputs = collate(range(len(TASK.test)))
    order = np.argsort(-collate.tokens.lengths, kind="stable")
    with torch.no_grad():
        logits = classifier(inputs["ids"], inputs["lengths"]).numpy()
    np.testing.assert_allclose(logits, expected[order], rtol=0, atol=1e-6)
    accuracy = np.mean(logits.argmax(axis=1) == TASK.test.labels[order])
    assert accuracy == record.result.to_dict()["summary"]["test"]["accuracy"]


def test_a_classifier_of_another_model(folder: Path, tmp_path: Path) -> None:
    run_finetune(folder, TASK, with_numbers(QUICK, steps=1), out=tmp_path / "out")
    other = load_model(save_model(tmp_path / "other", seed=1))
    with pytest.raises(InputError, match=r"was trained on .*, whose weights differ"):
        load_classifier(other, tmp_path / "out")
    with pytest.raises(InputError, match="holds no classifier"):
        load_classifier(other, tmp_path)
    wide = load_model(save_model(tmp_path / "wide", hidden_size=32))
    with pytest.raises(InputError, match=r"for hidden states of width 16, but those of .* have 32"):
        load_classifier(wide, tmp_path / "out" / "adapter")


def test_from_scratch_begins_with_the_seeds_weights(folder: Path, tmp_path: Path, spied: list[Any]) -> None:
    settings = with_numbers(QUICK, method="full", from_scratch=True, steps=2)
    for seed in (0, 0, 1):
        run_finetune(folder, TASK, with_numbers(settings, seed=seed))
    first, again, other = (made.before for made in spied)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["base.embed_tokens.weight"], other["base.embed_tokens.weight"])
    pretrained = load_model(folder).base.state_dict()
    assert not torch.equal(
        first["base.layers.0.self_attn.q_proj.weight"], pretrained["layers.0.self_attn.q_proj.weight"]
    )
    assert all(weight.requires_grad for weight in spied[0].model.parameters())


def test_full_training_begins_with_the_models_weights(folder: Path, spied: list[Any]) -> None:
    run_finetune(folder, TASK, with_numbers(QUICK, method="full", steps=2))
    pretrained = load_model(folder).base.state_dict()
    assert all(torch.equal(spied[0].before[f"base.{name}"], weight) for name, weight in pretrained.items())


@pytest.mark.parametrize("accumulate", [2, 4])
def test_a_step_in_parts_is_the_same_step(accumulate: int, folder: Path, tmp_path: Path, whole: Whole) -> None:
    still = with_numbers(QUICK, lora_dropout=0.0, head_dropout=0.0)
    kept, expected = whole(still)
    parts = run_finetune(folder, TASK, with_numbers(still, accumulate=accumulate), out=tmp_path)
    first, second = (load_file(out / "adapter" / WEIGHTS) for out in (kept, tmp_path))
    for name, weight in first.items():
        torch.testing.assert_close(second[name], weight, rtol=1e-3, atol=1e-5)
    assert parts.curves["loss"].to_numpy() == pytest.approx(expected.curves["loss"].to_numpy(), rel=1e-4)
    assert parts.result.to_dict()["settings_hash"] == expected.result.to_dict()["settings_hash"]


@pytest.mark.parametrize(
    ("labels", "kind", "figures"),
    [
        ([[i % 2, i % 3 == 0] for i in range(20)], "multilabel", {"accuracy", "accuracy_interval", "cross_entropy"}),
        ([i / 7 for i in range(20)], "regression", {"mse", "squared_loss", "r2", "r2_interval"}),
    ],
)
def test_other_targets(labels: list[Any], kind: str, figures: set[str], folder: Path) -> None:
    texts = random_texts(20)
    task = task_from_lists(texts, labels, test_texts=texts, test_labels=labels)
    assert task.kind == kind
    record = run_finetune(folder, task, with_numbers(QUICK, steps=6))
    found = record.result.to_dict()["summary"]["test"]
    assert {name for name, value in found.items() if value is not None} == figures
    curves = record.curves
    assert curves["loss"].notna().all()
    assert curves["cross_entropy"].notna().all() == (kind == "multilabel")
    last = curves[curves["split"] == "test"]["loss"].iloc[-1]
    assert last == found["mse" if kind == "regression" else "cross_entropy"]
    assert FinetuneResult(record).plot() is not None


def test_without_test_texts_the_training_texts_are_measured(folder: Path) -> None:
    record = run_finetune(folder, random_task(20), QUICK)
    assert record.result.to_dict()["summary"]["test"] is None
    assert record.result.to_dict()["summary"]["train"]["accuracy"] is not None
    assert any("no test texts" in warning for warning in record.result.to_dict()["warnings"])
    assert set(record.curves["split"]) == {"train"}


def test_a_loss_that_is_lost_ends_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuner, "loss_function", lambda _task: lambda logits, _labels: logits.sum() * float("nan"))
    with pytest.raises(NumericalError, match="no finite number at step 10: lower `learning_rate`"):
        run_finetune(folder, TASK, QUICK)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"steps": 0}, "`steps` must be at least 1"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"lora_dropout": 1.0}, "`lora_dropout` must be at least 0 and below 1"),
        ({"learning_rate": 0.0}, "`learning_rate` must be above 0"),
        ({"precision": "float16"}, "`precision` must be one of"),
        ({"batch_size": 3, "accumulate": 2}, "`batch_size` 3 cannot be divided .* a multiple of 2"),
        ({"start_layer": 3}, "`start_layer` must be 0 to 2"),
    ],
)
def test_bad_options(options: dict[str, Any], sentence: str, folder: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        run_finetune(folder, TASK, with_numbers(QUICK, **options))


def test_methods_that_do_not_exist() -> None:
    method: Any = "adapters"
    sentence = r"^`method` must be one of LoRA\(\), FullFineTuning\(\), or of lora, full, not 'adapters'$"
    with pytest.raises(InputError, match=sentence):
        FinetuneSettings(method=method)


@pytest.mark.parametrize("device", ["auto", "cuda:1", "cuda"])
def test_bad_devices(device: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=f"`device` {device} "):
        run_finetune(folder, TASK, QUICK, device=device)


def test_a_missing_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ntps.models.adapters.adapter.find_spec", lambda name: None if name == "peft" else name)
    sentence = r"needs the package peft: install it with `pip install '.\[train\]'`"
    with pytest.raises(InputError, match=f"fine-tuning {sentence}"):
        run_finetune(folder, TASK, QUICK)
    with pytest.raises(InputError, match=f"an adapter {sentence}"):
        load_model(folder, adapter=folder)


def test_bfloat16_trains_float32_weights(folder: Path, spied: list[Any]) -> None:
    record = run_finetune(folder, TASK, with_numbers(QUICK, precision="bfloat16"))
    assert record.result.to_dict()["settings"]["precision"] == "bfloat16"
    [made] = spied
    assert {weight.dtype for weight in made.model.parameters() if weight.requires_grad} == {torch.float32}
    assert {weight.dtype for weight in made.model.parameters() if not weight.requires_grad} == {torch.bfloat16}
    assert isinstance(made.model.head, nn.Linear)
    assert made.logits(made._evaluated).dtype == np.float64


def test_the_function_and_its_result(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = random_task(30, test=10)
    method = LoRA(recipe="paper", steps=10, batch_size=2)
    result = finetune(folder, rows, method, eval_every=5, out=tmp_path / "out")
    noise = capfd.readouterr()
    assert (noise.out, noise.err) == ("", "")
    again = FinetuneResult.load(tmp_path / "out")
    assert again.summary == result.summary
    pd.testing.assert_frame_equal(again.to_frame(), result.to_frame())
    assert json.loads((tmp_path / "out" / "result.json").read_text())["kind"] == "finetune"
    result.plot(tmp_path / "losses.png")
    assert (tmp_path / "losses.png").stat().st_size > 1000
    assert "LoRA, 10 steps of 2" in repr(result)
    with pytest.raises(InputError, match="already holds a result"):
        finetune(folder, rows, LoRA(steps=10), out=tmp_path / "out")

"""``ntps advise``: the figures are those of scores and probes, and nonsense is one sentence."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import ntps
from ntps.advice.calibration import Calibration
from ntps.advice.record import AdviceFile
from ntps.cli import main
from ntps.display.advice import advice_words
from ntps.errors import InputError
from ntps.models.load import load_model
from ntps.tasks.task import Task
from tiny import random_task, random_texts, save_model, save_task
from unwrapped import unwrapped

SIZE = 80


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, short_check: None) -> ntps.LanguageModel:
    return load_model(str(save_model(tmp_path_factory.mktemp("model") / "qwen2")))


@pytest.fixture(scope="module")
def task() -> Task:
    return random_task(SIZE, 2)


@pytest.fixture(scope="module")
def advice(model: ntps.LanguageModel, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("advice") / "out"
    ntps.advise(model, task, out=out)
    return out


def test_probes_are_those_of_a_score_and_of_a_tangent_probe(
    model: ntps.LanguageModel, task: Task, advice: Path
) -> None:
    found = ntps.AdviceResult.load(advice).to_dict()
    score = ntps.score(model, task, test=False).to_dict()
    for row, expected in zip(found["layers"], score["layers"], strict=True):
        for name in ("accuracy_cv", "accuracy_cv_interval", "r2_cv", "penalty_cv"):
            assert row[name] == pytest.approx(expected[name], rel=1e-3), (row["name"], name)
    assert found["all_layers"]["accuracy_cv"] == pytest.approx(score["all_layers"]["accuracy_cv"])
    for name in ("layer", "chosen_cv", "equals"):
        assert found["summary"][name] == pytest.approx(score["summary"][name])
    (row,) = ntps.probe(model, task, kind="tangent", test=False).to_dict()["layers"]
    assert found["tangent"]["accuracy_cv"] == row["accuracy_cv"]
    best = max(score["all_layers"]["accuracy_cv"], score["summary"]["chosen_cv"])
    assert found["summary"]["best_cv"] == pytest.approx(best)


def test_the_forecast_is_that_of_the_calibration(advice: Path, model: ntps.LanguageModel) -> None:
    found = ntps.AdviceResult.load(advice).to_dict()
    lora, calibration = found["lora"], Calibration.read()
    whole = found["all_layers"]["accuracy_cv"]
    above = [found["tangent"]["accuracy_cv"] - whole, found["layers"][-1]["accuracy_cv"] - whole]
    gain = calibration.forecaster.coefficients @ [1.0, *above, 2 / SIZE]
    assert lora["accuracy"] == pytest.approx(np.clip(whole + gain, 0, 1))
    assert lora["gain"] == pytest.approx(whole + gain - found["summary"]["best_cv"])
    assert lora["gain_interval"][0] < lora["gain"] < lora["gain_interval"][1]
    # A tiny model of few texts is outside, and the forecast says so.
    assert lora["stretch"] > 1 and any(f"{model.parameters:,} parameters" in each for each in lora["outside"])
    assert found["calibration"]["cells"] == len(calibration.cells)


@pytest.mark.parametrize(
    ("chance", "decision", "enough", "words"),
    [
        (0.02, "probe", None, "keep the probe ({best}); LoRA is very unlikely to gain 2 points."),
        (0.12, "undecided", 900, "LoRA is unlikely to gain 2 points from 80 texts; about 900 would make it certain"),
        (0.5, "undecided", None, "cannot be told from 80 texts, and more of them would not make it certain"),
        (0.8, "undecided", 900, "is likely to gain more than 2 points from 80 texts; about 900"),
        (0.95, "lora", None, "is very likely to gain more than 2 points."),
    ],
)
def test_the_advice_says_what_the_chance_says(
    chance: float, decision: str, enough: int | None, words: str, advice: Path
) -> None:
    found = ntps.AdviceResult.load(advice).to_dict()
    found["lora"] |= {"chance": chance, "stretch": 1.9}
    found["summary"] |= {"decision": decision, "enough_texts": enough}
    *_, last = advice_words(AdviceFile.model_validate(found))
    assert last.startswith("Advice: ") and words.format(best=found["summary"]["best"]) in last
    assert ("cannot be told" in last) == (chance == 0.5)
    found["lora"]["stretch"] = 2.0
    found["summary"] |= {"decision": "undecided", "enough_texts": None}
    *said, last = advice_words(AdviceFile.model_validate(found))
    assert "cannot be told" in last and any("nothing is decided" in each for each in said)


def test_a_forecast_for_what_the_calibration_holds_is_said_to_be_no_test(
    model: ntps.LanguageModel, task: Task, advice: Path, tmp_path: Path
) -> None:
    calibration = Calibration.read()
    here = {"parameters": model.parameters, "model": Path(model.id).name}
    cases: list[tuple[dict[str, object], bool, bool]] = [
        (here, True, False),
        (here | {"model": model.id, "task": task.id}, True, True),
        (here | {"parameters": model.parameters + 1, "task": task.id}, False, True),
    ]
    for update, same_model, same_task in cases:
        cell, *others = calibration.cells
        Calibration.of([cell.model_copy(update=update), *others]).write(tmp_path / "mine.json")
        result = ntps.advise(model, task, calibration=tmp_path / "mine.json").record.result
        assert (result.calibration.same_model, result.calibration.same_task) == (same_model, same_task)
        said = "\n".join(advice_words(result))
        assert ("this very model" in said, "this very task" in said) == (same_model, same_task)
        assert "no test of the forecast" in said
    unknown = ntps.AdviceResult.load(advice)
    assert unknown.to_dict()["calibration"]["same_model"] is False and "no test" not in repr(unknown)


def test_the_learning_curve_ends_with_the_figure_of_all_texts(advice: Path) -> None:
    frame, summary = ntps.AdviceResult.load(advice).to_frame(), ntps.AdviceResult.load(advice).summary
    assert frame["texts"].tolist() == [SIZE // 4, SIZE // 2, SIZE, 2 * SIZE]
    assert (
        frame["accuracy"][2] == summary["best_cv"] and [*frame["accuracy_interval"][2]] == summary["best_cv_interval"]
    )


def test_a_result_is_not_replaced_unasked(model: ntps.LanguageModel, task: Task, tmp_path: Path) -> None:
    few = random_task(44, 2)
    for _ in range(2):
        ntps.advise(model, few, out=tmp_path / "out", overwrite=True)
    with pytest.raises(InputError, match="already holds a result"):
        ntps.advise(model, task, out=tmp_path / "out")


def test_what_nothing_can_be_said_about_is_one_sentence(model: ntps.LanguageModel, tmp_path: Path) -> None:
    texts = random_texts(SIZE)
    numbers = ntps.task_from_lists(texts, np.linspace(0, 1, SIZE).tolist())
    sets = ntps.task_from_lists(texts, [["a"] if index % 2 else ["a", "b"] for index in range(SIZE)])
    for task, message in (
        (random_task(2, 2), "has 2 training texts .* advice needs 40"),
        (numbers, "has real targets, and forecasts of LoRA are calibrated on classes"),
        (sets, "has label sets"),
    ):
        with pytest.raises(InputError, match=message):
            ntps.advise(model, task)
    with pytest.raises(InputError, match="`worth` must be at least 0"):
        ntps.advise(model, random_task(SIZE), worth=-1)
    with pytest.raises(InputError, match=r"cannot read .*none\.json"):
        ntps.advise(model, random_task(SIZE), calibration=tmp_path / "none.json")


def test_a_model_that_lora_cannot_adapt_is_refused_before_any_pass(
    model: ntps.LanguageModel, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ntps.models.adapters.lora.TARGETS", (("other",),))
    monkeypatch.setattr(nn.Module, "__call__", lambda *_: pytest.fail("the model ran"))
    with pytest.raises(InputError, match=r"projections of .* have unknown names"):
        ntps.advise(model, task)


def test_more_texts_than_are_left_out_are_sampled(
    model: ntps.LanguageModel, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ntps.advice.fits.CV_TEXTS", 50)
    found = ntps.advise(model, task).to_dict()
    assert found["summary"]["cv_texts"] == 50 and found["task"]["texts"] == SIZE
    assert [point["texts"] for point in found["learning_curve"]][2] == 50


def test_the_command_line_prints_a_table_and_an_advice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_model(tmp_path / "model", "gpt2")
    rows = save_task(tmp_path / "task.jsonl", SIZE, 2)
    for more in ((), ("--json",)):
        monkeypatch.setattr(sys, "argv", ["ntps", "advise", str(folder), str(rows), "-q", *more])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        printed = unwrapped(capsys.readouterr().out)
        if more:
            assert json.loads(printed)["kind"] == "advice"
        else:
            assert "probe of all layers" in printed and "LoRA, forecast" in printed
            assert printed.strip().splitlines()[-1].startswith("Advice: ")
            assert "forecast are" in printed and "times as wide" in printed


def test_the_pass_keeps_what_a_forward_pass_gives(model: ntps.LanguageModel, task: Task) -> None:
    from ntps.forward.pooled_texts import collect_pooled
    from ntps.forward.tangents import TangentPass
    from ntps.jobs.session import RunSession
    from ntps.options.passes import PassSettings

    ready = RunSession(model, task, PassSettings(), None)
    work = ready.work(task.train, ready.tokens, None)
    found, expected = TangentPass(work).run(), collect_pooled(work)
    assert found.forward_seconds > 0 and found.backward_seconds > 0
    assert sorted(found.pooled) == sorted(expected) == list(range(model.num_layers + 1))
    for layer, rows in expected.items():
        np.testing.assert_allclose(found.pooled[layer], rows, atol=1e-5)
    assert torch.is_grad_enabled()

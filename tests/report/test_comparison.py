"""A fine-tuning run beside other runs: gains with intervals, and what is of other texts."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ntps import FinetuneResult, FullFineTuning, InputError, LoRA, finetune, load_model, probe, score
from ntps.display.comparison import comparison, read_compared
from ntps.display.finetune import finetune_words
from ntps.display.sentences import with_ends
from ntps.jobs.held_out_texts import ALL_LAYERS, CHOSEN
from tiny import random_task, save_model

TASK = random_task(30, test=20)
Said = Callable[..., list[str]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of results."""
    out = tmp_path_factory.mktemp("results")
    folder = save_model(out / "model")
    model = load_model(folder)
    for kind in ("ridge", "ols", "adamw"):
        probe(model, TASK, kind, layers=[0, 1], out=out / kind)
    probe(model, random_task(25, test=20), out=out / "fewer")
    probe(model, random_task(30, seed=5, test=20), out=out / "other")
    probe(model, random_task(30, classes=2, test=20), out=out / "two")
    probe(model, random_task(30), out=out / "untested")
    probe(load_model(save_model(out / "twin", seed=1)), TASK, out=out / "of another")
    score(model, TASK, out=out / "score")
    finetune(folder, TASK, LoRA(steps=3), out=out / "lora")
    finetune(folder, TASK, FullFineTuning(from_scratch=True, steps=3), out=out / "scratch")
    finetune(folder, random_task(30), LoRA(steps=3), out=out / "in sample")
    # As an earlier version left it.
    shutil.copytree(out / "ridge", out / "old", ignore=shutil.ignore_patterns("held_out*"))
    return out


@pytest.fixture(scope="module")
def said(results: Path) -> Said:
    """What a run says beside others."""

    def lines(*names: str, run: str = "lora") -> list[str]:
        record = FinetuneResult.load(results / run).record
        return comparison(record.result, record.held_out, read_compared([results / name for name in names]))

    return lines


def test_the_line_has_what_every_run_reaches_on_these_test_texts(results: Path, said: Said) -> None:
    runs = read_compared([results / name for name in ("lora", "scratch", "ols", "adamw")])
    lora, scratch, *probes = (each.figure(CHOSEN, "test").value for each in runs)
    assert lora is not None and scratch is not None
    majority = FinetuneResult.load(results / "lora").record.result.summary.majority_accuracy["test"]
    together = runs[2].figure(ALL_LAYERS, "test").value
    line, *_ = said("scratch", "ols", "adamw", "other")
    assert line == (
        f"Accuracy: most frequent class {majority:.1%}, least-squares probe {probes[0]:.1%}, one probe of all layers "
        f"{together:.1%}, AdamW probe {probes[1]:.1%}, LoRA {lora:.1%}, from scratch {scratch:.1%}."
    ).replace("%", " %")


@pytest.mark.parametrize("name", ["ridge", "score", "ols", "adamw"])
def test_gains_are_paired_text_by_text_over_the_chosen_layer_and_over_all(name: str, results: Path, said: Said) -> None:
    (lora, other) = read_compared([results / "lora", results / name])
    assert lora.texts is not None and other.texts is not None and set(other.texts.shares) == {CHOSEN, ALL_LAYERS}
    _, line = said(name)
    assert "text by text on the 20 test texts" in line
    for predictor, spoken in other.predictors.items():
        found = lora.texts.gain(CHOSEN, other.texts, predictor)
        mine, theirs = lora.figure(CHOSEN, "test").value, other.figure(predictor, "test").value
        assert mine is not None and theirs is not None and found.value == pytest.approx(mine - theirs)
        assert f"over {spoken} {with_ends(found.value, (found.low, found.high), '+')}" in line


def test_without_the_texts_the_errors_of_both_figures_make_the_interval(results: Path, said: Said) -> None:
    (lora, other) = read_compared([results / "lora", results / "old"])
    mine, theirs = lora.figure(CHOSEN, "test"), other.figure(CHOSEN, "test")
    assert None not in (mine.value, mine.low, mine.high, theirs.value, theirs.low, theirs.high)
    a, b, c, d, e, f = (
        float(end or 0) for end in (mine.value, mine.low, mine.high, theirs.value, theirs.low, theirs.high)
    )
    ends = a - d - math.hypot(a - b, f - d), a - d + math.hypot(c - a, d - e)
    (line,) = said("old")[1:]
    assert with_ends(a - d, ends, "+") in line and "from the errors of both" in line and "text by text" not in line


def test_other_training_texts_are_named_and_the_test_texts_pair_all_the_same(results: Path, said: Said) -> None:
    _, gain, differs = said("fewer")
    there, here = (read_compared([results / name])[0].result.task for name in ("fewer", "lora"))
    assert "text by text" in gain and "training texts are 25" in differs and "here 30" in differs
    assert there.fingerprint[:8] in differs and here.fingerprint[:8] in differs and "test texts" not in differs


def test_other_test_texts_are_named_and_nothing_is_paired(results: Path, said: Said) -> None:
    line, gain, differs = said("other")
    assert "ridge" not in line and "on different test texts" in gain
    there, here = (read_compared([results / name])[0].result.task.test for name in ("other", "lora"))
    assert there is not None and here is not None
    assert "test texts are 20" in differs and there.fingerprint[:8] in differs and here.fingerprint[:8] in differs


def test_a_probe_of_another_model_is_named(said: Said, results: Path) -> None:
    *_, differs = said("of another")
    assert str(results / "twin") in differs and "texts" not in differs


@pytest.mark.parametrize(
    ("name", "run", "words"),
    [
        ("two", "lora", "2 classes (class 0, class 1), and this run"),
        ("untested", "lora", "no figure of test texts"),
        ("fewer", "in sample", "this run has no test texts"),
    ],
)
def test_what_cannot_be_compared_is_said_and_no_gain_is_shown(name: str, run: str, words: str, said: Said) -> None:
    (line,) = said(name, run=run)[1:]
    assert "is not compared: " in line and words in line


def test_figures_of_training_texts_have_no_interval(said: Said) -> None:
    (line,) = said("untested", run="in sample")[1:]
    assert "no interval, on the 30 training texts" in line


def test_alone(results: Path, said: Said) -> None:
    assert len(said(run="scratch")) == 1
    assert finetune_words(FinetuneResult.load(results / "scratch").record.result).startswith(
        "From scratch, 3 steps of 16, "
    )
    assert said("lora", run="scratch")[1].startswith("Gain of training from scratch over LoRA ")


def test_what_is_no_result_is_refused(results: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_compared([results / "nothing"])

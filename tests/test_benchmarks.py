"""The benchmarks compare like with like: on tiny sizes, both sides of each give the same numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

import closed_forms
import cost_of_methods
import literal_procedure
import scaling
from common import interleaved, random_model, ratio, whole_pass
from ntps import score_moments
from ntps.models.embedded import embedded_model_folder
from ntps.models.tokenizing.tokens import tokenize
from tiny import random_task, save_task


def figures_of(command: Callable[..., None], *arguments: str) -> dict[str, Any]:
    app = Typer()
    app.command()(command)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    figures: dict[str, Any] = json.loads(result.stdout)
    assert figures["machine"]["cores"]
    return figures


def test_literal_procedure_gives_the_moments_of_the_pass() -> None:
    model, task = random_model(width=32, blocks=2), random_task(count=30)
    tokens, targets = tokenize(model, task.train.texts), task.targets(task.train.labels)
    literal = literal_procedure.literal_means(
        literal_procedure.causal_model(model), tokens, targets, batch_size=8, pad_id=model.pad_id
    )
    moments, _ = whole_pass(model, tokens, targets, tokens_per_batch=64)
    assert 0 < literal_procedure.deviation(moments, literal) < literal_procedure.TOLERANCE
    literal.prefix_next[1] *= 1.001
    assert literal_procedure.deviation(moments, literal) > literal_procedure.TOLERANCE


def test_literal_scores_are_those_of_algorithm_1() -> None:
    model, task = random_model(width=16, blocks=1), random_task(count=200, classes=2)
    tokens, targets = tokenize(model, task.train.texts), task.targets(task.train.labels)
    literal = literal_procedure.literal_means(
        literal_procedure.causal_model(model), tokens, targets, batch_size=32, pad_id=model.pad_id
    )
    # In float64 the procedure is exact enough to compare with; in float32 small directions are noise.
    double = literal_procedure.LiteralMeans(**{name: value.double() for name, value in vars(literal).items()})
    curve = literal_procedure.literal_scores(double)[1]
    moments, _ = whole_pass(model, tokens, targets, tokens_per_batch=64)
    ours = score_moments(moments[1]).curves.ntps
    for fraction, value in zip(literal_procedure.FRACTIONS, curve, strict=True):
        assert value == pytest.approx(ours[max(1, int(fraction * len(ours))) - 1], abs=1e-3)


@pytest.mark.parametrize(("width", "classes"), [(20, 1), (40, 6), (64, 3)])
def test_closed_forms_agree_with_the_sweep(width: int, classes: int) -> None:
    means = closed_forms.synthetic_means(width, classes)
    score, sweep = score_moments(means), closed_forms.pseudo_inverse_sweep(means)
    assert len(sweep) == 19
    assert len(score.curves.k) == width
    assert closed_forms.deviation(score, sweep) < closed_forms.TOLERANCE
    assert closed_forms.deviation(score, sweep + 1e-5) > closed_forms.TOLERANCE


def test_closed_forms_command() -> None:
    figures = figures_of(closed_forms.main, "--width", "24", "--rounds", "2")
    assert figures["agree"]
    assert len(figures["sweep_over_ntps"]["rounds"]) == 2


def test_literal_procedure_command(tmp_path: Path) -> None:
    task = str(save_task(tmp_path / "task.jsonl"))
    sizes = ("--width", "16", "--blocks", "1", "--vocabulary", "8192", "--limit", "40", "--batch-size", "8")
    figures = figures_of(literal_procedure.main, task, *sizes, "--rounds", "1")
    assert figures["agree"]
    assert figures["texts"] == 40


@pytest.mark.slow
def test_scaling_command_down_to_the_workers() -> None:
    sizes = ("--width", "64", "--texts", "8", "--length", "8", "--layers", "1")
    figures = figures_of(scaling.main, *sizes, "--rounds", "1", "--steps", "2", "--workers", "2")
    for quantity in ("texts", "length", "layers", "width_statistics", "width_closed_forms", "workers"):
        assert len(figures[quantity]["sizes"]) == len(figures[quantity]["seconds"]) == 2
        assert np.isfinite(figures[quantity]["exponent"])


@pytest.mark.slow
def test_costs_of_methods_command(tmp_path: Path) -> None:
    task, model = str(save_task(tmp_path / "task.jsonl")), str(embedded_model_folder())
    figures = figures_of(cost_of_methods.main, task, "--model", model, "--limit", "30", "--steps", "2", "--rounds", "1")
    assert figures["over_score"]["score"] == 1
    assert figures["seconds"]["lora_5000_steps"] > figures["seconds"]["lora"]


def test_jobs_take_turns() -> None:
    calls: list[str] = []

    def job(name: str) -> int:
        calls.append(name)
        return len(calls)

    jobs = {name: partial(job, name) for name in "ab"}
    seconds, results = interleaved(jobs, rounds=2)
    assert calls == list("abab")
    assert [len(runs) for runs in seconds.values()] == [2, 2]
    assert results == {"a": 3, "b": 4}
    assert ratio([2.0, 9.0, 4.0], [1.0, 3.0, 1.0]) == {"median": 3.0, "rounds": [2.0, 3.0, 4.0]}


def test_exponent_of_a_power() -> None:
    sizes = [64, 128, 256]
    assert scaling.exponent(sizes, [1e-9 * size**3 for size in sizes]) == pytest.approx(3)

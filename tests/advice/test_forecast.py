"""Forecasts: the least-squares law that they are, intervals that cover, and what is said outside the calibration."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from ntps.advice.calibration import FEWEST_TASKS, Calibration, Method, stretch
from ntps.advice.cells import Cell
from ntps.advice.errors import left_out_errors
from ntps.advice.forecast import Forecaster
from ntps.advice.record import TOO_WIDE
from ntps.advice.verdict import CERTAIN, Verdict, decided
from ntps.display.advice import in_words
from ntps.errors import InputError


def cell(task: int, rng: np.random.Generator, *, noise: float = 0.0, model: int = 0, **more: Any) -> Cell:
    """A cell of a law: LoRA gains a point, half of what the tangent ridge is above, and 0.3 of the last layer."""
    best, error = float(rng.uniform(0.3, 0.9)), 0.01
    above, below = (float(rng.normal(scale=0.04)) for _ in range(2))
    known = best + error * float(rng.normal())
    content = {
        "texts": 500,
        "classes": 2 + task,
        "parameters": 3_000_000,
        "final": known + below,
        "all_layers": known,
        "all_layers_error": error,
        "tangent": known + above,
        "model": f"model{model}",
        "task": f"task{task}",
        "all_layers_test": best,
        "final_test": best + below,
        "lora_test": best + 0.01 + 0.5 * above + 0.3 * below + noise * float(rng.normal()),
        "test_texts": 10_000,
        "area": float(rng.uniform()),
        "ntps": float(rng.uniform()),
        "steps": 500,
    }
    return Cell.model_validate(content | more)


def cells(seed: int, *, tasks: int = 10, noise: float = 0.02, models: int = 2) -> list[Cell]:
    rng = np.random.default_rng(seed)
    return [cell(task, rng, noise=noise, model=model) for task in range(tasks) for model in range(models)]


def rows_of(many: list[Cell]) -> list[list[float]]:
    """What the gain is regressed on, besides a constant."""
    return [[each.tangent - each.all_layers, each.final - each.all_layers, each.classes / each.texts] for each in many]


def test_the_fit_is_least_squares_in_which_every_task_weighs_the_same() -> None:
    some = [*cells(0), *cells(1, tasks=3)]
    weights = [1 / sum(other.task == each.task for other in some) for each in some]
    expected = LinearRegression().fit(rows_of(some), [each.gain for each in some], weights)
    found = Forecaster.fit(some)
    np.testing.assert_allclose(found.coefficients, [expected.intercept_, *expected.coef_], rtol=1e-9)
    shuffled = Forecaster.fit(list(reversed(some)))
    np.testing.assert_allclose(shuffled.coefficients, found.coefficients, rtol=1e-9)
    assert shuffled.gain_spread == pytest.approx(found.gain_spread)


def test_spreads_are_errors_on_tasks_that_were_left_out() -> None:
    some = cells(2)
    missed = []
    for each in some:
        others = [other for other in some if other.task != each.task]
        line = LinearRegression().fit(rows_of(others), [other.gain for other in others])
        missed.append(line.predict(rows_of([each]))[0] - each.gain)
    found = Forecaster.fit(some)
    whole = math.sqrt(np.mean(np.square(missed)))
    assert found.gain(some[0]).spread == pytest.approx(whole)
    few = found.gain(some[0].model_copy(update={"all_layers_error": 0.0}))
    assert few.spread == found.gain_spread < whole


def test_intervals_cover_tasks_that_nobody_has_seen() -> None:
    inside = []
    for seed in range(300):
        forecaster, rng = Forecaster.fit(cells(seed)), np.random.default_rng(1000 + seed)
        unseen = cell(11, rng, noise=0.02)
        (low, high), (lowest, highest) = forecaster.accuracy(unseen).interval, forecaster.gain(unseen).interval
        inside.append((low <= unseen.lora_test <= high, lowest <= unseen.gain <= highest))
    accuracy, gain = np.mean(inside, axis=0)
    assert 0.92 <= accuracy <= 0.99 and 0.92 <= gain <= 0.99


def test_the_chance_of_a_gain_is_that_of_the_interval() -> None:
    prediction = Forecaster.fit(cells(3)).gain(cells(4)[0])
    low, high = prediction.interval
    assert prediction.chance_above(low) == pytest.approx(0.975) and prediction.chance_above(high) == pytest.approx(
        0.025
    )
    assert prediction.chance_above(prediction.value) == pytest.approx(0.5)


def test_a_wider_forecast_has_the_same_middle() -> None:
    forecaster, unseen = Forecaster.fit(cells(5)), cells(6)[0]
    for forecast in (forecaster.gain, forecaster.accuracy):
        narrow, wide = forecast(unseen), forecast(unseen, 3.0)
        assert wide.value == narrow.value and wide.spread == pytest.approx(3 * narrow.spread)


def test_errors_are_of_what_was_left_out_and_rank_the_law_first() -> None:
    some = cells(7, noise=0.002)
    for by in ("task", "model"):
        rows = {each.name: each for each in left_out_errors(some, by)}
        forecast, none = rows.pop("forecast"), rows["no gain"]
        gains = np.array([each.gain for each in some])
        assert none.gain == pytest.approx(float(np.sqrt(np.mean(gains**2))))
        assert forecast.rank is not None and forecast.rank > 0.95
        assert all(forecast.gain < each.gain for each in rows.values())
        assert forecast.coverage is not None and rows["mean gain"].rank is None


def test_a_file_comes_back_and_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    whole = Calibration.of(cells(8))
    whole.write(path)
    assert Calibration.read(path) == whole
    content = json.loads(path.read_text())
    changes: dict[str, dict[str, Any]] = {
        "recipe paper, and this version works with standard": {"method": {**content["method"], "recipe": "paper"}},
        "width 64": {"method": {**content["method"], "width": 64}},
        "schema 9": {"schema": 9},
        "trained cells of 2 tasks": {
            "cells": [each for each in content["cells"] if each["task"] in ("task0", "task1")]
        },
        "has no cells": {"cells": None},
    }
    for message, change in changes.items():
        changed = {name: value for name, value in (content | change).items() if value is not None}
        path.write_text(json.dumps(changed))
        with pytest.raises(InputError, match=message):
            Calibration.read(path)
    with pytest.raises(InputError, match="ntps calibrate"):
        Calibration.read(tmp_path / "none.json")


def test_the_calibration_that_comes_along_can_be_read() -> None:
    found = Calibration.read()
    assert found.method == Method() and len({each.task for each in found.cells}) >= FEWEST_TASKS
    assert all(0 <= each.lora_test <= 1 and each.steps > 0 for each in found.cells)


def test_outside_the_calibration_forecasts_widen_and_far_outside_there_are_none() -> None:
    calibration = Calibration.of(cells(9))
    inside = calibration.cells[0]
    assert calibration.outside(inside) == ()
    larger = inside.model_copy(update={"parameters": 30_000_000, "texts": 5_000})
    distances = calibration.outside(larger)
    assert [distance for distance, _ in distances] == pytest.approx([1.0, 1.0])
    assert "30,000,000 parameters, where only 3,000,000" in distances[0][1]
    assert stretch(distances) == pytest.approx(3.0)
    found, wider = (Verdict(each, calibration, 0.02).forecast for each in (inside, larger))
    assert found is not None and wider is not None
    below = [each.gain - float((each.gain_interval or (0.0,))[0] or 0.0) for each in (found, wider)]
    assert below[1] == pytest.approx(3 * below[0])
    # No interval leads to an accuracy that there is not.
    far_away = inside.model_copy(update={"parameters": 2_000_000_000, "texts": 500_000})
    vast = Verdict(far_away, Calibration.of(cells(9, noise=0.2)), 0.02)
    assert vast.forecast is not None
    assert vast.forecast.gain_interval == (-inside.all_layers, 1 - inside.all_layers)
    assert vast.forecast.accuracy_interval == (0.0, 1.0)
    behind = Verdict(inside, calibration, 0.02, ahead=0.01).forecast
    assert behind is not None and behind.gain == pytest.approx(found.gain - 0.01)
    assert behind.chance < found.chance and behind.accuracy == found.accuracy
    far = Verdict(inside.model_copy(update={"parameters": 7_000_000_000_000}), calibration, 0.02)
    assert far.forecast is None and far.decision == "undecided" and far.enough_texts is None


def test_a_decision_is_certain_or_none() -> None:
    assert [decided(each, 1.0) for each in (0.0, 1 - CERTAIN, 0.5, CERTAIN, 1.0)] == [
        "probe",
        "probe",
        "undecided",
        "lora",
        "lora",
    ]
    assert {decided(each, TOO_WIDE) for each in (0.0, 0.5, 1.0)} == {"undecided"}
    words = [in_words(each, decided(each, 1.0)) for each in (1 - CERTAIN, 0.12, 1 / 3, 0.34, 0.66, 2 / 3, 0.89, 0.9)]
    assert words == ["very unlikely", "unlikely", "unlikely", "even", "even", "likely", "likely", "very likely"]
    some, *others = cells(10, noise=0.001)
    calibration = Calibration.of([some, *others, some.model_copy(update={"texts": 1_000_000})])
    for above, decision in ((0.3, "lora"), (-0.3, "probe")):
        evidence = some.model_copy(update={"tangent": some.all_layers + above})
        assert Verdict(evidence, calibration, 0.02).decision == decision
        # A model ten times as large as any that was calibrated: nothing is decided, nor would more texts do.
        larger = Verdict(evidence.model_copy(update={"parameters": 10 * some.parameters}), calibration, 0.02)
        assert larger.forecast is not None and larger.forecast.too_wide
        assert larger.decision == "undecided" and larger.enough_texts is None
    vague = some.model_copy(
        update={"tangent": some.all_layers + 0.08, "final": some.all_layers, "all_layers_error": 0.1}
    )
    verdict = Verdict(vague, calibration, 0.02)
    assert verdict.decision == "undecided" and verdict.enough_texts is not None
    assert verdict.enough_texts > vague.texts

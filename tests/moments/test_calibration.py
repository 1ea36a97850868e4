"""Trials of batches: what a whole pass would take, and which batch budget is fastest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntps import InputError, load_model, score
from ntps.forward.batch_budget import BUDGETS, estimated_seconds, fastest_budget, samples
from ntps.forward.batch_plan import Batch, plan_batches
from ntps.forward.out_of_memory import OutOfMemory
from tiny import random_task, save_model

LENGTHS = np.random.default_rng(0).integers(1, 200, 3000)


class Machine:
    """A machine whose seconds are a formula: so much a batch, so much a padded token, more where they spill."""

    def __init__(self, lengths: np.ndarray, cache: int, memory: int | None = None) -> None:
        self.lengths, self.cache, self.memory = lengths, cache, memory
        self.clock = 0.0
        self.largest = 0

    def seconds(self, batch: Batch) -> float:
        padded = len(batch) * int(self.lengths[batch].max())
        self.largest = max(self.largest, padded)
        if self.memory is not None and padded > self.memory:
            raise OutOfMemory(len(batch), padded)
        spent = 1e-4 + 1e-6 * padded * (3 if padded > self.cache else 1)
        self.clock += spent
        return spent


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=400), st.integers(1, 5000))
def test_samples_are_batches_of_the_plan_and_the_largest_is_among_them(lengths: list[int], budget: int) -> None:
    array = np.array(lengths)
    plan = plan_batches(array, budget)
    chosen = samples(plan, array)
    assert chosen[0] is plan[0] and len(chosen) <= 4
    assert all(any(batch is each for each in plan) for batch in chosen)


def test_the_whole_follows_from_a_few_batches() -> None:
    plan = plan_batches(LENGTHS, 2048)
    machine = Machine(LENGTHS, cache=10**9)
    whole = sum(Machine(LENGTHS, cache=10**9).seconds(batch) for batch in plan)
    assert estimated_seconds(plan, LENGTHS, machine.seconds) == pytest.approx(whole, rel=0.1)
    assert machine.clock < 0.05 * whole


@pytest.mark.parametrize("cache", [600, 1100, 4200, 10**9])
def test_the_budget_is_as_fast_as_the_fastest(cache: int) -> None:
    """Too small ones pay for every batch, too large ones spill."""
    whole = {
        budget: sum(Machine(LENGTHS, cache).seconds(batch) for batch in plan_batches(LENGTHS, budget))
        for budget in BUDGETS["cpu"]
    }
    chosen = fastest_budget(BUDGETS["cpu"], LENGTHS, Machine(LENGTHS, cache).seconds, now=lambda: 0.0)
    assert whole[chosen] <= 1.05 * min(whole.values())
    assert max(whole.values()) > 1.1 * min(whole.values())


def test_a_budget_that_does_not_fit_the_memory_is_not_chosen() -> None:
    machine = Machine(LENGTHS, cache=10**9, memory=5000)
    assert fastest_budget(BUDGETS["cpu"], LENGTHS, machine.seconds, now=lambda: 0.0) == 4096
    assert machine.largest > 5000


def test_the_trial_is_short() -> None:
    """When the time for it is over, the best so far is taken: two budgets at least."""
    machine = Machine(LENGTHS, cache=10**9)
    ticks = iter(range(0, 1000, 3))
    now: Callable[[], float] = lambda: float(next(ticks))  # noqa: E731
    assert fastest_budget(BUDGETS["cpu"], LENGTHS, machine.seconds, now) == 512
    few = np.array([5, 4, 3])
    assert fastest_budget(BUDGETS["cpu"], few, Machine(few, cache=10**9).seconds) == 512, "one batch holds all"


def test_auto_is_recorded_and_gives_the_same_scores(tmp_path: object) -> None:
    import pathlib

    model = load_model(save_model(pathlib.Path(str(tmp_path)) / "model", "llama"), dtype="float64")
    task = random_task(80, 3)
    auto, fixed = score(model, task, tokens_per_batch="auto").to_dict(), score(model, task).to_dict()
    chosen = auto["settings"]
    assert chosen["auto_budget"] is True and chosen["tokens_per_batch"] in BUDGETS["cpu"]
    assert auto["settings_hash"] == fixed["settings_hash"]
    for mine, theirs in zip(auto["layers"], fixed["layers"], strict=True):
        assert mine["area"] == pytest.approx(theirs["area"], abs=1e-9)
    with pytest.raises(InputError, match="a number or auto"):
        score(model, task, tokens_per_batch="many")


def test_an_interrupted_run_keeps_the_budget_that_was_chosen(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another trial might end otherwise, and the plan of batches would be another."""
    model = load_model(save_model(tmp_path_factory.mktemp("model"), "llama"))
    task, out = random_task(80, 3), tmp_path_factory.mktemp("runs") / "run"
    monkeypatch.setattr("ntps.scoring.score_run.measured_budget", lambda *_arguments: 64)
    monkeypatch.setattr(
        "ntps.scoring.score_run._ScoreRun.closed_forms", lambda *_a: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        score(model, task, out=out, tokens_per_batch="auto")
    monkeypatch.undo()
    monkeypatch.setattr("ntps.scoring.score_run.measured_budget", lambda *_arguments: 128)
    result = score(model, task, out=out, tokens_per_batch="auto")
    assert result.to_dict()["settings"]["tokens_per_batch"] == 64

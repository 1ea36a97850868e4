"""Trials before a run: a time that is fixed beforehand, and an estimate whose bounds hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntps.forward.batch_plan import Batch, plan_batches
from ntps.forward.sampled_rates import SAMPLING_TIMEOUT_S, probed_rates, samples

LENGTHS = np.random.default_rng(0).integers(20, 200, 3000)


class Machine:
    """A machine whose clock is a formula: so much a batch, so much a token, more in longer texts."""

    def __init__(self, second: float, overhead: float = 0.0, growth: float = 0.0) -> None:
        self.second, self.overhead, self.growth, self.clock = second, overhead, growth, 0.0

    def seconds(self, batch: Batch) -> float:
        lengths = LENGTHS[batch]
        spent = self.overhead + self.second * float(lengths @ (1 + self.growth * lengths))
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


@pytest.mark.parametrize("second", [1e-6, 1e-4, 1e-3, 1e-2, 2e-2])
@pytest.mark.parametrize("growth", [0.0, 5e-4])
@pytest.mark.parametrize("overhead", [0.0, 0.01])
def test_the_time_is_kept_and_the_truth_lies_between_the_bounds(second: float, growth: float, overhead: float) -> None:
    plan = plan_batches(LENGTHS, 2048)
    machine = Machine(second, overhead, growth)
    rates = probed_rates(plan, LENGTHS, machine.seconds, now=lambda: machine.clock)
    assert machine.clock <= SAMPLING_TIMEOUT_S
    whole = sum(Machine(second, overhead, growth).seconds(batch) for batch in plan)
    expected, least, most = rates.whole(plan, LENGTHS)
    rounding = 1e-12 * expected
    assert least - rounding <= expected <= most + rounding
    if not overhead:
        assert expected == pytest.approx(whole, rel=0.1)
        assert 0.9 * least <= whole <= 1.1 * most


def test_a_fast_machine_runs_its_batches_whole() -> None:
    plan = plan_batches(LENGTHS, 2048)
    machine = Machine(1e-6)
    rates = probed_rates(plan, LENGTHS, machine.seconds, now=lambda: machine.clock)
    assert rates.padded == max(len(batch) * int(LENGTHS[batch].max()) for batch in samples(plan, LENGTHS))


def test_one_text_is_enough() -> None:
    plan = plan_batches(LENGTHS[:1], 2048)
    machine = Machine(1.0)
    rates = probed_rates(plan, LENGTHS[:1], machine.seconds, now=lambda: machine.clock)
    assert rates.whole(plan, LENGTHS[:1])[0] == pytest.approx(float(LENGTHS[0]))

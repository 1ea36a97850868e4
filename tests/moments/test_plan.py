"""The plan of batches: every text once, longest first, within the budget, the same every time."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntps.forward.batch_plan import plan_batches

LENGTHS = st.lists(st.integers(1, 50), max_size=60).map(lambda lengths: np.array(lengths, dtype=np.int64))
BUDGETS = st.integers(1, 300)


@settings(deadline=None)
@given(LENGTHS, BUDGETS)
def test_every_text_is_in_exactly_one_batch(lengths: np.ndarray, budget: int) -> None:
    batches = plan_batches(lengths, budget)
    assert sorted(text for batch in batches for text in batch.tolist()) == list(range(len(lengths)))
    assert all(len(batch) for batch in batches)


@settings(deadline=None)
@given(LENGTHS, BUDGETS)
def test_padded_batches_keep_to_the_budget(lengths: np.ndarray, budget: int) -> None:
    for batch in plan_batches(lengths, budget):
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= budget


@settings(deadline=None)
@given(LENGTHS, BUDGETS)
def test_longest_first_and_ties_in_their_order(lengths: np.ndarray, budget: int) -> None:
    order = [text for batch in plan_batches(lengths, budget) for text in batch.tolist()]
    assert order == sorted(range(len(lengths)), key=lambda text: (-lengths[text], text))


@settings(deadline=None)
@given(LENGTHS, BUDGETS)
def test_batches_are_as_full_as_the_budget_allows(lengths: np.ndarray, budget: int) -> None:
    for batch in plan_batches(lengths, budget)[:-1]:
        assert (len(batch) + 1) * lengths[batch].max() > budget


@settings(deadline=None)
@given(LENGTHS, BUDGETS, st.randoms(use_true_random=False))
def test_the_order_of_the_texts_changes_no_batch(lengths: np.ndarray, budget: int, chance: random.Random) -> None:
    """Batches have the same lengths, whichever texts come first."""
    order = np.array(chance.sample(range(len(lengths)), len(lengths)), dtype=np.int64)
    first, second = plan_batches(lengths, budget), plan_batches(lengths[order], budget)
    assert [lengths[batch].tolist() for batch in first] == [lengths[order][batch].tolist() for batch in second]


@pytest.mark.parametrize(("budget", "sizes"), [(1, [1, 1, 1, 1]), (12, [1, 2, 1]), (1000, [4])])
def test_an_example(budget: int, sizes: list[int]) -> None:
    batches = plan_batches(np.array([6, 10, 3, 5]), budget)
    assert [len(batch) for batch in batches] == sizes
    assert np.concatenate(batches).tolist() == [1, 0, 3, 2]

"""Statistics over tasks: against SciPy, against brute force, and in the cases where there is nothing to say."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ntps.errors import InputError
from ntps.study.statistics import (
    Direction,
    bootstrap_interval,
    fixed_scores,
    leave_one_out,
    select_pair,
    single_p_value,
    spearman,
)

Array = NDArray[np.float64]
DIRECTIONS: tuple[Direction, ...] = ("positive", "negative", "either")
SIGNED: dict[Direction, Callable[[Any], Any]] = {"positive": lambda c: c, "negative": lambda c: -c, "either": np.abs}


def table(tasks: int, *shape: int, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(tasks, *shape)), rng.normal(size=tasks)


# Few values, so that there are many ties, constant columns and undefined ones.
@st.composite
def tied(draw: st.DrawFn) -> tuple[Array, Array]:
    tasks = draw(st.integers(4, 9))
    values = st.sampled_from([0.0, 1.0, 2.0, 3.5, -1e300, 5e-324])
    scores = draw(arrays(np.float64, (tasks, 3, 4), elements=st.one_of(values, st.just(np.nan))))
    return scores, draw(arrays(np.float64, tasks, elements=values).filter(lambda y: len(set(y)) > 1))


@given(tied())
def test_every_pair_is_what_scipy_says(case: tuple[Array, Array]) -> None:
    scores, measurement = case
    ours = spearman(scores, measurement)
    for layer, k in np.ndindex(3, 4):
        column = scores[:, layer, k]
        # SciPy warns about constants and says NaN.
        constant = bool((column == column[0]).all())
        theirs = np.nan if constant else scipy.stats.spearmanr(column, measurement).statistic
        np.testing.assert_allclose(ours[layer, k], theirs, rtol=0, atol=1e-12)


def test_layers_with_fewer_k_are_padded() -> None:
    scores, measurement = table(10, 3, 5)
    scores[:, 1, 2:] = np.nan
    coefficients = spearman(scores, measurement)
    assert np.isnan(coefficients[1, 2:]).all() and np.isfinite(coefficients[1, :2]).all()
    assert select_pair(scores, measurement, "positive").pairs == 12
    assert all(layer != 1 or k < 2 for layer, k in leave_one_out(scores, measurement, "either").pairs)


@given(arrays(np.int64, (2, 5), elements=st.integers(0, 3)), st.sampled_from(DIRECTIONS))
@settings(deadline=None)
def test_the_p_value_of_one_score_counts_all_orders(case: NDArray[np.int64], direction: Direction) -> None:
    x, y = case.astype(np.float64)
    assume(len(set(x)) > 1 and len(set(y)) > 1)
    coefficients = [float(spearman(x, np.array(order))) for order in permutations(y)]
    observed = float(spearman(x, y))
    signed = SIGNED[direction]
    expected = np.mean([signed(c) >= signed(observed) - 1e-12 for c in coefficients])
    assert single_p_value(x, y, direction) == pytest.approx(expected, abs=1e-15)


def test_the_exact_p_value_of_twelve_tasks_is_what_sampling_approaches() -> None:
    scores, measurement = table(12, 1, 1, seed=3)
    exact = single_p_value(scores[:, 0, 0], measurement, "positive")
    sampled = select_pair(scores, measurement, "positive", permutations=200_000).p_value
    assert sampled == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 200_000))
    assert single_p_value(np.arange(12.0), np.arange(12.0), "positive") == pytest.approx(1 / 479_001_600)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_selected_p_value_repeats_the_selection(direction: Direction) -> None:
    scores, measurement = table(6, 3, 4, seed=5)
    found = select_pair(scores, measurement, direction)
    signed = SIGNED[direction]
    best = [signed(spearman(scores, np.array(order))).max() for order in permutations(measurement)]
    strongest = signed(spearman(scores, measurement)).max()
    assert found.exact and found.permutations == 720 and found.pairs == 12
    assert signed(found.coefficient) == pytest.approx(strongest)
    assert found.coefficient == spearman(scores, measurement)[found.layer, found.k]
    assert found.p_value == pytest.approx(np.mean(np.array(best) >= strongest - 1e-12))
    assert found.naive_p_value <= found.p_value <= min(1.0, found.pairs * found.naive_p_value) + 1e-12
    assert found.chance == pytest.approx(np.median(best))


@pytest.mark.parametrize("tasks", [6, 9])
def test_layers_may_have_measurements_of_their_own(tasks: int) -> None:
    scores, measurement = table(tasks, 3, 4, seed=5)
    own = np.column_stack([measurement, measurement**3, np.random.default_rng(0).normal(size=tasks)])
    same = np.repeat(measurement[:, None], 3, axis=1)
    assert select_pair(scores, same, "positive") == select_pair(scores, measurement, "positive")
    rules = scores[:, :, 0]
    assert fixed_scores(rules, same, "positive") == fixed_scores(rules, measurement, "positive")
    found = select_pair(scores, own, "positive")
    assert found.coefficient == max(spearman(scores[:, layer], own[:, layer]).max() for layer in range(3))
    if found.exact:
        # Tasks are dealt out whole: all layers see the same order.
        orders = [list(order) for order in permutations(range(tasks))]
        best = [max(spearman(scores[:, i], own[order, i]).max() for i in range(3)) for order in orders]
        assert found.p_value == pytest.approx(np.mean(np.array(best) >= found.coefficient - 1e-12))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_leaving_one_out_is_what_it_says(direction: Direction) -> None:
    scores, measurement = table(6, 3, 4, seed=7)
    signed = SIGNED[direction]

    def by_hand(y: Array) -> tuple[float, list[tuple[int, int]]]:
        ranks, pairs = [], []
        for task in range(6):
            others = np.arange(6) != task
            coefficients = spearman(scores[others], y[others])
            pair = np.unravel_index(np.argmax(np.round(signed(coefficients), 12)), (3, 4))
            column = scores[:, pair[0], pair[1]]
            rank = scipy.stats.rankdata(column)[task]
            turn = -1 if direction == "either" and coefficients[pair] < 0 else 1
            ranks.append(turn * (rank - 3.5))
            pairs.append((int(pair[0]), int(pair[1])))
        return float(spearman(np.array(ranks), y)), pairs

    found = leave_one_out(scores, measurement, direction)
    coefficient, pairs = by_hand(measurement)
    assert found.coefficient == pytest.approx(coefficient) and list(found.pairs) == pairs
    assert all(0 <= rank <= 1 for rank in found.ranks)
    sought = -1 if direction == "negative" else 1
    every = [sought * by_hand(np.array(order))[0] for order in permutations(measurement)]
    assert found.p_value == pytest.approx(np.mean(np.nan_to_num(every, nan=-2) >= sought * coefficient - 1e-12))


def test_a_planted_relation_is_found() -> None:
    scores, measurement = table(12, 20, 19, seed=11)
    scores[:, 13, 5] = -measurement + 0.05 * scores[:, 13, 5]
    found = select_pair(scores, measurement, "negative")
    assert (found.layer, found.k) == (13, 5) and found.p_value < 0.01
    held_out = leave_one_out(scores, measurement, "negative")
    assert set(held_out.pairs) == {(13, 5)} and held_out.coefficient < -0.9 and held_out.p_value < 0.01
    # Sought in the other direction it is not there.
    assert select_pair(scores, measurement, "positive").p_value > 0.05


def test_nothing_depends_on_scale_or_on_the_order_of_tasks() -> None:
    scores, measurement = table(9, 3, 4, seed=13)
    order = np.random.default_rng(0).permutation(9)
    plain, moved = (
        (select_pair(x, y, "positive"), leave_one_out(x, y, "positive"))
        for x, y in ((scores, measurement), (np.exp(scores)[order], 7 * measurement[order] - 3))
    )
    assert plain[0].coefficient == moved[0].coefficient and plain[0].naive_p_value == moved[0].naive_p_value
    assert plain[1].coefficient == pytest.approx(moved[1].coefficient, abs=1e-12)
    assert plain[0].p_value == pytest.approx(moved[0].p_value, abs=0.03)


def test_the_same_seed_gives_the_same_numbers() -> None:
    scores, measurement = table(10, 3, 4)
    assert select_pair(scores, measurement, "positive") == select_pair(scores, measurement, "positive")
    assert select_pair(scores, measurement, "positive").p_value != (
        select_pair(scores, measurement, "positive", seed=1).p_value
    )


def test_equal_coefficients_are_counted() -> None:
    scores, measurement = table(8, 2, 3)
    scores[:] = scores[:, :1, :1]
    found = select_pair(scores, measurement, "either")
    assert found.ties == found.pairs == 6 and (found.layer, found.k) == (0, 0)
    assert found.p_value == found.naive_p_value


def test_rules_fixed_in_advance() -> None:
    scores, measurement = table(10, 3, seed=17)
    scores[:, 0] = measurement + 0.3 * scores[:, 0]
    scores[:, 2] = 1.0
    good, other, constant = fixed_scores(scores, measurement, "positive")
    assert good.coefficient == pytest.approx(scipy.stats.spearmanr(scores[:, 0], measurement).statistic)
    assert good.p_value == single_p_value(scores[:, 0], measurement, "positive")
    assert good.p_value <= good.adjusted_p_value < 0.01 < other.p_value <= other.adjusted_p_value
    assert good.low < good.coefficient < good.high <= 1.0 and good.tasks == 10
    assert np.isnan([constant.coefficient, constant.p_value, constant.adjusted_p_value, constant.low]).all()


def test_bootstrap_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(19)
    truth = 6 / np.pi * np.arcsin(0.5 / 2)
    hits = 0
    for seed in range(200):
        x = rng.normal(size=12)
        y = 0.5 * x + np.sqrt(0.75) * rng.normal(size=12)
        low, high = bootstrap_interval(x, y, resamples=500, seed=seed)
        hits += low <= truth <= high
    # 95 % ± 4 binomial standard errors.
    assert 0.89 <= hits / 200 <= 1.0


@pytest.mark.parametrize(
    ("scores", "measurement", "sentence"),
    [
        (np.ones((5, 1, 1)), np.arange(4.0), "5 tasks cannot be compared"),
        (np.ones((5, 1, 1)), np.ones((5, 2)), "one number for each task"),
        (np.ones((3, 1, 1)), np.arange(3.0), "at least 4 tasks"),
        (np.ones((5, 1, 1)), np.array([1, 2, np.nan, 3, 4]), "leave that task out"),
        (np.ones((5, 1, 1)), np.ones(5), "same for every task"),
        (np.ones((5, 1, 1)), np.arange(5.0), "defined for"),
        (np.full((5, 2, 1), np.nan), np.arange(5.0), "defined for"),
    ],
)
def test_what_says_nothing_is_refused(scores: Array, measurement: Array, sentence: str) -> None:
    for selection in (select_pair, leave_one_out):
        with pytest.raises(InputError, match=sentence):
            selection(scores, measurement, "positive")


def test_leaving_one_out_of_too_few_is_refused() -> None:
    scores, measurement = table(4, 1, 1)
    with pytest.raises(InputError, match="at least 5"):
        leave_one_out(scores, measurement, "positive")
    scores, _ = table(6, 1, 1)
    with pytest.raises(InputError, match="more than one task"):
        leave_one_out(scores, np.array([1.0, 1, 1, 1, 1, 2]), "positive")

"""The p-values are right: uniform over studies without a relation, small over studies with one."""

from __future__ import annotations

import numpy as np
from scipy.stats import kstest

from ntps.study.statistics import select_pair
from null_studies import PLANTED, held_out, selected, simulated_study


def test_simulated_scores_are_correlated_as_real_ones_are() -> None:
    layer, k = PLANTED
    many = np.concatenate([simulated_study(np.random.default_rng(seed))[0] for seed in range(200)])
    assert np.corrcoef(many[:, layer, k], many[:, layer, k + 1])[0, 1] > 0.85
    assert np.corrcoef(many[:, 0, k], many[:, -1, k])[0, 1] < 0.2


def test_repeating_the_selection_gives_uniform_p_values_and_not_repeating_it_does_not() -> None:
    # Coefficients of twelve untied tasks are multiples of 1/143, so that no p-value has an atom above 4 %; the test
    # needs no randomised p-values to see a uniform distribution.
    found = selected(studies=500, permutations=999)
    assert kstest(found["selected"], "uniform").pvalue > 0.01
    assert kstest(found["naive"], "uniform").pvalue < 1e-100
    assert np.mean(found["selected"] <= 0.05) < 0.08 and np.mean(found["naive"] <= 0.05) > 0.8


def test_held_out_p_values_are_uniform() -> None:
    assert kstest(held_out(studies=200, permutations=199)["held_out"], "uniform").pvalue > 0.01


def test_a_planted_relation_is_found() -> None:
    found = selected(studies=60, permutations=999, relation=0.95, seed=1)
    assert np.mean(found["selected"] <= 0.05) > 0.7
    assert np.mean(held_out(studies=60, permutations=199, relation=0.95, seed=1)["held_out"] <= 0.05) > 0.4
    pair = select_pair(*simulated_study(np.random.default_rng(3), relation=0.99), "positive")
    assert abs(pair.layer - PLANTED[0]) <= 2 and abs(pair.k - PLANTED[1]) <= 2 and pair.p_value < 0.01

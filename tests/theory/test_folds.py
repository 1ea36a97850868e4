"""Folds: alike in their labels, no group on two sides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ntps.theory import joined_groups, number_strata, set_strata, stratified_folds
from ntps.theory.factor import Array
from ntps.theory.ridge import Ids


def counted(folds: Ids, strata: Ids) -> Array:
    """Texts by fold and stratum."""
    counts = np.zeros((folds.max() + 1, strata.max() + 1))
    np.add.at(counts, (folds, strata), 1)
    return counts


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=120), st.integers(2, 10), st.integers(0, 2**32 - 1))
def test_folds_of_texts_are_as_alike_as_can_be(classes: list[int], folds: int, seed: int) -> None:
    """In size, and in every class that has a text for each fold; rare classes are dealt together."""
    strata = np.array(classes)
    dealt = stratified_folds(strata, seed=seed, folds=folds)
    counts = counted(dealt, strata)
    assert counts.sum(axis=1).min() > 0
    assert np.ptp(counts.sum(axis=1)) <= 1
    common = counts.sum(axis=0) >= len(counts)
    assert (np.ptp(counts[:, common], axis=0) <= 1).all()
    assert np.ptp(counts[:, ~common].sum(axis=1)) <= 1
    assert len(counts) == min(folds, len(strata), max(2, np.bincount(strata).max()))
    np.testing.assert_array_equal(dealt, stratified_folds(strata * 7, np.arange(len(strata)), seed=seed, folds=folds))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(20, 200), st.integers(2, 60))
def test_no_group_is_cut(seed: int, texts: int, groups: int) -> None:
    """Sizes differ by no more than a group, and every fold has one."""
    rng = np.random.default_rng(seed)
    identity = rng.integers(groups, size=texts) * 3
    if len(np.unique(identity)) < 2:
        return
    folds = stratified_folds(rng.integers(3, size=texts), identity, seed=seed)
    assert all(len(np.unique(folds[identity == group])) == 1 for group in np.unique(identity))
    sizes = np.bincount(folds)
    assert sizes.min() > 0
    assert np.ptp(sizes) <= 2 * np.bincount(identity).max()


def test_another_seed_deals_other_folds() -> None:
    strata = np.arange(100) % 4
    assert (stratified_folds(strata, seed=0) != stratified_folds(strata, seed=1)).any()


def test_the_deal_is_the_same_on_every_machine() -> None:
    strata = np.array([0, 1, 0, 1, 0, 1, 0, 0, 1, 2])
    assert stratified_folds(strata, seed=3, folds=3).tolist() == [0, 2, 1, 1, 1, 0, 0, 2, 2, 0]


def test_one_group_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match="at least two groups"):
        stratified_folds(np.zeros(5, dtype=int), np.ones(5, dtype=int), seed=0)


def test_numbers_are_spread_evenly() -> None:
    values = np.random.default_rng(0).normal(size=200) ** 3
    folds = stratified_folds(number_strata(values), seed=0)
    ranks = values.argsort().argsort()
    assert np.bincount(folds).tolist() == [20] * 10
    assert np.abs(np.bincount(folds, ranks) / 20 - 99.5).max() < 5


def test_label_sets_go_by_their_rarest_label() -> None:
    sets = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0], [1, 0, 1], [1, 1, 0]], dtype=float)
    assert set_strata(sets).tolist() == [1, 0, 0, 3, 2, 1]


def test_groups_that_share_a_text_are_one() -> None:
    authors = np.array([5, 5, 2, 2, 9, 7])
    duplicates = np.array([0, 1, 1, 2, 3, 4])
    found = joined_groups(authors, duplicates)
    assert found[0] == found[1] == found[2] == found[3]
    assert len({found[0], found[4], found[5]}) == 3
    assert joined_groups(np.arange(4)).tolist() == [0, 1, 2, 3]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 80))
def test_joined_groups_are_connected_components(seed: int, texts: int) -> None:
    """Of the graph of texts and of the groups of each partition."""
    rng = np.random.default_rng(seed)
    partitions = rng.integers(texts, size=(2, texts))
    edges = (np.tile(np.arange(texts), 2), np.concatenate((partitions[0] + texts, partitions[1] + 2 * texts)))
    graph = coo_array((np.ones(2 * texts), edges), shape=(3 * texts, 3 * texts))
    components = connected_components(graph, directed=False)[1][:texts]
    found = joined_groups(*partitions)
    assert len({*found.tolist()}) == len({*components.tolist()}) == len({*zip(found, components, strict=True)})


def test_a_chain_of_pairs_is_one_group() -> None:
    order = np.random.default_rng(0).permutation(20_000)
    assert joined_groups(order // 2, (order + 1) // 2).max() == 0

"""What is left out together, and what labels without meaning come to: chance, and nothing better or worse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

import ntps
from ntps.tasks.from_lists import task_from_lists
from ntps.theory.factor import EPS, Array
from ntps.validation.area import layer_area
from ntps.validation.cross_validation import cross_validate
from ntps.validation.judged import Estimate, estimates
from ntps.validation.labels import Labels, seeded_sample
from ntps.validation.layer_fit import fit_layer
from tiny import random_task, random_texts, save_model


def figures_of(pooled: Array, classes: Sequence[int] | Array, count: int) -> dict[str, Estimate]:
    labels = Labels("classes", np.eye(count)[np.asarray(classes, dtype=int)])
    return estimates(fit_layer(pooled, labels, EPS).judged, labels, refitted=True)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 8), st.integers(0, 2)), min_size=3, max_size=60),
    st.booleans(),
)
def test_neither_equal_texts_nor_groups_stand_on_both_sides_of_a_fold(
    rows: list[tuple[str, int, int]], grouped: bool
) -> None:
    texts, groups, numbers = map(list, zip(*rows, strict=True))
    task = task_from_lists(texts, [each + 0.5 for each in numbers], groups=groups if grouped else None)
    labels = Labels.of(task, task.train)
    sample = labels.take(seeded_sample(len(texts), max(3, len(texts) // 2)))
    kept = list(zip(texts, groups, strict=True))
    for each, known in (
        (labels, kept),
        (sample, [kept[row] for row in seeded_sample(len(kept), max(3, len(kept) // 2))]),
    ):
        if each.units < 2:
            continue
        for folds in each.folds:
            assert 2 <= len(np.unique(folds)) <= 10
            for one, fold in zip(known, folds, strict=True):
                for other, place in zip(known, folds, strict=True):
                    assert fold == place or (one[0] != other[0] and not (grouped and one[1] == other[1]))


def test_texts_that_are_there_twice_do_not_flatter(tmp_path: Path) -> None:
    """Random labels: a fold that saw the other copy would know them by heart; every figure is that of whole parts."""
    once = random_texts(60, longest=20)
    assert len(set(once)) == 60
    classes = np.random.default_rng(0).integers(2, size=60)
    order = np.random.default_rng(1).permutation(120)
    texts, labels = [(once * 2)[row] for row in order], np.tile(classes, 2)[order]
    ntps.score(
        save_model(tmp_path / "model", "llama", hidden_size=96),
        task_from_lists(texts, labels.tolist()),
        out=tmp_path / "run",
        layers="-1",
        keep_pooled=True,
    )
    (row,) = ntps.ScoreResult.load(tmp_path / "run").to_dict()["layers"]
    pooled = np.load(tmp_path / "run" / "pooled" / "train" / f"layer.{row['layer']:03d}.npy").astype(np.float32)
    features, targets = StandardScaler().fit_transform(pooled.astype(float)), np.eye(2)[labels]
    penalty = row["penalty_cv"] * np.sum(features**2) / 120
    parts = np.unique(texts, return_inverse=True)[1]
    known = Labels("classes", targets, parts)

    def left_out(members: NDArray[np.int64]) -> Array:
        predicted = np.empty_like(targets)
        for part in np.unique(members):
            out = members == part
            model = Ridge(alpha=penalty, solver="svd").fit(features[~out], targets[~out])
            predicted[out] = model.predict(features[out])
        return predicted

    hits = [left_out(folds).argmax(axis=1) == labels for folds in known.folds]
    assert all(len({*folds[parts == part]}) == 1 for folds in known.folds for part in range(60))
    assert row["accuracy_cv"] == pytest.approx(np.mean(hits), abs=1e-9)
    means = np.stack([targets[parts != part].mean(axis=0) for part in parts])
    r2 = 1 - np.sum((targets - left_out(parts)) ** 2) / np.sum((targets - means) ** 2)
    assert row["r2_cv"] == pytest.approx(r2, abs=1e-9)
    assert row["r2_cv"] < 0.1 and row["accuracy_cv"] < 0.65


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.8, 0.2), (0.4, 0.3, 0.2, 0.1)])
@pytest.mark.parametrize(("texts", "dims"), [(107, 40), (107, 150)])
def test_random_labels_are_at_chance_within_the_interval(shares: tuple[float, ...], texts: int, dims: int) -> None:
    """Neither above the share of the largest class nor below it; R² and ``area_cv`` claim nothing."""
    rng = np.random.default_rng(0)
    pooled = rng.normal(size=(texts, dims))
    classes = np.searchsorted(np.cumsum(shares), np.linspace(0, 0.999, texts))
    majority = np.bincount(classes).max() / texts
    within, flattered, areas = 0, 0, 0
    for _ in range(20):
        labels = Labels("classes", np.eye(len(shares))[rng.permutation(classes)])
        fit = fit_layer(pooled, labels, EPS)
        found = estimates(fit.judged, labels, refitted=True)
        accuracy, r2 = found["accuracy"], found["r2"]
        assert accuracy.value is not None and accuracy.low is not None and accuracy.high is not None
        # A class that is there in equal parts is guessed no better than any other, whichever that is.
        within += accuracy.low <= majority <= accuracy.high or accuracy.low <= 1 / len(shares) <= accuracy.high
        assert accuracy.high > min(shares)
        assert r2.value is not None and r2.low is not None
        flattered += r2.low > 0
        area = layer_area(fit.standardization.apply(pooled), fit, labels, np.eye(dims), np.arange(1, dims + 1) / dims)
        areas += area.area.low is not None and area.chance is not None and area.area.low > area.chance
    assert within >= 18
    assert flattered <= 1 and areas <= 2


def test_constant_labels_are_always_right_and_have_no_r2() -> None:
    """Of one class, or of two one of which does not occur; as numbers and as sets they are defined, too."""
    pooled = np.random.default_rng(0).normal(size=(30, 8))
    for count in (1, 2):
        found = figures_of(pooled, np.zeros(30), count)
        assert found["accuracy"].value == found["balanced_accuracy"].value == 1.0
        assert found["accuracy"].low is not None and 0.8 < found["accuracy"].low < 1
        assert found["r2"] == Estimate(None)
    for labels in (Labels("regression", np.full((30, 1), 0.1)), Labels("multilabel", np.zeros((30, 2)))):
        fit = fit_layer(pooled, labels, EPS)
        found = estimates(fit.judged, labels, refitted=True)
        assert found["r2"] == Estimate(None)
        assert np.abs(fit.probe.coefficients).max() < 1e-12
        assert {"mean_average_precision", "f1"} & {*found} == {name for name in found if name != "r2"}
        assert all(each == Estimate(None) for each in found.values())


def test_classes_of_one_text_are_never_found() -> None:
    """Nobody can know a class that is left out; the others are found all the same."""
    rng = np.random.default_rng(0)
    classes = np.array([0] * 30 + [1] * 30 + [2, 3])
    pooled = rng.normal(size=(62, 10)) + 6 * np.eye(10)[classes]
    found = figures_of(pooled, classes, 4)
    assert found["accuracy"].value == pytest.approx(60 / 62)
    assert found["balanced_accuracy"].value == pytest.approx(0.5)
    assert found["r2"].value is not None and found["r2"].value > 0.5


def test_labels_that_are_all_distinct_are_never_found() -> None:
    found = figures_of(np.random.default_rng(0).normal(size=(40, 6)), range(40), 40)
    assert found["accuracy"].value == found["accuracy"].low == 0.0
    assert found["accuracy"].high is not None and 0 < found["accuracy"].high < 0.2
    assert found["r2"].value is not None and found["r2"].value < 0.05


def test_fewer_than_two_parts_leave_nothing_out() -> None:
    pooled = np.random.default_rng(0).normal(size=(10, 4))
    labels = Labels("classes", np.eye(2)[np.arange(10) % 2], np.zeros(10, dtype=np.int64))
    assert cross_validate(lambda _layer: pooled, [0], labels, EPS) is None
    two = Labels("classes", labels.targets, (np.arange(10) > 4).astype(np.int64) * 7)
    found = cross_validate(lambda _layer: pooled, [0, 3], two, EPS)
    assert found is not None and list(found.fits) == [0, 3] and two.units == 2


def test_labels_survive_their_files_and_are_joined_apart() -> None:
    task = random_task(20)
    labels = Labels.of(task, task.train)
    arrays = Labels("classes", labels.targets, np.arange(20) // 2 * 3).to_arrays()
    again = Labels.of_arrays("classes", arrays.get)
    assert again is not None and again.groups is not None
    assert Labels.of_arrays("classes", lambda _name: None) is None
    joined = Labels.joined([again, labels.take(np.arange(5)), again])
    assert (len(joined), joined.units) == (45, 10 + labels.take(np.arange(5)).units + 10)
    assert Labels.joined([Labels("regression", np.ones((3, 1)))] * 2).groups is None


def test_equal_texts_of_joined_parts_are_left_out_together() -> None:
    task = task_from_lists([f"text {number}" for number in range(12)], [0, 1] * 6)
    labels = Labels.of(task, task.train)
    first, second = (
        Labels.of_arrays("classes", labels.take(np.arange(*ends)).to_arrays().get) for ends in ((0, 8), (5, 12))
    )
    assert first is not None and second is not None and labels.groups is None
    joined = Labels.joined([first, second])
    assert joined.units == 12 and len(joined) == 15
    assert joined.groups is not None and joined.groups[5:8].tolist() == joined.groups[8:11].tolist()
    assert Labels.joined([labels.take(np.arange(3)), labels.take(np.arange(3, 9))]).groups is None

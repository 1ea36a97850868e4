"""The choice of a layer."""

from __future__ import annotations

import numpy as np
import pytest

from ntps.theory import certain_share
from ntps.validation.choice import choose_layer
from ntps.validation.judged import Judged, baseline, estimates
from ntps.validation.labels import Labels


def labelled(texts: int) -> Labels:
    return Labels("classes", np.eye(2)[np.arange(texts) % 2])


def judged(hits: list[int]) -> Judged:
    return Judged(np.ones(len(hits)), np.full(len(hits), 2.0), hits=np.array(hits, dtype=float))


def test_a_single_layer_is_not_chosen_and_keeps_its_figure() -> None:
    labels, only = labelled(6), judged([1, 0, 1, 1, 0, 1])
    choice = choose_layer([4], [only], labels)
    assert choice is not None and choice.equals == (4,)
    assert choice.estimate == estimates(only, labels, refitted=True)["accuracy"]


@pytest.mark.parametrize("right", [0, 1])
def test_what_is_so_of_all_texts_is_not_certain_of_others(right: int) -> None:
    choice = choose_layer([0, 1], [judged([right] * 40)] * 2, labelled(40))
    assert choice is not None and choice.estimate.value == right and choice.equals == (0, 1)
    low, high = choice.estimate.low, choice.estimate.high
    assert low is not None and high is not None
    assert high - low == pytest.approx(certain_share(40))


def test_the_baseline_looks_at_no_text() -> None:
    assert baseline(Labels("classes", np.eye(3)[[0, 0, 1, 2]])) == 0.5
    sets = np.array([[1.0, 0, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0]])
    assert baseline(Labels("multilabel", sets)) == pytest.approx((1 + 0.25) / 2)
    assert baseline(Labels("multilabel", np.zeros((4, 3)))) == baseline(Labels("regression", sets)) == 0.0

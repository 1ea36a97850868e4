"""All layers in turn: the scores of each one alone, and nothing kept."""

from __future__ import annotations

import numpy as np
import pytest
import threadpoolctl
import torch

import ntps.moments.layer_score
from ntps import Moments, score_moments
from ntps.moments.layer_score import LayerScore, score_layers


def random_moments(seed: int, width: int = 8) -> Moments:
    torch.manual_seed(seed)
    moments = Moments(width, 2)
    hidden, mask = torch.randn(60, 5, width), torch.ones(60, 5, dtype=torch.bool)
    moments.update(hidden, mask, torch.eye(2)[torch.arange(60) % 2])
    return moments


def test_layers_come_in_order_with_the_score_that_each_has_alone() -> None:
    moments = {2: random_moments(2), 0: random_moments(0)}
    alone = {layer: score_moments(one) for layer, one in moments.items()}
    names = ["embed", "block.1", "final_norm"]
    found = list(score_layers(moments, names))
    assert [(score.layer, score.name) for score in found] == [(0, "embed"), (2, "final_norm")]
    assert not moments
    for score in found:
        assert score.area == alone[score.layer].area
        assert np.array_equal(score.curves.ntps, alone[score.layer].curves.ntps)


@pytest.mark.parametrize("threaded_width", [4, 1024])
def test_only_wide_layers_use_blas_threads_and_the_caller_keeps_its_own(
    threaded_width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[int]] = []

    def blas_threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}

    def spy(*arguments: object, **options: object) -> LayerScore:
        seen.append(blas_threads())
        return score_moments(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ntps.moments.layer_score, "THREADED_WIDTH", threaded_width)
    monkeypatch.setattr(ntps.moments.layer_score, "score_moments", spy)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with threadpoolctl.threadpool_limits(3, user_api="blas"):
        for _ in score_layers({0: random_moments(0)}, ["embed"]):
            assert blas_threads() == {3}
    assert seen == [{2 if threaded_width == 4 else 1}]

"""Wrong shapes and dtypes do not pass while tests run: what annotations say of arrays is checked at every call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from beartype.roar import BeartypeCallHintViolation

from ntps import theory
from ntps.moments.products import add_gram
from tiny import moments_of

FACTOR = theory.factorize(np.eye(3))


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: theory.perception_head(np.eye(3), np.ones((2, 1)), np.eye(3)), "pooled_target"),
        (lambda: theory.perception_head(np.eye(3), np.ones(3), np.eye(3)), "pooled_target"),
        (lambda: theory.factorize(np.eye(3, dtype=np.float32)), "matrix"),
        (lambda: replace(FACTOR, triangle=np.eye(2)), "triangle"),
        (lambda: FACTOR.whiten(np.ones(3)), "columns"),
        (lambda: theory.PredictionSums(np.ones(2)).add(np.ones((3, 2)), np.ones((4, 2))), "targets"),
        (lambda: add_gram(torch.zeros(3, 3, dtype=torch.float64), torch.ones(5, 2, dtype=torch.float64)), "rows"),
        (lambda: replace(moments_of([np.ones((2, 3))], np.ones((1, 2))).means(), prefix_sum=np.ones(2)), "prefix_sum"),
    ],
)
def test_what_does_not_fit_is_told(call: Callable[[], object], named: str) -> None:
    with pytest.raises(BeartypeCallHintViolation, match=f"parameter {named}="):
        call()

"""The ridge of tangent features is LoRA in its linear regime, fitted to the end."""

from __future__ import annotations

import numpy as np
import torch

from ntps.forward.tangents import TangentPass
from ntps.jobs.session import RunSession
from ntps.models.adapters.lora import lora_projections
from ntps.models.load import load_model
from ntps.options.passes import PassSettings
from ntps.theory.factor import EPS, Array
from ntps.validation.labels import Labels
from ntps.validation.tangents import GAMMA, TangentFit, fit_tangents
from tiny import random_task


def fitted(pooled: Array, tangents: Array, labels: Labels) -> TangentFit:
    return fit_tangents(pooled, tangents.astype(np.float32), labels, EPS)


def test_a_text_is_of_unit_length_and_constant_tangents_say_nothing() -> None:
    rng = np.random.default_rng(0)
    pooled, tangents = rng.normal(size=(60, 4)), rng.normal(size=(60, 30))
    labels = Labels("classes", np.eye(2)[np.arange(60) % 2])
    found, longer = (fitted(pooled, each, labels) for each in (tangents, tangents * rng.uniform(1, 9, size=(60, 1))))
    for fit in (found, longer):
        np.testing.assert_allclose(fit.left_out.loss, found.left_out.loss, rtol=1e-5)
    same = fitted(pooled, np.ones((60, 30)), labels)
    np.testing.assert_allclose(same.predict(pooled, np.zeros((60, 30), np.float32)).mean(axis=1), 0.5)
    assert np.isfinite(same.left_out.loss).all()

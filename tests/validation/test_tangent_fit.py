"""The ridge of tangent features is LoRA in its linear regime, fitted to the end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ntps.forward.tangents import TangentPass
from ntps.jobs.session import RunSession
from ntps.models.adapters.lora import lora_projections
from ntps.models.load import load_model
from ntps.options.passes import PassSettings
from ntps.theory.factor import EPS, Array
from ntps.validation.labels import Labels
from ntps.validation.tangents import GAMMA, TangentFit, fit_tangents
from tiny import random_task, save_model


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


def test_predictions_are_those_of_linearized_lora_trained_to_the_end(tmp_path: Path) -> None:
    model = load_model(str(save_model(tmp_path / "model", "llama")), dtype="float64")
    task = random_task(14, classes=2)
    session = RunSession(model, task, PassSettings(layers="-1", tokens_per_batch=1000), None)
    tangents = TangentPass(session.work(task.train, session.tokens, None), width=None, rank=2, directions=1)
    texts, labels = tangents.run(), Labels.of(task, task.train)
    states = texts.pooled[model.num_layers].astype(np.float64)
    fit = fit_tangents(states, texts.tangents, labels, EPS)

    projections = lora_projections(model)
    shapes = [tuple(each.get_parameter("weight").shape) for each in projections]
    started = tuple(torch.zeros(rows, 2, dtype=torch.float64) for rows, _ in shapes)
    lengths = torch.as_tensor(session.tokens.lengths)
    ids = torch.as_tensor(session.tokens.padded(np.arange(len(lengths)), 0))
    real = (torch.arange(ids.shape[1]) < lengths[:, None]).double()
    watched = torch.as_tensor(tangents.watched)
    reductions = [tangents.reduction(n, inputs, ids.device).double() for n, (_, inputs) in enumerate(shapes)]

    def pooled(*weights: Tensor) -> Tensor:
        """Pooled texts of the model with LoRA's B as given."""
        hooks = [
            module.register_forward_hook(lambda _m, args, output, a=a, b=b: output + args[0] @ a.T @ b.T)
            for module, a, b in zip(projections, reductions, weights, strict=True)
        ]
        # The quick kernels have no derivative forwards.
        with sdpa_kernel(SDPBackend.MATH):
            states: Tensor = model.base(input_ids=ids, use_cache=False).last_hidden_state
        for hook in hooks:
            hook.remove()
        return (states * real[..., None]).sum(dim=1) / lengths[:, None]

    length = torch.as_tensor(np.linalg.norm(texts.tangents.astype(np.float64), axis=1))
    standardized = torch.as_tensor(fit.standardization.apply(states)) / fit.standardization.varying**0.5
    # A head, an intercept, and for each output a change of B in each direction.
    head = torch.zeros(standardized.shape[1], 2, dtype=torch.float64, requires_grad=True)
    intercept = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    changes = [[[torch.zeros_like(b, requires_grad=True) for b in started] for _ in watched.T] for _ in range(2)]

    def outputs() -> Tensor:
        moved = [
            sum(
                torch.func.jvp(lambda *b, v=v: pooled(*b) @ v, started, tuple(change))[1]
                for v, change in zip(watched.T, each, strict=True)
            )
            for each in changes
        ]
        predicted: Tensor = intercept + standardized @ head + GAMMA**0.5 * torch.stack(moved, dim=1) / length[:, None]
        return predicted

    trained = [head, intercept, *(b for each in changes for change in each for b in change)]
    optimizer = torch.optim.LBFGS(
        trained, max_iter=400, history_size=50, tolerance_grad=1e-9, tolerance_change=0, line_search_fn="strong_wolfe"
    )
    targets = torch.as_tensor(labels.targets)

    def loss() -> Tensor:
        optimizer.zero_grad()
        penalized = sum(each.square().sum() for each in trained if each is not intercept)
        total = (targets - outputs()).square().sum() + fit.left_out.penalty * penalized
        total.backward()
        return total

    optimizer.step(loss)
    with torch.no_grad():
        np.testing.assert_allclose(fit.predict(states, texts.tangents), outputs().numpy(), atol=1e-4)
    assert np.ptp(fit.predict(states, texts.tangents)) > 0.1

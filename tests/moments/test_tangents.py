"""Tangent features against autograd text by text, whatever the architecture, and their sketch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ntps.errors import InputError
from ntps.forward.batch_plan import Batch
from ntps.forward.out_of_memory import OutOfMemory
from ntps.forward.tangents import Sketch, TangentPass, TangentTexts
from ntps.jobs.session import RunSession
from ntps.models.adapters.lora import lora_projections
from ntps.models.load import load_model
from ntps.models.model import LanguageModel
from ntps.options.passes import PassSettings
from openelm import save_openelm
from tiny import random_task, save_model, tokenizer_of

KINDS = ("llama", "qwen2", "gpt2", "gpt_neox", "bert", "openelm")


def pass_of(model: LanguageModel, count: int = 7, **options: int | None) -> TangentPass:
    task = random_task(count)
    session = RunSession(model, task, PassSettings(layers="-1", tokens_per_batch=40), None)
    return TangentPass(session.work(task.train, session.tokens, None), **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LanguageModel]:
    folder = tmp_path_factory.mktemp("models")
    saved = {kind: save_model(folder / kind, kind) for kind in KINDS if kind != "openelm"}
    saved["openelm"] = save_openelm(folder / "openelm", tokenizer_of("llama"))
    return {kind: load_model(str(path)) for kind, path in saved.items()}


def by_autograd(tangents: TangentPass) -> TangentTexts:
    """Derivatives by B, of a model whose projections have B and A beside them, one text at a time."""
    work, model = tangents.work, tangents.work.model
    weights, hooks = [], []
    for number, module in enumerate(lora_projections(model)):
        shape = tuple(module.get_parameter("weight").shape)
        inputs, outputs = shape if type(module).__name__ == "Conv1D" else shape[::-1]
        weight = torch.zeros(outputs, tangents.rank, requires_grad=True)
        reduction = tangents.reduction(number, inputs, torch.device("cpu"))
        weights.append(weight)

        def adapted(_module: object, args: tuple[torch.Tensor, ...], output: torch.Tensor, b=weight, a=reduction):  # type: ignore[no-untyped-def]
            return output + args[0] @ a.T @ b.T

        hooks.append(module.register_forward_hook(adapted))
    pooled, rows = [], []
    for text in range(len(work.tokens)):
        ids = torch.as_tensor(work.tokens.padded(np.array([text]), 0))
        mask = torch.ones_like(ids) if work.masked else None
        state = model.base(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state[0].mean(dim=0)
        pooled.append(state.detach().double().numpy())
        directions = torch.as_tensor(tangents.watched, dtype=torch.float32).T
        entries = [torch.autograd.grad(state @ each, weights, retain_graph=True) for each in directions]
        rows.append(np.concatenate([each.flatten().numpy() for found in entries for each in found]))
    for hook in hooks:
        hook.remove()
    return TangentTexts({model.num_layers: np.stack(pooled).astype(np.float32)}, np.stack(rows))


@pytest.mark.parametrize("kind", KINDS)
def test_tangents_are_the_gradients_of_each_text(kind: str, models: dict[str, LanguageModel]) -> None:
    tangents = pass_of(models[kind], width=None, rank=3, directions=2)
    before = [parameter.requires_grad for parameter in models[kind].base.parameters()]
    found, expected = tangents.run(), by_autograd(tangents)
    np.testing.assert_allclose(found.tangents, expected.tangents, atol=1e-5 * np.abs(expected.tangents).max())
    last = models[kind].num_layers
    np.testing.assert_allclose(found.pooled[last], expected.pooled[last], atol=1e-5)
    assert [parameter.requires_grad for parameter in models[kind].base.parameters()] == before
    assert all(parameter.grad is None for parameter in models[kind].base.parameters())


def test_batches_and_order_do_not_matter(models: dict[str, LanguageModel]) -> None:
    tangents = pass_of(models["llama"], width=64)
    whole = tangents.run()
    parts = replace(tangents, work=replace(tangents.work, tokens_per_batch=1)).run(largest=1)
    np.testing.assert_allclose(parts.tangents, whole.tangents, atol=1e-5 * np.abs(whole.tangents).max())
    assert np.array_equal(whole.tangents, tangents.run().tangents)


def test_what_does_not_fit_the_memory_is_cut(models: dict[str, LanguageModel], monkeypatch: pytest.MonkeyPatch) -> None:
    tangents = pass_of(models["llama"], width=64)
    whole, most, told = tangents.run(), 2, list[int]()
    run_batch = TangentPass._run_batch

    def small(self: TangentPass, batch: Batch, *others: Any) -> object:
        if len(batch) > most:
            raise OutOfMemory(len(batch), len(batch) * int(self.work.tokens.lengths[batch].max()))
        return run_batch(self, batch, *others)

    monkeypatch.setattr(TangentPass, "_run_batch", small)
    tangents = replace(tangents, work=replace(tangents.work, progress=told.append))
    np.testing.assert_allclose(tangents.run().tangents, whole.tangents, atol=1e-5 * np.abs(whole.tangents).max())
    assert sum(told) == tangents.work.tokens.lengths.sum()
    most = 0
    with pytest.raises(OutOfMemory, match="`max_length`"):
        tangents.run()


def test_the_error_of_a_sketch_falls_with_the_root_of_its_width() -> None:
    vectors = torch.as_tensor(np.random.default_rng(0).normal(size=(40, 3000)))
    exact = vectors @ vectors.T

    def error(width: int) -> tuple[float, float]:
        deviations = []
        for seed in range(20):
            sketch = Sketch(width, seed)
            kept = sketch(0, vectors[:, :2000]) + sketch(1, vectors[:, 2000:])
            deviations.append((kept @ kept.T - exact) / 3000)
        found = torch.stack(deviations)
        return float(found.mean(dim=0).abs().mean()), float(found.square().mean().sqrt())

    errors = {width: error(width) for width in (64, 256, 1024)}
    for width, (bias, deviation) in errors.items():
        # Inner products of independent vectors of unit length: their errors are 1/√width, and average out.
        assert deviation == pytest.approx(width**-0.5, rel=0.2)
        assert bias < 0.5 * deviation


def test_half_precision_comes_close(models: dict[str, LanguageModel]) -> None:
    exact = pass_of(models["llama"]).run().tangents
    halved = pass_of(load_model(models["llama"].id, dtype="bfloat16")).run().tangents
    products = (exact * halved).sum(axis=1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(halved, axis=1)
    assert (products > 0.98).all()


def test_projections_of_unknown_names_are_refused(models: dict[str, LanguageModel]) -> None:
    work = pass_of(models["bert"]).work
    unknown = replace(work.model, blocks=torch.nn.ModuleList([torch.nn.Linear(2, 2)]))
    with pytest.raises(InputError, match="unknown names"):
        TangentPass(replace(work, model=unknown))

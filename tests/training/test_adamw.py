"""The paper's linear probe on cached pooled texts is the one that is trained through the frozen model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cached_probe import FrozenModel, distance, labels_of, pool_once
from ntps import LanguageModel, load_model, task_from_lists
from ntps.options.probing import AdamWProbe
from ntps.training.probes.adamw import train_head
from tiny import random_task, save_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(save_model(tmp_path_factory.mktemp("qwen2")))


@pytest.mark.parametrize("kind", ["classes", "multilabel", "regression"])
def test_cached_texts_train_the_head_of_the_frozen_model(kind: str, model: LanguageModel) -> None:
    task = random_task(150, 3)
    if kind == "multilabel":
        labels = [[task.label_names[label], task.label_names[0]] for label in task.train.labels]
        task = task_from_lists(task.train.texts, labels)
    if kind == "regression":
        task = task_from_lists(task.train.texts, [label + 0.5 for label in task.train.labels])
    assert task.kind == kind
    recipe = AdamWProbe(epochs=20, batch_size=16, learning_rate=1e-2, dropout=0.0)
    pooled, frozen = pool_once(model, task), FrozenModel(model, task)
    before = model.weights()
    fast = train_head(lambda batch: pooled[batch], pooled.shape[1], labels_of(task), recipe, 3)
    slow = train_head(frozen, pooled.shape[1], labels_of(task), recipe, 3)
    assert frozen.passes == 20 * 10
    assert distance(fast, slow) <= 1e-5
    assert model.weights() == before


def test_a_step_is_that_of_adamw() -> None:
    """Against the update written out, for one batch of everything and two steps."""
    rng = np.random.default_rng(0)
    pooled = torch.as_tensor(rng.normal(size=(30, 4)), dtype=torch.float32)
    task = task_from_lists(["text"] * 30, rng.integers(3, size=30))
    recipe = AdamWProbe(epochs=2, batch_size=30, learning_rate=0.1, weight_decay=0.5, dropout=0.0)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        start = torch.nn.Linear(4, 3)
    weights = start.weight.detach().double().numpy()
    bias = start.bias.detach().double().numpy()
    one_hot, rows = task.targets(task.train.labels), np.hstack([pooled.double().numpy(), np.ones((30, 1))])
    value = np.hstack([weights, bias[:, None]])
    first = second = np.zeros_like(value)
    for step in (1, 2):
        shares = np.exp(rows @ value.T)
        gradient = (shares / shares.sum(axis=1, keepdims=True) - one_hot).T @ rows / 30
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        update = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        value = value * (1 - 0.1 * 0.5) - 0.1 * update
    head = train_head(lambda batch: pooled[batch], 4, labels_of(task), recipe, 3)
    found = np.hstack([head.weight.detach().numpy(), head.bias.detach().numpy()[:, None]])
    np.testing.assert_allclose(found, value, atol=1e-5)


def test_the_seed_decides_and_other_random_numbers_are_left_alone() -> None:
    task, pooled = random_task(60, 2), torch.randn(60, 5)
    weights = []
    for seed in (0, 0, 1):
        torch.manual_seed(123)
        before = torch.random.get_rng_state()
        head = train_head(lambda batch: pooled[batch], 5, labels_of(task), AdamWProbe(epochs=2), seed)
        assert torch.equal(torch.random.get_rng_state(), before)
        weights.append(head.weight.detach())
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_dropout_is_for_training_texts_only_while_they_train() -> None:
    task, pooled = random_task(60, 2), torch.ones(60, 400)
    seen: list[Tensor] = []

    def after_epoch(_epoch: int, head: torch.nn.Linear, _order: Tensor, logits: Tensor) -> None:
        seen.append(logits)

    train_head(lambda batch: pooled[batch], 400, labels_of(task), AdamWProbe(epochs=1, dropout=0.5), 0, after_epoch)
    assert len(torch.unique(seen[0][:, 0])) > 50  # equal texts, but for what was dropped
    train_head(lambda batch: pooled[batch], 400, labels_of(task), AdamWProbe(epochs=1, dropout=0.0), 0, after_epoch)
    assert len(torch.unique(seen[1][:, 0])) == 1


def test_every_text_is_seen_once_an_epoch() -> None:
    task, pooled = random_task(70, 2), torch.randn(70, 3)
    orders: list[Tensor] = []
    recipe = AdamWProbe(epochs=3)
    train_head(
        lambda batch: pooled[batch], 3, labels_of(task), recipe, 0, lambda _e, _h, order, _l: orders.append(order)
    )
    assert [sorted(order.tolist()) for order in orders] == [list(range(70))] * 3
    assert orders[0].tolist() != orders[1].tolist()


def test_it_learns() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=300)
    pooled = torch.as_tensor(rng.normal(size=(300, 6)) + 3 * labels[:, None], dtype=torch.float32)
    task = task_from_lists(["text"] * 300, labels)
    head = train_head(lambda batch: pooled[batch], 6, labels_of(task), AdamWProbe(learning_rate=1e-2), 0)
    assert float((head(pooled).argmax(dim=1).numpy() == labels).mean()) > 0.97

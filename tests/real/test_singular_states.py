"""Scoring where every Gram is exactly singular: a BERT whose last layer norm removes one direction from each state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import oracle
from ntps import load_model, score
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokens import tokenize
from ntps.tasks.task import Task
from tiny import random_task, save_model

Array = NDArray[np.float64]


@pytest.mark.parametrize("seed", range(5))
def test_scores_of_a_layer_normed_encoder_are_the_minimum_norm_ones(tmp_path: Path, seed: int) -> None:
    """Algorithm 1 from raw states, with eigenvalues masked and every vector in the range of its Gram."""
    model = load_model(save_model(tmp_path / "bert", "bert", seed=seed), dtype="float64", device="cpu")
    # Without its bias the norm leaves exactly one direction empty: that of the reciprocal gains.
    torch.nn.init.zeros_(model.base.get_parameter(f"encoder.layer.{model.num_layers - 1}.output.LayerNorm.bias"))
    task = random_task(count=300, classes=3, seed=seed)
    states, y = _last_states(model, task), task.targets(task.train.labels)
    literal = oracle.literal_moments(states, y)
    rank = model.hidden_size - 1
    v, values = oracle.solve_masked(literal.prefix_gram, literal.prefix_next, rank)
    u, _ = oracle.solve_masked(literal.pooled_gram, literal.pooled_target, task.outputs)

    result = score(model, task, layers="-1")

    assert any("not causal" in warning for warning in result.warnings)
    row, curves = result.layers.iloc[0], result.to_frame()
    assert row["rank_pooled"] == row["rank_autoregressive"] == row["rank_centered"] == rank
    assert row["bound_lower_constant"] == 0
    clear = oracle.cuts_that_count(values, gap=1e-9)
    expected = np.array([oracle.ntps(v, u, k, min(k, task.outputs)) for k in range(1, rank + 1)])
    np.testing.assert_allclose(curves["ntps"][clear], expected[clear], atol=1e-6)
    excess = oracle.excess_losses(oracle.pool(states), y, v)
    np.testing.assert_allclose(curves["excess_loss"], excess, atol=1e-8)


def _last_states(model: LanguageModel, task: Task) -> list[Array]:
    tokens = tokenize(model, task.train.texts)
    states: list[Array] = []
    for text in range(len(tokens)):
        ids = torch.as_tensor(tokens.padded(np.array([text]), model.pad_id))
        model.visit_layers(ids, None, [model.num_layers], lambda _layer, hidden: states.append(hidden[0].numpy()))
    return states

"""The whole of scoring on real hidden states, against the brute-force oracle and scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

import oracle
from ntps import LayerScore, load_model, load_task, score, score_moments
from ntps.forward.stream import Pass
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokens import tokenize
from ntps.scoring.reductions import collect_moments
from ntps.tasks.task import Task

Array = NDArray[np.float64]
LAYERS = tuple(range(6))


@dataclass(frozen=True)
class RealRun:
    """Texts of a real task through a real float64 model: raw states, text by text, and our scores."""

    model: LanguageModel
    task: Task
    states: dict[int, list[Array]]
    scores: dict[int, LayerScore]

    @property
    def targets(self) -> Array:
        return self.task.targets(self.task.train.labels)


@pytest.fixture(scope="module")
def run(shared: Path) -> RealRun:
    model = load_model(shared / "models" / "english-lm", dtype="float64", device="cpu")
    task = load_task(str(shared / "data" / "emotion"), limit=400, limit_first=True)
    tokens = tokenize(model, task.train.texts)
    states: dict[int, list[Array]] = {layer: [] for layer in LAYERS}
    for text in range(len(tokens)):
        ids = torch.as_tensor(tokens.padded(np.array([text]), model.pad_id))
        model.visit_layers(ids, None, LAYERS, lambda layer, hidden: states[layer].append(hidden[0].numpy().copy()))
    work = Pass(
        model=model,
        tokens=tokens,
        targets=lambda batch: task.targets(task.train.labels[batch]),
        layers=LAYERS,
        pooling="mean",
        masked=False,
        tokens_per_batch=2048,
        progress=lambda _done: None,
    )
    moments = collect_moments(work, task.outputs)[0]
    return RealRun(model, task, states, {layer: score_moments(moments[layer]) for layer in LAYERS})


@pytest.mark.parametrize("layer", LAYERS)
def test_ntps_equals_algorithm_1_taken_literally_for_every_k(run: RealRun, layer: int) -> None:
    """``L1`` and ``L2`` are built per text, both eigenproblems solved densely, projections by pseudo-inverse."""
    literal = oracle.literal_moments(run.states[layer], run.targets)
    v, values = oracle.solve_dense(literal.prefix_gram, literal.prefix_next)
    u, lambdas = oracle.solve_dense(literal.pooled_gram, literal.pooled_target)
    ours = run.scores[layer]
    classes = run.task.outputs
    counts = oracle.cuts_that_count(values, gap=1e-12) & (np.diff(lambdas[: classes + 1]) < 0).all()
    expected = np.array([oracle.ntps(v, u, k, min(k, classes)) for k in range(1, v.shape[1] + 1)])
    assert ours.rank_autoregressive == len(expected)
    assert ours.rank_perception == classes
    assert counts.sum() >= len(counts) - 2
    np.testing.assert_allclose(ours.curves.ntps[counts], expected[counts], atol=1e-6)


@pytest.mark.parametrize("layer", LAYERS)
def test_excess_loss_is_the_difference_of_two_real_fits_for_every_k(run: RealRun, layer: int) -> None:
    """V of the oracle comes from raw rows: ``eigh(S Sᵀ, D)`` itself is off by up to 1e-7 here.

    A QR factorization fits all k at once, for its first k columns span those of V.
    """
    pooled, y = oracle.pool(run.states[layer]), run.targets
    v, _ = oracle.solve_rows(*oracle.next_token_rows(run.states[layer]), len(y))
    directions = pooled @ v
    explained = np.cumsum((np.linalg.qr(directions)[0].T @ y) ** 2, axis=0).sum(axis=1) / len(y)
    losses = (y**2).sum(axis=1).mean() - explained
    full = _loss(pooled, y)
    for k in (1, 2, 20, 192):
        assert losses[k - 1] == pytest.approx(_loss(directions[:, :k], y), abs=1e-10)
    np.testing.assert_allclose(run.scores[layer].curves.excess_loss, losses - full, rtol=0, atol=1e-8)


def _loss(inputs: Array, targets: Array) -> float:
    inputs = inputs / np.linalg.norm(inputs, axis=0)
    residual = targets - LinearRegression(fit_intercept=False).fit(inputs, targets).predict(inputs)
    return float((residual**2).sum(axis=1).mean())


@pytest.mark.parametrize("layer", LAYERS)
def test_r2_is_that_of_scikit_learn(run: RealRun, layer: int) -> None:
    pooled, y = oracle.pool(run.states[layer]), run.targets
    fit = LinearRegression().fit(pooled, y)
    expected = r2_score(y, fit.predict(pooled), multioutput="variance_weighted")
    assert run.scores[layer].r2 == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("layer", LAYERS)
def test_theorem_2_holds_for_every_k(run: RealRun, layer: int) -> None:
    ours = run.scores[layer]
    gap, slack = 1 - ours.curves.ntps_full, 1e-12 * sum(ours.perception_eigenvalues)
    assert (ours.curves.excess_loss >= ours.bound_lower_constant * gap - slack).all()
    assert (ours.curves.excess_loss <= ours.bound_upper_constant * gap + slack).all()


@pytest.mark.parametrize("layer", LAYERS)
def test_curves_rise_to_one(run: RealRun, layer: int) -> None:
    curves = run.scores[layer].curves
    for name in ("ntps_full", "retained", "retained_centered", "next_token_share"):
        values = getattr(curves, name)
        assert (np.diff(values) >= 0).all()
        assert values[0] >= 0
        assert values[-1] == pytest.approx(1, abs=1e-9)


def test_held_out_figures_are_those_of_scikit_learn(run: RealRun) -> None:
    model, task = run.model, run.task
    assert task.test is not None
    result = score(model, task, layers="3")
    tokens = tokenize(model, task.test.texts)
    held_out: list[Array] = []
    for text in range(len(tokens)):
        ids = torch.as_tensor(tokens.padded(np.array([text]), model.pad_id))
        model.visit_layers(ids, None, [3], lambda _layer, hidden: held_out.append(hidden[0].numpy().mean(axis=0)))
    fit = LinearRegression().fit(oracle.pool(run.states[3]), run.targets)
    predicted, y = fit.predict(np.array(held_out)), task.targets(task.test.labels)
    row = result.layers.iloc[0]
    assert row["r2_test_ols"] == pytest.approx(r2_score(y, predicted, multioutput="variance_weighted"), abs=1e-8)
    assert row["accuracy_test_ols"] == (predicted.argmax(axis=1) == task.test.labels).mean()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-6), ("float32", 1e-4)])
def test_an_eightfold_batch_budget_moves_no_score(shared: Path, dtype: str, tolerance: float) -> None:
    model = load_model(shared / "models" / "english-lm", dtype=dtype, device="cpu")
    task = load_task(str(shared / "data" / "emotion"), limit=300)
    small, large = (score(model, task, tokens_per_batch=budget, test=False) for budget in (512, 4096))
    for name in ("area", "r2"):
        np.testing.assert_allclose(small.layers[name], large.layers[name], atol=tolerance)
    if dtype == "float64":
        np.testing.assert_allclose(small.to_frame()["ntps"], large.to_frame()["ntps"], atol=tolerance)

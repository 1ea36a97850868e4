"""Each kind of probe on the pooled texts of one layer: fit to the training texts, and figures of both splits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from ntps.options.probing import AdamWProbe, LeastSquares, LogisticProbe
from ntps.theory import EPS, factorize
from ntps.training.metrics import Array, Metrics, figures_of_logits, figures_of_values
from ntps.training.probes.adamw import train_head
from ntps.training.probes.logistic import fit_logistic
from ntps.training.probes.ols import ols_of_pooled
from ntps.validation.labels import Labels

CURVES = ["layer", "epoch", "step", "split", "cross_entropy", "accuracy", "mse"]


@dataclass(frozen=True)
class PooledSplits:
    """Pooled texts of one layer.

    Attributes:
        labels: Labels of the training texts.
        train: Pooled training texts.
        test_labels: Labels of the test texts, if there are any.
        test: Pooled test texts.
        resolution: Relative rounding of the hidden states that were pooled.
    """

    labels: Labels
    train: Float64[Array, "texts dims"]
    test_labels: Labels | None = None
    test: Float64[Array, "held_out dims"] | None = None
    resolution: float = EPS

    @cached_property
    def rank(self) -> int:
        """Dimensions that the training texts fill."""
        return factorize(self.train.T @ self.train / len(self.train), resolution=self.resolution).rank

    def figures(
        self, outputs: Callable[[Array], Array], metric: Callable[..., Metrics]
    ) -> tuple[Metrics, Metrics | None, Array | None]:
        """Figures of both splits, from what a probe makes of pooled texts, and what it makes of the test texts."""
        train = metric(outputs(self.train), self.labels)
        if self.test is None or self.test_labels is None:
            return train, None, None
        tested = outputs(self.test)
        return train, metric(tested, self.test_labels, held_out=True), tested


@dataclass(frozen=True)
class ProbeFit:
    """How a probe of one layer does.

    Attributes:
        train: Figures of the training texts.
        test: Figures of the test texts, if there are any.
        tested: What it predicts for them: target vectors, or logits.
        details: What else the layer's entry in ``result.json`` says.
        warnings: What a reader must know.
        curve: Rows of ``curves.parquet``.
    """

    train: Metrics
    test: Metrics | None
    tested: Float64[Array, "held_out outputs"] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    curve: tuple[Mapping[str, Any], ...] = ()


def probe_ols(splits: PooledSplits, probe: LeastSquares, advance: Callable[[int], None]) -> ProbeFit:
    """Least squares in closed form; ``advance`` is told when it is done."""
    fit = ols_of_pooled(splits.train, splits.labels.targets, intercept=probe.intercept, resolution=splits.resolution)
    figures = splits.figures(fit.probe.predict, figures_of_values)
    advance(1)
    return ProbeFit(*figures, {"rank": fit.rank, "condition": fit.condition}, fit.warnings)


def probe_logistic(splits: PooledSplits, probe: LogisticProbe, seed: int, advance: Callable[[int], None]) -> ProbeFit:
    """Logistic regression; ``advance`` is told when it is done."""
    fit = fit_logistic(splits.train, splits.labels, probe, seed, splits.resolution)
    figures = splits.figures(fit.logits, figures_of_logits)
    advance(1)
    return ProbeFit(*figures, {"iterations": fit.iterations}, tuple(_logistic_warnings(fit.warnings, figures[1])))


def _logistic_warnings(warnings: tuple[str, ...], test: Metrics | None) -> Iterator[str]:
    yield from warnings
    if test is not None and test.cross_entropy is None:
        yield "some test text has a class that no training text has: its cross entropy is undefined"


def probe_adamw(splits: PooledSplits, probe: AdamWProbe, seed: int, advance: Callable[[int], None]) -> ProbeFit:
    """The paper's linear probe; ``advance`` is told of each epoch."""
    rows = torch.as_tensor(splits.train.astype(np.float32))
    steps = -(-len(rows) // probe.batch_size)
    curve: list[Mapping[str, Any]] = []

    def after_epoch(
        epoch: int, head: nn.Linear, order: Int64[Tensor, " texts"], logits: Float32[Tensor, "texts outputs"]
    ) -> None:
        seen = figures_of_logits(logits.double().numpy(), splits.labels.take(order.numpy()))
        curve.append(_curve_row(epoch, epoch * steps, "train", seen))
        if splits.test is not None and splits.test_labels is not None:
            held_out = figures_of_logits(_logits(head, splits.test), splits.test_labels)
            curve.append(_curve_row(epoch, epoch * steps, "test", held_out))
        advance(1)

    head = train_head(lambda batch: rows[batch], rows.shape[1], splits.labels, probe, seed, after_epoch)
    figures = splits.figures(lambda pooled: _logits(head, pooled), figures_of_logits)
    return ProbeFit(*figures, {"steps": probe.epochs * steps}, curve=tuple(curve))


@torch.no_grad()
def _logits(head: nn.Linear, pooled: Float64[Array, "texts dims"]) -> Float64[Array, "texts outputs"]:
    logits: Array = head(torch.as_tensor(pooled.astype(np.float32))).double().numpy()
    return logits


def _curve_row(epoch: int, step: int, split: str, figures: Metrics) -> dict[str, Any]:
    shown = asdict(figures)
    return {"epoch": epoch, "step": step, "split": split, **{name: shown[name] for name in CURVES[4:]}}

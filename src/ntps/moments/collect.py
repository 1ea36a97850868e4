"""The pass: every batch through the model once, every layer reduced as it appears."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ntps.errors import InputError, NumericalError
from ntps.models import LanguageModel, TokenizedTexts
from ntps.moments.checkpoint import Checkpoint
from ntps.moments.kernels import Pooling, RaggedBatch, ragged_batch
from ntps.moments.layout import Layout
from ntps.moments.moments import Moments, NonFiniteStates, require_finite
from ntps.moments.plan import Batch, plan_batches
from ntps.moments.workspace import Workspace, retained_memory
from ntps.theory import LinearProbe, variance_explained

Array = NDArray[np.float64]
Progress = Callable[[int], None]
"""Told how many tokens have just been done."""
Reduce = Callable[[int, RaggedBatch, Tensor, Batch], None]
"""``reduce(layer, rows, targets, texts)``: takes what it needs before the next layer or batch comes."""


@dataclass(frozen=True)
class Pass:
    """One pass over some texts: what to run, and how.

    Attributes:
        model: The model.
        tokens: The texts.
        targets: ``(n, c)`` target vectors of some texts, from their indices.
        layers: Layers to visit, ascending.
        pooling: How a text becomes one vector.
        masked: Whether the model needs an attention mask.
        tokens_per_batch: Budget of a batch.
        progress: Told about tokens done.
    """

    model: LanguageModel
    tokens: TokenizedTexts
    targets: Callable[[Batch], Array]
    layers: Sequence[int]
    pooling: Pooling
    masked: bool
    tokens_per_batch: int
    progress: Progress

    @cached_property
    def workspace(self) -> Workspace:
        """Buffers for the statistics."""
        return Workspace()

    @cached_property
    def batches(self) -> list[Batch]:
        """The plan."""
        return plan_batches(self.tokens.lengths, self.tokens_per_batch)

    @retained_memory()
    def run(
        self,
        reduce: Reduce,
        *,
        start: int = 0,
        finished: Callable[[int], None] = lambda _done: None,
    ) -> tuple[float, float]:
        """Runs the pass.

        Args:
            reduce: Gets each layer of each batch.
            start: Batches to leave out because they are done already.
            finished: Told after each batch how many are done.

        Returns:
            Seconds in the model, and seconds in ``reduce`` and ``finished``.

        Raises:
            NumericalError: Hidden states are not finite; names layer, text and dtype.
        """
        device = self.model.device
        inside = 0.0
        began = time.perf_counter()
        for done, batch in enumerate(self.batches, start=1):
            if done <= start:
                self.progress(int(self.tokens.lengths[batch].sum()))
                continue
            ids = torch.as_tensor(self.tokens.padded(batch, self.model.pad_id), device=device)
            layout = Layout.of_lengths(self.tokens.lengths[batch], ids.shape[1])
            mask = _right_mask(layout, device) if self.masked else None
            targets = torch.as_tensor(self.targets(batch))

            def sink(layer: int, hidden: Tensor) -> None:
                nonlocal inside
                start = time.perf_counter()
                try:
                    rows = ragged_batch(hidden, layout.to(hidden.device), self.pooling, self.workspace)  # noqa: B023
                    require_finite(rows.finite, hidden.dtype)
                    reduce(layer, rows, targets.to(hidden.device), batch)  # noqa: B023  # called at once
                except NonFiniteStates as error:
                    raise NumericalError(
                        f"hidden states of layer {layer} ({self.model.layer_names[layer]}) are not finite for text "
                        f"{batch[error.row]} in {error.dtype}: check the weights, or use a wider --dtype"  # noqa: B023
                    ) from error
                inside += time.perf_counter() - start

            try:
                self.model.visit_layers(ids, mask, self.layers, sink)
            except torch.OutOfMemoryError as error:
                raise InputError(
                    f"out of memory in a batch of {len(batch)} texts and {ids.numel()} tokens: lower "
                    "--tokens-per-batch, choose fewer --layers, or spread the model with --device auto"
                ) from error
            after = time.perf_counter()
            finished(done)
            inside += time.perf_counter() - after
            self.progress(int(self.tokens.lengths[batch].sum()))
        return time.perf_counter() - began - inside, inside


def collect_moments(
    work: Pass, outputs: int, checkpoint: Checkpoint | None = None
) -> tuple[dict[int, Moments], tuple[float, float]]:
    """Fills the moments of every layer.

    Args:
        work: The pass.
        outputs: Width c of the targets.
        checkpoint: Where to go on from, and where to leave the sums at intervals.

    Returns:
        Moments by layer, and the seconds of :meth:`Pass.run`.
    """
    moments: dict[int, Moments] = {}
    restored = checkpoint.restore() if checkpoint else {}

    def reduce(layer: int, rows: RaggedBatch, targets: Tensor, _texts: Batch) -> None:
        if layer not in moments:
            width, device = rows.pooled.shape[1], rows.pooled.device
            moments[layer] = Moments(width, outputs, pooling=work.pooling, device=device)
            if layer in restored:
                moments[layer].merge(restored.pop(layer))
        moments[layer].add(rows, targets)

    def finished(done: int) -> None:
        if checkpoint and done < len(work.batches):
            checkpoint.offer(moments, done, len(work.batches))

    seconds = work.run(reduce, start=checkpoint.ledger.done if checkpoint else 0, finished=finished)
    return {**restored, **moments}, seconds


def _right_mask(layout: Layout, device: torch.device) -> Tensor:
    """Attention mask ``(B, T)`` of a batch that is padded on the right."""
    return (torch.arange(layout.shape[1]) < layout.lengths[:, None]).long().to(device)


@dataclass(frozen=True)
class HeldOut:
    """How a probe does on texts that it was not fitted to.

    Attributes:
        r2: R² weighted by the variance of the outputs; None for constant targets.
        accuracy: Share of texts whose largest prediction is the right class.
    """

    r2: float | None
    accuracy: float


def evaluate_probes(work: Pass, probes: dict[int, LinearProbe]) -> tuple[dict[int, HeldOut], tuple[float, float]]:
    """Applies the probe of each layer to held-out texts as they stream by.

    Args:
        work: The pass over the held-out texts.
        probes: The probe of each layer.

    Returns:
        Figures by layer, and the seconds of :meth:`Pass.run`.
    """
    tallies = {layer: _Tally(probe) for layer, probe in probes.items()}
    seconds = work.run(lambda layer, rows, targets, _texts: tallies[layer].add(rows.pooled, targets))
    return {layer: tally.result() for layer, tally in tallies.items()}, seconds


class _Tally:
    """Residuals and hits of one probe, summed over batches."""

    def __init__(self, probe: LinearProbe) -> None:
        self.probe = probe
        outputs = len(probe.intercept)
        self.texts = self.hits = 0
        self.residual, self.total, self.energy = np.zeros(outputs), np.zeros(outputs), np.zeros(outputs)
        self.shift: Array | None = None

    def add(self, pooled: Tensor, targets: Tensor) -> None:
        predicted, y = self.probe.predict(pooled.cpu().numpy()), targets.cpu().numpy()
        self.texts += len(y)
        self.hits += int((predicted.argmax(axis=1) == y.argmax(axis=1)).sum())
        self.residual += ((y - predicted) ** 2).sum(axis=0)
        # Deviations from a value near the mean: sums of large squares would cancel.
        self.shift = y.mean(axis=0) if self.shift is None else self.shift
        self.total += (y - self.shift).sum(axis=0)
        self.energy += ((y - self.shift) ** 2).sum(axis=0)

    def result(self) -> HeldOut:
        deviation = self.energy - self.total**2 / self.texts
        return HeldOut(variance_explained(self.residual, deviation), self.hits / self.texts)

"""The pass: every batch through the model once, every layer reduced as it appears."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ntps.models import LanguageModel, TokenizedTexts
from ntps.moments.checkpoint import Checkpoint
from ntps.moments.distributed import PeerFailed
from ntps.moments.finite import FiniteWatch
from ntps.moments.kernels import Pooling, RaggedBatch, ragged_batch
from ntps.moments.layout import Layout
from ntps.moments.memory import OutOfMemory, explained_memory
from ntps.moments.moments import Moments
from ntps.moments.plan import ALL, Batch, Share, cut, plan_batches
from ntps.moments.stopwatch import Stopwatch
from ntps.moments.workspace import Workspace, retained_memory
from ntps.theory import LinearProbe, variance_explained

Array = NDArray[np.float64]
HOST = torch.device("cpu")
Progress = Callable[[int], None]
"""Told how many tokens have just been done."""
Reduce = Callable[[int, RaggedBatch, Tensor, Batch], None]
"""``reduce(layer, rows, targets, texts)``: takes what it needs before the next layer or batch comes."""
Store = Callable[[int, Batch, Tensor], None]
"""``store(layer, texts, pooled)``: keeps pooled texts ``(B, d)``."""


def forget(_layer: int, _texts: Batch, _pooled: Tensor) -> None:
    """Keeps no pooled texts."""


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
        share: Which batches of the plan this process runs.
        largest: Padded tokens that fit the memory at once, if a batch did not.
    """

    model: LanguageModel
    tokens: TokenizedTexts
    targets: Callable[[Batch], Array]
    layers: Sequence[int]
    pooling: Pooling
    masked: bool
    tokens_per_batch: int
    progress: Progress
    share: Share = ALL
    largest: int | None = None

    @cached_property
    def plan(self) -> list[Batch]:
        """The batches of all processes."""
        return plan_batches(self.tokens.lengths, self.tokens_per_batch)

    @cached_property
    def workspace(self) -> Workspace:
        """Buffers for the statistics."""
        return Workspace()

    @cached_property
    def watch(self) -> FiniteWatch:
        """Looks whether states are finite; to be settled before sums are saved."""
        return FiniteWatch(self.model.layer_names)

    @cached_property
    def batches(self) -> list[Batch]:
        """The batches to run here."""
        return self.share.of(self.plan)

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
            OutOfMemory: A batch does not fit the memory; some of its layers may have been reduced.
        """
        lengths = self.tokens.lengths
        told, inside = 0, Stopwatch()
        began = time.perf_counter()
        for done, batch in enumerate(self.batches, start=1):
            if done > start:
                try:
                    for part in cut(batch, lengths, self.largest):
                        self.run_batch(part, reduce, inside)
                except OutOfMemory:
                    self.progress(-told)
                    raise
                with inside.counting(HOST):
                    finished(done)
            tokens = int(lengths[batch].sum())
            told += tokens
            self.progress(tokens)
        self.watch.settle()
        seconds = inside.seconds()
        return time.perf_counter() - began - seconds, seconds

    def run_batch(self, batch: Batch, reduce: Reduce, inside: Stopwatch) -> None:
        """Runs one batch, and counts the seconds in ``reduce``; errors as for :meth:`run`."""
        device = self.model.device
        ids = torch.as_tensor(self.tokens.padded(batch, self.model.pad_id), device=device)
        layout = Layout.of_lengths(self.tokens.lengths[batch], ids.shape[1])
        mask = _right_mask(layout, device) if self.masked else None
        targets = torch.as_tensor(self.targets(batch))

        @cache  # copied to each device once a batch, not once a layer
        def on(place: torch.device) -> tuple[Layout, Tensor]:
            return layout.to(place), targets.to(place)

        def sink(layer: int, hidden: Tensor) -> None:
            with inside.counting(hidden.device):
                layout, targets = on(hidden.device)
                rows = ragged_batch(hidden, layout, self.pooling, self.workspace)
                self.watch.look(layer, batch, rows.finite, hidden.dtype)
                reduce(layer, rows, targets, batch)

        with explained_memory(len(batch), ids.numel()):
            self.model.visit_layers(ids, mask, self.layers, sink)
            self.watch.turn()


def collect_moments(
    work: Pass,
    outputs: int,
    checkpoint: Checkpoint | None = None,
    check: Callable[[], None] = lambda: None,
    store: Store = forget,
) -> tuple[dict[int, Moments], tuple[float, float]]:
    """Fills the moments of every layer.

    Args:
        work: The pass.
        outputs: Width c of the targets.
        checkpoint: Where to go on from, and where to leave the sums at intervals.
        check: Raises if another process that shares the plan has stopped.
        store: Gets the pooled texts too.

    Returns:
        Moments by layer, and the seconds of :meth:`Pass.run`.
    """
    moments: dict[int, Moments] = {}
    restored = checkpoint.restore() if checkpoint else {}

    def reduce(layer: int, rows: RaggedBatch, targets: Tensor, texts: Batch) -> None:
        if layer not in moments:
            width, device = rows.pooled.shape[1], rows.pooled.device
            moments[layer] = Moments(width, outputs, pooling=work.pooling, device=device)
            if layer in restored:
                moments[layer].merge(restored.pop(layer))
        moments[layer].add(rows, targets)
        store(layer, texts, rows.pooled)

    def save(done: int, checkpoint: Checkpoint) -> None:
        work.watch.settle()
        checkpoint.save(moments, done, len(work.plan))

    def finished(done: int) -> None:
        if checkpoint and done < len(work.batches) and checkpoint.due:
            save(done, checkpoint)
        try:
            check()
        except PeerFailed:
            if checkpoint:
                save(done, checkpoint)
            raise

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


def evaluate_probes(
    work: Pass, probes: dict[int, LinearProbe], store: Store = forget
) -> tuple[dict[int, Tally], tuple[float, float]]:
    """Applies the probe of each layer to held-out texts as they stream by.

    Args:
        work: The pass over the held-out texts.
        probes: The probe of each layer.
        store: Gets the pooled texts too.

    Returns:
        Tallies by layer, and the seconds of :meth:`Pass.run`.
    """
    shift = work.targets(work.plan[0]).mean(axis=0)
    tallies = {layer: Tally(probe, shift) for layer, probe in probes.items()}

    def reduce(layer: int, rows: RaggedBatch, targets: Tensor, texts: Batch) -> None:
        tallies[layer].add(rows.pooled, targets)
        store(layer, texts, rows.pooled)

    seconds = work.run(reduce)
    return tallies, seconds


class Tally:
    """Residuals and hits of one probe, summed over batches.

    Attributes:
        sums: ``(2 + 3 c,)`` number of texts, hits, and by output: squared residuals, deviations from ``shift`` and
            their squares. Tallies of parts may be added up.
    """

    def __init__(self, probe: LinearProbe, shift: Array) -> None:
        self.probe, self.shift = probe, shift
        self.sums = np.zeros(2 + 3 * len(shift))

    def add(self, pooled: Tensor, targets: Tensor) -> None:
        """Adds a batch of texts."""
        predicted, y = self.probe.predict(pooled.cpu().numpy()), targets.cpu().numpy()
        hits = (predicted.argmax(axis=1) == y.argmax(axis=1)).sum()
        # Deviations from a value near the mean: sums of large squares would cancel.
        deviation = y - self.shift
        by_output = (((y - predicted) ** 2).sum(axis=0), deviation.sum(axis=0), (deviation**2).sum(axis=0))
        self.sums += np.concatenate(([len(y), hits], *by_output))

    def result(self) -> HeldOut:
        """The figures."""
        texts, hits = self.sums[:2]
        residual, total, energy = self.sums[2:].reshape(3, -1)
        return HeldOut(variance_explained(residual, energy - total**2 / texts), float(hits / texts))

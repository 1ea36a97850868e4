"""The pass: every batch through the model once, every layer reduced as it appears."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from jaxtyping import Float64, Int64
from numpy.typing import NDArray
from torch import Tensor

from ntps.forward.batch_plan import ALL, Batch, Shard, cut, plan_batches
from ntps.forward.malloc import retained_memory
from ntps.forward.nonfinite import NonFiniteMonitor
from ntps.forward.out_of_memory import OutOfMemory, explained_memory
from ntps.forward.stopwatch import Stopwatch
from ntps.models.model import LanguageModel
from ntps.models.quiet import quiet_transformers
from ntps.models.tokenizing.tokens import TokenizedTexts
from ntps.moments.buffers import Workspace
from ntps.moments.kernels import RaggedBatch, ragged_batch
from ntps.moments.packed_layout import Layout
from ntps.options.passes import Pooling

Array = NDArray[np.float64]


HOST = torch.device("cpu")


Progress = Callable[[int], None]
"""Told how many tokens have just been done."""


Reduce = Callable[[int, RaggedBatch, Float64[Tensor, "batch outputs"], Batch], None]
"""``reduce(layer, rows, targets, texts)``: takes what it needs before the next layer or batch comes."""


Store = Callable[[int, Batch, Float64[Tensor, "batch dims"]], None]
"""``store(layer, texts, pooled)``: keeps pooled texts."""


def discard_pooled(_layer: int, _texts: Batch, _pooled: Tensor) -> None:
    """Keeps no pooled texts."""


@dataclass(frozen=True)
class Pass:
    """One pass over some texts: what to run, and how.

    Attributes:
        model: The model.
        tokens: The texts.
        targets: Target vectors of some texts, from their indices.
        layers: Layers to visit, ascending.
        pooling: How a text becomes one vector.
        masked: Whether the model needs an attention mask.
        tokens_per_batch: Budget of a batch.
        progress: Told about tokens done.
        shard: Which batches of the plan this process runs.
        largest: Padded tokens that fit the memory at once, if a batch did not.
    """

    model: LanguageModel
    tokens: TokenizedTexts
    targets: Callable[[Batch], Float64[Array, "batch outputs"]]
    layers: Sequence[int]
    pooling: Pooling
    masked: bool
    tokens_per_batch: int
    progress: Progress
    shard: Shard = ALL
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
    def watch(self) -> NonFiniteMonitor:
        """Looks whether states are finite; to be settled before sums are saved."""
        return NonFiniteMonitor(self.model.layer_names)

    @cached_property
    def batches(self) -> list[Batch]:
        """The batches to run here."""
        return self.shard.of(self.plan)

    @quiet_transformers()
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
        self.watch.flush()
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
                self.watch.record(layer, batch, rows.finite, hidden.dtype)
                reduce(layer, rows, targets, batch)

        with explained_memory(len(batch), ids.numel()):
            self.model.visit_layers(ids, mask, self.layers, sink)
            self.watch.advance()


def _right_mask(layout: Layout, device: torch.device) -> Int64[Tensor, "batch width"]:
    """Attention mask of a batch that is padded on the right."""
    return (torch.arange(layout.shape[1]) < layout.lengths[:, None]).long().to(device)

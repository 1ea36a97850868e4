"""What a batch costs: it runs, and its statistics are thrown away."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from ntps.forward.batch_plan import Batch
from ntps.forward.malloc import retained_memory
from ntps.forward.stopwatch import Stopwatch, await_devices
from ntps.forward.stream import Pass
from ntps.moments.accumulator import Moments
from ntps.moments.kernels import RaggedBatch


class BatchTimer:
    """Batches of a pass, run for nothing but their seconds."""

    def __init__(self, work: Pass, outputs: int) -> None:
        self._work, self._outputs = work, outputs
        self._moments: dict[tuple[int, torch.device], Moments] = {}

    @retained_memory()
    def seconds(self, batch: Batch) -> float:
        """Seconds of one batch, through the model and into statistics.

        Raises:
            OutOfMemory: It does not fit.
        """
        began = time.perf_counter()
        self._work.run_batch(batch, self._reduce, Stopwatch())
        # The layers of a model may lie on several devices.
        await_devices([self._work.model.device, *(device for _, device in self._moments)])
        return time.perf_counter() - began

    def _reduce(self, _layer: int, rows: RaggedBatch, targets: Tensor, _texts: Batch) -> None:
        """Adds to moments that all layers of a width share: what they hold then means nothing."""
        place = rows.pooled.shape[1], rows.pooled.device
        if place not in self._moments:
            self._moments[place] = Moments(place[0], self._outputs, device=place[1])
        self._moments[place].add(rows, targets)

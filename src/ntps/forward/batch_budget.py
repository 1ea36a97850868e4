"""What batches cost: some of them are run, their statistics thrown away, and the rest follows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ntps.forward.batch_plan import Batch, plan_batches
from ntps.forward.malloc import retained_memory
from ntps.forward.out_of_memory import OutOfMemory
from ntps.forward.stopwatch import Stopwatch, await_devices
from ntps.forward.stream import Pass
from ntps.moments.accumulator import Moments
from ntps.moments.kernels import RaggedBatch

SAMPLES = 3
"""Batches of a plan that stand for all of them."""
BUDGETS = {"cpu": tuple(512 * 2**step for step in range(6)), "cuda": tuple(4096 * 2**step for step in range(7))}
"""Padded tokens a batch that are worth a trial, ascending, by device."""
PATIENCE = 2.0
"""Seconds after which no further budget is tried, unless they are less than ``SHARE`` of the whole pass."""
SHARE = 0.05
WORSE = 1.1
"""A budget that is slower than another by this factor ends the search: larger ones are slower still."""


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


def measured_budget(work: Pass, outputs: int) -> int:
    """The batch budget under which a pass is fastest, on the device of its model.

    Args:
        work: The pass.
        outputs: Width c of the targets.
    """
    budgets = BUDGETS.get(work.model.device.type, BUDGETS["cpu"])
    return fastest_budget(budgets, work.tokens.lengths, BatchTimer(work, outputs).seconds)


def samples(plan: Sequence[Batch], lengths: NDArray[np.int64]) -> list[Batch]:
    """A few batches of a plan, each in the middle of an equal part of the tokens; the first batch among them."""
    ends = np.cumsum([int(lengths[batch].sum()) for batch in plan])
    middles = (np.arange(SAMPLES) + 0.5) / SAMPLES * ends[-1]
    return [plan[number] for number in dict.fromkeys([0, *np.searchsorted(ends, middles).tolist()])]


def estimated_seconds(plan: Sequence[Batch], lengths: NDArray[np.int64], seconds: Callable[[Batch], float]) -> float:
    """Seconds of a whole plan, from a few of its batches.

    The longest batch warms up first. Between batches that were timed, seconds a token follow the longest text.

    Args:
        plan: The batches.
        lengths: ``(n,)`` tokens of each text.
        seconds: Runs a batch.

    Raises:
        OutOfMemory: The largest batch does not fit.
    """
    seconds(plan[0])
    timed = {int(lengths[batch].max()): seconds(batch) / _tokens(batch, lengths) for batch in samples(plan, lengths)}
    widths = sorted(timed)
    rates = [timed[width] for width in widths]
    longest = [int(lengths[batch].max()) for batch in plan]
    tokens = [_tokens(batch, lengths) for batch in plan]
    return float(np.dot(np.interp(longest, widths, rates), tokens))


def fastest_budget(
    budgets: Sequence[int],
    lengths: NDArray[np.int64],
    seconds: Callable[[Batch], float],
    now: Callable[[], float] = time.perf_counter,
) -> int:
    """The budget under which the whole pass would take the least time, as far as a short trial tells.

    Budgets are tried from the smallest on, each with its longest batch first, until one does not fit the memory, is
    clearly slower than a smaller one, makes no other plan, or the time for the trial is over.

    Args:
        budgets: Padded tokens a batch, ascending.
        lengths: ``(n,)`` tokens of each text.
        seconds: Runs a batch.
        now: The clock.
    """
    began = now()
    best, least, before = budgets[0], float("inf"), 0
    for budget in budgets:
        plan = plan_batches(lengths, budget)
        if len(plan) == before or now() - began > max(PATIENCE, SHARE * least):
            break
        before = len(plan)
        try:
            whole = estimated_seconds(plan, lengths, seconds)
        except OutOfMemory:
            break
        if whole > WORSE * least:
            break
        if whole < least:
            best, least = budget, whole
    return best


def _tokens(batch: Batch, lengths: NDArray[np.int64]) -> int:
    return int(lengths[batch].sum())

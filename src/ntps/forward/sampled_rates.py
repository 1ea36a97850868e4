"""Seconds and memory of a pass from a few parts of its batches, within a time that is fixed beforehand."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from ntps.forward.batch_plan import Batch

SAMPLES = 3
"""Batches of a plan that stand for all of them."""
SAMPLING_TIMEOUT_S = 6.0
"""Seconds that trials of batches may take."""
CAUTION = 4
"""A trial must be expected to take at most this part of the time left, since it may take longer than expected."""


@dataclass(frozen=True)
class Rates:
    """What a token costs.

    Attributes:
        widths: Tokens of the longest text of each batch that was tried, ascending.
        seconds: Seconds a token in it.
        padded: Padded tokens of the largest trial.
    """

    widths: tuple[int, ...]
    seconds: tuple[float, ...]
    padded: int

    def whole(self, plan: Sequence[Batch], lengths: Int64[NDArray[np.int64], " texts"]) -> tuple[float, float, float]:
        """Seconds of a plan: as expected, and if every token cost what the cheapest and the dearest did.

        Between batches that were tried, seconds a token follow the longest text.
        """
        tokens = np.array([int(lengths[batch].sum()) for batch in plan])
        expected = np.interp([int(lengths[batch].max()) for batch in plan], self.widths, self.seconds)
        total = float(tokens.sum())
        return float(expected @ tokens), total * min(self.seconds), total * max(self.seconds)


def samples(plan: Sequence[Batch], lengths: Int64[NDArray[np.int64], " texts"]) -> list[Batch]:
    """A few batches of a plan, each in the middle of an equal part of the tokens; the first batch among them."""
    ends = np.cumsum([int(lengths[batch].sum()) for batch in plan])
    middles = (np.arange(SAMPLES) + 0.5) / SAMPLES * ends[-1]
    return [plan[number] for number in dict.fromkeys([0, *np.searchsorted(ends, middles).tolist()])]


def probed_rates(
    plan: Sequence[Batch],
    lengths: Int64[NDArray[np.int64], " texts"],
    seconds: Callable[[Batch], float],
    now: Callable[[], float] = time.perf_counter,
) -> Rates:
    """Tries batches, shorter texts first, each with as many of its texts as the time left permits.

    The shortest text, alone, comes first and tells what is affordable; the largest batch comes last.

    Args:
        plan: The batches, longest texts first.
        lengths: Tokens of each text.
        seconds: Runs a batch.
        now: The clock.

    Raises:
        OutOfMemory: A batch does not fit.
    """
    began = now()
    shortest = plan[-1][-1:]
    seconds(shortest)
    tokens, padded = int(lengths[shortest].sum()), int(lengths[shortest].max())
    spent = seconds(shortest)
    rates = {padded: spent / tokens}
    for batch in sorted(samples(plan, lengths), key=lambda batch: int(lengths[batch].max())):
        longest, tried = int(lengths[batch].max()), 0
        while tried < len(batch):
            # Many tokens together take at most their multiple of the time of few.
            affordable = (SAMPLING_TIMEOUT_S - (now() - began)) / CAUTION / spent * tokens
            texts = min(len(batch), int(affordable / longest))
            if texts < max(1, 2 * tried):
                break
            part, tried = batch[:texts], texts
            tokens, padded = int(lengths[part].sum()), max(padded, texts * longest)
            spent = seconds(part)
            rates[longest] = spent / tokens
    return Rates(tuple(rates), tuple(rates.values()), padded)

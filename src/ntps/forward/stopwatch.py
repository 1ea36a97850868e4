"""Seconds of work on the device that does it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch


class Stopwatch:
    """Adds up seconds.

    On a CUDA device a call returns when work is queued, not when it is done. So a pair of events goes into the queue
    with it, and is read when the device has come past them: the host never waits for it in between.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._outstanding: deque[tuple[torch.cuda.Event, torch.cuda.Event]] = deque()

    @contextmanager
    def counting(self, device: torch.device) -> Iterator[None]:
        """Counts what happens inside on a device."""
        if device.type == "cuda":
            queue = torch.cuda.current_stream(device)
            first = queue.record_event(torch.cuda.Event(enable_timing=True))
            yield
            last = queue.record_event(torch.cuda.Event(enable_timing=True))
            self._outstanding.append((first, last))
            while self._outstanding and self._outstanding[0][1].query():
                self._read()
        else:
            start = time.perf_counter()
            yield
            self._seconds += time.perf_counter() - start

    def seconds(self) -> float:
        """Seconds so far; waits for work that is not done yet."""
        while self._outstanding:
            self._outstanding[0][1].synchronize()
            self._read()
        return self._seconds

    def _read(self) -> None:
        first, last = self._outstanding.popleft()
        self._seconds += first.elapsed_time(last) / 1e3


def await_devices(devices: Iterable[torch.device]) -> None:
    """Returns when CUDA devices have done what was queued; others have done so already."""
    for device in {*devices}:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

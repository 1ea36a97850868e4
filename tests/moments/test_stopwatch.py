"""Seconds on a CUDA device are those of the device, as a stand-in shows: `test_cuda.py` asks a real one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ntps.forward.batch_timer import BatchTimer
from ntps.forward.stopwatch import Stopwatch

HOST, FIRST, SECOND = torch.device("cpu"), torch.device("cuda:0"), torch.device("cuda:1")


class Queue:
    """A device that does what it was given when it is asked to: events get their times then, in milliseconds."""

    def __init__(self) -> None:
        self.time, self.work = 0.0, list[object]()

    def record_event(self, event: Event) -> Event:
        event.queue = self
        self.work.append(event)
        return event

    def run(self) -> None:
        for item in self.work:
            if isinstance(item, Event):
                item.time = self.time
            else:
                self.time += float(item)  # type: ignore[arg-type]
        self.work.clear()


class Event:
    def __init__(self, *, enable_timing: bool) -> None:
        assert enable_timing
        self.time: float | None = None
        self.queue = Queue()

    def query(self) -> bool:
        return self.time is not None

    def synchronize(self) -> None:
        self.queue.run()

    def elapsed_time(self, other: Event) -> float:
        assert self.time is not None and other.time is not None
        return other.time - self.time


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> dict[torch.device, Queue]:
    queues = {device: Queue() for device in (FIRST, SECOND)}
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", queues.__getitem__)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: queues[device].run())
    return queues


def test_seconds_are_those_of_the_device_and_nobody_waits_before_the_end(queues: dict[torch.device, Queue]) -> None:
    watch = Stopwatch()
    for device, milliseconds in ((FIRST, 2000), (SECOND, 500), (FIRST, 1000)):
        queues[device].work.append(9000)  # the model, which is not counted
        with watch.counting(device):
            queues[device].work.append(milliseconds)
    assert queues[FIRST].time == queues[SECOND].time == 0, "the host has not waited"
    assert watch.seconds() == pytest.approx(3.5)
    assert watch.seconds() == pytest.approx(3.5), "each counts once"


def test_what_is_done_is_read_on_the_way(queues: dict[torch.device, Queue]) -> None:
    """So that a long run does not pile up events."""
    watch = Stopwatch()
    for _ in range(5):
        with watch.counting(FIRST):
            queues[FIRST].work.append(100)
        queues[FIRST].run()
    assert len(watch._outstanding) == 1
    assert watch.seconds() == pytest.approx(0.5)


def test_seconds_of_the_host_are_counted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter((10.0, 12.5))
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
    watch = Stopwatch()
    with watch.counting(HOST):
        pass
    assert watch.seconds() == 2.5


def test_a_trial_waits_for_the_devices_of_the_model(queues: dict[torch.device, Queue]) -> None:
    """Not for the current device, which may be another."""

    def run_batch(*_: object) -> None:
        queues[SECOND].work.append(1000)

    work = SimpleNamespace(model=SimpleNamespace(device=SECOND), run_batch=run_batch)
    BatchTimer(work, 2).seconds(np.array([0]))  # type: ignore[arg-type]
    assert queues[SECOND].time == 1000

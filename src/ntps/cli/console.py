"""What the command line prints: results on standard output, everything else on standard error."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text
from typer.core import TyperOption

from ntps.errors import NtpsError

if TYPE_CHECKING:
    from ntps.jobs.progress import Reporter

# No markup and no emoji codes: paths, labels and messages may hold square brackets and colons.
out = Console(soft_wrap=False, highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)
_flags: ContextVar[Mapping[str, str]] = ContextVar("flags", default=MappingProxyType({}))

LINE_INTERVAL_S = 30.0
"""Seconds between two lines about progress."""


@contextmanager
def flags_of(options: Iterable[TyperOption]) -> Iterator[None]:
    """Where functions name a parameter, `so` written, a command says which of its flags that is."""
    found: dict[str, str] = {}
    for option in options:
        flag = max(option.opts, key=len)
        found |= dict.fromkeys((str(option.name), flag.removeprefix("--").replace("-", "_")), flag)
    token = _flags.set(found)
    try:
        yield
    except NtpsError as error:
        error.args = (with_flags(str(error)),)
        raise
    finally:
        _flags.reset(token)


def with_flags(sentence: str) -> str:
    """A sentence about parameters, with the flags of the command that runs."""
    return re.sub(r"`(\w+)`", lambda named: _flags.get().get(named[1], named[0]), sentence)


def say(kind: str, colour: str, sentence: str) -> None:
    """Prints ``kind: sentence.`` on standard error, the kind in colour on a terminal."""
    err.print(Text.assemble((f"{kind}:", colour), f" {sentence.rstrip('.')}."), soft_wrap=True)


class Bars:
    """A reporter that draws one bar a phase."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def start(self, phase: str, total: int | None, unit: str) -> Advance:
        """Adds the bar of a phase."""
        return Advance(self._progress, self._progress.add_task(phase, total=total, unit=unit))


class Advance:
    """Moves one bar on."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def __call__(self, done: int) -> None:
        """Adds what has just been done."""
        self._progress.advance(self._task, done)


class Lines:
    """A reporter that prints a line every half minute, where no bar can be drawn."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.next = clock() + LINE_INTERVAL_S

    def start(self, phase: str, total: int | None, unit: str) -> Callable[[int], None]:
        """Begins to count what a phase does."""
        began, done = self._clock(), 0

        def advance(more: int) -> None:
            nonlocal done
            done += more
            now = self._clock()
            if now < self.next or not done:
                return
            self.next = now + LINE_INTERVAL_S
            speed = done / max(now - began, 1e-9)
            of = "" if total is None else f" of {total:,}"
            left = "" if total is None or done >= total else f", {duration((total - done) / speed)} left"
            err.print(f"{phase}: {done:,}{of} {unit}, {speed:,.3g} {unit}/s{left}", soft_wrap=True)

        return advance


def duration(seconds: float) -> str:
    """In the largest unit that leaves a number above one."""
    for name, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {task.fields['unit']}/s")


@contextmanager
def progress_bars(quiet: bool) -> Iterator[Reporter | None]:
    """Bars on a terminal; a line every half minute when standard error goes elsewhere; nothing when quiet."""
    if quiet:
        yield None
        return
    if not err.is_terminal:
        yield Lines()
        return
    # Batches run longest texts first, which is where a token costs most: the time left is rather over- than
    # underestimated.
    columns = (TextColumn("{task.description}"), BarColumn(), _Speed(), TimeRemainingColumn(elapsed_when_finished=True))
    with Progress(*columns, console=err) as progress:
        yield Bars(progress)

"""What the command line prints: results on standard output, everything else on standard error."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text
from typer.core import TyperOption

from ntps.errors import NtpsError

if TYPE_CHECKING:
    from ntps.jobs.progress import Reporter

PIPED_WIDTH = 80
"""Width of what no terminal shows, whatever the environment says, so that it is the same everywhere."""
PIECE = r"`[^`]+`|(?<!\w)'[^']+'(?!\w)| (?=[%±≤≥=×→])|(?<=[±≤≥=×→]) |[^ ]"
"""What lines do not break in, besides words: commands and values in quotes, and numbers with their signs."""


class Printer(Console):
    """Prints prose that wraps at words, and tables whole."""

    @property
    def columns(self) -> int:
        """How many columns lines may take."""
        return self.width if self.is_terminal else PIPED_WIDTH

    def prose(self, text: str, style: str = "", whole: Iterable[object] = (), head: tuple[int, str] = (0, "")) -> None:
        """Prints lines of prose, as wide as the terminal.

        Args:
            text: One or more lines, each of which wraps by itself.
            style: The style of the text.
            whole: Paths in it that may hold spaces, and stay whole.
            head: How many characters at its beginning have a style of their own, and which.
        """
        lines = [part for line in text.split("\n") for part in wrap(line, self.columns, whole)]
        shown = Text("\n".join(lines), style)
        shown.stylize(head[1], 0, head[0])
        self.print(shown, soft_wrap=True)

    def table(self, table: Table) -> None:
        """Prints a table whole: no name and no number in it is broken.

        Where it is wider than the terminal, the titles of columns take two lines, and columns that may wrap do so at
        words. Where that is not enough, it is split into blocks of columns, which all begin with the names of the rows:
        of lines that are too long, terminals go on with the rest in the next line, from the middle of a cell. The title
        and the caption wrap as prose does.
        """
        if table.title:
            self.prose(str(table.title), "table.title")
        for block in blocks(table, self.columns):
            self.print(block, crop=False)
        if table.caption:
            self.prose(str(table.caption), "table.caption")


def wrap(line: str, width: int, whole: Iterable[object] = ()) -> list[str]:
    """The lines of a line, broken at words; all but the first are indented, below the text that follows a label.

    Only what does not break is longer than ``width``.
    """
    label = re.match(r"\w[^.]*?\s{2,}(?=\S)", line)
    hang = len(line) - len(line.lstrip()) + 2 if label is None else cell_len(label[0])
    hang = hang if hang <= width // 3 else 2
    kept = "|".join([*(re.escape(each) for each in map(str, whole) if each), PIECE])
    lines, now, end = [], "", 0
    for piece in re.finditer(f"(?:{kept})+", line):
        longer = now + line[end : piece.start()] + piece[0]
        if now.strip() and cell_len(longer) > width:
            lines.append(now)
            longer = " " * hang + piece[0]
        now, end = longer, piece.end()
    return [*lines, now]


def blocks(table: Table, width: int) -> list[Table]:
    """A table, or its blocks of columns where it is wider than ``width``."""
    sizes = [_sizes(column) for column in table.columns]
    every, names = range(len(sizes)), _names(table)
    if _total([size.least for size in sizes]) <= width:
        return [_block(table, every, sizes, width)]
    parts: list[list[int]] = []
    for each in every[len(names) :]:
        if parts and _total([sizes[place].least for place in (*parts[-1], each)]) <= width:
            parts[-1].append(each)
        else:
            parts.append([*names, each])
    # With names so long that no number has a place beside them, blocks would not fit either.
    fits = parts and all(_total([sizes[place].least for place in part]) <= width for part in parts)
    return [_block(table, part, sizes, width) for part in (parts if fits else [every])]


class _Size(NamedTuple):
    """Widths of a column: of its title, of its title in two lines, of its cells, and of what in them does not break."""

    title: int
    folded: int
    cells: int
    words: int

    @property
    def least(self) -> int:
        return max(self.folded, self.words)


def _sizes(column: Column) -> _Size:
    title = str(column.header)
    whole = max(map(cell_len, title.split("\n")))
    halves = [] if "\n" in title else [(title[: at.start()], title[at.end() :]) for at in re.finditer(" ", title)]
    lines = [line for cell in column.cells for line in str(cell).split("\n")]
    words = lines if column.no_wrap else [word for line in lines for word in line.split()]
    return _Size(
        title=whole,
        folded=min((max(map(cell_len, both)) for both in halves), default=whole),
        cells=max(map(cell_len, lines), default=0),
        words=max(map(cell_len, words), default=0),
    )


def _names(table: Table) -> range:
    """The first columns, up to the first that is no number, and until no two rows are the same in them."""
    several, cells = range(1, len(table.columns) + 1), [list(column.cells) for column in table.columns]
    for count in several:
        words = any(column.justify != "right" for column in table.columns[:count])
        if words and len(set(zip(*cells[:count], strict=True))) == table.row_count:
            return range(count)
    return range(len(table.columns))


def _total(widths: Collection[int]) -> int:
    return sum(widths) + 2 * len(widths)


def _block(table: Table, chosen: Sequence[int], sizes: Sequence[_Size], width: int) -> Table:
    """Some columns of a table: titles fold first where it is narrow, then columns that may wrap."""
    widths = {each: max(sizes[each].title, sizes[each].cells) for each in chosen}
    if _total(widths.values()) > width:
        widths = {each: max(sizes[each].folded, sizes[each].cells) for each in chosen}
    while _total(widths.values()) > width and (loose := [each for each in chosen if widths[each] > sizes[each].least]):
        widths[max(loose, key=widths.__getitem__)] -= 1
    block = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, width=_total(widths.values()))
    columns = [table.columns[each] for each in chosen]
    for each, column in zip(chosen, columns, strict=True):
        block.add_column(column.header, justify=column.justify, width=widths[each], overflow="fold")
    for row, cells in zip(table.rows, zip(*(column.cells for column in columns), strict=True), strict=True):
        block.add_row(*cells, style=row.style)
    return block


# No markup and no emoji codes: paths, labels and messages may hold square brackets and colons.
out = Printer(highlight=False, markup=False, emoji=False)
err = Printer(stderr=True, highlight=False, markup=False, emoji=False)
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
    err.prose(f"{kind}: {sentence.rstrip('.')}.", head=(len(kind) + 1, colour))


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
            err.prose(f"{phase}: {done:,}{of} {unit}, {speed:,.3g} {unit}/s{left}")

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

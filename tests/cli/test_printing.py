"""What commands print fits the terminal: prose wraps at words, and no name and no number of a table is broken."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.table import Table

from grid import save_grid
from ntps.cli import main
from ntps.cli.console import PIECE, PIPED_WIDTH, Printer, wrap
from ntps.files import distinct_names
from tiny import save_model, save_task
from unwrapped import unwrapped

WIDTHS = (60, 80, 120)
COMMANDS = {
    "models": ("models",),
    "tasks": ("tasks",),
    "doctor": ("doctor", "MODEL", "TASK"),
    "paper": ("paper",),
    "calibrate": ("calibrate",),
    "score": ("score", "MODEL", "TASK", "-v", "--out", "HERE/score"),
    "dry run": ("score", "MODEL", "TASK", "--dry-run"),
    "second": ("score", "MODEL", "OTHER", "-q", "--no-test", "--out", "HERE/second"),
    "merge": ("merge", "HERE/score", "HERE/second", "--out", "HERE/merged"),
    "words": ("words", "HERE/score", "--list", "A=ba,be"),
    "probe": ("probe", "MODEL", "TASK", "-v", "--out", "HERE/probe"),
    "predict": ("predict", "HERE/probe", "OTHER", "--label-column", "label", "--out", "HERE/rows.jsonl"),
    "finetune": ("finetune", "MODEL", "TASK", "--steps", 1, "--compare", "HERE/probe", "--out", "HERE/lora"),
    "change": ("score", "MODEL", "TASK", "--adapter", "HERE/lora/adapter", "--no-test"),
    "advise": ("advise", "MODEL", "TASK"),
    "rank": ("rank", "TASK", "MODEL", "HERE/llama", "--no-test"),
    "plan": ("study", "HERE/grid/grid.yaml", "--out", "HERE/study", "--dry-run"),
    "plan of runs": ("study", "HERE/grid/grid.yaml", "--out", "HERE/study", "--dry-run", "-v"),
    "study": ("study", "HERE/grid/grid.yaml", "--out", "HERE/study"),
    "report": ("report", "HERE/study"),
    "mistake": ("score", "MODEL", "HERE/there is no such task.jsonl"),
}


@dataclass
class Printed:
    """What a command wrote, and the prose and the tables that it had printed."""

    written: str = ""
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    def at(self, width: int) -> Iterator[tuple[Any, str]]:
        """Each sentence and each table, and how it is printed on a terminal of some width."""
        for name, values, more in self.calls:
            with io.StringIO() as stream:
                terminal = Printer(file=stream, force_terminal=True, color_system=None, width=width)
                getattr(terminal, name)(*values, **more)
                yield values[0], stream.getvalue()


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory, short_check: None) -> dict[str, Printed]:
    """Every command once, in the order of the table above, on a pipe."""
    here = tmp_path_factory.mktemp("a folder")
    places = {
        "HERE": here,
        "MODEL": save_model(here / "a-model-of-ours-with-a-name-that-is-rather-long"),
        "TASK": save_task(here / "task.jsonl", 90),
        "OTHER": save_task(here / "other.jsonl", 40, seed=1),
    }
    save_model(here / "llama", "llama")
    save_grid(here / "grid", measurements={"score": None, "ols": None})
    found: dict[str, Printed] = {}
    for name, command in COMMANDS.items():
        arguments = [str(each) for each in command]
        for word, place in places.items():
            arguments = [each.replace(word, str(place)) for each in arguments]
        found[name] = run(arguments)
    return found


def run(arguments: Sequence[str]) -> Printed:
    seen = Printed()

    def recording(name: str) -> Callable[..., None]:
        method = getattr(Printer, name)

        def call(printer: Printer, *values: Any, **more: Any) -> None:
            if not inside:
                seen.calls.append((name, values, more))
            inside.append(name)
            method(printer, *values, **more)
            inside.pop()

        return call

    inside: list[str] = []
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stream), redirect_stderr(stream):
        patch.setenv("COLUMNS", "50")
        patch.setattr(Printer, "prose", recording("prose"))
        patch.setattr(Printer, "table", recording("table"))
        patch.setattr(sys, "argv", ["ntps", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    assert int(ended.value.code or 0) == 2 * any("no such" in each for each in arguments), stream.getvalue()
    seen.written = stream.getvalue()
    return seen


@pytest.mark.parametrize("name", COMMANDS)
def test_all_is_printed_as_on_a_terminal_of_80_columns(name: str, printed: dict[str, Printed]) -> None:
    assert printed[name].written == "".join(shown for _, shown in printed[name].at(80))
    if name != "second":
        assert printed[name].written


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", COMMANDS)
def test_prose_is_no_wider_than_the_terminal(name: str, width: int, printed: dict[str, Printed]) -> None:
    for said, shown in printed[name].at(width):
        if isinstance(said, str):
            assert shown.split() == said.split()
            for line in shown.splitlines():
                # What is longer is one word, a path or a command.
                assert len(line) <= width or re.fullmatch(r" *(\S+|`[^`]+`\S*|/.*a folder.*/\S+)", line), line


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", COMMANDS)
def test_no_cell_of_a_table_is_broken(name: str, width: int, printed: dict[str, Printed]) -> None:
    for table, shown in printed[name].at(width):
        if isinstance(table, Table):
            is_whole(table, shown)
            longest = max(len(word) for column in table.columns for cell in column.cells for word in str(cell).split())
            assert max(map(len, shown.splitlines())) <= width or longest > width / 2


@pytest.mark.parametrize("name", COMMANDS)
def test_paths_are_said_only_where_somebody_goes_on_from_them(name: str, printed: dict[str, Printed]) -> None:
    for said, shown in printed[name].at(120):
        if "/a folder" in shown:
            assert isinstance(said, str) and re.search(r"( in|^The report is|^Error:) [^ ]*/a folder", said)


def is_whole(table: Table, shown: str) -> None:
    """All cells are there, and none is broken but at words where it may be."""
    lines = f" {shown} ".replace("\n", "  ")
    for column in table.columns:
        cells = [str(cell) for cell in column.cells]
        if column.no_wrap:
            assert all(f" {cell} " in lines for cell in cells)
        assert all(f" {word} " in lines for cell in (str(column.header), *cells) for word in cell.split())


# --- the printer -----------------------------------------------------------------------------------------------------

WORD = st.text(st.sampled_from("aé字ー/._-()%±0123"), min_size=1, max_size=12)
COMMAND = st.lists(WORD, min_size=1, max_size=5).map(lambda words: f"`{' '.join(words)}`")
SENTENCE = st.lists(WORD | COMMAND, min_size=1, max_size=30).map(" ".join)


@given(line=SENTENCE, width=st.integers(10, 100))
def test_lines_break_at_words_and_no_earlier_than_they_must(line: str, width: int) -> None:
    lines = wrap(line, width)
    assert unwrapped("\n".join(lines)) == line
    for shown, following in pairwise([*lines, ""]):
        pieces = re.findall(f"(?:{PIECE})+", shown)
        assert cell_len(shown) <= width or len(pieces) == 1
        if following:
            first = re.findall(f"(?:{PIECE})+", following)[0]
            assert cell_len(f"{shown} {first}") > width
    assert all(command in "\n".join(lines) for command in re.findall("`[^`]+`", line))


@given(folder=st.lists(WORD, min_size=1, max_size=9).map(" ".join), width=st.integers(10, 100))
def test_a_path_with_spaces_stays_whole(folder: str, width: int) -> None:
    assert any(f"/{folder}" in line for line in wrap(f"Results are in /{folder}", width, whole=[f"/{folder}"]))


@given(label=st.sampled_from(["memory", "train texts"]), words=st.lists(WORD, min_size=9, max_size=60))
def test_lines_go_on_below_the_text_after_a_label(label: str, words: list[str]) -> None:
    first, *more = wrap(f"{label:14} {' '.join(words)}", 80)
    assert first.startswith(f"{label:14} ")
    assert all(re.match(r" {15}[^ ]", line) for line in more)


CELL = st.text(st.sampled_from("b字0.±"), max_size=14)
TITLE = st.lists(WORD, max_size=3).map(" ".join)


@given(
    names=st.lists(CELL, min_size=1, max_size=3, unique=True),
    figures=st.lists(st.tuples(TITLE, st.lists(CELL, min_size=3, max_size=3)), max_size=5),
    width=st.integers(20, 120),
)
def test_a_table_is_as_wide_as_the_terminal_where_names_have_a_place_beside_each_number(
    names: list[str], figures: list[tuple[str, list[str]]], width: int
) -> None:
    table = Table()
    table.add_column("name", no_wrap=True)
    for title, _ in figures:
        table.add_column(title, justify="right", no_wrap=True)
    for name, *cells in zip(names, *(cells for _, cells in figures), strict=False):
        table.add_row(name, *cells)
    ((_, shown),) = Printed(calls=[("table", (table,), {})]).at(width)
    is_whole(table, shown)
    longest = [max(map(cell_len, (title, *cells))) for title, cells in figures]
    if max(map(cell_len, ("name", *names))) + max(longest, default=0) + 4 <= width:
        assert max(map(cell_len, shown.splitlines())) <= width


@given(remarks=st.lists(SENTENCE, min_size=1, max_size=3), width=st.integers(20, 120))
def test_columns_of_prose_wrap_at_words(remarks: list[str], width: int) -> None:
    table = Table("number", "remark")
    for number, remark in enumerate(remarks):
        table.add_row(str(number), remark)
    ((_, shown),) = Printed(calls=[("table", (table,), {})]).at(width)
    is_whole(table, shown)
    longest = max(cell_len(word) for remark in remarks for word in remark.split())
    assert max(map(cell_len, shown.splitlines())) <= max(width, 10 + longest)


PATH = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)


@given(paths=st.lists(PATH, min_size=1, max_size=6, unique_by=tuple))
def test_names_of_paths_tell_them_apart(paths: list[list[str]]) -> None:
    names = distinct_names(["/".join(path) for path in paths])
    assert len(set(names)) == len(names)
    for path, name in zip(paths, names, strict=True):
        assert f"/{'/'.join(path)}".endswith(f"/{name}")
        alone = sum(other[-1] == path[-1] for other in paths) == 1
        assert alone == (name == path[-1]) or len(path) == 1


def test_what_no_terminal_shows_is_of_one_width_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    assert Printer(file=io.StringIO()).columns == PIPED_WIDTH
    assert Printer(file=io.StringIO(), force_terminal=True).columns == 50

"""One malformed call of the command line: how it is made, how it ended, and whether that was right."""

from __future__ import annotations

import hashlib
import io
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from ntps.cli import main
from unwrapped import unwrapped

LIMIT_S = 120
"""A case that takes longer hangs: all of them are a second's work on an idle machine."""


@dataclass(frozen=True)
class Case:
    """A call.

    Attributes:
        name: What is wrong with it.
        arguments: The command line behind ``ntps``; ``{here}`` stands for the case's own folder.
        refused: Whether only a refusal is right; otherwise a result may be explicable too.
        prepare: Makes the inputs in the case's own folder.
    """

    name: str
    arguments: tuple[str, ...]
    refused: bool = True
    prepare: Callable[[Path], object] = field(default=lambda _here: None)


@dataclass(frozen=True)
class Ending:
    """How a call ended.

    Attributes:
        status: Exit status; None if it hung.
        said: Standard error.
        changed: Files of the inputs that were touched.
    """

    status: int | None
    said: str
    changed: tuple[str, ...]

    def wrong(self, case: Case) -> str | None:
        """What is not as it should be."""
        if self.changed:
            return f"it touched {', '.join(self.changed)}"
        if self.status is None:
            return "it hangs"
        if "please report it" in self.said or "Traceback" in self.said:
            return "it crashed"
        if self.status == 0:
            return "it was accepted" if case.refused else None
        if self.status != 2 and (case.refused or self.status not in (1, 3)):
            return f"it ended with {self.status}"
        sentences = [line for line in self.said.splitlines() if line.startswith("Error:")]
        usage = self.said.count("Usage: ")
        return None if len(sentences) + usage == 1 else f"it said {len(sentences) + usage} sentences"


def run(case: Case, here: Path, watched: Path) -> Ending:
    """Makes the inputs of a case and calls the command line in this process.

    Args:
        case: The case.
        here: A new folder of its own; what is below ``out`` may change.
        watched: Folder of inputs that all cases share.
    """
    here.mkdir(parents=True)
    case.prepare(here)
    arguments = ["ntps", *(each.replace("{here}", str(here)) for each in case.arguments)]
    before = _content(here) | _content(watched)
    output, said = io.StringIO(), io.StringIO()
    status: int | None
    with patch.object(sys, "argv", arguments), redirect_stdout(output), redirect_stderr(said):
        try:
            with _limited():
                main()
            status = 0
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0
        except _Hangs:
            status = None
    after = _content(here) | _content(watched)
    changed = sorted(name for name in before if before[name] != after.get(name))
    return Ending(status, unwrapped(said.getvalue()), tuple(changed))


class _Hangs(BaseException):
    """The time is up."""


@contextmanager
def _limited() -> Iterator[None]:
    def up(_signal: int, _frame: object) -> None:
        raise _Hangs

    former = signal.signal(signal.SIGALRM, up)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


def _content(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.relative_to(folder).parts[0] == "out" or path.name == ".lock":
            continue
        if path.is_symlink():
            found[str(path)] = str(path.readlink())
        elif path.is_file():
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found

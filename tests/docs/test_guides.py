"""What the pages tell a reader to type exists, and Python in the guides runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_group

from ntps.cli import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
COMMANDS = get_group(app).commands


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.+?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def commands(page: Path) -> Iterator[list[str]]:
    """Each ``ntps`` command of the shell blocks of a page, as words after ``ntps``."""
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if "ntps" in words[:1] or "-m" in words:
                yield words[words.index("ntps") + 1 :]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_their_flags_exist(page: Path) -> None:
    for name, *words in commands(page):
        assert name in COMMANDS, name
        flags = {flag for each in COMMANDS[name].params for flag in (*each.opts, *each.secondary_opts)}
        for word in words:
            assert not word.startswith("-") or word.partition("=")[0] in flags, f"ntps {name} {word}"


def test_commands_are_found() -> None:
    assert sum(1 for page in PAGES for _ in commands(page)) > 50


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_python_of_the_guides_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, "python"):
        exec(block, {})

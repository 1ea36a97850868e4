"""The example in the docstring of everything that ``import ntps`` offers runs, and gives what it shows."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

import ntps

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", [*ntps.__all__, "NTPSProbe"])
def test_the_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    documented = getattr(ntps, name).__doc__
    test = doctest.DocTestParser().get_doctest(documented, {"ntps": ntps}, name, None, None)
    assert test.examples
    said: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append)
    assert not said, "".join(said)

"""Collecting docstrings: no paragraph is in two parts, and the embedded model learns none of the task's."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

import collect_docstrings
from collect_docstrings import Part, SourceModule, heldout_texts, modules, training_texts
from ntps.tasks.load import load_task

PARTS: tuple[Part, ...] = get_args(Part)
SHARED = "This paragraph stands in every module of the library."


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modules of a library whose docstrings have a paragraph of their own, a shared one, and one of the task's."""
    names = [f"module_{number}" for number in range(200)]
    in_task = load_task().train.texts[0]
    for name in names:
        own = f"What only {name.translate(str.maketrans('0123456789', 'abcdefghij'))} says."
        (tmp_path / "library").mkdir(exist_ok=True)
        (tmp_path / "library" / f"{name}.py").write_text(f'"""{own}\n\n{SHARED}\n\n{in_task}\n"""\n')
    (tmp_path / "library" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(collect_docstrings, "corpus_libraries", lambda: {"library": "1.0"})
    monkeypatch.setitem(collect_docstrings._TASK_SHARE, "library", 0.3)
    return [f"library.{name}" for name in names] + ["library"]


def test_every_module_is_in_one_part(names: list[str]) -> None:
    parts = [[module.name for module in modules("library", part)] for part in PARTS]
    assert all(parts)
    assert sorted(name for part in parts for name in part) == sorted(names)


def test_no_paragraph_is_learned_and_measured(names: list[str]) -> None:
    task = load_task()
    assert task.test is not None
    heldout, training = (
        [line for text in texts() for line in text.split("\n")] for texts in (heldout_texts, training_texts)
    )
    counts = [len([module for module in modules("library", part) if module.name != "library"]) for part in PARTS]
    assert heldout.count(SHARED) == 1 and len(heldout) == counts[2] + 1
    assert len(training) == len(set(training)) == counts[3]
    assert {*heldout}.isdisjoint(training)
    assert {*heldout, *training}.isdisjoint([*task.train.texts, *task.test.texts])


def test_a_missing_library_ends_the_collection() -> None:
    with pytest.raises(SystemExit, match="'no_such_library' is not installed"):
        modules("no_such_library", "train")


def test_an_unreadable_module_has_no_docstrings(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text('"""Prose."""\ndef :\n')
    assert list(SourceModule("scipy", "scipy.broken", broken).docstrings()) == []

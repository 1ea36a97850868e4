"""The embedded task: enough texts, the same every time, and nothing that gives the answer away."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from ntps.errors import InputError
from ntps.tasks import embedded as docstrings
from ntps.tasks.embedded import LABELS, SourceModule, docstring_task, heldout_texts, modules, training_texts
from ntps.tasks.task import Task


@pytest.fixture(scope="module")
def task() -> Task:
    return docstring_task()


def all_texts(task: Task) -> list[str]:
    assert task.test is not None
    return [*task.train.texts, *task.test.texts]


def paragraphs(texts: list[str] | tuple[str, ...]) -> set[str]:
    return {paragraph for text in texts for paragraph in text.split("\n")}


def test_is_large_and_balanced(task: Task) -> None:
    assert task.test is not None
    assert len(all_texts(task)) >= 2000
    assert task.label_names == LABELS and task.outputs >= 4
    for split in (task.train, task.test):
        counts = task.class_counts(split)
        assert counts is not None and len(set(counts)) == 1
    assert 0.65 < len(task.train) / len(all_texts(task)) < 0.75


def test_is_the_same_on_every_call_whatever_the_order_of_files(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    walk = docstrings.os.walk

    def reversed_walk(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        for folder, subfolders, files in walk(root):
            subfolders.reverse()
            yield folder, subfolders, files[::-1]

    monkeypatch.setattr(docstrings.os, "walk", reversed_walk)
    again = docstring_task()
    assert task.test is not None and again.test is not None
    assert again.train.fingerprint == task.train.fingerprint
    assert again.test.fingerprint == task.test.fingerprint


def test_no_paragraph_is_in_two_texts(task: Task) -> None:
    texts = all_texts(task)
    assert sum(len(set(text.split("\n"))) for text in texts) == len(paragraphs(texts))


def test_texts_are_short_prose(task: Task) -> None:
    for text in all_texts(task):
        assert len(text) <= 500 and len(text.split()) >= 8
        assert ">>>" not in text and "://" not in text and "`" not in text and "---" not in text


def test_no_library_is_named(task: Task) -> None:
    for text in all_texts(task):
        assert not any(name in text.lower() for name in (*LABELS, "numpy", "hugging face", "huggingface", "pyplot"))
        assert not {"np", "pd", "plt", "hf"} & set(text.lower().replace(".", " ").split())


def test_revision_names_every_library(task: Task) -> None:
    assert task.revision is not None and task.source.startswith("embedded: ")
    assert all(label in task.revision and label in task.source for label in LABELS)


def test_every_module_is_in_one_part() -> None:
    for library in LABELS:
        parts = [{module.name for module in modules(library, part)} for part in ("train", "test", "heldout", "corpus")]
        assert all(parts)
        assert sum(map(len, parts)) == len(set().union(*parts))


def test_reads_the_sources_of_its_own_modules_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    read: dict[str, set[str]] = {}
    docstrings_of = SourceModule.docstrings

    def recording(module: SourceModule) -> Iterator[str]:
        read.setdefault(module.part, set()).add(module.name)
        return docstrings_of(module)

    def refuse(*arguments: object) -> None:
        raise AssertionError("the embedded task opened a socket")

    monkeypatch.setattr(SourceModule, "docstrings", recording)
    monkeypatch.setattr(socket, "socket", refuse)
    imported = set(sys.modules)
    docstring_task()
    assert set(sys.modules) == imported
    assert set(read) == {"train", "test"}
    assert read["train"].isdisjoint(read["test"])


def test_heldout_texts_are_not_in_the_task(task: Task) -> None:
    heldout = heldout_texts()
    assert len(heldout) > 300
    assert paragraphs(heldout).isdisjoint(paragraphs(all_texts(task)))


@pytest.mark.slow
def test_training_texts_are_nowhere_else(task: Task) -> None:
    training = training_texts()
    assert sum(map(len, training)) > 5e6
    assert paragraphs(training).isdisjoint(paragraphs(heldout_texts()) | paragraphs(all_texts(task)))


def test_a_missing_library_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docstrings, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="'scipy' is not installed"):
        docstring_task()


def test_too_few_texts_are_an_input_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare = ModuleSpec("scipy", None, is_package=True)
    bare.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(docstrings, "find_spec", lambda name: bare)
    with pytest.raises(InputError, match="train docstrings of scipy and found 0"):
        docstring_task()


def test_an_unreadable_module_has_no_docstrings(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text('"""Prose."""\ndef :\n')
    assert list(SourceModule("scipy", "scipy.broken", broken).docstrings()) == []

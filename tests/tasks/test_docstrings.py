"""The embedded task: frozen texts, enough of them, and nothing that gives the answer away."""

from __future__ import annotations

import json

import pytest

from ntps.tasks.embedded.docstrings import FOLDER, VERSIONS
from ntps.tasks.load import load_task
from ntps.tasks.task import Task

LABELS = ("python", "scipy", "pandas", "torch", "transformers", "matplotlib")
TRAIN = "e09b36c447305a5618e5b65571ff9a15ab4af3188943515687ea7b63379d2908"
TEST = "3deefc9ebd588687a1969061bbb7dbcd053e654f10593a1040dfb65111b104cb"


@pytest.fixture(scope="module")
def task() -> Task:
    return load_task()


def all_texts(task: Task) -> list[str]:
    assert task.test is not None
    return [*task.train.texts, *task.test.texts]


def test_is_the_same_whatever_is_installed(task: Task) -> None:
    assert task.test is not None
    assert (task.train.fingerprint, task.test.fingerprint) == (TRAIN, TEST)
    assert task.revision == (
        "python 3.11.7, scipy 1.17.1, pandas 3.1.1, torch 2.13.0+cpu, transformers 5.23.0, matplotlib 3.11.2"
    )


def test_is_balanced(task: Task) -> None:
    assert task.test is not None
    assert task.label_names == LABELS
    assert task.class_counts(task.train) == (350,) * 6
    assert task.class_counts(task.test) == (150,) * 6


def test_no_paragraph_is_in_two_texts(task: Task) -> None:
    paragraphs = [paragraph for text in all_texts(task) for paragraph in set(text.split("\n"))]
    assert len(paragraphs) == len(set(paragraphs))


def test_texts_are_short_prose(task: Task) -> None:
    for text in all_texts(task):
        assert len(text) <= 500 and len(text.split()) >= 8
        assert ">>>" not in text and "://" not in text and "`" not in text and "---" not in text


def test_no_library_is_named(task: Task) -> None:
    for text in all_texts(task):
        assert not any(name in text.lower() for name in (*LABELS, "numpy", "hugging face", "huggingface", "pyplot"))
        assert not {"np", "pd", "plt", "hf"} & set(text.lower().replace(".", " ").split())


def test_the_notice_names_every_library_with_its_version() -> None:
    rows = [line.split() for line in (FOLDER / "NOTICE").read_text(encoding="utf-8").splitlines()]
    for label, version in json.loads((FOLDER / VERSIONS).read_text(encoding="utf-8")).items():
        assert any(row[:1] == [label] and version in row for row in rows), label

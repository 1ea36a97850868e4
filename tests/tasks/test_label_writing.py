"""Labels as people write them: nothing is dropped, merged or guessed without a note, in CSV and JSON files alike."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import LabelEncoder, MultiLabelBinarizer

from ntps.errors import InputError
from ntps.tasks.from_lists import task_from_lists
from ntps.tasks.load import load_task
from ntps.tasks.splits import hold_out
from ntps.tasks.task import Split, Task

ENDINGS = ("csv", "jsonl")


def write(path: Path, labels: Sequence[object]) -> Path:
    """Writes a task of so many texts."""
    rows = [{"text": f"message number {index}", "label": label} for index, label in enumerate(labels)]
    with path.open("w", encoding="utf-8", newline="") as stream:
        if path.suffix == ".csv":
            table = csv.DictWriter(stream, ("text", "label"))
            table.writeheader()
            table.writerows(rows)
        else:
            stream.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def said(task: Task, *words: str) -> bool:
    """Whether one note holds all the words."""
    return any(all(word in note for word in words) for note in task.notes)


def names_of(task: Task) -> list[str]:
    return [task.label_names[code] for code in task.train.labels.tolist()]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("label", [int, str])
def test_negative_numbers_are_classes(ending: str, label: type, tmp_path: Path) -> None:
    labels = [index % 5 - 2 for index in range(20)]
    task = load_task(str(write(tmp_path / f"a.{ending}", [label(value) for value in labels])))
    assert task.train.labels.tolist() == LabelEncoder().fit_transform(labels).tolist()
    assert task.label_names == ("-2", "-1", "0", "1", "2")
    assert not task.train.dropped
    assert said(task, "Negative", "-2")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("labels", [("01", "1", "010", "10"), ("+1", "1", "２", "2"), ("-0", "0", "1", "01")])
def test_numbers_written_otherwise_are_other_classes(labels: tuple[str, ...], ending: str, tmp_path: Path) -> None:
    task = load_task(str(write(tmp_path / f"a.{ending}", labels)))
    assert names_of(task) == list(labels)
    assert said(task, "classes of their own")


@pytest.mark.parametrize("labels", [("Joy", "joy", "x"), ("cafe\u0301", "caf\u00e9", "x"), ("a b", "a  b", "x")])
def test_names_that_look_alike_stay_apart(labels: tuple[str, ...], tmp_path: Path) -> None:
    task = load_task(str(write(tmp_path / "a.csv", labels)))
    assert names_of(task) == list(labels)
    assert said(task, "differ in writing only")


SETS = [["joy"], ["joy", "fear"], ["fear"], ["anger", "joy"], []]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("written", [str, json.dumps])
def test_lists_written_as_text_are_lists(written: type, ending: str, tmp_path: Path) -> None:
    task = load_task(str(write(tmp_path / f"a.{ending}", [written(names) for names in SETS])))
    oracle = MultiLabelBinarizer()
    assert task.train.labels.tolist() == oracle.fit_transform(SETS).tolist()
    assert (task.kind, task.label_names) == ("multilabel", tuple(oracle.classes_))
    assert said(task, "written as texts", "lists")


@pytest.mark.parametrize("separator", [", ", "|", ";"])
def test_combined_names_are_classes_and_said(separator: str, tmp_path: Path) -> None:
    labels = [separator.join(names) for names in SETS if names]
    task = load_task(str(write(tmp_path / "a.csv", labels)))
    assert names_of(task) == labels
    assert said(task, "look like lists")
    assert not said(load_task(str(write(tmp_path / "b.csv", ["arts, crafts", "home; garden"]))), "look like lists")


def test_brackets_that_are_no_list_are_names(tmp_path: Path) -> None:
    labels = ["[URGENT]", "[1 0]", "['a'"]
    task = load_task(str(write(tmp_path / "a.csv", labels)))
    assert names_of(task) == labels
    assert said(task, "look like lists")


@pytest.mark.parametrize("ending", ENDINGS)
def test_decimals_are_regression_however_they_are_stored(ending: str, tmp_path: Path) -> None:
    labels = [f"{index * 0.2:.1f}" for index in range(26)]
    task = load_task(str(write(tmp_path / f"a.{ending}", labels)))
    assert task.kind == "regression"
    assert task.train.labels[:, 0].tolist() == [float(label) for label in labels]
    assert said(task, "read as numbers") == (ending == "jsonl")


@pytest.mark.parametrize("labels", [("0,2", "0,4", "1,0"), ("5%", "10%", "2.5 %")])
def test_numbers_of_other_countries_are_classes_and_said(labels: tuple[str, ...], tmp_path: Path) -> None:
    task = load_task(str(write(tmp_path / "a.csv", labels)))
    assert names_of(task) == list(labels)
    assert said(task, "numbers that are written as", "regression")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("word", ["NULL", "None", "N/A", "NA", "nan"])
def test_a_word_for_nothing_is_missing_among_numbers_and_a_name_among_words(
    word: str, ending: str, tmp_path: Path
) -> None:
    numbers = load_task(str(write(tmp_path / f"a.{ending}", ["0", "1", word])))
    assert (numbers.label_names, numbers.train.dropped) == (("0", "1"), {"missing label": 1})
    assert said(numbers, repr(word), "missing")
    words = load_task(str(write(tmp_path / f"b.{ending}", ["eng", "deu", word])))
    assert names_of(words) == ["eng", "deu", word]
    assert said(words, repr(word), "name of a class")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("labels", [("10", "12", "other"), ("noun", "inf", "verb"), ("12e4", "ab3f", "77")])
def test_numbers_beside_words_are_names(labels: tuple[str, ...], ending: str, tmp_path: Path) -> None:
    assert names_of(load_task(str(write(tmp_path / f"a.{ending}", labels)))) == list(labels)


def test_blanks_are_left_out_and_said(tmp_path: Path) -> None:
    lists = [["joy"], ["joy ", "fear\r"], ["joy", ""], ["fear"]]
    task = load_task(str(write(tmp_path / "a.jsonl", lists)))
    assert (task.label_names, task.train.labels.tolist()) == (("fear", "joy"), [[0, 1], [1, 1], [0, 1], [1, 0]])
    assert said(task, "Blanks", "'fear\\r'") and said(task, "1 empty name")
    task = load_task(str(write(tmp_path / "b.jsonl", ["joy", "joy ", "fear\r", "fear"])))
    assert names_of(task) == ["joy", "joy", "fear", "fear"]
    assert said(task, "Blanks")


@pytest.mark.parametrize("lists", [[[2], [3], [4]], [[0, 2], [1, 3]], [[0], [0, 2], [1]], [[0], [0, 1], []]])
def test_lists_of_whole_numbers_are_class_numbers(lists: list[list[int]]) -> None:
    task = task_from_lists([f"text {index}" for index in range(len(lists))], lists)
    oracle = MultiLabelBinarizer()
    assert task.train.labels.tolist() == oracle.fit_transform(lists).tolist()
    assert task.label_names == tuple(map(str, oracle.classes_))
    assert said(task, "numbers of classes")


@pytest.mark.parametrize("lists", [[[3, 3], [1, 2]], [[-1, 2], [0, 1]]])
def test_lists_that_are_no_sets_are_targets(lists: list[list[int]]) -> None:
    task = task_from_lists("ab", lists)
    assert (task.kind, task.train.labels.tolist()) == ("regression", lists)


def test_numbers_that_can_only_be_names_are_names() -> None:
    """The place of a class is what a number means, unless only its name can be meant."""
    task = task_from_lists("abc", [-1, 0, 1], label_names=["-1", "0", "1"])
    assert (names_of(task), dict(task.train.dropped)) == (["-1", "0", "1"], {})
    assert names_of(task_from_lists("abc", [0, 1, 1], label_names=["1", "2"])) == ["1", "2", "2"]


def test_known_names_that_do_not_fit_are_left_out_and_said() -> None:
    task = task_from_lists("ab", [0.5, 1.5], label_names=["x", "y"])
    assert (task.kind, task.label_names) == ("regression", ("label",))
    assert said(task, "2 known names")


def test_a_named_column_is_believed(tmp_path: Path) -> None:
    path = str(write(tmp_path / "a.csv", [f"intent {index % 150}" for index in range(299)]))
    with pytest.raises(InputError, match="150 distinct values"):
        load_task(path)
    task = load_task(path, label_column="label")
    assert task.outputs == 150
    assert said(task, "150 distinct values in 299 rows")
    lists = str(write(tmp_path / "b.jsonl", [[f"tag {index}", f"tag {index + 1}"] for index in range(150)]))
    with pytest.raises(InputError, match="151 distinct values"):
        load_task(lists)
    assert load_task(lists, label_column="label").outputs == 151


@pytest.mark.parametrize("kind", ["classes", "multilabel", "regression"])
def test_labels_are_counted_without_copies(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: dict[str, list[Any]] = {
        "classes": [0, 2, 2],
        "multilabel": [[1, 0], [1, 1], [0, 0]],
        "regression": [0.5, 1.5, 2.5],
    }
    task = task_from_lists("abc", kinds[kind])
    expected = {"classes": (1, 2), "multilabel": (2, 1), "regression": None}[kind]
    monkeypatch.setattr(Task, "targets", None)
    assert task.class_counts(task.train) == expected


def test_a_million_labels_of_many_classes_are_counted_and_split() -> None:
    """As one-hot rows they would take 800 GB."""
    codes = np.random.default_rng(0).integers(100_000, size=1_000_000)
    whole = Split("train", ("a",) * len(codes), codes)
    task = Task("t", "memory", None, "classes", tuple(map(str, range(100_000))), whole)
    assert task.class_counts(whole) == tuple(np.bincount(codes, minlength=100_000).tolist())
    train, test = hold_out(whole, "classes")
    shares = np.bincount(test.labels, minlength=100_000)
    assert [round(0.3 * count) for count in np.bincount(codes, minlength=100_000)[:1000]] == shares[:1000].tolist()
    assert len(train) + len(test) == len(codes)


def test_classes_that_the_limit_hides_are_said(tmp_path: Path) -> None:
    for name, labels in (("train", "ababcd"), ("test", "abcdab")):
        write(tmp_path / f"{name}.csv", list(labels))
    whole, left = load_task(str(tmp_path)), load_task(str(tmp_path), limit=4, limit_first=True)
    assert not said(whole, "occur")
    assert said(left, "2 classes occur in the split 'test' only: 'c', 'd'")
    assert said(load_task(str(tmp_path), limit=2, limit_first=True), "2 classes have no text at all: 'c', 'd'")


def test_hidden_labels_are_none(tmp_path: Path) -> None:
    """Benchmarks hide the labels of their test splits behind -1."""
    for name, labels in (("train", [0.5, 1.5, 2.5]), ("validation", [0.5, 2.5]), ("test", [-1.0, -1.0])):
        write(tmp_path / f"{name}.jsonl", labels)
    task = load_task(str(tmp_path))
    assert task.test is not None and task.test.name == "validation"
    assert said(task, "'test' has no labelled texts")
    write(tmp_path / "train.jsonl", [0.5, -1.0, 2.5])
    task = load_task(str(tmp_path))
    assert task.test is not None and task.test.name == "test"


def test_texts_of_both_splits_are_counted() -> None:
    task = task_from_lists("abc", [0, 1, 1], test_texts=["a", " b ", "d"], test_labels=[0, 1, 0])
    assert task.shared_texts == 2
    assert task_from_lists("abc", [0, 1, 1]).shared_texts == 0


NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1).map(lambda name: f"x{name}")


@given(labels=st.lists(st.integers(-(10**20), 10**20), min_size=2).filter(lambda labels: len(set(labels)) > 1))
@pytest.mark.parametrize("form", [int, str])
def test_whole_numbers_survive(labels: list[int], form: type) -> None:
    task = task_from_lists(["text"] * len(labels), [form(label) for label in labels])
    assert [int(name) for name in names_of(task)] == labels


@given(labels=st.lists(NAMES, min_size=2).filter(lambda labels: len(set(labels)) > 1))
def test_names_survive(labels: list[str]) -> None:
    assert names_of(task_from_lists(["text"] * len(labels), labels)) == labels


@given(lists=st.lists(st.lists(NAMES), min_size=1).filter(any))
def test_label_sets_survive_whatever_their_order_and_repeats(lists: list[list[str]]) -> None:
    task = task_from_lists(["text"] * len(lists), lists)
    again = task_from_lists(["text"] * len(lists), [names[::-1] * 2 for names in lists])
    oracle = MultiLabelBinarizer()
    assert task.train.labels.tolist() == oracle.fit_transform(lists).tolist() == again.train.labels.tolist()
    assert task.label_names == tuple(oracle.classes_)

"""What labels of each kind become, from Python lists and from files alike."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntps.errors import InputError
from ntps.tasks.from_lists import task_from_lists
from ntps.tasks.load import load_task


@pytest.mark.parametrize(
    ("labels", "names", "codes"),
    [
        ([0, 1, 1, 2], ("0", "1", "2"), [0, 1, 1, 2]),
        ([7, 3, 3, 5], ("3", "5", "7"), [2, 0, 0, 1]),
        (["10", "9", "10", "9"], ("9", "10"), [1, 0, 1, 0]),
        (["b", "a", "b ", "c"], ("a", "b", "c"), [1, 0, 1, 2]),
        (["404", "other", "404", "other"], ("404", "other"), [0, 1, 0, 1]),
        ([True, False, True, False], ("false", "true"), [1, 0, 1, 0]),
        (np.array([1, 0, 1, 0]), ("0", "1"), [1, 0, 1, 0]),
    ],
)
def test_classes(labels: list[object], names: tuple[str, ...], codes: list[int]) -> None:
    task = task_from_lists("wxyz", labels)
    assert (task.kind, task.label_names, task.train.labels.tolist()) == ("classes", names, codes)
    assert task.train.labels.dtype == np.int64
    assert task.targets(task.train.labels).sum(axis=1).tolist() == [1] * 4


@pytest.mark.parametrize("labels", [[2, 0, 0], ["2", "0", "0"], ["c", "a", "a"], [2.0, 0.0, 0.0]])
def test_known_names_give_labels_their_meaning(labels: list[object]) -> None:
    task = task_from_lists("xyz", labels, label_names=["a", "b", "c"])
    assert task.label_names == ("a", "b", "c")
    assert task.train.labels.tolist() == [2, 0, 0]


def test_known_names_may_outnumber_the_texts() -> None:
    assert task_from_lists("ab", [0, 299], label_names=[f"class {i}" for i in range(300)]).outputs == 300


def test_unusable_rows_are_dropped_and_counted_by_reason() -> None:
    labels = [0, 1, None, -1, None, 1]
    task = task_from_lists(["a", "", "c", "d", " ", "f"], labels, label_names=["x", "y"])
    assert task.train.texts == ("a", "f")
    assert task.train.dropped == {"empty text": 2, "missing label": 1, "negative label": 1}


def test_decimals_are_regression_targets() -> None:
    task = task_from_lists("abcd", [0.5, -2, float("nan"), 3.25])
    assert (task.kind, task.label_names, task.outputs) == ("regression", ("label",), 1)
    assert task.train.labels.tolist() == [[0.5], [-2.0], [3.25]]
    assert task.train.dropped == {"missing label": 1}
    assert task.class_counts(task.train) is None
    assert any("regression" in note for note in task.notes)


def test_whole_decimals_are_regression_and_the_note_says_so() -> None:
    task = task_from_lists("abc", [1.0, 2.0, 5.0])
    assert task.kind == "regression"
    assert any("whole numbers" in note for note in task.notes)


def test_decimals_in_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,score\na,0.5\nb,1\nc,\nd,nan\n")
    task = load_task(str(path))
    assert (task.kind, task.label_names, task.train.labels.tolist()) == ("regression", ("score",), [[0.5], [1.0]])
    assert task.train.dropped == {"missing label": 2}


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["3", "nan", "1", "NaN"], ("1", "3")),
        (["1_0", "2_0", "1_0", "1_0"], ("1_0", "2_0")),
        (["00", "1", "0", "+1"], ("+1", "0", "00", "1")),
        (["99999999999999999999", "1", "1", "1"], ("1", "99999999999999999999")),
    ],
)
def test_classes_in_csv(labels: list[str], names: tuple[str, ...], tmp_path: Path) -> None:
    """Whole numbers stay classes beside unknown ones, and only what people write as numbers is one."""
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"a,{label}\n" for label in labels))
    task = load_task(str(path))
    assert (task.kind, task.label_names) == ("classes", names)


def test_zeros_and_ones_are_multilabel() -> None:
    task = task_from_lists("abc", [[1, 0], (0, 0), np.array([1, 1])], label_names=["x", "y"])
    assert (task.kind, task.label_names) == ("multilabel", ("x", "y"))
    assert task.train.labels.tolist() == [[1, 0], [0, 0], [1, 1]]
    assert task.class_counts(task.train) == (2, 1)


def test_lists_of_names_are_multilabel() -> None:
    task = task_from_lists("abc", [["x", "y"], [], ["z"]])
    assert (task.kind, task.label_names) == ("multilabel", ("x", "y", "z"))
    assert task.train.labels.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("names", [("x", "y", "z"), None])
def test_lists_of_class_numbers_are_multilabel(names: tuple[str, ...] | None) -> None:
    task = task_from_lists("abc", [[0, 2], [1], []], label_names=names)
    assert (task.kind, task.label_names) == ("multilabel", names or ("0", "1", "2"))
    assert task.train.labels.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_class_label_lists_are_indices_even_when_they_look_like_flags(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, List, Value

    features = Features({"text": Value("string"), "labels": List(ClassLabel(names=["joy", "anger"]))})
    path = tmp_path / "a.parquet"
    Dataset.from_dict({"text": ["a", "b"], "labels": [[0, 1], [1, 0]]}, features=features).to_parquet(path)
    assert load_task(str(path)).train.labels.tolist() == [[1, 1], [1, 1]]


def test_lists_of_decimals_are_several_targets() -> None:
    task = task_from_lists("ab", [[0.5, 1.5], [2, 0.1]])
    assert (task.kind, task.label_names) == ("regression", ("label.0", "label.1"))
    assert task.targets(task.train.labels).tolist() == [[0.5, 1.5], [2.0, 0.1]]


def test_a_whole_number_beyond_float64_among_decimals_is_no_known_class() -> None:
    with pytest.raises(InputError, match=r"row 2: label 1000.* is none of the 2 known classes"):
        task_from_lists("abc", [1.0, 10**400, 0.0], label_names=["x", "y"])


def test_one_class_is_refused_for_classes_only() -> None:
    with pytest.raises(InputError, match="one class"):
        task_from_lists("ab", [1, 1])
    assert task_from_lists("ab", [0.5, 0.5]).kind == "regression"
    assert task_from_lists("ab", [[1], [1]]).kind == "multilabel"


def test_test_lists_share_the_classes_of_the_train_lists() -> None:
    task = task_from_lists(["a", "b"], ["x", "y"], test_texts=["c"], test_labels=["y"])
    assert task.test is not None
    assert task.test.labels.tolist() == [1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"labels": [0]}, "2 texts but 1 labels"),
        ({"labels": [0, "a"]}, "mixes kinds"),
        ({"labels": [0, {}]}, "no label"),
        ({"labels": [0, 1], "test_texts": ["c"]}, "belong together"),
        ({"labels": [0, 3], "label_names": ["x", "y"]}, "2 known classes"),
        ({"texts": [], "labels": []}, "empty"),
        ({"texts": ["a", 5], "labels": [0, 1]}, "row 2"),
    ],
)
def test_wrong_lists_are_refused(arguments: dict[str, list[object]], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        task_from_lists(**{"texts": ["a", "b"], **arguments})  # type: ignore[arg-type]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip), min_size=2))
def test_texts_survive_a_file_unchanged(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("round") / "a.jsonl"
    labels = [index % 2 for index in range(len(texts))]
    rows = [{"text": text, "label": label} for text, label in zip(texts, labels, strict=True)]
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8", newline="\n")
    task = load_task(str(path))
    assert list(task.train.texts) == texts
    assert task.train.fingerprint == task_from_lists(texts, labels).train.fingerprint

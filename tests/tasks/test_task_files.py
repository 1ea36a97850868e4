"""Every kind of file gives the same task."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ntps.errors import InputError
from ntps.tasks.load import load_task
from ntps.tasks.task import Task

ROWS = [
    {"text": "NA", "label": "no"},
    {"text": 'a "quoted", text\nof two lines', "label": "yes"},
    {"text": "null", "label": "no"},
    {"text": "tab\there", "label": "yes"},
    {"text": " naïve 😀 ", "label": "None"},
]


def write(path: Path) -> Path:
    match path.suffixes:
        case [".jsonl"]:
            path.write_text("\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")
        case [".jsonl", ".gz"]:
            path.write_bytes(gzip.compress("\n\n".join(json.dumps(row) for row in ROWS).encode()))
        case [".parquet"]:
            pd.DataFrame(ROWS).to_parquet(path)
        case [kind, *_]:
            with path.open("w", encoding="utf-8-sig", newline="") as stream:
                writer = csv.DictWriter(stream, ["text", "label"], delimiter="," if kind == ".csv" else "\t")
                writer.writeheader()
                writer.writerows(ROWS)
    return path


def contents(task: Task) -> tuple[object, ...]:
    return tuple(task.train.texts), task.train.labels.tolist(), task.label_names, task.kind


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".csv", ".tsv", ".parquet"])
def test_every_format_keeps_every_text(ending: str, tmp_path: Path) -> None:
    task = load_task(str(write(tmp_path / f"rows{ending}")))
    texts = tuple(row["text"] for row in ROWS)
    assert contents(task) == (texts, [1, 2, 1, 2, 0], ("None", "no", "yes"), "classes")
    assert task.source.startswith("file: ")
    assert task.revision is None
    assert task.test is None
    assert any("Text column 'text'" in note for note in task.notes)


def test_the_fingerprint_depends_on_contents_only(tmp_path: Path) -> None:
    prints = {load_task(str(write(tmp_path / f"a{kind}"))).train.fingerprint for kind in (".csv", ".jsonl", ".parquet")}
    assert len(prints) == 1


def test_a_folder_holds_splits_and_class_names(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\na,0\nb,1\nc,-1\n,1\nd,\n")
    (tmp_path / "test.jsonl").write_text('{"text": "x", "label": 1}\n')
    (tmp_path / "validation.csv").write_text("text,label\ny,0\n")
    (tmp_path / "dataset.json").write_text('{"label_names": ["no", "yes", "maybe"], "rows": {}}')
    task = load_task(str(tmp_path))
    assert task.label_names == ("no", "yes", "maybe")
    assert task.train.texts == ("a", "b")
    assert task.train.dropped == {"negative label": 1, "empty text": 1, "missing label": 1}
    assert task.test is not None
    assert (task.test.name, task.test.texts, task.test.labels.tolist()) == ("test", ("x",), [1])
    assert task.class_counts(task.train) == (1, 1, 0)


def test_a_validation_split_serves_where_the_test_has_no_labels(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\na,0\nb,1\n")
    (tmp_path / "test.csv").write_text("text,label\nx,-1\n")
    (tmp_path / "validation.csv").write_text("text,label\ny,0\n")
    task = load_task(str(tmp_path))
    assert task.test is not None
    assert task.test.name == "validation"
    assert any("'test' has no labelled texts" in note for note in task.notes)


def test_any_split_can_be_scored(tmp_path: Path) -> None:
    for name in ("train", "validation", "test"):
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{name} a,0\n{name} b,1\n")
    held_out = {name: load_task(str(tmp_path), split=name).test for name in ("train", "validation", "test")}
    assert {name: test and test.name for name, test in held_out.items()} == {
        "train": "test",
        "validation": "test",
        "test": None,
    }


def test_a_class_that_only_the_test_split_has_is_kept_and_told(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\na,x\nb,z\n")
    (tmp_path / "test.csv").write_text("text,label\na,x\nb,y\n")
    task = load_task(str(tmp_path))
    assert task.label_names == ("x", "y", "z")
    assert task.train.labels.tolist() == [0, 2]
    assert any("'test' only: 'y'" in note for note in task.notes)


def test_an_unnamed_first_column_is_an_index(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",message,category\n0,hello there,x\n1,bye now,y\n")
    task = load_task(str(path))
    assert task.train.texts == ("hello there", "bye now")
    assert task.label_names == ("x", "y")


def test_a_known_name_wins_among_several_text_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    row = {"id": "7f", "text": "a", "label_text": "good", "label": 0}
    path.write_text("\n".join(json.dumps(row | {"label": label}) for label in (0, 1)))
    task = load_task(str(path))
    assert task.train.texts == ("a", "a")
    assert any("'label_text'" in note for note in task.notes)


def test_pairs_are_joined_with_a_space_in_every_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("one,two,label\na,b,0\nc,d,1\n,f,1\n,,0\n")
    task = load_task(str(path), text_columns=("one", "two"))
    assert task.train.texts == ("a b", "c d", "f")
    assert task.train.dropped == {"empty text": 1}
    assert load_task(str(path), text_columns=("two", "one")).train.texts[0] == "b a"


def test_choices_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    choices = {"label": ["A", "B"], "text": ["left", "right"]}
    rows = [{"question": "Which?", "choices": choices, "answerKey": key} for key in "AB"]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    task = load_task(str(path), text_columns=("question", "choices"))
    assert task.train.texts == ("Which? (0) left (1) right",) * 2


def test_class_names_in_a_parquet_file_are_found(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"words": Value("string"), "tone": ClassLabel(names=["bad", "good"])})
    path = tmp_path / "a.parquet"
    Dataset.from_dict({"words": ["a", "b"], "tone": [1, 0]}, features=features).to_parquet(path)
    task = load_task(str(path))
    assert task.label_names == ("bad", "good")
    assert task.train.labels.tolist() == [1, 0]


@pytest.mark.parametrize("written", ["{broken", "[1]", '{"info": null}', '{"info": {"features": [1]}}'])
def test_metadata_that_is_not_of_the_datasets_library_is_left_alone(written: str, tmp_path: Path) -> None:
    table = pa.table({"text": ["a", "b"], "label": [0, 1]}).replace_schema_metadata({"huggingface": written})
    pq.write_table(table, tmp_path / "a.parquet")
    assert load_task(str(tmp_path / "a.parquet")).label_names == ("0", "1")


def test_a_class_label_without_names_is_a_number(tmp_path: Path) -> None:
    written = '{"info": {"features": {"label": {"_type": "ClassLabel", "num_classes": 2}}}}'
    table = pa.table({"text": ["a", "b"], "label": [0, 1]}).replace_schema_metadata({"huggingface": written})
    pq.write_table(table, tmp_path / "a.parquet")
    assert load_task(str(tmp_path / "a.parquet")).label_names == ("0", "1")


def test_what_pandas_writes_is_read(tmp_path: Path) -> None:
    """Categories are their values, and the index is no text."""
    frame = pd.DataFrame(
        {"satz": pd.Categorical(["a", "b", "c"]), "label": pd.Categorical(["x", "y", "x"])}, index=["i", "j", "k"]
    )
    frame.to_parquet(tmp_path / "a.parquet")
    task = load_task(str(tmp_path / "a.parquet"))
    assert contents(task) == (("a", "b", "c"), [0, 1, 0], ("x", "y"), "classes")


@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv"])
def test_line_ends_of_windows_and_a_byte_order_mark_change_nothing(kind: str, tmp_path: Path) -> None:
    lines = {
        "jsonl": ['{"text": "é", "label": "a"}', '{"text": "y", "label": "b"}'],
        "csv": ["text,label", "é,a", "y,b"],
    }
    lines["tsv"] = [line.replace(",", "\t") for line in lines["csv"]]
    path = tmp_path / f"имя и пробел.{kind}"
    path.write_bytes("\r\n".join(lines[kind]).encode("utf-8-sig"))
    assert contents(load_task(str(path))) == (("é", "y"), [0, 1], ("a", "b"), "classes")


def test_the_field_limit_of_the_csv_module_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "x" * 200_000 + ",0\nb,1\n")
    limit = csv.field_size_limit()
    assert len(load_task(str(path)).train.texts[0]) == 200_000
    path.write_text("text,label\na\n")
    with pytest.raises(InputError):
        load_task(str(path))
    assert csv.field_size_limit() == limit

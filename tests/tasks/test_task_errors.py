"""Malformed task files: each gives one sentence that names the file, the line, the cause and the remedy."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ntps.errors import InputError
from ntps.tasks.load import load_task
from ntps.tasks.sources import lines

GOOD = [{"text": f"text {i}", "label": i % 2} for i in range(4)]


def json_lines(*rows: object) -> bytes:
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows).encode()


def broken_gzip() -> bytes:
    return gzip.compress(json_lines(*GOOD * 1000), mtime=0)[:-20]


def parquet(rows: list[dict[str, object]]) -> bytes:
    return parquet_table(pa.Table.from_pylist(rows))


def parquet_table(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


MALFORMED: dict[str, tuple[str, bytes, tuple[str, ...]]] = {
    "wrong encoding": ("a.jsonl", json_lines(GOOD[0]) + '{"text": "é"}'.encode("latin-1"), ("line 2", "UTF-8")),
    "UTF-16": ("a.csv", "text,label\na,1\n".encode("utf-16"), ("line 1", "UTF-16")),
    "broken JSON": ("a.jsonl", json_lines(*GOOD[:2], '{"text": "x", "label":'), ("line 3", "broken JSON")),
    "two objects on a line": ("a.jsonl", json_lines(GOOD[0], '{"text": "x"} {"text": "y"}'), ("line 2", "broken JSON")),
    "deep JSON": ("a.jsonl", json_lines(GOOD[0], "[" * 100_000), ("line 2", "broken JSON")),
    "number of 5000 digits": ("a.jsonl", json_lines('{"text": "a", "label": ' + "1" * 5000 + "}"), ("line 1", "JSON")),
    "not an object": ("a.jsonl", json_lines(GOOD[0], "[1, 2]"), ("line 2", "not a JSON object")),
    "JSON array": ("a.jsonl", json.dumps(GOOD).encode(), ("line 1", "not a JSON object")),
    "key twice": ("a.jsonl", json_lines('{"text": "x", "text": "y", "label": 1}'), ("line 1", "'text'", "twice")),
    "ragged CSV": ("a.csv", b"text,label\na,0\nb, c,1\n", ("line 3", "3 fields", "2")),
    "short CSV line": ("a.csv", b'text,label\n"two\nlines",0\nb\n', ("line 4", "1 fields")),
    "ragged TSV": ("a.tsv", b"text\tlabel\na\t0\tx\n", ("line 2", "3 fields")),
    "duplicate columns": ("a.csv", b"text,label,text\na,0,b\n", ("line 1", "'text'", "twice")),
    "semicolons in a CSV": ("a.csv", b"text;label\na;0\nb;1\n", ("line 1", "'text;label'", "commas")),
    "commas in a TSV": ("a.tsv", b"text,label\na,0\nb,1\n", ("line 1", "'text,label'", "tabs")),
    "open quote": ("a.csv", b'text,label\na,0\n"b,1\nc,0\n', ("line 3", "quoting")),
    "text after a quote": ("a.csv", b'text,label\n"a" b,0\n', ("line 2", "quoting")),
    "mixed labels": (
        "a.jsonl",
        json_lines(*GOOD, {"text": "x", "label": "spam"}),
        ("line 5", "line 1", "mixes", "'spam'"),
    ),
    "words among decimals": ("a.csv", b"text,label\na,0\nb,1.5\nc,bad\n", ("line 4", "mixes", "'bad'", "line 3")),
    "object as label": ("a.jsonl", json_lines(GOOD[0], {"text": "x", "label": {"a": 1}}), ("line 2", "no label")),
    "empty file": ("a.jsonl", b"", ("no rows",)),
    "empty CSV": ("a.csv", b"", ("empty",)),
    "header only": ("a.csv", b"text,label\n", ("no rows",)),
    "not gzip": ("a.jsonl.gz", json_lines(*GOOD), ("not a gzip file",)),
    "truncated gzip": ("a.jsonl.gz", broken_gzip(), ("truncated",)),
    "not Parquet": ("a.parquet", json_lines(*GOOD), ("Parquet",)),
    "truncated Parquet": ("a.parquet", parquet(GOOD)[:-30], ("Parquet",)),
    "empty Parquet": ("a.parquet", parquet(GOOD[:0]), ("no rows",)),
    "duplicate Parquet columns": (
        "a.parquet",
        parquet_table(pa.table([["a", "b"], [0, 1], [1, 0]], names=["text", "label", "label"])),
        ("'label'", "twice"),
    ),
    "NUL bytes": ("a.csv", b"text,label\na,0\nb\0,1\n", ("line 3", "NUL")),
    "column missing on a line": ("a.jsonl", json_lines(*GOOD, {"text": "x"}), ("line 5", "'label'")),
    "text missing on a line": ("a.jsonl", json_lines(*GOOD, {"label": 1}), ("line 5", "'text'")),
    "no label column": ("a.csv", b"text,other\na,b\nc,d\n", ("`label_column`", "'text', 'other'")),
    "no text column": ("a.csv", b"label,size\n0,1\n1,2\n", ("`text_columns`", "'size'")),
    "all labels missing": ("a.csv", b"text,label\na,\nb,\n", ("no row can be used", "2 with missing label")),
    "all texts empty": ("a.csv", b"text,label\n,1\n  ,0\n", ("no column of texts",)),
    "one class": ("a.csv", b"text,label\na,1\nb,1\n", ("one class", "'1'")),
    "one class beside unlabelled": ("a.csv", b"text,label\na,1\nb,N/A\n", ("one class", "1 with missing label")),
    "text is a number": ("a.jsonl", json_lines(*GOOD, {"text": 5, "label": 1}), ("line 5", "'5' (int)")),
    "text is a number in Parquet": ("a.parquet", parquet([{"text": 5, "label": 1}]), ("no column of texts",)),
    "infinite label": (
        "a.jsonl",
        json_lines({"text": "a", "label": 0.5}, '{"text": "b", "label": 1e999}'),
        ("line 2", "inf"),
    ),
    "labels that are texts": (
        "a.jsonl",
        json_lines(*({"text": "same", "label": f"text {i}"} for i in range(150))),
        ("150 distinct values", "`label_column`"),
    ),
    "label beyond float64": (
        "a.jsonl",
        json_lines({"text": "a", "label": 0.5}, {"text": "b", "label": 10**400}),
        ("line 2", "not a finite float64"),
    ),
    "label beyond float64 in a list": (
        "a.jsonl",
        json_lines({"text": "a", "label": [0.5, 5]}, {"text": "b", "label": [0, 10**400]}),
        ("line 2", "not a finite float64"),
    ),
    "class of 400 digits": (
        "a.jsonl",
        json_lines({"text": "a", "label": 1}, {"text": "b", "label": 10**400}),
        ("line 2", "more than 300 digits"),
    ),
    "class of 400 digits in a list": (
        "a.jsonl",
        json_lines({"text": "a", "label": [0, 5]}, {"text": "b", "label": [0, 10**400]}),
        ("line 2", "more than 300 digits"),
    ),
    "empty lists": ("a.jsonl", json_lines({"text": "a", "label": []}, {"text": "b", "label": []}), ("list", "empty")),
    "null in a list": ("a.jsonl", json_lines({"text": "a", "label": ["x", None]}), ("neither", "NoneType")),
    "truth values among numbers": ("a.jsonl", json_lines({"text": "a", "label": [True, 0.5]}), ("neither", "bool")),
    "lists in lists": ("a.jsonl", json_lines({"text": "a", "label": [["x"]]}), ("neither", "list")),
    "half a character": (
        "a.jsonl",
        json_lines(GOOD[0], {"text": "\ud83d", "label": 1}),
        ("line 2", "half a character"),
    ),
    "half a character in a label": (
        "a.jsonl",
        json_lines({"text": "a", "label": "x"}, {"text": "b", "label": "x\udc00"}),
        ("line 2", "'label'", "half a character"),
    ),
    "lists of unequal length": (
        "a.jsonl",
        json_lines({"text": "a", "label": [1, 0]}, {"text": "b", "label": [1, 0, 1]}),
        ("line 2", "3 labels", "line 1"),
    ),
    "list of mixed kinds": ("a.jsonl", json_lines({"text": "a", "label": [1, "x"]}), ("neither",)),
    "unknown ending": ("a.xlsx", b"text,label\na,0\n", ("unknown kind", ".jsonl")),
    "two texts": (
        "a.jsonl",
        json_lines({"premise": "a", "hypothesis": "b", "label": 0}),
        ("'premise', 'hypothesis'", "`text_columns`"),
    ),
    "two labels": (
        "a.jsonl",
        json_lines({"text": "a", "emotion": "x", "intent": "y"}),
        ("'emotion', 'intent'", "`label_column`"),
    ),
}


def message_of(action: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        action()
    assert caught.value.exit_status == 2
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_file_gives_one_sentence(kind: str, tmp_path: Path) -> None:
    name, content, expected = MALFORMED[kind]
    path = tmp_path / name
    path.write_bytes(content)
    message = message_of(lambda: load_task(str(path)))
    assert str(path) in message
    for part in expected:
        assert part in message


def test_a_huge_line_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 2**20)
    path = tmp_path / "a.jsonl"
    path.write_bytes(json_lines(GOOD[0], {"text": "x" * 2**21, "label": 1}))
    message = message_of(lambda: load_task(str(path)))
    assert "line 2" in message
    assert "1 MiB" in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n")
    path.chmod(0)
    assert "cannot be read" in message_of(lambda: load_task(str(path)))


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.csv").mkdir()
    assert "train.csv is a folder" in message_of(lambda: load_task(str(folder)))


def test_a_folder_needs_a_train_file(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("text,label\na,0\n")
    message = message_of(lambda: load_task(str(tmp_path)))
    assert str(tmp_path) in message
    assert "train.jsonl" in message


def test_a_folder_holds_each_split_once(tmp_path: Path) -> None:
    for name in ("train.csv", "train.tsv"):
        (tmp_path / name).write_text("text,label\n")
    message = message_of(lambda: load_task(str(tmp_path)))
    assert "train.csv" in message
    assert "train.tsv" in message


@pytest.mark.parametrize("names", ["{", '{"label_names": "a"}', '{"label_names": ["a", "a"]}'])
def test_a_broken_description_is_named(names: str, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\na,0\nb,1\n")
    (tmp_path / "dataset.json").write_text(names)
    assert "dataset.json" in message_of(lambda: load_task(str(tmp_path)))


def test_a_label_without_a_known_name_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\na,0\nb,1\nc,2\n")
    (tmp_path / "dataset.json").write_text('{"label_names": ["no", "yes"]}')
    message = message_of(lambda: load_task(str(tmp_path)))
    assert "line 4" in message
    assert "2 known classes" in message


def test_the_test_file_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\na,0\nb,1\n")
    (tmp_path / "test.csv").write_text("texts,label\na,0\nb,1\n")
    message = message_of(lambda: load_task(str(tmp_path)))
    assert "test.csv has no column 'text'" in message


def test_splits_without_a_common_class_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\na,good\nb,bad\n")
    (tmp_path / "test.csv").write_text("text,label\na,Good\nb,Bad\n")
    assert "no class in common" in message_of(lambda: load_task(str(tmp_path)))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"text_columns": ["missing"]}, "no column 'missing'"),
        ({"label_column": "missing"}, "no column 'missing'"),
        ({"text_columns": ["label"], "label_column": "label"}, "both as text and as label"),
        ({"text_columns": ["text", "text"]}, "named twice"),
        ({"split": "test"}, "no split 'test'"),
        ({"limit": 1}, "raise `limit`"),
        ({"limit": 2, "limit_first": True}, "leave out `limit_first`"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, object], expected: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,0\nb,0\nc,1\nd,1\n")
    assert expected in message_of(lambda: load_task(str(path), **options))  # type: ignore[arg-type]

"""Groups: which texts belong together, as a column or a list says, and what no fold may cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntps.errors import InputError
from ntps.jobs.blocks import SplitBlock
from ntps.options.shared import TaskOptions
from ntps.tasks.build import LoadOptions, build_task
from ntps.tasks.from_lists import task_from_lists
from ntps.tasks.load import load_task
from ntps.tasks.sources.source import Source
from ntps.tasks.sources.table import Table
from ntps.tasks.splits import hold_out
from ntps.tasks.task import Split, Task

TEXTS, LABELS = ("one", "two", "three", "four", "five"), (0, 1, 0, 1, 0)
AUTHORS = ("ann", "bob", "ann", "eve", "bob")

Write = Callable[[Path, Sequence[dict[str, Any]]], None]


def rows_of(groups: Sequence[object], texts: Sequence[str] = TEXTS) -> list[dict[str, Any]]:
    return [
        {"text": text, "label": label, "author": group}
        for text, label, group in zip(texts, LABELS, groups, strict=False)
    ]


def write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def load(path: Path, groups: Sequence[object], **options: Any) -> Task:
    write_lines(path / "a.jsonl", rows_of(groups))
    return load_task(path / "a.jsonl", group_column="author", **options)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def numbers(split: Split | None) -> list[int]:
    assert split is not None and split.groups is not None
    found: list[int] = split.groups.tolist()
    return found


@pytest.mark.parametrize("ending", ["jsonl", "csv", "tsv", "parquet"])
@pytest.mark.parametrize("values", [AUTHORS, (7, 3, 7, 12, 3), (0.5, 1.5, 0.5, 2.0, 1.5)])
def test_equal_values_are_one_group_in_every_kind_of_file(
    ending: str, values: Sequence[object], tmp_path: Path
) -> None:
    path, frame = tmp_path / f"a.{ending}", pd.DataFrame(rows_of(values))
    match ending:
        case "jsonl":
            write_lines(path, rows_of(values))
        case "parquet":
            frame.to_parquet(path)
        case _:
            frame.to_csv(path, index=False, sep="," if ending == "csv" else "\t")
    task = load_task(path, group_column="author")
    assert numbers(task.train) == [0, 1, 0, 2, 1]
    assert (task.train.group_count, task.selection["group_column"]) == (3, "author")
    assert task.train.texts == TEXTS and task.selection["label_column"] == "label"


def test_days_and_truth_values_are_groups(tmp_path: Path) -> None:
    days = pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-01", "2020-01-01", "2020-01-03"])
    pd.DataFrame({"text": TEXTS, "label": LABELS, "day": days, "new": [True, False] * 2 + [True]}).to_parquet(
        tmp_path / "a.parquet"
    )
    assert numbers(load_task(tmp_path / "a.parquet", group_column="day").train) == [0, 1, 0, 0, 2]
    assert numbers(load_task(tmp_path / "a.parquet", group_column="new").train) == [0, 1, 0, 1, 0]


def test_values_are_compared_as_they_are(tmp_path: Path) -> None:
    assert numbers(load(tmp_path, ["a", "A", "a ", "a", "01"]).train) == [0, 1, 2, 0, 3]
    assert numbers(load(tmp_path, [1, 1.0, 2, 10**400, 10**400]).train) == [0, 0, 1, 2, 2]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, ("line 4: no group in column 'author'",)),
        (float("nan"), ("line 4: no group in column 'author'",)),
        (" ", ("line 4: no group in column 'author'",)),
        (["ann"], ("line 4", "holds ['ann'] (list), which is no group", "`group_column`")),
        ({"a": 1}, ("line 4", "(dict), which is no group")),
        (1, ("line 4", "mixes kinds, 1 here and 'ann' at", "line 1")),
        (True, ("line 4", "mixes kinds, True here and 'ann' at")),
    ],
)
def test_what_is_no_group_is_refused(value: object, words: Sequence[str], tmp_path: Path) -> None:
    message = refusal(lambda: load(tmp_path, ["ann", "bob", "ann", value, "bob"]))
    assert all(word in message for word in words), message


def test_a_number_and_its_writing_are_not_mixed(tmp_path: Path) -> None:
    """The author 1 of a typed file may be the author 1 of a CSV file, or may not."""
    write_lines(tmp_path / "train.jsonl", rows_of([1, 2, 1, 2, 3]))
    (tmp_path / "test.csv").write_text("text,label,author\nsix,0,1\n")
    assert "test.csv, line 2" in refusal(lambda: load_task(tmp_path, group_column="author"))


def test_rows_that_are_left_out_need_no_group(tmp_path: Path) -> None:
    rows = rows_of(["ann", None, "ann", None, "bob"])
    rows[1]["text"], rows[3]["label"] = "", None
    write_lines(tmp_path / "a.jsonl", [*rows, {"text": "six", "label": 1, "author": "ann"}])
    task = load_task(tmp_path / "a.jsonl", group_column="author")
    assert task.train.texts == ("one", "three", "five", "six") and numbers(task.train) == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"group_column": "writer"}, "no column 'writer'"),
        ({"group_column": ""}, "no column ''"),
        ({"group_column": "label", "label_column": "label"}, "both as label and as group"),
    ],
)
def test_columns_that_cannot_be_groups_are_refused(options: dict[str, str], words: str, tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", rows_of(AUTHORS))
    assert words in refusal(lambda: load_task(tmp_path / "a.jsonl", **options))  # type: ignore[arg-type]


def test_a_column_of_groups_is_detected_neither_as_text_nor_as_label(tmp_path: Path) -> None:
    frame = pd.DataFrame({"title": AUTHORS, "words": TEXTS, "kind": LABELS})
    frame.to_csv(tmp_path / "a.csv", index=False)
    task = load_task(tmp_path / "a.csv", group_column="title")
    assert (task.train.texts, task.selection["label_column"]) == (TEXTS, "kind")


def test_pairs_with_a_common_text_are_a_group(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", rows_of(AUTHORS))
    task = load_task(tmp_path / "a.jsonl", text_columns=["author", "text"], group_column="author")
    assert task.train.texts[0] == "ann one" and numbers(task.train) == [0, 1, 0, 2, 1]


def test_numbers_mean_the_same_in_both_splits(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", rows_of(AUTHORS))
    write_lines(tmp_path / "test.jsonl", rows_of(["zoe", "eve", "zoe", "ann", "sue"]))
    task = load_task(tmp_path, group_column="author")
    assert (numbers(task.train), numbers(task.test)) == ([0, 1, 0, 2, 1], [3, 2, 3, 0, 4])
    assert task.shared_groups == 2 and task.test is not None and task.test.group_count == 4
    limited = load_task(tmp_path, group_column="author", limit=2, limit_first=True, limit_test=5)
    assert (numbers(limited.train), numbers(limited.test)) == ([0, 1], [2, 3, 2, 0, 4])
    assert limited.shared_groups == 1


def test_a_test_split_without_groups_is_used_and_said(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", rows_of(AUTHORS))
    (tmp_path / "test.csv").write_text("text,label\nsix,0\n")
    task = load_task(tmp_path, group_column="author")
    assert task.test is not None and task.test.groups is None and task.shared_groups == 0
    assert any("'test' has no column 'author'" in note for note in task.notes)


def test_the_fingerprint_depends_on_groups_where_there_are_any(tmp_path: Path) -> None:
    plain = task_from_lists(TEXTS, LABELS).train
    lines = "".join(json.dumps([text, label]) + "\n" for text, label in zip(TEXTS, LABELS, strict=True))
    assert plain.fingerprint == sha256(lines.encode()).hexdigest()
    groups: list[list[object]] = [[*AUTHORS], [5, 6, 5, 7, 6], ["ann"] * 5, [*TEXTS]]
    prints = [task_from_lists(TEXTS, LABELS, groups=each).train.fingerprint for each in groups]
    # Names do not matter, and neither does whether they come from a file.
    assert prints[0] == prints[1] == load(tmp_path, AUTHORS).train.fingerprint
    assert len({plain.fingerprint, *prints}) == 4


def test_lists_have_groups_too() -> None:
    groups = np.array([2, 2, 9, 9, 2])
    task = task_from_lists(
        TEXTS, LABELS, groups=groups, test_texts=["six", "ten"], test_labels=[0, 1], test_groups=[9, 1]
    )
    assert (numbers(task.train), numbers(task.test), task.shared_groups) == ([0, 0, 1, 1, 0], [1, 2], 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"groups": "abc"}, "5 texts but 3 groups"),
        ({"test_groups": "a", "test_texts": ["six"], "test_labels": [0]}, "beside groups"),
        ({"groups": AUTHORS, "test_groups": "a"}, "groups of test_texts"),
        ({"groups": ["a", "a", "b", "b", float("nan")]}, "row 5: no group"),
    ],
)
def test_lists_that_do_not_fit_are_refused(given: dict[str, Any], words: str) -> None:
    assert words in refusal(lambda: task_from_lists(TEXTS, LABELS, **given))


def test_texts_stand_alone_unless_something_joins_them() -> None:
    assert task_from_lists(TEXTS, LABELS).train.kept_together is None
    assert task_from_lists(TEXTS, LABELS, groups=TEXTS).train.kept_together is None
    repeated = task_from_lists(["a", "b", "a", "c", "a "], LABELS).train.kept_together
    assert repeated is not None and repeated.tolist() == [0, 1, 0, 2, 3]
    chained = task_from_lists(["a", "b", "a", "c", "b"], LABELS, groups=[1, 2, 3, 3, 4]).train.kept_together
    assert chained is not None and chained.tolist() == [0, 1, 0, 0, 1]


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=2, max_size=40))
def test_what_is_kept_together_is_what_chains_connect(pairs: list[tuple[int, int]]) -> None:
    """Against repeated passes that join two texts at a time."""
    count = len(pairs)
    groups = np.array([group for _, group in pairs])
    expected = list(range(count))
    for _ in range(count):
        for one in range(count):
            for other in range(count):
                if pairs[one][0] == pairs[other][0] or pairs[one][1] == pairs[other][1]:
                    expected[one] = expected[other] = min(expected[one], expected[other])
    found = Split("train", [str(text) for text, _ in pairs], np.zeros(count, np.int64), groups=groups).kept_together
    order = {root: number for number, root in enumerate(dict.fromkeys(expected))}
    alone = len(order) == count
    assert (found is None) == alone
    if found is not None:
        assert found.tolist() == [order[root] for root in expected]


def test_whole_groups_are_held_out() -> None:
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(100), 4))
    texts = tuple(f"text {min(row, 396)}" for row in range(400))
    whole = Split("train", texts, rng.integers(0, 3, 400), groups=groups)
    train, test = hold_out(whole, "classes")
    assert len(train) + len(test) == 400 and train.dropped == {"held out": len(test)}
    assert not set(numbers(train)) & set(numbers(test)) and not set(train.texts) & set(test.texts)
    assert abs(len(test) - 120) <= 12


def test_a_source_without_a_test_split_says_that_groups_stay_whole() -> None:
    columns = {
        "text": [f"text {row}" for row in range(40)],
        "label": [row % 2 for row in range(40)],
        "group": [row // 4 for row in range(40)],
    }
    source = Source("memory", ("train",), lambda _: Table("memory", columns), hold_out=True)
    task = build_task("memory", source, LoadOptions(group_column="group"))
    assert task.shared_groups == 0 and len(set(numbers(task.train))) == 7
    assert any("groups whole" in note for note in task.notes)
    alone = build_task("memory", source, LoadOptions(group_column="group", split="test"))
    assert alone.train.texts == (task.test and task.test.texts) and numbers(alone.train)[0] == 0


def test_the_embedded_task_has_no_groups() -> None:
    assert load_task(limit=20).train.groups is None and TaskOptions().group_column is None
    assert "`group_column`" in refusal(lambda: load_task(group_column="label"))


def test_older_blocks_have_no_groups() -> None:
    digests = dict.fromkeys(("fingerprint", "texts_fingerprint", "tokens_fingerprint"), "0" * 64)
    older = {"split": "train", "texts": 1, "tokens": 1, "dropped": {}, "truncated": 0, **digests}
    assert SplitBlock.model_validate(older).groups is None

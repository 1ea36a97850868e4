"""What a task's name may be, and which of its meanings wins."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ntps.errors import InputError
from ntps.tasks.catalogue import known_tasks
from ntps.tasks.load import load_task
from ntps.tasks.registry import REGISTRY
from ntps.tasks.splits import hold_out
from ntps.tasks.task import Split

COPIES = [name for name, entry in REGISTRY.items() if entry.copy_rows]


def write_copy(data: Path, name: str, texts: int = 40) -> Path:
    folder = data / name
    folder.mkdir(parents=True)
    rows = [json.dumps({"text": f"text {i}", "label": i % 2}) for i in range(texts)]
    (folder / "train.jsonl").write_text("\n".join(rows))
    (folder / "test.jsonl").write_text("\n".join(rows[: texts // 2]))
    return folder


@pytest.mark.parametrize("name", COPIES)
def test_every_shared_copy_loads_by_name_with_its_row_counts(name: str, shared: Path) -> None:
    described = json.loads((shared / "data" / name / "dataset.json").read_text())
    task = load_task(name, data_dir=shared / "data")
    assert task.test is not None
    assert (len(task.train), len(task.test)) == REGISTRY[name].copy_rows == tuple(described["rows"].values())
    assert list(task.label_names) == described["label_names"]
    for split in (task.train, task.test):
        counts = task.class_counts(split)
        assert counts is not None
        assert list(counts) == described["label_counts"][split.name]
    assert task.source.startswith(f"registry: {name} (local copy")


def test_the_registry_holds_the_twelve_tasks() -> None:
    assert len(REGISTRY) == 12
    assert len(COPIES) == 11
    for entry in REGISTRY.values():
        assert entry.classes is None or entry.classes == (len(entry.class_names) or 77)
        assert entry.checked == (entry.hub_rows is not None)


def test_the_registry_names_classes_as_the_copies_do(shared: Path) -> None:
    for name in COPIES:
        described = json.loads((shared / "data" / name / "dataset.json").read_text())
        assert REGISTRY[name].class_names in ((), tuple(described["label_names"]))


def test_the_environment_names_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_copy(tmp_path / "one", "sst2", texts=10)
    write_copy(tmp_path / "two", "sst2", texts=20)
    monkeypatch.setenv("NTPS_DATA", str(tmp_path / "one"))
    assert len(load_task("sst2").train) == 10
    assert len(load_task("sst2", data_dir=tmp_path / "two").train) == 20


@pytest.mark.parametrize("by", ["variable", "option", "link"])
def test_the_data_folder_may_be_that_of_the_task_itself(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_copy(tmp_path, "sst2", texts=10)
    if by == "option":
        task = load_task("sst2", data_dir=folder)
    else:
        (tmp_path / "link").symlink_to(folder)
        monkeypatch.setenv("NTPS_DATA", str(folder if by == "variable" else tmp_path / "link"))
        task = load_task("sst2")
    assert len(task.train) == 10 and task.source.startswith("registry: sst2 (local copy")
    assert {each.name: each.local for each in known_tasks(folder) if each.local is not None} == {"sst2": folder}


def test_another_task_than_that_of_the_data_folder_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ntps.tasks.load.hub_source", lambda *_: pytest.fail("the hub was asked"))
    folder = write_copy(tmp_path, "sst2", texts=10)
    monkeypatch.setenv("NTPS_DATA", str(folder))
    with pytest.raises(InputError, match=r"holds the files of one task itself, and no folder emotion: set .*NTPS_DATA"):
        load_task("emotion")
    # Its copy beside that folder is found as the sentence says.
    write_copy(tmp_path, "emotion", texts=20)
    monkeypatch.setenv("NTPS_DATA", str(tmp_path))
    assert len(load_task("emotion").train) == 20


def test_a_tilde_in_the_environment_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_copy(tmp_path / "data", "sst2", texts=10)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NTPS_DATA", "~/data")
    assert len(load_task("sst2").train) == 10


def test_a_path_wins_over_a_name_and_the_task_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_copy(tmp_path / "data", "emotion", texts=10)
    write_copy(tmp_path / "here", "emotion", texts=20)
    monkeypatch.chdir(tmp_path / "here")
    task = load_task("emotion", data_dir=tmp_path / "data")
    assert len(task.train) == 20
    assert task.source == "folder: emotion"
    assert any("not the registry task" in note for note in task.notes)
    monkeypatch.chdir(tmp_path)
    assert len(load_task("emotion", data_dir=tmp_path / "data").train) == 10


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("emotoin", "perhaps you mean emotion."),
        ("docstring", "docstrings"),
        ("zzz", "`ntps tasks`"),
        ("missing.csv", "missing.csv does not exist"),
        ("./missing", "./missing does not exist"),
        ("a/b/c", "a/b/c does not exist"),
        ("folder/missing.jsonl.gz", "does not exist"),
        ("owner/na me", "neither a path"),
        ("", "'' is neither a path"),
        ("a" * 5000, "neither a path"),
    ],
)
def test_a_task_that_is_not_found_says_what_to_do(task: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        load_task(task)
    assert expected in str(caught.value)


def test_a_data_folder_has_to_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_task("sst2", data_dir=tmp_path / "missing")


def test_a_limit_is_a_repeatable_sample_of_both_splits(tmp_path: Path) -> None:
    folder = str(write_copy(tmp_path, "any", texts=100))
    task = load_task(folder, limit=30, seed=3)
    assert task.test is not None
    assert (len(task.train), len(task.test)) == (30, 30)
    assert task.train.fingerprint == load_task(folder, limit=30, seed=3).train.fingerprint
    assert task.train.fingerprint != load_task(folder, limit=30, seed=4).train.fingerprint
    numbers = [int(text.split()[1]) for text in task.train.texts]
    assert numbers == sorted(set(numbers))
    assert numbers != list(range(30))
    assert load_task(folder, limit=200).train.fingerprint == load_task(folder).train.fingerprint


def test_the_test_split_can_have_a_limit_of_its_own(tmp_path: Path) -> None:
    folder = write_copy(tmp_path, "any")
    task = load_task(folder, limit=30, limit_test=5)
    assert task.test is not None
    assert (len(task.train), len(task.test)) == (30, 5)
    assert task.train.fingerprint == load_task(folder, limit=30).train.fingerprint
    alone = load_task(folder, limit_test=5)
    assert alone.test is not None and alone.test.fingerprint == task.test.fingerprint
    assert alone.train.fingerprint == load_task(folder).train.fingerprint
    with pytest.raises(InputError):
        load_task(folder, limit_test=0)


def test_a_limit_can_be_a_prefix(tmp_path: Path) -> None:
    task = load_task(str(write_copy(tmp_path, "any")), limit=7, limit_first=True)
    assert task.train.texts == tuple(f"text {i}" for i in range(7))


def test_a_limit_keeps_the_class_names_of_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"text {i},c{i % 7}\n" for i in range(70)))
    task = load_task(str(path), limit=3, limit_first=True)
    assert task.outputs == 7
    assert task.train.labels.tolist() == [0, 1, 2]


def test_holding_out_keeps_shares_order_and_rows() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [100, 50, 7]))
    whole = Split("train", tuple(f"text {i}" for i in range(157)), labels, {"empty text": 2})
    train, test = hold_out(whole, "classes")
    assert np.bincount(test.labels).tolist() == [30, 15, 2]
    assert sorted((*train.texts, *test.texts)) == sorted(whole.texts)
    numbers = [int(text.split()[1]) for text in train.texts]
    assert numbers == sorted(numbers)
    assert labels[numbers].tolist() == train.labels.tolist()
    assert hold_out(whole, "classes")[1].fingerprint == test.fingerprint
    assert (train.name, test.name, train.dropped) == (
        "train",
        "test",
        {"empty text": 2, "held out": 47},
    )


def test_known_tasks_say_what_is_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NTPS_DATA", raising=False)
    folder = write_copy(tmp_path, "sst2")
    rows = {row.name: row for row in known_tasks(tmp_path)}
    assert list(rows) == ["docstrings", *REGISTRY]
    embedded = rows["docstrings"]
    assert (embedded.classes, embedded.train_rows, embedded.test_rows) == (6, 2100, 900)
    assert rows["sst2"].local == folder
    assert (rows["sst2"].train_rows, rows["sst2"].test_rows, rows["sst2"].classes) == (None, None, None)
    (folder / "dataset.json").write_text('{"rows": {"train": 40, "test": 20}, "label_names": ["0", "1"]}')
    described = {row.name: row for row in known_tasks(tmp_path)}["sst2"]
    assert (described.train_rows, described.test_rows, described.classes) == (40, 20, 2)
    assert rows["imdb"].local is None
    assert all(row.local is None for row in known_tasks())


def test_a_remark_concerns_the_copy_or_the_hub(tmp_path: Path) -> None:
    write_copy(tmp_path, "intent")
    assert any("SNIPS" in note for note in load_task("intent", data_dir=tmp_path).notes)
    for folder, said, unsaid in ((tmp_path, "SNIPS", "repeat train"), (None, "repeat train", "SNIPS")):
        remark = {row.name: row for row in known_tasks(folder)}["intent"].remark
        assert said in remark and unsaid not in remark


def test_a_path_object_is_a_task(tmp_path: Path) -> None:
    folder = write_copy(tmp_path, "any")
    assert load_task(folder).source == load_task(str(folder)).source


def test_the_embedded_task_is_the_default_and_can_be_limited() -> None:
    embedded = load_task()
    assert embedded.test is not None
    for task in (load_task(), load_task("docstrings")):
        assert task.test is not None and task.selection["available"] == 2100
        assert task.train.fingerprint == embedded.train.fingerprint
        assert task.test.fingerprint == embedded.test.fingerprint
    task = load_task(limit=50)
    assert task.test is not None
    assert (len(task.train), len(task.test)) == (50, 50)
    for options in ({"split": "test"}, {"label_column": "label"}, {"group_column": "label"}, {"limit": 0}):
        with pytest.raises(InputError):
            load_task(**options)


def test_a_task_records_how_its_texts_were_chosen(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": f"text {row}", "label": row % 2}) + "\n" for row in range(9)))
    task = load_task(str(path), limit=4, seed=7)
    assert task.selection == {
        "text_columns": ["text"],
        "label_column": "label",
        "group_column": None,
        "split": "train",
        "limit": 4,
        "limit_first": False,
        "limit_test": None,
        "seed": 7,
        "available": 9,
    }

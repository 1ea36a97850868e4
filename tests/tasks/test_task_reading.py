"""People's files as they are: lone quotes, lost headers, shards, folders of other programs, splits without labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntps.errors import InputError
from ntps.tasks.from_lists import task_from_lists
from ntps.tasks.load import load_task
from ntps.tasks.splits import hold_out, limited
from ntps.tasks.task import Task

HEADER = "text,label\n"


def rows(count: int, first: int = 0) -> str:
    return "".join(f"text number {i},{i % 2}\n" for i in range(first, first + count))


def json_rows(count: int, first: int = 0) -> str:
    return "".join(json.dumps({"text": f"text number {i}", "label": i % 2}) + "\n" for i in range(first, first + count))


def folder(path: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content, encoding="utf-8")
    return path


def refusal(task: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        load_task(task)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_quotes(separator: str, label_first: bool, opening: int, closing: int) -> str:
    """Sixty rows, two of whose texts hold one quote mark each: at the beginning of one, at the end of the other."""
    lines = []
    for i in range(60):
        text = {opening: '"Great phone I love it', closing: 'they called it a dream"'}.get(i, f"text {i}")
        fields = (str(i % 2), text) if label_first else (text, str(i % 2))
        lines.append(separator.join(fields))
    head = ("label", "text") if label_first else ("text", "label")
    return "\n".join([separator.join(head), *lines]) + "\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("label_first", [False, True])
@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.tsv", "\t")])
@pytest.mark.parametrize("closing", [11, 12, 40])
def test_a_lone_quote_swallows_no_rows(
    name: str, separator: str, label_first: bool, closing: int, end: str, tmp_path: Path
) -> None:
    content = with_quotes(separator, label_first, 10, closing)
    (tmp_path / name).write_bytes(content.replace("\n", end).encode())
    message = refusal(tmp_path / name)
    assert "line 12:" in message
    assert f"line {closing + 2} only" in message


@pytest.mark.parametrize(
    "text",
    [
        "Dear sir,\nthank you",
        "Roses are red,\nViolets are blue,\nSugar is sweet,\nAnd so are you",
        "a list:\n1\n2\n3",
        'she said "hi",\nand left',
        "one\ntwo\n\nfour",
        "a, b\nc, d",
    ],
)
def test_texts_of_several_lines_stay_whole(text: str, tmp_path: Path) -> None:
    written = '"' + text.replace('"', '""') + '"'
    (tmp_path / "a.csv").write_text(f"{HEADER}{rows(20)}{written},1\n{rows(20)}")
    task = load_task(tmp_path / "a.csv")
    assert task.train.texts[20] == text
    assert len(task.train) == 41


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.csv", "{label},review number {i} of a film"),
        ("a.tsv", "{label}\treview number {i} of a film"),
        ("b.csv", "a film of number {i},{decimal}"),
        ("c.csv", "{i},{word},a film of number {i}"),
    ],
)
def test_a_file_without_a_header_is_refused(name: str, line: str, tmp_path: Path) -> None:
    written = [line.format(label=i % 2, i=i, decimal=i / 7, word=["pos", "neg"][i % 2]) for i in range(40)]
    (tmp_path / name).write_text("\n".join(written))
    assert "the first line" in refusal(tmp_path / name)


@pytest.mark.parametrize("header", ["spam,message", "0,1"])
def test_names_that_could_be_names_are_no_row(header: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\n" + "".join(f"{['spam', 'ham'][i % 2]},a text {i}\n" for i in range(9)))
    assert "no column of labels by name" in refusal(tmp_path / "a.csv")


def test_columns_that_are_named_need_no_likely_header(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "toxic,kommentar\n" + "".join(f"{['toxic', 'fine'][i % 2]},a {i}\n" for i in range(8))
    )
    assert "the first line" in refusal(tmp_path / "a.csv")
    named = load_task(tmp_path / "a.csv", text_columns=["kommentar"], label_column="toxic")
    assert (len(named.train), named.label_names) == (8, ("fine", "toxic"))


def test_a_header_that_stands_twice_is_no_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + rows(4) + HEADER + rows(4))
    assert "line 6" in refusal(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["Test.csv", "TEST.CSV", "test-00000-of-00001.csv"])
def test_a_test_file_is_found_by_any_of_its_names(name: str, tmp_path: Path) -> None:
    task = load_task(folder(tmp_path, {"train.csv": HEADER + rows(8), name: HEADER + rows(4, 8)}))
    assert task.test is not None
    assert task.test.texts == tuple(f"text number {i}" for i in range(8, 12))
    assert not any("not read" in note for note in task.notes)


def test_files_that_are_not_read_are_named(tmp_path: Path) -> None:
    others = {name: HEADER + rows(4) for name in ("test_data.csv", "train_2.csv", "test.json", "more/train.csv")}
    spared = dict.fromkeys(("README.md", "LICENSE", ".gitattributes"), "")
    named = {"dataset.json": '{"label_names": ["no", "yes"]}', "validation.csv": HEADER + rows(4, 20)}
    files = {"train.csv": HEADER + rows(8), "test.csv": HEADER + rows(4, 8), **others, **spared, **named}
    notes = load_task(folder(tmp_path, files)).notes
    assert f"In {tmp_path}, more, test.json, test_data.csv, train_2.csv are not read." in notes
    assert "Not read: validation (a split)." in notes


@pytest.mark.parametrize("place", ["", "data/"])
@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_shards_are_one_split(kind: str, place: str, tmp_path: Path) -> None:
    (tmp_path / place).mkdir(exist_ok=True)
    for number in range(3):
        path = tmp_path / f"{place}train-{number:05}-of-00003.{kind}"
        if kind == "parquet":
            texts = [f"text number {i}" for i in range(10 * number, 10 * number + 10)]
            pq.write_table(pa.table({"text": texts, "label": [0, 1] * 5}), path)
        else:
            path.write_text(json_rows(10, 10 * number) if kind == "jsonl" else HEADER + rows(10, 10 * number))
    task = load_task(tmp_path)
    assert task.train.texts == tuple(f"text number {i}" for i in range(30))
    assert task.train.labels.tolist() == [0, 1] * 15
    assert not any("not read" in note for note in task.notes)
    (tmp_path / f"{place}train-00001-of-00003.{kind}").unlink()
    assert "2 of the 3 files" in refusal(tmp_path)


def test_a_row_of_a_shard_is_named_with_its_file(tmp_path: Path) -> None:
    folder(
        tmp_path,
        {"train-00000-of-00002.jsonl": json_rows(4), "train-00001-of-00002.jsonl": '{"text": "x", "label": {}}\n'},
    )
    assert "train-00001-of-00002.jsonl, line 1" in refusal(tmp_path)


def test_shards_of_several_kinds_are_no_split(tmp_path: Path) -> None:
    names = ("train-00000-of-00002.csv", "train-00001-of-00002.tsv")
    folder(tmp_path, {name: (HEADER + rows(4)).replace(",", ",\t"["tsv" in name]) for name in names})
    assert all(name in refusal(tmp_path) for name in names)


def test_a_folder_that_spark_wrote_is_a_file_in_parts(tmp_path: Path) -> None:
    data = tmp_path / "data"
    folder(data / "train.csv", {"part-0.csv": HEADER + rows(5), "part-1.csv": HEADER + rows(5, 5), "_SUCCESS": ""})
    expected = tuple(f"text number {i}" for i in range(10))
    assert load_task(data).train.texts == load_task(data / "train.csv").train.texts == expected
    (data / "train.csv" / "other.txt").write_text("")
    assert "other.txt" in refusal(data)


def test_arrow_folders_are_named_as_such(tmp_path: Path) -> None:
    folder(tmp_path, {"dataset_dict.json": "{}", "train/state.json": "{}"})
    assert "save_to_disk" in refusal(tmp_path)
    assert "save_to_disk" in refusal(tmp_path / "train")


def test_a_column_of_bytes_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [b"a", b"b"], "label": [0, 1]}), tmp_path / "a.parquet")
    assert "column 'text' holds bytes" in refusal(tmp_path / "a.parquet")


@pytest.mark.parametrize("path", ["data/reviews.json", "data/reviews.xlsx", "data/train.csv.zip"])
def test_a_path_that_does_not_exist_is_not_looked_for_on_the_hub(path: str) -> None:
    assert f"{path} does not exist" in refusal(path)


def test_a_test_split_without_the_label_column_is_not_used(tmp_path: Path) -> None:
    kaggle = "id,text\n1,x\n2,y\n"
    files = {"train.csv": HEADER + rows(8), "test.csv": kaggle, "valid.csv": HEADER + rows(4, 8)}
    task = load_task(folder(tmp_path, files))
    assert "The split 'test' has no column 'label' and is not used." in task.notes
    assert task.test is not None and task.test.name == "valid"


def test_without_a_test_no_test_file_is_read(tmp_path: Path) -> None:
    task = load_task(folder(tmp_path, {"train.csv": HEADER + rows(8), "test.csv": ""}), test=False)
    assert task.test is None
    assert "Not read: test (a split)." in task.notes
    assert "empty" in refusal(tmp_path)


def class_labels(path: Path, names: Sequence[str], labels: Sequence[int], many: bool = False) -> None:
    feature: dict[str, object] = {"_type": "ClassLabel", "names": list(names)}
    if many:
        feature = {"_type": "Sequence", "feature": feature}
    written = json.dumps({"info": {"features": {"label": feature}}})
    cells = [[label] for label in labels] if many else list(labels)
    table = pa.table({"text": [f"{names[label]} {row}" for row, label in enumerate(labels)], "label": cells})
    pq.write_table(table.replace_schema_metadata({"huggingface": written}), path)


def named_labels(task: Task, split: str) -> list[str]:
    part = task.train if split == "train" else task.test
    assert part is not None
    codes = part.labels.argmax(axis=1) if part.labels.ndim == 2 else part.labels
    return [task.label_names[int(code)] for code in codes]


@pytest.mark.parametrize("many", [False, True])
@given(data=st.data())
def test_classes_go_by_their_names_in_every_file(
    tmp_path_factory: pytest.TempPathFactory, many: bool, data: st.DataObject
) -> None:
    """However the files order their class names, and where the test file has more of them."""
    place = tmp_path_factory.mktemp("task")
    train = data.draw(st.permutations(["neg", "pos", "so-so"]))
    test = data.draw(st.permutations(["neg", "pos", "so-so", "new"]))
    class_labels(place / "train.parquet", train, [0, 1, 2, 0], many)
    class_labels(place / "test.parquet", test, [3, 2, 1, 0], many)
    described = data.draw(st.sampled_from([None, ["pos", "neg", "so-so", "new"]]))
    if described:
        (place / "dataset.json").write_text(json.dumps({"label_names": described}))
    task = load_task(place)
    assert task.test is not None
    assert task.label_names == (tuple(described) if described else (*train, "new"))
    for split, texts in (("train", task.train.texts), ("test", task.test.texts)):
        assert named_labels(task, split) == [text.split()[0] for text in texts]


def test_described_names_may_be_others(tmp_path: Path) -> None:
    class_labels(tmp_path / "train.parquet", ["neg", "pos"], [0, 1, 1])
    class_labels(tmp_path / "test.parquet", ["pos", "neg"], [0, 1, 1])
    (tmp_path / "dataset.json").write_text('{"label_names": ["schlecht", "gut"]}')
    task = load_task(tmp_path)
    assert named_labels(task, "train") == ["schlecht", "gut", "gut"]
    assert named_labels(task, "test") == ["gut", "schlecht", "schlecht"]


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_number_without_a_name_in_its_own_file_is_refused(split: str, tmp_path: Path) -> None:
    """Whatever the other file calls the class of that number."""
    names = {"train": ["neg", "pos", "so-so"], "test": ["neg", "pos", "so-so"], split: ["neg", "pos"]}
    for name in ("train", "test"):
        class_labels(tmp_path / f"{name}.parquet", names[name], [0, 1, 1])
    written = pq.read_table(tmp_path / f"{split}.parquet")
    labels = pa.array([0, 1, 2], pa.int64())
    pq.write_table(written.set_column(1, written.schema.field("label"), labels), tmp_path / f"{split}.parquet")
    message = refusal(tmp_path)
    assert f"{split}.parquet, row 3: label 2" in message
    assert "2 known classes" in message


@pytest.mark.parametrize(
    ("known", "train", "test"),
    [
        (["X", "Y"], ["a", "b", "c"], ["a", "b", "c", "d"]),
        (["X", "Y", "Z", "W"], ["a", "b", "c"], ["c", "b", "d"]),
        (["pos", "neg"], ["0", "1"], ["0", "1", "pos"]),
    ],
)
def test_names_that_cannot_be_matched_with_those_of_the_tables(
    known: list[str], train: list[str], test: list[str], tmp_path: Path
) -> None:
    class_labels(tmp_path / "train.parquet", train, [0, 1, 1])
    class_labels(tmp_path / "test.parquet", test, [0, 1, 2])
    (tmp_path / "dataset.json").write_text(json.dumps({"label_names": known}))
    assert "name the same classes, or leave the names to the tables" in refusal(tmp_path)


def test_class_numbers_written_as_decimals_go_by_the_names_of_their_own_file(tmp_path: Path) -> None:
    class_labels(tmp_path / "train.parquet", ["neg", "pos"], [0, 1, 1])
    class_labels(tmp_path / "test.parquet", ["pos", "neg"], [0, 1, 1])
    written = pq.read_table(tmp_path / "test.parquet")
    decimals = written.set_column(1, "label", pa.array([0.0, 1.0, None], pa.float64()))
    pq.write_table(decimals.replace_schema_metadata(written.schema.metadata), tmp_path / "test.parquet")
    task = load_task(tmp_path)
    assert task.test is not None
    assert [task.label_names[label] for label in task.test.labels] == ["pos", "neg"]


@pytest.mark.parametrize(("train", "hidden"), [([[0, 1], [1, 0]], [-1, -1]), ([[0, 2], [1]], [-1])])
def test_hidden_lists_of_labels_leave_the_scored_split_as_it_is(
    train: list[list[int]], hidden: list[int], tmp_path: Path
) -> None:
    for name, labels in {"train": train, "test": [hidden, hidden]}.items():
        lines = (json.dumps({"text": f"{name} {index}", "labels": label}) for index, label in enumerate(labels))
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    task = load_task(tmp_path)
    assert (task.kind, task.test) == ("multilabel", None)
    assert "The split 'test' has no labelled texts and is not used." in task.notes


def test_decimals_of_another_file_are_said_to_make_the_task_a_regression(tmp_path: Path) -> None:
    folder(tmp_path, {"train.csv": "text,label\na,0\nb,1\n", "test.csv": "text,label\nc,0\nd,1.0\n"})
    notes = [note for note in load_task(tmp_path).notes if "regression" in note]
    assert len(notes) == 1
    assert "holds decimals, the first at" in notes[0]
    assert "test.csv, line 3" in notes[0]


def test_the_folder_of_the_results_is_not_taken_for_the_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path / "data" / "emotion", {"train.csv": HEADER + rows(8)})
    (tmp_path / "here" / "emotion").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    for name in (".lock", "result.json", "notes.txt"):
        (tmp_path / "here" / "emotion" / name).write_text("{}")
        task = load_task("emotion", data_dir=tmp_path / "data")
        assert task.source.startswith("registry: emotion")
        assert task.notes[0].startswith("The folder 'emotion' holds no train file")
    assert "without a train file (notes.txt" in refusal("./emotion")


def test_a_hub_dataset_has_the_name_of_the_folder_of_its_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_such(name: str, *_: object) -> None:
        raise InputError(f"The hub has no {name}.")

    monkeypatch.setattr("ntps.tasks.load.hub_source", no_such)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "emotion").mkdir(parents=True)
    assert "the name was looked up instead: The hub has no owner/emotion." in refusal("owner/emotion")
    (tmp_path / "owner" / "emotion" / "rows.csv").write_text("")
    assert refusal("owner/emotion").startswith("owner/emotion is a folder without a train file (rows.csv")


CELLS = st.tuples(st.sampled_from(["a text", " ", ""]), st.sampled_from(["0", "1", ""]))


@given(st.lists(CELLS, min_size=30, max_size=60), st.integers(20, 40), st.booleans())
def test_every_row_is_used_or_counted(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str]], limit: int, first: bool
) -> None:
    cells = [("a text", "0"), ("a text", "1")] * 20 + cells
    lines = "".join(f"{text},{label}\n" for text, label in cells)
    place = folder(tmp_path_factory.mktemp("task"), {"train.csv": HEADER + lines, "test.csv": HEADER + lines})
    task = load_task(place, limit=limit, limit_first=first)
    assert task.test is not None
    for split in (task.train, task.test):
        assert len(split) + sum(split.dropped.values()) == len(cells)
        assert split.dropped.get("empty text", 0) == sum(not text.strip() for text, _ in cells)
        assert split.dropped.get("missing label", 0) == sum(bool(text.strip()) and not label for text, label in cells)


def test_held_out_rows_are_counted() -> None:
    whole = task_from_lists([f"text {i}" for i in range(100)] + [""], [i % 2 for i in range(101)]).train
    train, test = hold_out(whole, "classes")
    assert (train.dropped, test.dropped) == ({"empty text": 1, "held out": 30}, {})
    assert limited(train, 50, True, 0).dropped == {"empty text": 1, "held out": 30, "beyond the limit": 20}

"""``ntps predict``: a line for each row, in order and in constant memory, and one sentence for what cannot be."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from ntps import LanguageModel, Task, load_model, load_probe, probe, task_from_lists
from ntps.cli import main
from ntps.prediction import rows
from ntps.tasks.sources.rows import all_texts
from tiny import CONTEXT, random_task, random_texts, save_model, save_rows
from unwrapped import unwrapped

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: object, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ntps", "predict", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed, said = capsys.readouterr()
        return int(str(ended.value.code or 0)), printed, unwrapped(said)

    return command


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(save_model(tmp_path_factory.mktemp("qwen2")))


@pytest.fixture(scope="module")
def task() -> Task:
    return random_task(120, 3, test=60)


@pytest.fixture(scope="module")
def probed(model: LanguageModel, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("probed") / "run"
    probe(model, task, out=out)
    return out


@pytest.fixture(scope="module")
def file(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert task.test is not None
    names = [task.label_names[label] for label in task.test.labels]
    return save_rows(tmp_path_factory.mktemp("rows") / "new.jsonl", task.test.texts, names)


def lines_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_a_line_for_each_row_and_the_accuracy_of_the_probe(
    probed: Path, file: Path, task: Task, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a row is read with few others."""
    monkeypatch.setattr(rows, "ROWS", 7)
    assert task.test is not None
    loaded = load_probe(probed)
    status, out, err = run(probed, file, "--label-column", "label", "--probabilities")
    found = lines_of(out)
    assert status == 0 and [row["label"] for row in found] == loaded.predict(task.test.texts).tolist()
    made = np.array([list(row["probabilities"].values()) for row in found])
    np.testing.assert_allclose(made, loaded.predict_proba(task.test.texts), atol=2e-6)
    assert all(row["probability"] == max(row["probabilities"].values()) for row in found)
    result = json.loads((probed / "result.json").read_text())
    accuracy = result["summary"]["test"]["accuracy"]
    assert re.search(rf"^Accuracy is {100 * accuracy:.1f} % \([\d.]+ to [\d.]+ %\) on 60 rows", err, re.MULTILINE)
    assert "60 texts predicted by the ridge probe of" in err
    # Without a word, and only what is predicted.
    status, out, err = run(probed, file, "-q")
    assert (status, err) == (0, "") and lines_of(out) == [
        {name: row[name] for name in ("label", "probability")} for row in found
    ]


@pytest.mark.parametrize("kind", ["csv", "tsv", "csv.gz", "jsonl.gz", "parquet", "-", "one column.csv"])
def test_every_kind_of_file_says_the_same(
    kind: str, probed: Path, file: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "ROWS", 16)
    expected = run(probed, file, "-q")[1]
    frame = pd.read_json(file, lines=True)
    path = tmp_path / f"new.{kind}"
    match kind:
        case "csv" | "csv.gz":
            frame.to_csv(path, index=False)
        case "one column.csv":
            frame[["text"]].to_csv(path, index=False)
        case "tsv":
            frame.to_csv(path, index=False, sep="\t")
        case "parquet":
            frame.to_parquet(path)
        case "jsonl.gz":
            path.write_bytes(gzip.compress(file.read_bytes()))
        case "-":
            assert run(probed, "-", "-q", stdin=file.read_bytes())[:2] == (0, expected)
            return
    assert run(probed, path, "-q")[:2] == (0, expected)


def test_csv_has_a_header_and_a_file_is_whole_or_not_there(probed: Path, file: Path, tmp_path: Path, run: Run) -> None:
    known = lines_of(run(probed, file, "--probabilities")[1])
    out = tmp_path / "out.csv"
    status, printed, err = run(probed, file, "--csv", "--probabilities", "--out", out)
    assert status == 0 and printed == "" and f"in {out}" in err
    with out.open(newline="") as stream:
        header, *cells = csv.reader(stream)
    assert header == ["label", "probability", "class 0", "class 1", "class 2"] and len(cells) == 60
    assert [float(cell) for cell in cells[5][2:]] == [*known[5]["probabilities"].values()]
    status, _, err = run(probed, file, "--out", out)
    assert status == 2 and "exists: choose another --out, or replace it with --overwrite" in err
    assert run(probed, file, "--out", out, "--overwrite", "-q")[0] == 0
    assert lines_of(out.read_text())[5]["label"] == known[5]["label"]
    # A link stays one, and what is no file is not replaced.
    link, pipe = tmp_path / "link.csv", tmp_path / "pipe"
    link.symlink_to(out)
    os.mkfifo(pipe)
    assert run(probed, file, "--csv", "--out", link, "--overwrite", "-q")[0] == 0
    assert link.is_symlink() and out.read_text().startswith("label,probability")
    for place, sentence in ((pipe, "is no ordinary file"), (tmp_path / "no" / "where", "there is no folder")):
        status, _, err = run(probed, file, "--out", place, "--overwrite")
        assert status == 2 and sentence in err
    for made in (link, pipe):
        made.unlink()
    # What is wrong further down leaves nothing behind, neither half a file nor its temporary name.
    broken = tmp_path / "broken.jsonl"
    broken.write_text(file.read_text() + '{"text": ""}\n')
    assert run(probed, broken, "--out", tmp_path / "none.jsonl")[0] == 2
    assert {path.name for path in tmp_path.iterdir()} == {"out.csv", "broken.jsonl"}


def test_label_sets_and_numbers(model: LanguageModel, tmp_path: Path, run: Run) -> None:
    texts = random_texts(90)
    sets = [[name for name in "aeo" if name in text] for text in texts]
    numbers = [float(len(text)) + 0.5 for text in texts]
    given: dict[str, list[Any]] = {"sets": sets, "numbers": numbers}
    for name, labels in given.items():
        probe(model, task_from_lists(texts[:60], labels[:60]), out=tmp_path / name)
        save_rows(tmp_path / f"{name}.jsonl", texts[60:], labels[60:])
        pd.read_json(tmp_path / f"{name}.jsonl", lines=True).assign(
            label=[json.dumps(label) for label in labels[60:]]
        ).to_csv(tmp_path / f"{name}.csv", index=False)
    status, out, err = run(tmp_path / "sets", tmp_path / "sets.jsonl", "--label-column", "label")
    found = lines_of(out)
    assert status == 0 and all([*row["probabilities"]] == row["labels"] for row in found)
    assert all(chance >= 0.5 for row in found for chance in row["probabilities"].values())
    right = np.mean([row["labels"] == label for row, label in zip(found, sets[60:], strict=True)])
    assert f"Accuracy is {100 * right:.1f} %" in err
    # Labels that are written as text in a CSV file are the same labels.
    status, out, again = run(tmp_path / "sets", tmp_path / "sets.csv", "--label-column", "label", "--csv")
    assert again == err and out.splitlines()[0] == "labels"
    assert [json.loads(row[0]) for row in csv.reader(out.splitlines()[1:])] == [row["labels"] for row in found]

    status, out, err = run(tmp_path / "numbers", tmp_path / "numbers.jsonl", "--label-column", "label")
    values = np.array([row["value"] for row in lines_of(out)])
    r2 = 1 - ((values - numbers[60:]) ** 2).sum() / (np.var(numbers[60:]) * 30)
    assert status == 0 and f"R² is {r2:.3f} on 30 rows" in err
    assert run(tmp_path / "numbers", tmp_path / "numbers.csv", "--label-column", "label")[2] == err


@pytest.mark.parametrize(
    ("names", "label", "expected"),
    [
        (("good", "bad"), 1, "bad"),
        (("good", "bad"), "bad", "bad"),
        (("good", "bad"), "0", "good"),
        (("1", "2", "3"), 1, "1"),
        (("1", "2", "3"), "2.0", "2"),
        (("false", "true"), True, "true"),
    ],
)
def test_labels_are_compared_by_name_or_number(
    names: tuple[str, ...], label: object, expected: str, model: LanguageModel, tmp_path: Path, run: Run
) -> None:
    texts = random_texts(30)
    task = task_from_lists(texts, [index % len(names) for index in range(30)], label_names=names)
    probe(model, task, layers="-1", test=False, out=tmp_path / "run")
    known = load_probe(tmp_path / "run", model).predict(texts)
    chosen = texts[known.tolist().index(expected)]
    save_rows(tmp_path / "one.jsonl", [chosen], [label])
    assert "Accuracy is 100.0 %" in run(tmp_path / "run", tmp_path / "one.jsonl", "--label-column", "label")[2]


def test_rows_without_a_label_are_not_counted(probed: Path, file: Path, tmp_path: Path, run: Run) -> None:
    with_null = tmp_path / "new.jsonl"
    with_null.write_text(file.read_text() + '{"text": "ba", "label": null}\n')
    status, out, err = run(probed, with_null, "--label-column", "label")
    assert status == 0 and len(out.splitlines()) == 61 and "on 60 rows with a label" in err


# --- one sentence ----------------------------------------------------------------------------------------------------


def bad_files(place: Path) -> Iterator[tuple[Path, str]]:
    for name, content, sentence in (
        ("column.jsonl", '{"texts": "ba"}', "column.jsonl has no column 'text': its columns are 'texts'"),
        ("later.jsonl", '{"text": "ba"}\n{"texts": "be"}', "later.jsonl, line 2: no column 'text'"),
        ("empty.jsonl", '{"text": "ba"}\n\n{"text": " "}', "empty.jsonl, line 3: no text in column 'text'"),
        ("number.jsonl", '{"text": 3}', "number.jsonl, line 1: column 'text' holds '3' (int) instead of a text"),
        ("nothing.jsonl", "", "nothing.jsonl holds no rows: give texts to predict"),
        ("broken.jsonl", '{"text": "ba"', "broken.jsonl, line 1: broken JSON"),
        ("plain.txt", "ba", "plain.txt: unknown kind of file"),
        ("label.jsonl", '{"text": "ba", "label": "other"}', "label 'other' in column 'label' is none of the 3 known"),
        ("wide.csv", "text,label\nba,be,bi", "wide.csv, line 2: 3 fields where the header has 2"),
    ):
        (place / name).write_text(content)
        yield place / name, sentence
    yield place / "nowhere.jsonl", "nowhere.jsonl cannot be read (No such file or directory)"


def test_what_cannot_be_predicted_is_one_sentence(probed: Path, tmp_path: Path, run: Run) -> None:
    for path, sentence in bad_files(tmp_path):
        status, out, err = run(probed, path, *(["--label-column", "label"] if path.name == "label.jsonl" else []))
        found = re.fullmatch(r"Error: (.+)\.\n", err)
        assert status == 2 and out == "" and found is not None and sentence in found[1], err
        assert not re.search(r"[.!?] [A-Z]|Traceback", found[1])
    status, _, err = run(probed, "-", stdin=b"just a text\n")
    assert status == 2 and "standard input, line 1: broken JSON" in err
    long = tmp_path / "long.jsonl"
    long.write_text(json.dumps({"text": "ba " * (CONTEXT + 1)}))
    assert "1 of 1 texts were longer than the limit" in run(probed, long)[2]


def test_another_model_is_one_sentence(probed: Path, file: Path, tmp_path: Path, run: Run) -> None:
    status, out, err = run(probed, file, "--model", save_model(tmp_path / "other", seed=1))
    assert (status, out) == (2, "") and "whose weights differ; name that one with --model." in err


def test_another_tokenizer_is_one_warning(probed: Path, file: Path, tmp_path: Path, run: Run) -> None:
    other = save_model(tmp_path / "other")
    assert "Warning" not in run(probed, file, "--tokenizer", other)[2]
    pipeline = json.loads((other / "tokenizer.json").read_text())
    (other / "tokenizer.json").write_text(json.dumps({**pipeline, "normalizer": {"type": "Lowercase"}}))
    status, out, err = run(probed, file, "--tokenizer", other)
    (warning,) = (line for line in err.splitlines() if line.startswith("Warning: "))
    assert status == 0 and out == run(probed, file)[1]
    assert f"the tokenizer in {other} is not the one" in warning and warning.endswith("name that one with --tokenizer.")
    # A probe of an earlier version does not know.
    older = tmp_path / "older"
    older.mkdir()
    with safe_open(probed / "probe.safetensors", framework="numpy") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        about = json.loads(opened.metadata()["ntps"])
    assert about["model"].pop("tokenizer_fingerprint")
    save_file(tensors, older / "probe.safetensors", {"ntps": json.dumps(about)})
    assert "Warning" not in run(older, file, "--tokenizer", other)[2]


@pytest.mark.slow
def test_a_reader_who_has_had_enough_is_no_error(probed: Path, file: Path) -> None:
    command = [sys.executable, "-m", "ntps", "predict", str(probed), "-", "-q"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdout.close()
        process.stdin.write(file.read_bytes())
        process.stdin.close()
        assert process.stderr.read() == b"" and process.wait() == 0


def test_memory_does_not_grow_with_the_rows(probed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of rows, as many are held at a time."""
    held: list[int] = []
    wanted = all_texts

    def watched(table: Any, columns: Any) -> list[str]:
        held.append(len(table))
        return wanted(table, columns)

    monkeypatch.setattr(rows, "ROWS", 10)
    monkeypatch.setattr(rows, "all_texts", watched)
    reading: list[int] = []

    def endless() -> Iterator[bytes]:
        for number in range(35):
            reading.append(number - sum(held))
            yield b'{"text": "ba be"}\n'

    class Lines(io.RawIOBase):
        """A pipe that somebody writes to line by line."""

        def __init__(self) -> None:
            self.lines = endless()

        def readline(self, size: int | None = -1, /) -> bytes:
            return next(self.lines, b"")

    predicted = [len(found) for _, found in rows.predict_rows(load_probe(probed), rows.read_rows("-", Lines()))]  # type: ignore[arg-type]
    assert held == predicted == [10, 10, 10, 5] and max(reading) <= 10

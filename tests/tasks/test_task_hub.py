"""The genuine hub clients download from a stand-in hub on the loopback interface."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from hub import HubClient, HubServer
from ntps.tasks.registry import REGISTRY, Entry
from ntps.tasks.sources.hub import bars_on_a_terminal_only

CHOICES = Features(
    {
        "id": Value("string"),
        "question": Value("string"),
        "question_concept": Value("string"),
        "choices": {"label": List(Value("string")), "text": List(Value("string"))},
        "answerKey": Value("string"),
    }
)
LOAD = """
from ntps.errors import InputError
from ntps.tasks import load_task
def answer(request):
    task, options = request
    try:
        found = load_task(task, **options)
    except InputError as error:
        return dict(error=str(error))
    fields = dict(train=found.train.texts, labels=found.train.labels.tolist(), names=found.label_names)
    fields |= dict(test=found.test and found.test.texts, source=found.source, revision=found.revision)
    return fields | dict(notes=found.notes, kind=found.kind, dropped=found.train.dropped)
"""
Wanted = str | tuple[str, dict[str, Any]]


class Client(HubClient):
    """Loads tasks."""

    def __init__(self, hub: HubServer, folder: Path, **environment: str) -> None:
        super().__init__(hub, folder, LOAD, **environment)

    def load(self, *tasks: Wanted) -> list[Any]:
        """Loads tasks, each a name or a name with options, and returns what became of them."""
        return self.ask(*[[task, {}] if isinstance(task, str) else task for task in tasks])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def hub(folder: Path) -> Iterator[HubServer]:
    with HubServer(folder / "repositories") as server:
        yield server


@pytest.fixture(scope="module")
def client(hub: HubServer, folder: Path) -> Iterator[Client]:
    with Client(hub, folder) as process:
        yield process


def error_of(found: dict[str, Any]) -> str:
    message: str = found["error"]
    assert "\n" not in message
    assert message.endswith(".")
    return message


def rows_of(entry: Entry, split: str, count: int = 20) -> Dataset:
    """Rows with the columns and types that an entry's dataset has."""
    if entry.name == "commonsense_qa":
        choices = {"label": list("ABCDE"), "text": ["one", "two", "three", "four", "five"]}
        keys = [""] * count if split == "test" else ["ABCDE"[i % 5] for i in range(count)]
        rows = [
            {"id": f"{i}", "question": f"{split} {i}?", "question_concept": "q", "choices": choices, "answerKey": key}
            for i, key in enumerate(keys)
        ]
        return Dataset.from_list(rows, features=CHOICES)
    classes = entry.classes or 3
    codes = [-1 if (entry.name, split) == ("sst2", "test") else i % classes for i in range(count)]
    columns: dict[str, list[Any]] = {name: [f"{split} {name} {i}" for i in range(count)] for name in entry.text}
    features: dict[str, Any] = dict.fromkeys(entry.text, Value("string"))
    labels: list[Any] = codes
    match entry.name:
        case "intent":
            labels, kind = [f"Intent{code}" for code in codes], Value("string")
        case "clickbait" | "bias":
            kind = Value("int64")
        case _:
            kind = ClassLabel(names=list(entry.class_names) or [f"c{i}" for i in range(classes)])
    return Dataset.from_dict({**columns, entry.label: labels}, features=Features({**features, entry.label: kind}))


def publish(hub: HubServer, entry: Entry) -> None:
    """Puts a small dataset where the entry expects it, laid out as on the hub."""
    folder = hub.folder("datasets", entry.hub_id, entry.revision)
    splits = {None: ["train"], "validation": ["train", "validation", "test"], "test": ["train", "test"]}[entry.test]
    converted = "convert" in entry.revision or "conversion" in entry.hub_remark
    for split in splits:
        name = f"default/{split}/0000" if converted else f"{entry.config or 'data'}/{split}-00000-of-00001"
        path = folder / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows_of(entry, split).to_parquet(path)
    if entry.config:
        files = [f"  - split: {split}\n    path: {entry.config}/{split}-*" for split in splits]
        card = f"---\nconfigs:\n- config_name: {entry.config}\n  data_files:\n" + "\n".join(files) + "\n---\n"
        (folder / "README.md").write_text(card)


def test_the_twelve_tasks_download_at_their_revisions(hub: HubServer, client: Client) -> None:
    for entry in REGISTRY.values():
        publish(hub, entry)
    for entry, task in zip(REGISTRY.values(), client.load(*REGISTRY), strict=True):
        assert "error" not in task, task
        assert task["source"] == f"registry: {entry.name} (hub {entry.hub_id})"
        assert task["revision"] == hub.commit(hub.folder("datasets", entry.hub_id, entry.revision))
        assert (len(task["train"]), len(task["test"])) == ((20, 20) if entry.test else (14, 6))
        assert len(task["names"]) == (entry.classes or 3)
        assert not entry.class_names or tuple(task["names"]) == entry.class_names
        assert task["test"][0].startswith(entry.test or "train")
        assert task["dropped"] == ({} if entry.test else {"held out": 6})
        assert not entry.hub_remark or entry.hub_remark in task["notes"]
        assert not entry.copy_remark or entry.copy_remark not in task["notes"]


def test_pairs_and_choices_are_joined_in_every_row(hub: HubServer, client: Client) -> None:
    for name in ("medical_questions_pairs", "commonsense_qa"):
        publish(hub, REGISTRY[name])
    pairs, questions = client.load("medical_questions_pairs", "commonsense_qa")
    joined = [*pairs["train"], *pairs["test"]]
    assert sorted(joined) == sorted(f"train question_1 {i} train question_2 {i}" for i in range(20))
    assert any("held out" in note for note in pairs["notes"])
    choices = "(0) one (1) two (2) three (3) four (4) five"
    assert questions["train"] == [f"train {i}? {choices}" for i in range(20)]
    assert questions["labels"][:6] == [0, 1, 2, 3, 4, 0]
    assert any("'validation' serves as the test" in note for note in questions["notes"])


@pytest.mark.parametrize("disabled", [False, True])
def test_progress_bars_are_as_the_user_left_them(disabled: bool) -> None:
    (datasets.disable_progress_bars if disabled else datasets.enable_progress_bars)()
    with bars_on_a_terminal_only():
        assert datasets.are_progress_bars_disabled()
    assert datasets.are_progress_bars_disabled() is disabled
    datasets.enable_progress_bars()


def simple(label: str = "label", count: int = 10, **columns: list[Any]) -> Dataset:
    return Dataset.from_dict(
        {"text": [f"text {i}" for i in range(count)], label: [i % 2 for i in range(count)], **columns}
    )


def write(rows: Dataset, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(path)


def test_a_revision_chooses_the_files_and_is_recorded_as_a_commit(hub: HubServer, client: Client) -> None:
    folders = {name: hub.folder("datasets", "some/data", name) for name in ("main", "old", "refs/convert/parquet")}
    for size, folder in enumerate(folders.values(), start=2):
        write(simple(count=size), folder / "data" / "train-00000-of-00001.parquet")
    main, old, converted, pinned = client.load(
        "some/data",
        "some/data@old",
        "some/data@refs/convert/parquet",
        f"some/data@{hub.commit(folders['old'])}",
    )
    assert [len(task["train"]) for task in (main, old, converted, pinned)] == [2, 3, 4, 3]
    assert [task["revision"] for task in (main, old, converted)] == [hub.commit(folder) for folder in folders.values()]
    assert pinned["revision"] == old["revision"]
    assert main["source"] == "hub: some/data"
    assert main["test"] is None


def test_anyones_dataset_with_another_shape(hub: HubServer, client: Client) -> None:
    several = Features({"body": Value("string"), "topics": List(ClassLabel(names=["a", "b", "c"]))})
    rows = Dataset.from_dict({"body": ["x", "y"], "topics": [[0, 2], []]}, features=several)
    write(rows, hub.folder("datasets", "my/topics") / "train.parquet")
    write(
        simple(label="stars", count=3).cast_column("stars", Value("float32")),
        hub.folder("datasets", "my/s") / "a.parquet",
    )
    two = hub.folder("datasets", "my/two")
    for name in ("one", "other"):
        write(simple(count=len(name)), two / name / "train.parquet")
    files = "".join(f"- config_name: {name}\n  data_files: {name}/*\n" for name in ("one", "other"))
    (two / "README.md").write_text(f"---\nconfigs:\n{files}---\n")
    topics, stars, other, neither = client.load(
        ("my/topics", {"label_column": "topics"}),
        "my/s",
        ("my/two", {"config": "other"}),
        "my/two",
    )
    assert (topics["kind"], topics["names"], topics["labels"]) == (
        "multilabel",
        ["a", "b", "c"],
        [[1, 0, 1], [0, 0, 0]],
    )
    assert (stars["kind"], stars["names"]) == ("regression", ["stars"])
    assert (other["source"], len(other["train"])) == ("hub: my/two other", 5)
    assert "`config`" in error_of(neither)


def test_each_failure_is_one_sentence(hub: HubServer, client: Client) -> None:
    write(simple(), hub.folder("datasets", "some/data") / "train.parquet")
    publish(hub, REGISTRY["sst2"])
    script = hub.folder("datasets", "some/script")
    script.mkdir(parents=True)
    (script / "script.py").write_text("raise SystemExit")
    missing = hub.folder("datasets", "some/missing")
    missing.mkdir(parents=True)
    (missing / "README.md").write_text("---\nconfigs:\n- config_name: default\n  data_files: gone/train-*\n---\n")
    damaged = hub.folder("datasets", "some/damaged")
    damaged.mkdir(parents=True)
    (damaged / "train.parquet").write_bytes(b"PAR1 and nothing else")
    expected = {
        "some/data@wrong": "no revision 'wrong'",
        "some/nothing": "no dataset some/nothing",
        "some/script": "loading script",
        "some/missing": "lacks the data files",
        "some/damaged": "broken data",
        "sst2@wrong": "no revision 'wrong'",
    }
    found = client.load(*expected, ("some/data", {"split": "test"}))
    for part, task in zip(expected.values(), found, strict=False):
        assert part in error_of(task)
    assert "choose `split` from train" in error_of(found[-1])


def test_a_server_error_is_one_sentence(hub: HubServer, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    write(simple(), hub.folder("datasets", "some/data") / "train.parquet")
    monkeypatch.setattr(hub, "broken", "/api/datasets/some/data")
    assert "error 500" in error_of(client.load("some/data")[0])


def test_a_registry_dataset_without_its_split_says_so(hub: HubServer, client: Client) -> None:
    write(simple(), hub.folder("datasets", "dair-ai/emotion") / "split" / "train.parquet")
    card = "---\nconfigs:\n- config_name: split\n  data_files: split/*\n---\n"
    (hub.folder("datasets", "dair-ai/emotion") / "README.md").write_text(card)
    assert "no split 'test'" in error_of(client.load("emotion@main")[0])


def test_without_a_network_only_the_same_commit_is_taken_from_the_cache(
    hub: HubServer, client: Client, folder: Path
) -> None:
    publish(hub, REGISTRY["sst2"])
    online = client.load("sst2")[0]
    with Client(hub, folder, HF_HUB_OFFLINE="1") as offline:
        same, other, branch = offline.load("sst2", f"sst2@{'8' * 40}", "sst2@main")
    assert same == online
    assert "cannot be reached" in error_of(other)
    assert "cannot be reached" in error_of(branch)


def test_a_hub_that_does_not_answer_is_one_sentence(hub: HubServer, folder: Path) -> None:
    with Client(hub, folder, HF_ENDPOINT="http://127.0.0.1:9") as alone:
        started = time.monotonic()
        for task in alone.load("some/data", f"bias@{'9' * 40}"):
            assert "cannot be reached" in error_of(task)
        assert time.monotonic() - started < 20


def test_a_local_copy_needs_no_hub(hub: HubServer, client: Client, tmp_path: Path) -> None:
    (tmp_path / "sst2").mkdir()
    (tmp_path / "sst2" / "train.csv").write_text("text,label\na,0\nb,1\n")
    before = len(hub.requests)
    task = client.load(("sst2", {"data_dir": str(tmp_path)}))[0]
    assert task["train"] == ["a", "b"]
    assert len(hub.requests) == before


def test_models_are_served_too(hub: HubServer, tmp_path: Path) -> None:
    folder = hub.folder("models", "some/model", "v1")
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    code = """
from huggingface_hub import hf_hub_download, model_info, snapshot_download
print(open(hf_hub_download("some/model", "config.json", revision="v1")).read())
print(model_info("some/model", revision="v1").sha)
print(snapshot_download("some/model", revision="v1"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=hub.environment(tmp_path / "cache"),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    content, commit, snapshot = done.stdout.splitlines()
    assert content == '{"model_type": "gpt2"}'
    assert commit == hub.commit(folder)
    assert Path(snapshot).name == commit

"""Statistics that were computed apart: their sum is that of one run, and what does not belong together is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import ntps
from ntps import InputError, ScoreResult
from ntps.cli import app
from ntps.moments.sums_folder import read_moments
from tiny import random_texts, save_model, save_rows

TEXTS = random_texts(90, 3)
LABELS = [len(text) // 3 % 3 for text in TEXTS]
PARTS = {"a": slice(0, 30), "b": slice(30, 50), "c": slice(50, 90)}
# Batches of one text are the same however the texts are spread.
BUDGET = 1


class Folders:
    """Scores of parts of one set of texts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = save_model(folder / "model", "llama")
        for name, part in PARTS.items():
            self.score(name, part)

    def score(self, name: str, part: slice, labels: list[Any] = LABELS, **options: Any) -> Path:
        task = save_rows(self.folder / f"{name}.jsonl", TEXTS[part], labels[part])
        options = {"model": self.model, "tokens_per_batch": BUDGET, **options}
        ntps.score(task=task, out=self.folder / name, **options)
        return self.folder / name

    def __getitem__(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return Folders(tmp_path_factory.mktemp("parts"))


def test_the_sum_is_that_of_one_run(folders: Folders, tmp_path: Path) -> None:
    whole = folders.score("whole", slice(0, 90))
    merged = ntps.merge([folders[name] for name in PARTS], tmp_path / "merged")
    expected = ScoreResult.load(whole)
    first, second = (read_moments(folder / "moments") for folder in (tmp_path / "merged", whole))
    for layer, moments in first.items():
        assert (moments.texts, moments.tokens) == (second[layer].texts, second[layer].tokens)
        for name, total in moments.sums.items():
            assert (total - second[layer].sums[name]).norm() <= 1e-12 * second[layer].sums[name].norm(), (layer, name)
    for name in ("area", "r2", "best_loss", "next_token_loss"):
        np.testing.assert_allclose(merged.layers[name], expected.layers[name], rtol=1e-8)
    task = merged.to_dict()["task"]
    for name in ("texts", "tokens", "class_counts", "label_names", "dropped", "truncated"):
        assert task[name] == expected.to_dict()["task"][name], name
    assert [part["texts"] for part in merged.to_dict()["merged"]] == [30, 20, 40]
    assert merged.summary["r2_test"] is None and task["test"] is None
    assert ScoreResult.load(tmp_path / "merged").to_dict() == json.loads(json.dumps(merged.to_dict()))
    # What was merged may be scored again and merged on.
    assert ntps.rescore(tmp_path / "merged").summary == merged.summary


def test_results_with_an_option_of_an_earlier_version_count_as_before(folders: Folders, tmp_path: Path) -> None:
    """A batch budget could be found by a trial once; it was never part of what identifies a run."""
    for name in "ab":
        shutil.copytree(folders[name], tmp_path / name)
        for file in (tmp_path / name / "result.json", tmp_path / name / "moments" / "index.json"):
            content = json.loads(file.read_text())
            content["settings"]["auto_budget"] = True
            file.write_text(json.dumps(content))
    assert ScoreResult.load(tmp_path / "a").summary == ScoreResult.load(folders["a"]).summary
    then, now = (ntps.rescore(folder / "a").to_dict() for folder in (tmp_path, folders.folder))
    assert (then["settings_hash"], then["layers"]) == (now["settings_hash"], now["layers"])
    merged, mixed, expected = (
        ntps.merge(pair, tmp_path / out).to_dict()
        for out, pair in (
            ("both", [tmp_path / "a", tmp_path / "b"]),
            ("mixed", [folders["a"], tmp_path / "b"]),
            ("neither", [folders["a"], folders["b"]]),
        )
    )
    for found in (merged, mixed):
        assert (found["settings_hash"], found["layers"]) == (expected["settings_hash"], expected["layers"])


def test_rivals_of_the_sum_are_those_of_one_run(folders: Folders, tmp_path: Path) -> None:
    parts = [folders.score(f"kept {name}", PARTS[name], keep_pooled=True) for name in "ab"]
    whole = folders.score("first", slice(0, 50), rivals=True)
    merged = ntps.merge(parts, tmp_path / "merged", rivals=True)
    expected = ScoreResult.load(whole).layers
    for name in ("h_score", "logme", "knn_accuracy"):
        np.testing.assert_allclose(merged.layers[name], expected[name], rtol=1e-6)
    with pytest.raises(InputError, match="`rivals` need the pooled texts of all parts"):
        ntps.merge([folders["a"], folders["b"]], tmp_path / "none", rivals=True)


def test_merging_is_associative(folders: Folders, tmp_path: Path) -> None:
    ntps.merge([folders["a"], folders["b"]], tmp_path / "ab")
    nested = ntps.merge([tmp_path / "ab", folders["c"]], tmp_path / "abc")
    flat = ntps.merge([folders[name] for name in PARTS], tmp_path / "flat")
    for row, twin in zip(nested.to_dict()["layers"], flat.to_dict()["layers"], strict=True):
        assert row == twin
    assert nested.to_dict()["merged"] == flat.to_dict()["merged"]


def test_the_same_texts_are_not_counted_twice(folders: Folders, tmp_path: Path) -> None:
    again = folders.score("again", PARTS["a"])
    ntps.merge([folders["a"], folders["b"]], tmp_path / "ab")
    for others in ([again], [folders["b"], again], [tmp_path / "ab"]):
        with pytest.raises(InputError, match="hold the same texts, which would count twice"):
            ntps.merge([folders["a"], *others], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_parts_of_one_source_are_told(folders: Folders, tmp_path: Path) -> None:
    task = save_rows(folders.folder / "samples.jsonl", TEXTS, LABELS)
    for seed in (0, 1):
        ntps.score(folders.model, task, limit=30, seed=seed, out=tmp_path / str(seed))
    merged = ntps.merge([tmp_path / "0", tmp_path / "1"], tmp_path / "merged")
    assert any("texts that they share are counted more than once" in warning for warning in merged.warnings)


def test_groups_of_several_parts_are_told(folders: Folders, tmp_path: Path) -> None:
    for part, rows in PARTS.items():
        lines = (
            {"text": text, "label": label, "who": f"author {label}"}
            for text, label in zip(TEXTS[rows], LABELS[rows], strict=True)
        )
        (tmp_path / f"{part}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        ntps.score(folders.model, tmp_path / f"{part}.jsonl", group_column="who", layers=[0], out=tmp_path / part)
    merged = ntps.merge([tmp_path / part for part in PARTS], tmp_path / "merged")
    assert "groups of different parts are taken for different groups, whatever they are called" in merged.warnings


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pooling": "last"}, r"settings pooling \(mean and last\)"),
        ({"layers": "0,1"}, "settings layers"),
        ({"max_length": 7}, r"settings max_length \(None and 7\)"),
        ({"dtype": "float64"}, r"settings dtype \(float32 and float64\)"),
        ({"labels": [f"label {label}" for label in LABELS]}, "task label_names"),
    ],
)
def test_other_settings_are_refused(options: dict[str, Any], words: str, folders: Folders, tmp_path: Path) -> None:
    other = folders.score(f"other {words[:12]}", PARTS["b"], **options)
    with pytest.raises(InputError, match=words):
        ntps.merge([folders["a"], other], tmp_path / "out")


def test_another_model_is_refused(folders: Folders, tmp_path: Path) -> None:
    other = folders.score("other model", PARTS["b"], model=save_model(tmp_path / "model", "llama", seed=1))
    with pytest.raises(InputError, match="differ in model weights"):
        ntps.merge([folders["a"], other], tmp_path / "out")


def test_folders_that_cannot_be_merged(folders: Folders, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least two"):
        ntps.merge([folders["a"]], tmp_path / "out")
    with pytest.raises(InputError, match="holds no statistics"):
        ntps.merge([folders["a"], tmp_path], tmp_path / "out")
    with pytest.raises(InputError, match="is one of the parts"):
        ntps.merge([folders["a"], folders["b"]], folders["b"])
    ntps.merge([folders["a"], folders["b"]], tmp_path / "out")
    before = (tmp_path / "out" / "result.json").read_bytes()
    with pytest.raises(InputError, match="already holds a result"):
        ntps.merge([folders["a"], folders["c"]], tmp_path / "out")
    with pytest.raises(InputError, match="same texts"):
        ntps.merge([folders["a"], folders["a"]], tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "result.json").read_bytes() == before


def test_the_command(folders: Folders, tmp_path: Path) -> None:
    places = [str(folders[name]) for name in PARTS]
    done = CliRunner().invoke(app, ["merge", *places, "--out", str(tmp_path / "out"), "--convention", "released"])
    assert done.exit_code == 0, done.output
    assert "90 texts" in done.output and "Results are in" in done.output
    assert set(ScoreResult.load(tmp_path / "out").to_frame()["convention"]) == {"released"}

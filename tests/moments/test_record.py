"""What a run leaves on disk: complete, valid, whole or not at all."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open

from ntps import InputError, ScoreResult, Task, score
from ntps.checkpoint.lock import claim_folder
from ntps.files import write_whole
from ntps.models.load import load_model
from ntps.models.model import LanguageModel
from ntps.moments.accumulator import Moments
from ntps.moments.layer_score import LayerScore
from ntps.moments.sums_file import read_sums, write_sums
from ntps.options.scoring import ScoreSettings
from ntps.scoring.record import LayerRow, ScoreRecord
from ntps.scoring.validated import LayerNewTexts
from tiny import DEPTH, WIDTH, random_task, save_model

TOP = {
    *("schema", "kind", "ntps_version", "created", "command", "settings_hash", "model", "task", "settings", "timing"),
    *("versions", "layers", "summary", "warnings"),
}
MODEL = {"id", "revision", "architecture", "parameters", "hidden_size", "num_layers"}
TASK = {
    *("id", "source", "revision", "split", "texts", "tokens", "classes", "target_kind", "label_names"),
    *("class_counts", "dropped", "truncated", "fingerprint"),
}
LAYER = {
    *("layer", "name", "rank_pooled", "rank_perception", "rank_autoregressive", "area", "r2", "r2_adjusted"),
    *("r2_test", "accuracy_test", "best_loss", "target_energy", "next_token_loss", "bound_lower_constant"),
    *("bound_upper_constant", "perception_eigenvalues", "condition", "chance_ntps"),
}
CURVES = {
    "convention": "string",
    "layer": "int64",
    "k": "int64",
    "k_perception": "int64",
    **dict.fromkeys(
        ("fraction", "ntps", "ntps_full", "excess_loss", "retained", "retained_centered", "next_token_share"), "double"
    ),
}
LAYER_SUMS = {
    *("prefix_gram", "prefix_next", "pooled_gram", "pooled_target", "pooled_sum", "prefix_sum", "next_sum"),
    *("next_energy", "pooled_norm4", "pooled_norm2_sum"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(save_model(tmp_path_factory.mktemp("qwen2")))


@pytest.fixture(scope="module")
def task() -> Task:
    return random_task(80, 3, test=20)


@pytest.fixture(scope="module")
def folder(model: LanguageModel, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "new" / "run"
    score(model, task, out=out)
    return out


def content(folder: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    loaded: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"), parse_constant=refuse)
    return loaded


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


# --- contents --------------------------------------------------------------------------------------------------------


def test_the_result_has_every_field_of_the_contract(folder: Path, task: Task) -> None:
    result = content(folder)
    assert result.keys() >= TOP
    assert result["model"].keys() >= MODEL and result["task"].keys() >= TASK
    assert result["timing"].keys() == {"tokenize", "forward", "statistics", "theory", "total"}
    assert (result["schema"], result["kind"]) == (1, "score")
    assert len(result["settings_hash"]) == 64
    assert datetime.fromisoformat(result["created"]).tzinfo is not None
    assert result["task"]["fingerprint"] == task.train.fingerprint
    assert result["task"]["class_counts"] == list(task.class_counts(task.train) or ())
    assert result["task"]["texts"] == 80 and result["task"]["tokens"] == sum(len(t.split()) for t in task.train.texts)
    assert (result["model"]["hidden_size"], result["model"]["num_layers"]) == (WIDTH, DEPTH)
    assert [row["layer"] for row in result["layers"]] == list(range(DEPTH + 1))
    for row in result["layers"]:
        assert row.keys() >= LAYER
        assert 0 <= row["accuracy_test"] <= 1 and row["r2_test"] <= 1
    assert result["summary"].keys() >= {"layer", "rule", "area", "r2"}
    assert result["timing"]["total"] >= result["timing"]["theory"] >= 0


def test_every_value_of_a_layer_is_in_its_row() -> None:
    elsewhere = {"curves", "probe", "directions", "convention", "texts", "hidden_size"}
    scored = {field.name for field in fields(LayerScore)} - elsewhere
    assert set(LayerRow.model_fields) == scored | set(LayerNewTexts.model_fields)


def test_keys_of_newer_versions_are_kept(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "run")
    newer = content(folder)
    newer |= {"new": {"a": [1, None]}, "summary": {**newer["summary"], "new": 0.5}}
    (tmp_path / "run" / "result.json").write_text(json.dumps(newer))
    assert ScoreResult.load(tmp_path / "run").to_dict() == newer
    ScoreResult.load(tmp_path / "run").save(tmp_path / "saved")
    assert content(tmp_path / "saved") == newer


def test_results_without_later_keys_are_read_and_stay_without_them(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "run")
    older = content(folder)
    for name in ("batching_texts", "batching_longest", "products"):
        del older["settings"][name]
    (tmp_path / "run" / "result.json").write_text(json.dumps(older))
    assert ScoreResult.load(tmp_path / "run").to_dict() == older


def test_settings_say_what_was_done(folder: Path) -> None:
    settings = content(folder)["settings"]
    expected = {
        "pooling": "mean",
        "convention": "paper",
        "dtype": "float32",
        "device": "cpu",
        "attention_mask": "omitted",
    }
    assert expected.items() <= settings.items()
    assert settings["layers"] == list(range(DEPTH + 1)) and settings["tokens_per_batch"] > 0


def test_curves_have_the_columns_of_the_contract(folder: Path) -> None:
    schema = pq.read_schema(folder / "curves.parquet")
    found = {name: str(schema.field(name).type).removeprefix("large_") for name in schema.names if name != "tied"}
    assert found == CURVES
    table = pq.read_table(folder / "curves.parquet")
    assert table["fraction"].null_count == len(table)
    ranks = {row["layer"]: row["rank_autoregressive"] for row in content(folder)["layers"]}
    frame = table.to_pandas()
    for layer, rows in frame.groupby("layer"):
        assert rows["k"].tolist() == list(range(1, ranks[layer] + 1))


def test_released_curves_have_fractions_and_no_nan(model: LanguageModel, task: Task, tmp_path: Path) -> None:
    score(model, task, out=tmp_path / "run", convention="released", layers="1,2", moments="drop")
    table = pq.read_table(tmp_path / "run" / "curves.parquet")
    assert len(table) == 2 * 19
    assert table["fraction"].to_pylist()[:19] == pytest.approx([0.05 * step for step in range(1, 20)])
    # Undefined is null, for readers that know no NaN.
    assert not any(value is not None and np.isnan(value) for value in table["ntps"].to_pylist())
    assert not (tmp_path / "run" / "moments").exists()


def test_undefined_is_null_with_a_warning(model: LanguageModel, tmp_path: Path) -> None:
    """Texts of one word: nothing autoregressive, no area, and a result all the same."""
    score(model, random_task(60, 3, longest=1), out=tmp_path / "run")
    result = content(tmp_path / "run")
    assert all(row["area"] is None and row["chance_ntps"] is None for row in result["layers"])
    assert any("nothing autoregressive" in warning for warning in result["warnings"])
    assert len(pd.read_parquet(tmp_path / "run" / "curves.parquet")) == 0
    assert ScoreResult.load(tmp_path / "run").to_dict() == result


def test_moments_are_sums_in_packed_triangles(folder: Path, task: Task) -> None:
    place = folder / "moments"
    assert {file.name for file in place.iterdir()} == {
        *(f"layer.{layer:03d}.safetensors" for layer in range(DEPTH + 1)),
        *("targets.safetensors", "index.json"),
    }
    index = json.loads((place / "index.json").read_text())
    assert index["texts"] == 80 and index["layers"] == list(range(DEPTH + 1))
    result = content(folder)
    assert {name: index[name] for name in ("settings_hash", "model", "task", "settings")} == {
        name: result[name] for name in ("settings_hash", "model", "task", "settings")
    }
    with safe_open(place / "layer.002.safetensors", "pt") as layer:
        assert set(layer.keys()) == LAYER_SUMS
        assert {layer.get_tensor(name).dtype for name in LAYER_SUMS} == {torch.float64}
        assert layer.get_tensor("prefix_gram").shape == (WIDTH * (WIDTH + 1) // 2,)
        assert layer.metadata()["texts"] == "80" and layer.metadata()["tokens"] == str(result["task"]["tokens"])
    with safe_open(place / "targets.safetensors", "pt") as targets:
        counts = np.array(task.class_counts(task.train))
        assert targets.get_tensor("target_sum").tolist() == counts.tolist()
        assert targets.get_tensor("target_gram").tolist() == np.diag(counts)[np.triu_indices(3)].tolist()


def test_the_hash_follows_what_changes_numbers(model: LanguageModel, task: Task) -> None:
    def hash_of(work: Task = task, **options: Any) -> str:
        found: str = score(model, work, layers="1", test=False, **options).to_dict()["settings_hash"]
        return found

    same = hash_of()
    assert hash_of(tokens_per_batch=7) == same
    others = [hash_of(pooling="last"), hash_of(max_length=5), hash_of(random_task(80, 3, seed=1))]
    assert len({same, *others}) == 4


def test_the_hash_of_settings_stays_what_it_was() -> None:
    """Results of earlier versions are still those of the same run."""
    default = "e2557b84c9e74f242dd36c702f198708a0b6a36ccb7ca5daf845bf0aadaa299e"
    assert (
        ScoreSettings(tokens_per_batch=9).settings_hash((0, 1), a=1)
        == ScoreSettings().settings_hash((0, 1), a=1)
        == default
    )
    other = ScoreSettings(max_length=7, test=False, pooling="sum", convention="released")
    assert other.settings_hash((0, 1), a=1) == "d011ed3f0e744c738afa2ce83644b577f698fa95f90ca04c89ac9603079ebf2f"


def test_another_tokenizer_is_another_hash_and_is_recorded(tmp_path: Path) -> None:
    """The same words in another order of ids: other states, so other numbers."""
    from tokenizers.models import WordLevel

    from tiny import WORDS, tokenizer_of

    folder = save_model(tmp_path / "model", "llama")
    other = tokenizer_of("llama")
    vocabulary = {word: index for index, word in enumerate(("[UNK]", "[CLS]", "[SEP]", *reversed(WORDS)))}
    other.backend_tokenizer.model = WordLevel(vocabulary, unk_token="[UNK]")
    other.save_pretrained(tmp_path / "other")
    results = [
        score(folder, random_task(), layers="1", tokenizer=tokenizer).to_dict()
        for tokenizer in (None, tmp_path / "other")
    ]
    assert results[0]["layers"][0]["r2"] != results[1]["layers"][0]["r2"]
    assert results[0]["settings_hash"] != results[1]["settings_hash"]
    assert str(tmp_path / "other") in json.dumps(results[1])


# --- claims ----------------------------------------------------------------------------------------------------------


def test_claiming_a_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    for folder in (tmp_path / "a" / "b", tmp_path):
        with claim_folder(folder, overwrite=False):
            assert {file.name for file in folder.iterdir()} == {".ntps.lock", ".ntps.json"}
    assert list(tmp_path.iterdir()) == []


def test_an_existing_result_is_kept_unless_it_may_be_replaced(model: LanguageModel, task: Task, folder: Path) -> None:
    before = files(folder)
    with pytest.raises(InputError, match="`overwrite`"):
        score(model, task, out=folder)
    with pytest.raises(InputError, match="`overwrite`"):
        ScoreResult.load(folder).save(folder)
    assert files(folder) == before


def test_an_overwritten_result_leaves_nothing_of_the_old_one(model: LanguageModel, task: Task, tmp_path: Path) -> None:
    score(model, task, out=tmp_path, test=False)
    score(model, task, out=tmp_path, test=False, layers="1", overwrite=True)
    assert [row["layer"] for row in content(tmp_path)["layers"]] == [1]
    assert {file.name for file in (tmp_path / "moments").iterdir()} == {
        *("layer.001.safetensors", "targets.safetensors", "index.json")
    }
    score(model, task, out=tmp_path, test=False, layers="1", overwrite=True, moments="drop")
    assert not (tmp_path / "moments").exists()


@pytest.mark.parametrize(
    "where", ["file", "file/below", "link", "/proc/nowhere/run", pytest.param("x" * 300, id="long")]
)
def test_a_folder_that_cannot_be_is_refused_before_any_work(where: str, tmp_path: Path, model: LanguageModel) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="`out`"):
        score(model, "a task that does not exist", out=tmp_path / where)


# --- writing ---------------------------------------------------------------------------------------------------------


@contextmanager
def full_disk(free: int) -> Iterator[None]:
    """No file can grow beyond ``free`` bytes: writes fail in the middle, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="No space left"):
        write_whole(path, fail)
    assert files(tmp_path) == {"file": b"old"}


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path) -> None:
    def interrupt(temporary: Path) -> None:
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file", interrupt)
    assert files(tmp_path) == {}


def test_equal_sums_are_equal_files(tmp_path: Path) -> None:
    """So that what an index says of them does not differ between two runs that came to the same."""
    metadata = {f"key {number}": 'größer "\n' for number in range(12)}
    for name in ("first", "second"):
        write_sums(tmp_path / name, Moments(5, 3).sums, metadata)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    sums, read = read_sums(tmp_path / "first")
    assert read == metadata
    assert all(torch.equal(value, Moments(5, 3).sums[name]) for name, value in sums.items())


def test_moments_on_a_full_disk(tmp_path: Path) -> None:
    sums = Moments(60, 3).sums
    write_sums(tmp_path / "layer", sums, {})
    before = files(tmp_path)
    with full_disk(4096), pytest.raises(InputError, match="cannot write"):
        write_sums(tmp_path / "layer", sums, {})
    assert files(tmp_path) == before


def test_a_result_on_a_full_disk(folder: Path, tmp_path: Path) -> None:
    record = ScoreRecord.read(folder)
    names = ("held_out.safetensors", "curves.parquet", "result.json")
    sizes = [len((folder / name).read_bytes()) for name in names]
    with full_disk(min(sizes) // 2), pytest.raises(InputError, match="cannot write"):
        record.write(tmp_path / "run")
    assert files(tmp_path) == {}
    # Where there is room for some, they are whole, and no result is among them.
    with full_disk(max(sizes) // 2), pytest.raises(InputError, match="cannot write"):
        record.write(tmp_path / "run")
    before = files(tmp_path)
    record.write(tmp_path / "run")
    after = files(tmp_path)
    assert "run/result.json" not in before and before.items() <= after.items()
    assert after.keys() == {f"run/{name}" for name in names}


@pytest.mark.parametrize("spoiled", ["result.json", "curves.parquet"])
@pytest.mark.parametrize("text", ["", "[]", "{", '{"kind": "study", "schema": 1}', "\udcff"])
def test_a_spoiled_result_is_one_clear_error(folder: Path, tmp_path: Path, spoiled: str, text: str) -> None:
    ScoreRecord.read(folder).write(tmp_path)
    (tmp_path / spoiled).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=str(tmp_path)):
        ScoreRecord.read(tmp_path)

"""Pooled texts that are kept: those of every text alone, in the order of the task, in memory or on disk."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ntps import InputError, Task
from ntps.forward.pooled_texts import PooledTexts, collect_pooled, read_pooled
from ntps.forward.stream import Pass
from ntps.models.load import load_model
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokens import tokenize
from ntps.options.passes import Pooling
from tiny import DEPTH, WIDTH, Array, random_task, save_model

LAYERS = (0, 2, DEPTH)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(save_model(tmp_path_factory.mktemp("llama"), "llama"), dtype="float64")


@pytest.fixture(scope="module")
def task() -> Task:
    return random_task(50)


def work_of(model: LanguageModel, task: Task, pooling: Pooling = "mean") -> Pass:
    return Pass(
        model=model,
        tokens=tokenize(model, task.train.texts),
        targets=lambda batch: task.targets(task.train.labels[batch]),
        layers=LAYERS,
        pooling=pooling,
        masked=False,
        tokens_per_batch=40,
        progress=lambda _done: None,
    )


def alone(model: LanguageModel, task: Task, layer: int, pooling: Pooling) -> Array:
    """Pools each text by itself, by transformers' own account of its states."""
    rows = []
    for text in task.train.texts:
        ids = torch.tensor([model.tokenizer(text)["input_ids"]])
        with torch.no_grad():
            states = model.base(input_ids=ids, output_hidden_states=True).hidden_states[layer][0].double().numpy()
        rows.append({"mean": states.mean(axis=0), "sum": states.sum(axis=0), "last": states[-1]}[pooling])
    return np.stack(rows)


@pytest.mark.parametrize("pooling", ["mean", "sum", "last"])
@pytest.mark.parametrize("on_disk", [False, True])
def test_rows_are_the_texts_in_their_order(
    model: LanguageModel, task: Task, pooling: Pooling, on_disk: bool, tmp_path: Path
) -> None:
    pooled = collect_pooled(work_of(model, task, pooling), tmp_path / "pooled" if on_disk else None)
    assert list(pooled) == list(LAYERS)
    for layer, rows in pooled.items():
        assert rows.shape == (50, WIDTH) and rows.dtype == np.float64
        np.testing.assert_allclose(rows, alone(model, task, layer, pooling), atol=1e-12)


def test_on_disk_they_are_plain_files_with_an_index(model: LanguageModel, task: Task, tmp_path: Path) -> None:
    folder = tmp_path / "pooled"
    pooled = collect_pooled(work_of(model, task), folder, {"model": "llama"})
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["index.json", *(f"layer.{layer:03d}.npy" for layer in LAYERS)]
    index = json.loads((folder / "index.json").read_text())
    files = index.pop("files")
    assert files == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names[1:]}
    assert index == {"schema": 1, "texts": 50, "layers": list(LAYERS), "model": "llama"}
    again = read_pooled(folder)
    assert all(isinstance(rows, np.memmap) and not rows.flags.writeable for rows in again.values())
    for layer, rows in again.items():
        assert np.load(folder / f"layer.{layer:03d}.npy").tobytes() == rows.tobytes() == pooled[layer].tobytes()


def test_what_was_stored_before_a_kill_is_still_there(tmp_path: Path) -> None:
    """Rows are written to files under a temporary name; nobody can take them for complete ones."""
    first = PooledTexts(4, tmp_path)
    first.put(1, np.array([3, 0]), torch.tensor([[3.0, 3.0], [0.0, 0.0]], dtype=torch.float64))
    first.sync()
    del first
    with pytest.raises(InputError, match="cannot read"):
        read_pooled(tmp_path)
    second = PooledTexts(4, tmp_path)
    second.put(1, np.array([1, 2]), torch.tensor([[1.0, 1.0], [2.0, 2.0]], dtype=torch.float64))
    np.testing.assert_array_equal(second.finish([1])[1], np.repeat(np.arange(4.0), 2).reshape(4, 2))
    assert not list(tmp_path.glob("*.part"))


def test_damaged_and_missing_files_are_one_sentence(model: LanguageModel, task: Task, tmp_path: Path) -> None:
    collect_pooled(work_of(model, task), tmp_path)
    (tmp_path / "layer.002.npy").unlink()
    with pytest.raises(InputError, match=r"layer\.002"):
        read_pooled(tmp_path)
    np.save(tmp_path / "layer.002.npy", np.zeros((3, WIDTH)))
    with pytest.raises(InputError, match=r"layer\.002\.npy is damaged or of another run"):
        read_pooled(tmp_path)
    # As before there were checksums.
    index = json.loads((tmp_path / "index.json").read_text())
    (tmp_path / "index.json").write_text(json.dumps({**index, "files": None}))
    with pytest.raises(InputError, match="files is not a mapping"):
        read_pooled(tmp_path)
    (tmp_path / "index.json").write_text(json.dumps({name: index[name] for name in index if name != "files"}))
    with pytest.raises(InputError, match="50 pooled texts"):
        read_pooled(tmp_path)
    (tmp_path / "layer.002.npy").write_bytes(b"")
    with pytest.raises(InputError, match=r"cannot read pooled texts from .*layer\.002"):
        read_pooled(tmp_path)


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    """A memory-mapped file without its space would end the process without a word."""
    with pytest.raises(InputError, match="No space left"):
        PooledTexts(2**40, tmp_path).put(0, np.array([0]), torch.zeros(1, 2**16, dtype=torch.float64))

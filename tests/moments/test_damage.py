"""Statistics on disk that were damaged, exchanged or are another run's are refused by name, never scored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ntps import InputError, Moments, merge, rescore, score
from ntps.checkpoint.manifest import Manifest, read_manifest, write_manifest
from ntps.errors import NumericalError
from ntps.json_files import Block, Figure, Items, read_json
from ntps.models.load import load_model
from ntps.moments.packed_layout import Layout
from tiny import random_task, save_model

LAYER = "layer.001.safetensors"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scores of two tasks by one model: ``a`` and ``b``."""
    folder = tmp_path_factory.mktemp("runs")
    model = load_model(save_model(folder / "model"))
    for seed, name in enumerate("ab"):
        score(model, random_task(40, 3, seed, test=12), out=folder / name, keep_pooled=True)
    return folder


@pytest.fixture
def run(runs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(runs / "a", tmp_path / "a"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(bytes(content))


def swap(folder: Path, ending: str) -> None:
    first, second = folder / f"layer.001.{ending}", folder / f"layer.002.{ending}"
    first.rename(folder / "kept")
    second.rename(first)
    (folder / "kept").rename(second)


def altered(path: Path, name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    sums = load_file(path)
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        kind = file.metadata()
    save_file({**sums, name: change(sums[name]).contiguous()}, path, metadata=kind)


def without_digests(folder: Path) -> None:
    """As older versions wrote it."""
    for path in folder.rglob("index.json"):
        index = json.loads(path.read_text())
        path.write_text(json.dumps({name: value for name, value in index.items() if name != "files"}))


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda run, _other: flip(run / "moments" / LAYER), "layer.001"),
        (lambda run, _other: flip(run / "moments" / "targets.safetensors"), "targets"),
        (lambda run, _other: swap(run / "moments", "safetensors"), "layer.00"),
        (lambda run, other: shutil.copy(other / "moments" / LAYER, run / "moments"), "layer.001"),
        (lambda run, other: shutil.copy(other / "moments" / "targets.safetensors", run / "moments"), "targets"),
        (lambda run, _other: altered(run / "moments" / LAYER, "pooled_gram", lambda x: -x), "layer.001"),
    ],
)
def test_what_is_not_as_it_was_written_is_refused(
    damage: Callable[[Path, Path], None], named: str, run: Path, runs: Path, tmp_path: Path
) -> None:
    damage(run, runs / "b")
    uses: tuple[Callable[[], object], ...] = (lambda: rescore(run), lambda: merge([run, runs / "b"], tmp_path / "out"))
    for use in uses:
        with pytest.raises(InputError, match=rf"{named}.* is damaged or of another run"):
            use()
    assert not (tmp_path / "out" / "result.json").exists()


@pytest.mark.parametrize("part", ["train", "test"])
def test_pooled_texts_that_are_not_as_they_were_written(part: str, run: Path) -> None:
    swap(run / "pooled" / part, "npy")
    with pytest.raises(InputError, match=r"layer\.00.\.npy is damaged or of another run"):
        rescore(run, random_task(40, 3, 0, test=12))


def test_folders_without_checksums_are_read_and_it_is_said(run: Path, runs: Path, tmp_path: Path) -> None:
    before = rescore(run).to_dict()
    without_digests(run)
    after = rescore(run).to_dict()
    assert after["layers"] == before["layers"]
    (more,) = set(after["warnings"]) - set(before["warnings"])
    assert "without checksums" in more
    assert more in merge([run, runs / "b"], tmp_path / "out").warnings
    swap(run / "pooled" / "train", "npy")
    with pytest.raises(InputError, match="do not belong to its statistics"):
        rescore(run, random_task(40, 3, 0, test=12))


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("prefix_gram", lambda x: x.index_fill(0, torch.tensor([3]), torch.nan), "prefix_gram .* is not finite"),
        ("next_sum", lambda x: x * torch.inf, "next_sum .* is not finite"),
        ("pooled_gram", torch.Tensor.float, "pooled_gram .* is float32 and not float64"),
        ("pooled_sum", torch.Tensor.int, "pooled_sum .* is int32 and not float64"),
        ("pooled_gram", lambda x: -x, "pooled_gram .* has negative squares"),
        ("pooled_target", lambda x: x[:, 0], "do not fit together"),
        ("pooled_target", lambda x: x[:, :2], "do not fit together"),
    ],
)
def test_what_no_sums_can_be_is_refused_without_checksums(
    name: str, change: Callable[[torch.Tensor], torch.Tensor], words: str, run: Path
) -> None:
    without_digests(run)
    altered(run / "moments" / LAYER, name, change)
    with pytest.raises(InputError, match=words):
        rescore(run)


def test_sums_of_other_texts_are_refused_without_checksums(run: Path, runs: Path, tmp_path: Path) -> None:
    score(load_model(runs / "model"), random_task(30, 3, 5), out=tmp_path / "c")
    without_digests(run)
    shutil.copy(tmp_path / "c" / "moments" / LAYER, run / "moments")
    with pytest.raises(InputError, match=r"layer 1 in .* is of other texts"):
        rescore(run)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("model", "layer_names"), 3, "the file.model.layer_names is not a list"),
        (("model", "num_layers"), 99, "lists layers that the model does not have"),
        (("layers",), [], "lists layers"),
        (("task", "texts"), "40", "task.texts is not of the type int"),
        (("task", "test"), {}, "task.test has no split"),
        (("settings",), None, "settings is not a mapping"),
        (("warnings",), [3], "warnings.0 is not of the type str"),
    ],
)
def test_an_index_that_says_something_else(path: tuple[str, ...], value: object, words: str, run: Path) -> None:
    file = run / "moments" / "index.json"
    index = json.loads(file.read_text())
    *parents, last = path
    block = index
    for name in parents:
        block = block[name]
    block[last] = value
    file.write_text(json.dumps(index))
    with pytest.raises(InputError, match=words):
        rescore(run)


@pytest.mark.parametrize("text", ["[" * 20000, "{", "", '{"texts": NaN}', "\x00"])
def test_an_index_that_is_no_json(text: str, run: Path) -> None:
    (run / "moments" / "index.json").write_text(text)
    with pytest.raises(InputError, match=r"cannot read .*index\.json"):
        rescore(run)


class Inner(Block):
    c: str


class Outer(Block):
    a: Items[int]
    b: Inner | None = None
    d: Mapping[str, float] = {}
    e: Figure = None


@pytest.mark.parametrize(
    "content", [{"a": []}, {"a": [1], "b": None, "more": {"kept": [3]}}, {"a": [], "b": {"c": ""}}]
)
def test_a_file_says_again_what_was_read(content: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "file").write_text(json.dumps(content))
    assert read_json(tmp_path / "file", Outer, "write it again").to_dict() == content


@pytest.mark.parametrize(
    ("words", "content"),
    [
        ("the file has no a", {}),
        ("the file.a is not a list", {"a": "bc"}),
        ("the file.a.1 is not of the type int", {"a": [1, True]}),
        ("the file.b is not a mapping", {"a": [], "b": 3}),
        ("the file.b has no c", {"a": [], "b": {}}),
        ("the file.b.c is not of the type str", {"a": [], "b": {"c": 1}}),
        ("the file.d.x is not of the type float", {"a": [], "d": {"x": "1"}}),
        ("the file.e is not of the type float", {"a": [], "e": False}),
        ("the file is not a mapping", []),
    ],
)
def test_what_a_file_must_not_say(words: str, content: object, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"file is not what ntps writes \({words}\): write it again"):
        read_json(tmp_path / "file", Outer, "write it again")


def test_a_manifest_with_the_right_checksum_and_wrong_types(tmp_path: Path) -> None:
    write_manifest(tmp_path / "ledger.json", Manifest({}, {}, "many", files={"a": "b"}))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="is damaged"):
        read_manifest(tmp_path / "ledger.json")


def test_a_mask_of_other_numbers_is_refused() -> None:
    with pytest.raises(InputError, match="besides 0 and 1"):
        Layout.of_mask(torch.tensor([[1, 2, 0]]))
    for mask in (torch.tensor([[1, 1, 0]]), torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([[True, True, False]])):
        assert Layout.of_mask(mask).lengths.tolist() == [2]


@pytest.mark.parametrize(("hidden", "target", "large"), [(1e160, 1.0, "hidden states"), (1.0, 1e160, "target values")])
def test_sums_beyond_float64_are_one_sentence(hidden: float, target: float, large: str) -> None:
    moments = Moments(3, 1)
    states = torch.full((2, 4, 3), hidden, dtype=torch.float64)
    moments.update(states, torch.ones(2, 4), np.full((2, 1), target))
    with pytest.raises(NumericalError, match=f"exceeds what float64 holds: scale the {large} down"):
        moments.means()

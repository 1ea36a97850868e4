"""Several processes share a run: the same numbers as one alone, and nothing is lost when one of them dies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ntps.moments.record import read_moments
from same import assert_same
from tiny import random_texts, save_model, save_rows
from workers import Ambush, Ended, Workers, run_workers

TOLERANCE = 1e-12


class Setting:
    """A model, a task, and the results of whole runs by number of processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = save_model(folder / "model", "llama")
        self.task = folder / "task"
        self.task.mkdir()
        for name, size in (("train", 90), ("test", 40)):
            texts = random_texts(size, size)
            save_rows(self.task / f"{name}.jsonl", texts, [len(text) // 3 % 3 for text in texts])
        self._whole: dict[int, Path] = {}

    def command(self, out: Path | None, *more: object, task: Path | None = None) -> list[object]:
        """Arguments of one process."""
        where = [] if out is None else ["--out", out]
        return ["score", self.model, task or self.task, "--tokens-per-batch", 40, "-q", *where, *more]

    def run(self, out: Path | None, size: int, *more: object, ambush: Ambush | None = None) -> Ended:
        """Runs so many processes that share a folder."""
        return run_workers([self.command(out, *more)] * size, self.folder / "log", ambush)

    def whole(self, size: int) -> Path:
        """What so many processes leave without interruption."""
        if size not in self._whole:
            out = self.folder / f"whole.{size}"
            assert set(self.run(out, size).codes) == {0}
            self._whole[size] = out
        return self._whole[size]


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(tmp_path_factory.mktemp("setting"))


def result(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "result.json").read_text())
    return content


def assert_close(out: Path, expected: Path) -> None:
    """The same sums up to the order of additions; the same scores up to what that does to them."""
    first, second = read_moments(out / "moments"), read_moments(expected / "moments")
    assert first.keys() == second.keys()
    for layer, moments in first.items():
        assert (moments.texts, moments.tokens) == (second[layer].texts, second[layer].tokens)
        for name, total in moments.sums.items():
            difference = (total - second[layer].sums[name]).norm()
            assert difference <= TOLERANCE * second[layer].sums[name].norm(), (layer, name)
    curves = [pd.read_parquet(folder / "curves.parquet") for folder in (out, expected)]
    for column in ("excess_loss", "retained_centered", "next_token_share"):
        np.testing.assert_allclose(curves[0][column], curves[1][column], rtol=0, atol=1e-8)
    one, other = result(out), result(expected)
    assert one["settings_hash"] == other["settings_hash"]
    assert one["task"] == other["task"]
    for row, twin in zip(one["layers"], other["layers"], strict=True):
        for name in ("area", "r2", "r2_test", "accuracy_test", "best_loss"):
            assert row[name] == pytest.approx(twin[name], rel=1e-8, abs=1e-9), name


def cleared(out: Path) -> bool:
    return sorted(path.name for path in out.iterdir()) == ["curves.parquet", "moments", "result.json"]


# --- whole runs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 3])
def test_several_processes_find_what_one_finds(size: int, setting: Setting) -> None:
    assert_close(setting.whole(size), setting.whole(1))
    assert result(setting.whole(size))["settings"]["world_size"] == size
    assert cleared(setting.whole(size))


def test_as_many_processes_find_the_same_bits(setting: Setting, tmp_path: Path) -> None:
    ended = setting.run(tmp_path / "run", 2)
    assert_same(tmp_path / "run", setting.whole(2))
    # The first process speaks for all.
    assert "Results are in" in ended.said[0] and ended.said[1] == ""


def test_more_processes_than_batches(setting: Setting, tmp_path: Path) -> None:
    for name, size in (("one", 1), ("three", 3)):
        assert set(setting.run(tmp_path / name, size, "--limit", 4).codes) == {0}
    assert_close(tmp_path / "three", tmp_path / "one")


@pytest.mark.parametrize("more", [["--moments", "drop"], ["--no-test", "--layers", "0,-1"]])
def test_options_hold_for_all(more: Sequence[object], setting: Setting, tmp_path: Path) -> None:
    for name, size in (("one", 1), ("two", 2)):
        assert set(setting.run(tmp_path / name, size, *more).codes) == {0}
    one, two = (pd.read_parquet(tmp_path / name / "curves.parquet") for name in ("one", "two"))
    np.testing.assert_allclose(one["retained_centered"], two["retained_centered"], rtol=0, atol=1e-8)
    assert (tmp_path / "two" / "moments").exists() == (more[0] != "--moments")
    assert not (tmp_path / "two" / "progress").exists()


def test_without_a_folder(setting: Setting) -> None:
    ended = setting.run(None, 2, "--json")
    assert ended.codes == (0, 0) and ended.said[1] == ""
    printed = json.loads(ended.said[0][ended.said[0].index("{") :])
    assert printed["summary"]["area"] == pytest.approx(result(setting.whole(2))["summary"]["area"], rel=1e-12)

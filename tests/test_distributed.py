"""Several processes share a run: the same numbers as one alone, and nothing is lost when one of them dies."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from ntps.checkpoint.manifest import Manifest
from ntps.checkpoint.resume import open_progress
from ntps.distributed.world import World
from ntps.moments.sums_folder import read_moments
from ntps.scoring.exchange import join_moments
from same import assert_same
from tiny import moments_of, random_texts, save_model, save_rows
from unwrapped import unwrapped
from workers import Ambush, Ended, run_workers

pytestmark = pytest.mark.slow

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
        self._died: Path | None = None

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

    def died(self, out: Path) -> Path:
        """Fills a folder with what two processes leave when both have their sums on disk, and then one dies."""
        if self._died is None:
            self._died = self.folder / "died"
            ended = self.run(self._died, 2, ambush=Ambush(1, "ntps.distributed.world:World.reduce"))
            assert ended.codes == (1, -9)
        shutil.copytree(self._died, out)
        return out


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


def errors(said: str) -> list[str]:
    """What a process complained about; libraries may have warned besides."""
    return [line for line in unwrapped(said).splitlines() if line.startswith("Error:")]


def cleared(out: Path) -> bool:
    return sorted(path.name for path in out.iterdir()) == [
        ".ntps.json",
        "curves.parquet",
        "held_out.safetensors",
        "left_out.safetensors",
        "moments",
        "result.json",
    ]


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


def test_the_order_of_the_exchange_is_that_of_no_dictionary() -> None:
    """A process that goes on in the middle has made its sums itself; one that had done its share has read them."""
    texts = [np.ones((length, 4)) for length in (1, 3, 2)]
    moments = moments_of(texts, np.eye(3))

    class Recorder(World):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[int] = []

        def reduce(self, tensor: torch.Tensor) -> None:
            self.seen.append(tensor.numel())

    orders = []
    for turned in (False, True):
        moments.sums = dict(reversed(moments.sums.items())) if turned else moments.sums
        world = Recorder()
        join_moments(world, {0: moments})
        orders.append(world.seen)
    assert orders[0] == orders[1]


# --- death ------------------------------------------------------------------------------------------------------------

# In the pass, in a checkpoint before and after its manifest, while sums are sent and received, while the joint sums are
# written, when they are, and in the pass over the held-out texts.
AMBUSHES = [
    Ambush(1, "ntps.forward.stream:Pass.run_batch", 2),
    Ambush(0, "ntps.forward.stream:Pass.run_batch", 3),
    Ambush(1, "ntps.checkpoint.checkpoint:write_moments", 2),
    Ambush(1, "ntps.checkpoint.checkpoint:write_manifest", 1),
    Ambush(0, "ntps.checkpoint.checkpoint:write_manifest", 1, after=True),
    Ambush(1, "ntps.distributed.world:World.reduce", 7),
    Ambush(0, "ntps.distributed.world:World.reduce", 5),
    Ambush(0, "ntps.scoring.score_run:write_moments", 0),
    Ambush(0, "ntps.scoring.score_run:write_moments", 0, after=True),
    Ambush(0, "ntps.scoring.score_run:share_probes"),
    Ambush(1, "ntps.scoring.score_run:evaluate_probes"),
    Ambush(0, "ntps.jobs.record:Record.write", after=True),
]


@pytest.mark.parametrize("ambush", AMBUSHES, ids=lambda ambush: f"{ambush.rank}-{ambush.where.split(':')[1]}")
def test_a_killed_process_costs_nothing_but_time(ambush: Ambush, setting: Setting, tmp_path: Path) -> None:
    out = tmp_path / "run"
    ended = setting.run(out, 2, ambush=ambush)
    assert ended.codes[ambush.rank] == -9, ended
    other = 1 - ambush.rank
    assert ended.codes[other] == 1, ended
    if other == 0:
        said = unwrapped(ended.said[0])
        assert "the launcher has ended process 0 of 2" in said and "give the same command again" in said
    else:
        assert not errors(ended.said[1])
    assert set(setting.run(out, 2).codes) == {0}
    assert_same(out, setting.whole(2))


@pytest.mark.parametrize("sizes", [(2, 3), (3, 1), (1, 2), (3, 2, 1)])
def test_another_number_of_processes_goes_on(sizes: Sequence[int], setting: Setting, tmp_path: Path) -> None:
    """What was done is not done again, whoever did it."""
    for size in sizes[:-1]:
        ended = setting.run(tmp_path / "run", size, ambush=Ambush(size - 1, "ntps.forward.stream:Pass.run_batch", 2))
        assert ended.codes[size - 1] == -9
    # That of the process that was killed: the others may not have come as far as their first batch.
    folder = tmp_path / "run" / "progress" / (f"rank.{size - 1}" if size > 1 else "")
    assert json.loads(json.loads((folder / "ledger.json").read_text())["ledger"])["world"] == size
    assert set(setting.run(tmp_path / "run", sizes[-1]).codes) == {0}
    assert_close(tmp_path / "run", setting.whole(1))
    assert any("continued with" in warning for warning in result(tmp_path / "run")["warnings"])
    assert cleared(tmp_path / "run")


def test_death_while_progress_is_dealt_anew(setting: Setting, tmp_path: Path) -> None:
    out = tmp_path / "run"
    setting.run(out, 3, ambush=Ambush(2, "ntps.forward.stream:Pass.run_batch", 2))
    for where in ("ntps.checkpoint.resume:write_moments", "ntps.checkpoint.resume:erase"):
        assert setting.run(out, 2, ambush=Ambush(0, where)).codes[0] == -9
    assert set(setting.run(out, 2).codes) == {0}
    assert_close(out, setting.whole(1))


def test_no_work_is_repeated(setting: Setting, tmp_path: Path) -> None:
    """A process that has done its share does not do it again because another one died."""
    out = setting.died(tmp_path / "run")
    again = setting.run(out, 2, ambush=Ambush(0, "ntps.forward.stream:Pass.run_batch"))
    # It would be dead if it had run a batch before the joint sums were on disk; held-out texts come later.
    assert again.codes[0] == -9
    assert json.loads(json.loads((out / "progress" / "ledger.json").read_text())["ledger"])["whole"]


def test_hosts_without_a_common_folder(setting: Setting, tmp_path: Path) -> None:
    hosts = [tmp_path / "a", tmp_path / "b"]
    commands = [setting.command(out) for out in hosts]
    ended = run_workers(commands, tmp_path / "log", Ambush(1, "ntps.forward.stream:Pass.run_batch", 2))
    assert ended.codes == (1, -9)
    assert (hosts[1] / "progress" / "rank.1" / "ledger.json").exists()
    assert run_workers(commands, tmp_path / "log").codes == (0, 0)
    assert_same(hosts[0], setting.whole(2))
    assert not hosts[1].exists()


def test_a_process_that_begins_leaves_the_folders_of_others_alone(tmp_path: Path) -> None:
    """They may be empty because another process of the host is about to write there."""
    fresh = Manifest({"model": "m"}, {}, 40, rank=1, world=2)

    class Begun(World):
        def broadcast_object(self, _value: object) -> Any:
            return {**fresh.partition, "complete": False}

    (tmp_path / "progress").mkdir()
    checkpoint = open_progress(Begun(1, 2), tmp_path, fresh, None, resume=True, overwrite=False)
    assert (tmp_path / "progress").is_dir()
    # When the sums are in the first process, nobody needs them any more.
    checkpoint.leave()
    assert not tmp_path.exists()


# --- clear sentences --------------------------------------------------------------------------------------------------


def sentence(ended: Ended) -> str:
    """The one thing that was said, on whichever host, and not twice."""
    [only] = [line for said in ended.said for line in errors(said)]
    assert all(code not in (0, -9) for code in ended.codes)
    return only


def test_a_folder_in_use_or_occupied_is_refused_once(setting: Setting) -> None:
    assert "already holds a result" in sentence(setting.run(setting.whole(2), 3))


def test_a_mistake_is_told_once(setting: Setting, tmp_path: Path) -> None:
    assert "--layers" in sentence(setting.run(tmp_path / "run", 3, "--layers", "99"))
    assert not (tmp_path / "run").exists()


def test_processes_that_read_other_texts_are_refused(setting: Setting, tmp_path: Path) -> None:
    other = save_rows(tmp_path / "other.jsonl", random_texts(90, 7), [0, 1, 2] * 30)
    commands = [setting.command(tmp_path / "run"), setting.command(tmp_path / "run", task=other)]
    ended = run_workers(commands, tmp_path / "log")
    assert "process 1 differs from process 0 in texts" in sentence(ended)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("name", ["ledger.json", "layer.001.safetensors"])
def test_damaged_progress_of_any_process_is_refused(rank: int, name: str, setting: Setting, tmp_path: Path) -> None:
    out = setting.died(tmp_path / "run")
    folder = out / "progress" / ("rank.1" if rank else "")
    path = next(path for path in [*folder.glob(name), *folder.glob(f"batch.*/{name}")])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    before = {path: path.read_bytes() for path in folder.glob("batch.*/*")}
    assert f"{path.name} is damaged" in sentence(setting.run(out, 2))
    assert {path: path.read_bytes() for path in folder.glob("batch.*/*")} == before
    assert set(setting.run(out, 2, "--overwrite").codes) == {0}
    assert_same(out, setting.whole(2))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_progress_of_another_run_is_refused(size: int, setting: Setting, tmp_path: Path) -> None:
    out = setting.died(tmp_path / "run")
    # As if the first process had died before it wrote anything.
    (out / "progress" / "ledger.json").unlink()
    assert "pooling (mean then, last now)" in sentence(setting.run(out, size, "--pooling", "last"))
    assert set(setting.run(out, size).codes) == {0}
    assert_close(out, setting.whole(1))


@pytest.mark.parametrize("rank", [0, 1])
def test_a_full_disk_of_any_process(rank: int, setting: Setting, tmp_path: Path) -> None:
    out = tmp_path / "run"
    ended = setting.run(out, 2, ambush=Ambush(rank, "ntps.moments.sums_file:save_file", 9, full=True))
    assert "No space left on device; free the space" in sentence(ended)
    assert set(setting.run(out, 2).codes) == {0}
    assert_same(out, setting.whole(2))


def test_a_folder_that_one_process_cannot_write(setting: Setting, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    commands = [setting.command(tmp_path / "run"), setting.command(tmp_path / "file" / "run")]
    assert f"cannot write {tmp_path / 'file'}" in sentence(run_workers(commands, tmp_path / "log"))
    assert not (tmp_path / "run" / "result.json").exists()

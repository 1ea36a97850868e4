"""Processes that share the passes of tangent features: the same bits as one, whoever dies, and whoever goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from same import assert_same
from test_distributed import errors
from tiny import random_texts, save_model, save_rows
from workers import Ambush, Ended, run_workers

pytestmark = pytest.mark.slow
BATCH, JOIN = "ntps.forward.tangents:TangentPass._run_batch", "ntps.distributed.world:World.reduce"
WRITE, CLEAR = "ntps.checkpoint.tangent_rows:write_chunk", "ntps.checkpoint.tangent_rows:_clear"


class Setting:
    """A model, a task, and what one process leaves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = save_model(folder / "model", "llama")
        self.task = folder / "task"
        self.task.mkdir()
        for name, size in (("train", 60), ("test", 30)):
            texts = random_texts(size, size)
            save_rows(self.task / f"{name}.jsonl", texts, [len(text) // 3 % 3 for text in texts])
        self.whole = {command: folder / command for command in ("probe", "advise")}
        for command, out in self.whole.items():
            assert self.run(command, [out]).codes == (0,)

    def run(self, command: str, outs: list[Path], *more: object, ambush: Ambush | None = None) -> Ended:
        """Runs a process for each folder."""
        kind = ["--kind", "tangent"] if command == "probe" and "--kind" not in more else []
        given = [command, self.model, self.task, *kind, "--tokens-per-batch", 40, "-q", *more]
        return run_workers([[*given, "--out", out] for out in outs], self.folder / "log", ambush)


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(tmp_path_factory.mktemp("setting"))


@pytest.mark.parametrize(("command", "size"), [("probe", 2), ("probe", 3), ("advise", 2)])
def test_several_processes_find_what_one_finds(command: str, size: int, setting: Setting, tmp_path: Path) -> None:
    ended = setting.run(command, [tmp_path / "run"] * size)
    assert ended.codes == (0,) * size, ended.said
    assert_same(tmp_path / "run", setting.whole[command])
    # The first process speaks for all.
    assert "Results are in" in ended.said[0] and not any(ended.said[1:])


@pytest.mark.parametrize("shared", [True, False], ids=["common folder", "folders of their own"])
@pytest.mark.parametrize(
    "ambush",
    [
        Ambush(1, BATCH, 4),
        Ambush(0, BATCH, 4),
        Ambush(1, WRITE, 3),
        Ambush(1, JOIN, 1),
        Ambush(0, CLEAR),
        Ambush(1, CLEAR),
    ],
    ids=str,
)
def test_whoever_dies_the_same_command_goes_on(ambush: Ambush, shared: bool, setting: Setting, tmp_path: Path) -> None:
    outs = [tmp_path / "run", tmp_path / ("run" if shared else "other")]
    ended = setting.run("probe", outs, ambush=ambush)
    assert sorted(ended.codes) == [-9, 1], ended.said
    assert [len(errors(said)) for said in ended.said] == ([0, 0] if ambush.rank == 0 else [1, 0])
    ended = setting.run("probe", outs)
    assert ended.codes == (0, 0), ended.said
    assert_same(tmp_path / "run", setting.whole["probe"])
    assert shared or not outs[1].exists()


@pytest.mark.parametrize("sizes", [(2, 3, 1), (3, 1, 2)], ids=str)
def test_another_number_of_processes_goes_on(sizes: tuple[int, ...], setting: Setting, tmp_path: Path) -> None:
    for size in sizes[:-1]:
        ended = setting.run("probe", [tmp_path / "run"] * size, ambush=Ambush(size - 1, BATCH, 2))
        assert -9 in ended.codes
    ended = setting.run("probe", [tmp_path / "run"] * sizes[-1])
    assert set(ended.codes) == {0}, ended.said
    assert_same(tmp_path / "run", setting.whole["probe"])


def test_nobody_computes_what_is_there(setting: Setting, tmp_path: Path) -> None:
    # Of the two arrays of each pass, the last one is on its way when all rows are on disk.
    assert -9 in setting.run("probe", [tmp_path / "run"] * 2, ambush=Ambush(1, JOIN, 3)).codes
    assert setting.run("probe", [tmp_path / "run"], ambush=Ambush(0, BATCH)).codes == (0,)
    assert_same(tmp_path / "run", setting.whole["probe"])


def test_what_is_no_part_of_one_run_is_refused(setting: Setting, tmp_path: Path) -> None:
    ended = setting.run("probe", [tmp_path / "run"] * 2, "--kind", "ols")
    assert 2 in ended.codes
    (sentence,) = [line for said in ended.said for line in errors(said)]
    assert "--kind ols is for one process" in sentence

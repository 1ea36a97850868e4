"""What processes of a run know of each other, without processes: threads that share a store."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from torch._C._distributed_c10d import HashStore, TCPStore

from ntps import InputError, NtpsError
from ntps.checkpoint.manifest import read_manifest
from ntps.distributed import peers
from ntps.distributed.peers import PeerFailed, Peers
from ntps.distributed.world import World
from ntps.models.load import load_model
from ntps.options.scoring import ScoreSettings
from ntps.scoring.score_run import run_score
from tiny import random_task, save_model

Found = TypeVar("Found")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign of life every hundredth of a second."""
    for name, value in {"BEAT": 0.01, "POLL": 0.001, "GRACE": 0.1}.items():
        monkeypatch.setattr(peers, name, value)


HALF_A_SECOND = timedelta(seconds=0.5)


def together(size: int, act: Callable[[int], Found]) -> list[Found]:
    """What an act gives in each of so many threads."""
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(act, range(size)))


def meet(size: int) -> list[Peers]:
    store = HashStore()
    return together(size, lambda rank: Peers(rank, size, store))


def silence(one: Peers) -> None:
    """What is left of a process after SIGKILL."""
    one._closed.set()


def wait_for_trouble(one: Peers) -> str:
    while one.trouble is None:
        time.sleep(0.01)
    return one.trouble


def test_facts_come_by_rank() -> None:
    all_of_them = meet(3)
    for turn in range(2):
        found = together(3, lambda rank, turn=turn: all_of_them[rank].exchange([rank, turn]))  # type: ignore[misc]
        assert found == [[[0, turn], [1, turn], [2, turn]]] * 3


def test_a_process_that_works_for_long_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = meet(2)
    monkeypatch.setattr(peers, "PEER_TIMEOUT", HALF_A_SECOND)
    time.sleep(1)
    assert first.trouble is second.trouble is None
    # Who has finished is silent, and not dead either.
    second.leave(None)
    time.sleep(1)
    first.check()
    first.leave(None)


@pytest.mark.parametrize("dead", [0, 1])
def test_silence_is_death(dead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    both = meet(2)
    monkeypatch.setattr(peers, "PEER_TIMEOUT", HALF_A_SECOND)
    silence(both[dead])
    assert f"process {dead} of 2 gives no sign of life" in wait_for_trouble(both[1 - dead])
    with pytest.raises(PeerFailed, match="give the same command again"):
        both[1 - dead].exchange(None)


def test_who_stops_tells_all_others_why() -> None:
    first, second, third = meet(3)
    second.leave(InputError("the disk is full"))
    for other in (first, third):
        with pytest.raises(PeerFailed, match=r"process 1 of 3 on .* stopped: the disk is full: give the same command"):
            other.exchange(None)


def test_one_of_them_reports_what_several_have_met_with() -> None:
    met = [InputError("no such layer") for _ in range(3)]
    for one, error in zip(meet(3), met, strict=True):
        one.leave(error)
    assert [error.already_reported for error in met] == [False, True, True]
    # The first process reports the death of another one.
    for one, failed in zip(meet(2), deaths := [PeerFailed("gone"), PeerFailed("gone")], strict=True):
        one.leave(failed)
    assert [failed.already_reported for failed in deaths] == [False, True]


def test_who_stops_because_of_another_one_adds_nothing_to_its_sentence() -> None:
    first, second, third = meet(3)
    second.leave(mistake := InputError("no such layer"))
    wait_for_trouble(first), wait_for_trouble(third)
    # The launcher's signal may come while a library loads something, and the library has its own words for it.
    later = PeerFailed(str(first.trouble)), InputError(f"cannot load the model: {third.trouble}")
    for one, error in zip((first, third), later, strict=True):
        one.leave(error)
    assert [error.already_reported for error in (mistake, *later)] == [False, True, True]


def test_the_first_process_stays_until_the_others_have_what_they_need() -> None:
    first, second = meet(2)
    with ThreadPoolExecutor() as pool:
        left = pool.submit(first.leave, None)
        time.sleep(0.2)
        assert not left.done()
        second.leave(None)
        left.result(timeout=5)


def test_the_words_of_a_run_before_a_restart_mean_nothing() -> None:
    store = HashStore()
    old = together(2, lambda rank: Peers(rank, 2, store))
    with ThreadPoolExecutor() as pool:
        silence(old[1])
        # It comes again before the first process, which still belongs to the old run.
        second = pool.submit(Peers, 1, 2, store)
        assert "process 1 of 2" in (said := wait_for_trouble(old[0])) and "was started again" in said
        assert not second.done()
        first = Peers(0, 2, store)
    assert together(2, lambda rank: [first, second.result()][rank].exchange(rank)) == [[0, 1]] * 2


def test_the_second_run_of_a_script_does_not_end_the_first_one() -> None:
    store = HashStore()
    old = together(2, lambda rank: Peers(rank, 2, store))
    with ThreadPoolExecutor() as pool:
        old[1].leave(None)
        second = pool.submit(Peers, 1, 2, store)
        time.sleep(0.1)
        old[0].check()
        old[0].leave(None)
        Peers(0, 2, store)
    assert second.result().trouble is None


def test_a_process_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEER_TIMEOUT", HALF_A_SECOND)
    for rank in (0, 1):
        with pytest.raises(NtpsError, match=rf"process {rank} of 2 on .* did not find the others: not all of them"):
            Peers(rank, 2, HashStore())


def test_a_store_that_is_gone() -> None:
    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    port = server.port
    one = Peers(0, 1, TCPStore("127.0.0.1", port, is_master=False))
    del server
    with pytest.raises(PeerFailed, match="lost"):
        while True:
            one.exchange(None)


def test_sums_of_any_layout() -> None:
    worlds = [World(rank, 3, one) for rank, one in enumerate(meet(3))]
    given = [torch.arange(6, dtype=torch.float64).reshape(2, 3).mul(rank + 1).T for rank in range(3)]
    known = given[0].clone()

    def act(rank: int) -> torch.Tensor:
        worlds[rank].reduce(given[rank])
        worlds[rank].reduce(single := torch.tensor(rank + 1.0))
        assert single == (6 if rank == 0 else rank + 1)
        return worlds[rank].broadcast(given[rank])

    assert all(torch.equal(found, 6 * known) for found in together(3, act))


def test_the_signal_of_the_launcher_waits_for_the_end_of_a_batch() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    try:
        first, second = meet(2)
        world = World(0, 2, first)
        with world.checked_batches():
            world._hear(signal.SIGTERM, None)
        with pytest.raises(PeerFailed, match="the launcher has ended process 0 of 2"):
            world.check()
        second.leave(InputError("the disk is full"))
        # Whoever is not in the midst of batches stops at once, and knows why if another one has said so.
        with pytest.raises(PeerFailed, match=r"process 1 of 2 on .* stopped: the disk is full"):
            World(0, 2, meet_again(second))._hear(signal.SIGTERM, None)
    finally:
        signal.signal(signal.SIGTERM, handler)


def meet_again(one: Peers) -> Peers:
    """The first process as it hears the signal before it has looked what the others say."""
    twin = object.__new__(Peers)
    twin.__dict__ = {**one.__dict__, "trouble": None, "_rank": 0}
    return twin


def test_what_is_done_is_on_disk_when_the_launcher_ends_a_run(tmp_path: Path) -> None:
    """Long before a checkpoint is due."""

    class Ended(World):
        batches = 0

        def check(self) -> None:
            self.batches += 1
            if self.batches == 3:
                raise PeerFailed("ended")

    model, task = load_model(save_model(tmp_path / "model")), random_task(40)
    with pytest.raises(PeerFailed):
        run_score(model, task, ScoreSettings(tokens_per_batch=40), out=tmp_path / "out", world=Ended())
    manifest = read_manifest(tmp_path / "out" / "progress" / "ledger.json")
    assert manifest is not None and manifest.done == 3

"""Several processes of one run, as a launcher would start them, but without its seconds of imports."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from torch._C._distributed_c10d import TCPStore

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "ntps.cli",
        "ntps.api.scoring",
        "pyarrow.parquet",
        "torch.distributed.rendezvous",
        "transformers.models.auto.tokenization_auto",
        "transformers.models.llama.modeling_llama",
    ]
)
DEADLINE = 300.0


@dataclass(frozen=True)
class Ambush:
    """Kills its own process at some call of some function.

    Attributes:
        rank: Whom it hits.
        where: The function, as ``module:name`` or ``module:class.name``.
        call: Which call, counted from 0.
        after: Whether the call is still done.
        full: Whether, instead, the disk is full from then on.
    """

    rank: int
    where: str
    call: int = 0
    after: bool = False
    full: bool = False


@dataclass(frozen=True)
class Ended:
    """How the processes of a run ended, by rank.

    Attributes:
        codes: Exit codes; negative for signals.
        said: What each printed.
    """

    codes: tuple[int, ...]
    said: tuple[str, ...]


def run_workers(commands: Sequence[Sequence[object]], log: Path, ambush: Ambush | None = None) -> Ended:
    """Runs the command line in several processes, and ends all of them when one has failed, as torchrun does.

    Args:
        commands: Arguments of each process.
        log: Folder for what they print.
        ambush: Where one of them dies.
    """
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    log.mkdir(parents=True, exist_ok=True)
    logs = [log / f"{rank}.log" for rank in range(len(commands))]
    processes: list[ForkServerProcess] = []
    for rank, command in enumerate(commands):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": len(commands), "MASTER_PORT": store.port}
        chosen = ambush if ambush and ambush.rank == rank else None
        process = _CONTEXT.Process(target=_run, args=(place, [str(part) for part in command], logs[rank], chosen))
        process.start()
        processes.append(process)
    deadline = time.monotonic() + DEADLINE
    while any(process.is_alive() for process in processes) and time.monotonic() < deadline:
        if any(process.exitcode for process in processes):
            for process in processes:
                process.terminate()
            break
        wait([process.sentinel for process in processes if process.is_alive()], timeout=1)
    for process in processes:
        process.join(max(deadline - time.monotonic(), 0.1))
    hanging = [rank for rank, process in enumerate(processes) if process.is_alive()]
    for rank in hanging:
        processes[rank].kill()
    said = tuple(each.read_text() for each in logs)
    assert not hanging, (hanging, said)
    return Ended(tuple(process.exitcode or 0 for process in processes), said)


def _run(place: dict[str, int], arguments: list[str], log: Path, ambush: Ambush | None) -> None:
    os.environ.update({name: str(value) for name, value in place.items()}, MASTER_ADDR="127.0.0.1")
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv = ["ntps", *arguments]
    paced_main(ambush)


def paced_main(ambush: Ambush | None) -> None:
    """What ``python -m ntps`` does, with a checkpoint after every batch."""
    from ntps.checkpoint import checkpoint
    from ntps.cli import main

    checkpoint.INTERVAL, checkpoint.SHARE = 0.0, float("inf")
    # What a process has written outlives it, if not its machine.
    os.fsync = lambda fd: None
    if ambush is not None:
        _lay(ambush)
    main()


def _lay(ambush: Ambush) -> None:
    module, names = ambush.where.split(":")
    *path, name = names.split(".")
    owner = importlib.import_module(module)
    for part in path:
        owner = getattr(owner, part)
    original, calls = getattr(owner, name), 0

    def fall(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls <= ambush.call:
            return original(*arguments, **options)
        if ambush.full:
            raise OSError(28, "No space left on device")
        if ambush.after:
            original(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    setattr(owner, name, fall)

"""Several processes, on one host or on many, that share one run; torchrun launches them.

Nothing is exchanged while batches run. Small facts go through the launcher's key-value store, sums through a process
group that is formed when they are joined, and every process holds a line to the first one, which tells at once when
either of them is gone.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from ntps.distributed.launch import is_launched
from ntps.distributed.peer_connections import AGAIN, PEER_TIMEOUT, Lines
from ntps.errors import InputError, NtpsError

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

POLL = 0.5
"""Seconds between two looks at whether the others live."""
GRACE = 1.0
"""Seconds after which the lines tell whose end it was that broke another connection."""


class PeerFailed(NtpsError):
    """Another process of the run has stopped."""


class World:
    """The processes of one run.

    Attributes:
        rank: Which of them this is.
        size: How many there are.
        device: Where this process computes.
    """

    def __init__(self, rank: int = 0, size: int = 1, store: Store | None = None) -> None:
        self.rank, self.size = rank, size
        self.device = torch.device("cpu")
        self._lines: Lines | None = None
        self._store: Store | None = None
        if store is not None:
            self._lines = Lines(rank, size, store)
            # The launcher's store may hold what others said before a restart.
            self._store = PrefixStore(self._lines.session, store)
        self._meetings = 0
        self._exchange_device: torch.device | None = None
        self._formed = False

    @property
    def alone(self) -> bool:
        """Whether this is the only process."""
        return self.size == 1

    def default_device(self) -> str | None:
        """The device of this process where the user names none: one CUDA device each, if there are any.

        Raises:
            InputError: There are fewer devices than processes.
        """
        if self.alone or not torch.cuda.is_available():
            return None
        local, devices = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if local >= devices:
            raise InputError(
                f"{socket.gethostname()} has {devices} CUDA devices for more processes than that: lower "
                "--nproc-per-node, or name one with --device"
            )
        return f"cuda:{local}"

    def check(self) -> None:
        """Raises :class:`PeerFailed` if another process has stopped; costs nothing."""
        if self._lines is not None and (trouble := self._lines.trouble) is not None:
            raise PeerFailed(trouble)

    def share(self, fact: Callable[[], Any]) -> Any:
        """What the first process finds, told to all.

        Args:
            fact: Called in the first process only; returns JSON types.

        Raises:
            PeerFailed: The first process has stopped.
        """
        if self._store is None:
            return fact()
        self._meetings += 1
        key = f"fact/{self._meetings}"
        if self.rank == 0:
            found = json.dumps(fact())
            self._store.set(key, found)
            return json.loads(found)
        return self._wait(key)

    def meet(self, fact: Any = None) -> list[Any]:
        """Waits for all processes.

        Args:
            fact: What this process has to say, in JSON types.

        Returns:
            What each of them says, by rank.

        Raises:
            PeerFailed: Another process has stopped.
        """
        if self._store is None:
            return [fact]
        self._meetings += 1
        self._store.set(f"meeting/{self._meetings}/{self.rank}", json.dumps(fact))
        return [self._wait(f"meeting/{self._meetings}/{other}") for other in range(self.size)]

    def gather(self, tensor: Tensor) -> Iterator[Tensor]:
        """Yields the tensors of the other processes, in order, in the first one; in the others, sends theirs.

        All have the same shape and dtype, and give theirs at about the same time: see :meth:`meet`.

        Raises:
            PeerFailed: Another process has stopped.
        """
        if self.rank:
            with self._exchange() as device:
                dist.send(tensor.to(device).contiguous(), dst=0)
            return
        for other in range(1, self.size):
            with self._exchange() as device:
                received = torch.empty(tensor.shape, dtype=tensor.dtype, device=device)
                dist.recv(received, src=other)
            yield received

    def spread(self, tensor: Tensor) -> Tensor:
        """The tensor of the first process, in all; the others give one of the same shape and dtype."""
        if self.alone:
            return tensor
        with self._exchange() as device:
            moved = tensor.to(device, copy=True).contiguous()
            dist.broadcast(moved, src=0)
        return moved.to(tensor.device)

    @contextmanager
    def _exchange(self) -> Iterator[torch.device]:
        """The device from which the process group sends."""
        if self._exchange_device is None:
            self._exchange_device = self._connect()
        with self._network():
            yield self._exchange_device

    def _connect(self) -> torch.device:
        """Forms the process group: NCCL where every process has a CUDA device of its own, gloo otherwise."""
        assert self._store is not None
        names = self.meet(_name_of(self.device))
        backend = "nccl" if None not in names and len(set(names)) == self.size else "gloo"
        if dist.is_initialized():
            backend = dist.get_backend()
        else:
            store = PrefixStore("group", self._store)
            with self._network():
                dist.init_process_group(
                    backend, timeout=PEER_TIMEOUT, world_size=self.size, rank=self.rank, store=store
                )
            self._formed = True
        return self.device if backend == "nccl" else torch.device("cpu")

    def _wait(self, key: str) -> Any:
        """What a key holds, once it does."""
        while True:
            fetched = Future[bytes]()
            # The store may be on a host that is gone, and would not answer for a quarter of an hour.
            threading.Thread(target=self._fetch, args=(key, fetched), daemon=True).start()
            while not fetched.done():
                self.check()
                wait([fetched], POLL)
            if not isinstance(fetched.exception(), dist.DistStoreError):
                with self._network():
                    return json.loads(fetched.result())

    def _fetch(self, key: str, fetched: Future[bytes]) -> None:
        assert self._store is not None
        try:
            fetched.set_result(self._store.get(key))
        except RuntimeError as error:
            fetched.set_exception(error)

    @contextmanager
    def _network(self) -> Iterator[None]:
        """Turns what the network refuses into one clear sentence."""
        try:
            yield
        except RuntimeError as error:
            time.sleep(GRACE)
            self.check()
            reason = str(error).strip().splitlines()[0]
            raise PeerFailed(f"the processes of this run have lost each other ({reason}): {AGAIN}") from error

    def _is_reported(self, sentence: str) -> bool:
        """Whether another process, which met with the same, was faster to say so."""
        assert self._store is not None and self._lines is not None
        try:
            first = self._store.compare_set("failed", "", sentence).decode()
            return bool(first == sentence and self._store.add("said", 1) > 1)
        except RuntimeError:
            time.sleep(GRACE)
            return sentence in (self._lines.trouble or "")

    def _leave(self, error: BaseException | None) -> None:
        assert self._store is not None and self._lines is not None
        if isinstance(error, PeerFailed):
            error.already_reported = self.rank > 0
        elif error is not None:
            sentence = str(error) if isinstance(error, NtpsError) else f"{type(error).__name__}: {error}"
            self._lines.tell(sentence)
            if isinstance(error, NtpsError):
                error.already_reported = self._is_reported(sentence)
        self._lines.close(finished=error is None)
        if self._formed:
            dist.destroy_process_group()


def _name_of(device: torch.device) -> str | None:
    if device.type != "cuda":
        return None
    return str(torch.cuda.get_device_properties(device).uuid)


@contextmanager
def join_world() -> Iterator[World]:
    """Joins the processes that torchrun launched with this one, if it did.

    Raises:
        NtpsError: They cannot be reached.
    """
    if not is_launched():
        yield World()
        return
    try:
        store, rank, size = next(rendezvous("env://", timeout=PEER_TIMEOUT))
    except RuntimeError as error:
        where = ":".join(os.environ[name] for name in ("MASTER_ADDR", "MASTER_PORT"))
        raise NtpsError(f"the other processes cannot be reached through {where}: {error}") from error
    world = World(rank, size, store)
    try:
        yield world
    except BaseException as error:
        world._leave(error)
        raise
    world._leave(None)

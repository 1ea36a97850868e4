"""Several processes, on one host or on many, that share one run; torchrun launches them.

Each runs batches of its own and keeps their sums in a folder of its own, as a single one does. Nothing is exchanged
meanwhile; at the end the first process adds up the sums of all.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.distributed import ProcessGroupGloo
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from ntps.distributed.launch import is_launched
from ntps.distributed.peers import PEER_TIMEOUT, Peers
from ntps.errors import InputError, NtpsError


class World:
    """The processes of one run.

    Attributes:
        rank: Which of them this is.
        size: How many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1, peers: Peers | None = None) -> None:
        self.rank, self.size = rank, size
        self._peers = peers
        self._group: Any = None
        self._in_batches = False

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
                "--nproc-per-node, or name one with `device`"
            )
        return f"cuda:{local}"

    def check(self) -> None:
        """Raises :class:`~ntps.distributed.peers.PeerFailed` if the run cannot go on; costs nothing."""
        if self._peers is not None:
            self._peers.check()

    @contextmanager
    def checked_batches(self) -> Iterator[None]:
        """Lets the launcher's signal wait for :meth:`check`: half a batch would be lost, or spoil the sums."""
        self._in_batches = True
        try:
            yield
        finally:
            self._in_batches = False

    def all_gather_object(self, value: Any) -> list[Any]:
        """What each process gives, in JSON types, by rank; waits for all.

        Raises:
            PeerFailed: Another process has stopped.
        """
        return [value] if self._peers is None else self._peers.exchange(value)

    def broadcast_object(self, value: Any) -> Any:
        """What the first process gives, in JSON types; errors as for :meth:`all_gather_object`."""
        return self.all_gather_object(value if self.rank == 0 else None)[0]

    def barrier(self) -> None:
        """Waits for all processes, for however long; errors as for :meth:`all_gather_object`."""
        self.all_gather_object(None)

    def reduce(self, tensor: Tensor) -> None:
        """Adds the tensors of all other processes to that of the first one, in the order of their ranks.

        All have the same shape and dtype, and give theirs at about the same time: see :meth:`barrier`.

        Raises:
            PeerFailed: Another process has stopped.
        """
        if self._peers is None:
            return
        with self._connected(self._peers) as group:
            if self.rank:
                group.send([tensor.cpu().contiguous()], 0, 0).wait()
            else:
                part = torch.empty_like(tensor, device="cpu", memory_format=torch.contiguous_format)
                for other in range(1, self.size):
                    group.recv([part], other, 0).wait()
                    tensor += part.to(tensor.device)

    def broadcast(self, tensor: Tensor) -> Tensor:
        """The tensor of the first process, in all; the others give one of the same shape and dtype."""
        if self._peers is not None:
            tensor = tensor.clone(memory_format=torch.contiguous_format)
            with self._connected(self._peers) as group:
                group.broadcast(tensor, 0).wait()
        return tensor

    @contextmanager
    def _connected(self, peers: Peers) -> Iterator[Any]:
        """A group apart from the default one of torch, which fine-tuning or a script of the user's may need."""
        with peers.connected():
            if self._group is None:
                # Not while one of them may be dead: torch hears no signal when it waits.
                peers.exchange(None)
                self._group = ProcessGroupGloo(PrefixStore("sums", peers.store), self.rank, self.size, PEER_TIMEOUT)
            yield self._group

    def _hear(self, number: int, _frame: object) -> None:
        """Ends this process in good order when the launcher says so."""
        assert self._peers is not None
        signal.signal(number, signal.SIG_IGN)
        self._peers.end()
        if not self._in_batches:
            self._peers.check()


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
    peers = Peers(rank, size, store)
    world = World(rank, size, peers)
    heard = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, world._hear) if heard else None
    failure: BaseException | None = None
    try:
        yield world
    except BaseException as error:
        failure = error
        raise
    finally:
        if heard:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        peers.leave(failure)
        if heard:
            signal.signal(signal.SIGTERM, before)

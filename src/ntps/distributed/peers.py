"""What the processes of a run tell each other through the launcher's key-value store: facts, and that they live."""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from hashlib import sha256
from typing import Any

from torch.distributed.distributed_c10d import PrefixStore, Store

from ntps.errors import NtpsError

PEER_TIMEOUT = timedelta(minutes=10)
"""How long to wait for a process to appear, for one matrix of its sums, or for a sign of life."""
BEAT = 5.0
"""Seconds between two signs of life."""
POLL = 0.05
"""Seconds between two looks at what is waited for."""
GRACE = 1.0
"""Seconds after which is known whose end it was that broke a connection."""
AGAIN = "give the same command again, and each process goes on from its own progress"
SESSION, JOINED, FAILED, REPORTED = "ntps/session", "joined", "failed", "reported"
LEFT = 1 << 32
"""More signs of life than any process gives: it has finished."""


class PeerFailed(NtpsError):
    """Another process of the run has stopped, or the launcher ends them all."""


class Peers:
    """The other processes of a run.

    Their launcher ends those of its host when one of them dies. Whoever stops tells the others why, and who dies with
    its whole host gives no sign of life any more.

    Attributes:
        trouble: What has happened to one of them, if anything.
        store: Where the processes of now leave what the others read.
    """

    def __init__(self, rank: int, size: int, store: Store) -> None:
        """Waits for all.

        Raises:
            NtpsError: Another process did not come.
        """
        self.trouble: str | None = None
        self._rank, self._size = rank, size
        self._name = f"process {rank} of {size} on {socket.gethostname()}"
        try:
            self.store = self._join(store)
        except (RuntimeError, TimeoutError) as error:
            reason = " ".join(str(error).split())
            raise NtpsError(f"{self._name} did not find the others: {reason}") from error
        self._facts = 0
        self._closed = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def check(self) -> None:
        """Raises :class:`PeerFailed` if another process has stopped; costs nothing."""
        if self.trouble is not None:
            raise PeerFailed(f"{self.trouble}: {AGAIN}")

    def exchange(self, fact: Any) -> list[Any]:
        """What each process says, by rank, in JSON types.

        Raises:
            PeerFailed: Another process has stopped.
        """
        self._facts += 1
        keys = [f"fact/{self._facts}/{rank}" for rank in range(self._size)]
        with self.connected():
            self.store.set(keys[self._rank], json.dumps(fact))
            return [json.loads(self._wait(key)) for key in keys]

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Turns what the network refuses into one clear sentence."""
        try:
            yield
        except RuntimeError as error:
            time.sleep(GRACE)
            self.trouble = self.trouble or self._failure()
            self.check()
            reason = str(error).strip().splitlines()[0]
            raise PeerFailed(f"the processes of this run have lost each other ({reason}): {AGAIN}") from error

    def end(self) -> None:
        """Takes notice that the launcher ends this process."""
        launcher = f"the launcher has ended {self._name}, as it does when another one dies"
        self.trouble = self.trouble or self._failure() or launcher

    def leave(self, error: BaseException | None) -> None:
        """Ends the connection, and tells all others why; what several of them have met with, one of them reports."""
        if error is None:
            with suppress(RuntimeError, PeerFailed):
                self.store.add(f"alive/{self._rank}", LEFT)
                # It may be the host of the store.
                while self._rank == 0 and any(self._signs(other) < LEFT for other in range(1, self._size)):
                    self.check()
                    time.sleep(POLL)
        else:
            sentence = str(error) if isinstance(error, NtpsError) else f"{type(error).__name__}: {error}"
            with suppress(RuntimeError):
                if isinstance(error, NtpsError):
                    error.already_reported = self._already_reported(error, sentence)
                self.store.compare_set(FAILED, "", f"{self._name} stopped: {sentence}")
        self._closed.set()
        self._watcher.join(GRACE)

    def _already_reported(self, error: NtpsError, sentence: str) -> bool:
        # The end of another one may come out of a library as an error of the library's.
        if isinstance(error, PeerFailed) or self.trouble is not None:
            return self._rank > 0 or self.store.check([REPORTED])
        self.store.set(REPORTED, "yes")
        return self.store.add(f"{REPORTED}/{sha256(sentence.encode()).hexdigest()}", 1) > 1

    def _join(self, store: Store) -> Store:
        """Part of the store that only the processes of now know: it keeps what others said before a restart."""
        deadline = time.monotonic() + PEER_TIMEOUT.total_seconds()
        own, name = uuid.uuid4().hex, ""
        if self._rank == 0:
            if store.check([SESSION]):
                self._replace(PrefixStore(store.get(SESSION).decode(), store))
            store.set(SESSION, own)
        while time.monotonic() < deadline:
            if store.check([SESSION]) and name != (name := store.get(SESSION).decode()):
                session = PrefixStore(name, store)
                session.set(f"{JOINED}/{self._rank}", own)
            if name and self._rank == 0 and session.check([f"{JOINED}/{rank}" for rank in range(self._size)]):
                session.set(JOINED, " ".join(session.get(f"{JOINED}/{rank}").decode() for rank in range(self._size)))
            if name and session.check([JOINED]):
                if own in session.get(JOINED).decode():
                    return session
                self._replace(session)
            time.sleep(POLL)
        raise TimeoutError(f"not all of them came within {PEER_TIMEOUT.total_seconds():.0f} s")

    def _replace(self, session: Store) -> None:
        """Tells those who still wait for the dead process in whose place this one was started."""
        if session.add(f"alive/{self._rank}", 0) < LEFT:
            session.compare_set(FAILED, "", f"{self._name} was started again")

    def _wait(self, key: str) -> bytes:
        while not self.store.check([key]):
            self.check()
            time.sleep(POLL)
        return self.store.get(key)

    def _signs(self, rank: int) -> int:
        return self.store.add(f"alive/{rank}", 0)

    def _failure(self) -> str | None:
        with suppress(RuntimeError):
            if self.store.check([FAILED]):
                return self.store.get(FAILED).decode()
        return None

    def _watch(self) -> None:
        """Gives signs of life, the first process to all others and they to it."""
        others = range(1, self._size) if self._rank == 0 else (0,)
        seen, silent = dict.fromkeys(others, 0), dict.fromkeys(others, 0)
        try:
            while self.trouble is None and not self._closed.wait(BEAT):
                self.store.add(f"alive/{self._rank}", 1)
                for other in others:
                    signs = self._signs(other)
                    silent[other] = silent[other] + 1 if seen[other] == signs < LEFT else 0
                    seen[other] = signs
                    # In rounds and not in seconds: whoever was suspended itself knows nothing of the others.
                    if silent[other] * BEAT > PEER_TIMEOUT.total_seconds():
                        self.trouble = f"process {other} of {self._size} gives no sign of life any more"
                self.trouble = self._failure() or self.trouble
        except RuntimeError as error:
            self.trouble = self.trouble or f"{self._name} has lost the others ({' '.join(str(error).split())})"

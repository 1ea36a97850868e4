"""Open connections between the first process of a run and each other one: how all learn that one of them is gone.

The system closes a connection when its process dies, and its keep-alive probes find out when a whole host does; a
process that is merely busy, for however long, is never taken for dead.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from ntps.errors import NtpsError

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

PEER_TIMEOUT = timedelta(minutes=10)
"""How long to wait for a process to appear, or for one matrix of its sums."""
AGAIN = "give the same command again, and each process goes on from its own progress"
SESSION = "ntps/session"
"""Where the first process says how to reach it, and under which name the processes of now tell each other facts."""
ANSWER = 60.0
"""Seconds that a process which is there may take to answer."""
PAUSE = 0.2
"""Seconds between two calls."""
LAST_WORDS = 10.0
"""Seconds that the first process gets to save its sums and to speak: a launcher kills it once another one has ended."""
LEFT = ""
"""What a process says that has finished."""
KEEP_ALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}
"""Seconds of silence before probes, seconds between them, and how many may stay unanswered."""


class Lines:
    """The connections of one process: to all others in the first one, to the first one in all others.

    Attributes:
        session: A name that only the processes of now know.
        trouble: What has happened to another process, if anything.
    """

    def __init__(self, rank: int, size: int, store: Store) -> None:
        """Connects.

        Raises:
            NtpsError: Another process did not come.
        """
        self.trouble: str | None = None
        self._rank, self._size = rank, size
        self._name = f"process {rank} of {size} on {socket.gethostname()}"
        self._closing = False
        self.session = uuid.uuid4().hex
        try:
            self._sockets = self._accept(store) if rank == 0 else {"process 0": self._call(store)}
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise NtpsError(f"{self._name} did not find the others: {reason}") from error
        self._threads = [
            threading.Thread(target=self._listen, args=end, daemon=True) for end in list(self._sockets.items())
        ]
        for thread in self._threads:
            thread.start()

    def tell(self, sentence: str) -> None:
        """Tells all others why this process stops."""
        self._send(f"{self._name} stopped: {sentence}")

    def close(self, finished: bool) -> None:
        """Ends all connections.

        Who has finished stays until the others have gone, if it is the first process; who has not, until the first one
        has, if it is another.
        """
        self._closing = True
        if finished:
            self._send(LEFT)
        if finished == (self._rank == 0):
            for thread in self._threads:
                thread.join(PEER_TIMEOUT.total_seconds() if finished else LAST_WORDS)
        for end in self._sockets.values():
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self, store: Store) -> dict[str, socket.socket]:
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        deadline = time.monotonic() + PEER_TIMEOUT.total_seconds()
        sockets: dict[str, socket.socket] = {}
        with socket.create_server(("", 0), family=family, dualstack_ipv6=both, backlog=self._size) as server:
            store.set(SESSION, json.dumps([self.session, server.getsockname()[1]]))
            while len(sockets) < self._size - 1:
                server.settimeout(max(deadline - time.monotonic(), 0.1))
                end, _address = server.accept()
                with suppress(OSError, ValueError):
                    end.settimeout(ANSWER)
                    name = json.loads(_read_line(end))
                    end.sendall(_line(self.session))
                    sockets[name] = _kept_alive(end)
        return sockets

    def _call(self, store: Store) -> socket.socket:
        deadline = time.monotonic() + PEER_TIMEOUT.total_seconds()
        store.wait([SESSION], PEER_TIMEOUT)
        while True:
            self.session, port = json.loads(store.get(SESSION))
            try:
                end = socket.create_connection((os.environ["MASTER_ADDR"], port), ANSWER)
                end.sendall(_line(self._name))
                if json.loads(_read_line(end)) == self.session:
                    return _kept_alive(end)
            except (OSError, ValueError):
                # A session of before a restart: the first process of now has not come yet.
                if time.monotonic() > deadline:
                    raise
            time.sleep(PAUSE)

    def _listen(self, name: str, end: socket.socket) -> None:
        left = False
        with suppress(OSError), end.makefile() as lines:
            for line in lines:
                said = json.loads(line)
                left = said == LEFT
                if not left:
                    self._hear(said)
        if not left and not self._closing:
            self._hear(f"{name} is gone, killed or cut off")

    def _hear(self, trouble: str) -> None:
        if self.trouble is None:
            self.trouble = f"{trouble}: {AGAIN}"
            if self._rank == 0:
                self._send(trouble)

    def _send(self, text: str) -> None:
        for end in self._sockets.values():
            with suppress(OSError):
                end.sendall(_line(text))


def _line(text: str) -> bytes:
    return (json.dumps(text) + "\n").encode()


def _read_line(end: socket.socket) -> bytes:
    """One line and no byte more, which belongs to whoever listens next."""
    line = b""
    while not line.endswith(b"\n") and (byte := end.recv(1)):
        line += byte
    return line


def _kept_alive(end: socket.socket) -> socket.socket:
    end.settimeout(None)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        if option := getattr(socket, name, None):
            end.setsockopt(socket.IPPROTO_TCP, option, value)
    return end

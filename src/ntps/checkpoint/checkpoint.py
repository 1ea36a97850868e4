"""Progress of a pass on disk: the running sums of a process, replaced as a whole, and a ledger of what they are."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ntps.checkpoint.manifest import Manifest, write_manifest
from ntps.checkpoint.owned_files import LAYERS, PASS, PROCESS, erase, sweep
from ntps.errors import InputError
from ntps.files import LEDGER, PROGRESS, damaged, sync_folder, writing
from ntps.moments.accumulator import Moments
from ntps.moments.sums_folder import read_moments, write_moments

INTERVAL = 60.0
"""Seconds between two checkpoints, if they are cheap."""
SHARE = 0.05
"""Largest share of the time that writing checkpoints may take."""
OTHERS = "rank."
"""How the folders of the processes after the first begin."""


class Checkpoint:
    """The progress of one process.

    The ledger is renamed into place once all that it names is on disk, and only then goes what it no longer names:
    whenever the process dies, ledger and sums belong together.

    Attributes:
        ledger: What is on disk now.
        before_commit: Puts on disk what must be there before the ledger says that batches are done.
    """

    def __init__(self, out: Path, ledger: Manifest) -> None:
        self.ledger = ledger
        self.before_commit: Callable[[], None] = lambda: None
        self._out, self._folder = out, folder_of(out, ledger.rank)
        self._due = time.monotonic() + INTERVAL
        if ledger.place:
            self._sweep()

    def verified(self) -> Path | None:
        """The folder of the sums on disk, if there are any.

        Raises:
            InputError: They are not what was written.
        """
        if not self.ledger.place:
            return None
        place = self._out / self.ledger.place
        for name, digest in self.ledger.files.items():
            try:
                intact = _digest(place / name) == digest
            except OSError:
                intact = False
            if not intact:
                raise damaged(place / name)
        return place

    def restore(self) -> dict[int, Moments]:
        """The sums on disk by layer; none if the run begins now.

        Raises:
            InputError: They are not what was written.
        """
        place = self.verified()
        return {} if place is None else read_moments(place)

    @property
    def due(self) -> bool:
        """Whether it is time to write the sums."""
        return time.monotonic() >= self._due

    def save(self, moments: Mapping[int, Moments], done: int, batches: int, *, whole: bool = False) -> None:
        """Replaces the sums on disk.

        Args:
            moments: The sums by layer.
            done: Batches of this process that are in them.
            batches: Batches of the plan.
            whole: Whether all texts of all processes are in them.

        Raises:
            InputError: The disk refuses; what was there stays.
        """
        if self.ledger.place and not whole and done == self.ledger.done:
            return
        began = time.monotonic()
        # Never a name that the ledger holds now: the number grows for as long as the run lasts.
        place = self._folder / ("whole" if whole else f"batch.{len(self.ledger.earlier) + done}")
        try:
            write_moments(place, moments.items(), self.ledger.run)
        except InputError:
            # Half of the sums would only keep the disk full.
            erase(place.parent, [f"{place.name}/{name}" for name in LAYERS])
            raise
        self.commit(place, done, batches, whole=whole)
        now = time.monotonic()
        self._due = now + max(INTERVAL, (now - began) / SHARE)

    def commit(self, place: Path, done: int, batches: int, *, whole: bool = False) -> None:
        """Makes the sums that :func:`write_moments` wrote to ``place`` the progress; arguments as for :meth:`save`."""
        with writing(self._folder):
            self.before_commit()
            self._folder.mkdir(parents=True, exist_ok=True)
            files = {path.name: _digest(path) for path in sorted(place.iterdir())}
            sync_folder(place.parent)
            sync_folder(self._out)
            where = str(place.relative_to(self._out))
            ledger = replace(self.ledger, batches=batches, done=done, whole=whole, place=where, files=files)
            write_manifest(self._folder / LEDGER, ledger)
        self.ledger = ledger
        self._sweep()

    def shrink(self, largest: int) -> None:
        """Remembers how many padded tokens fit the memory."""
        self.ledger = replace(self.ledger, largest=largest)

    def remove(self) -> None:
        """Leaves no progress of this process."""
        # The folder of the first process holds those of the others.
        own = [f"{self._folder.name}/{name}" for name in PROCESS] if self.ledger.rank else PASS
        erase(self._folder.parent, own)

    def leave(self) -> None:
        """Removes the progress of a process that is not the first, when the sums are in the first one.

        On a host of its own, nobody else needs the folders around it either; before that, another process of the host
        may be about to write there.
        """
        self.remove()
        with suppress(OSError):
            (self._out / PROGRESS).rmdir()
            self._out.rmdir()

    def _sweep(self) -> None:
        """Removes what the ledger does not name: older sums, and half-written ones of a run that was killed."""
        sweep(self._folder, (LEDGER,))
        for place in (*self._folder.glob("batch.[0-9]*"), self._folder / "whole"):
            if place != self._out / self.ledger.place:
                erase(self._folder, [f"{place.name}/{name}" for name in LAYERS])


def folder_of(out: Path, rank: int) -> Path:
    """Where a process keeps its progress; the first one beside the folders of the others."""
    return out / PROGRESS / f"{OTHERS}{rank}" if rank else out / PROGRESS


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

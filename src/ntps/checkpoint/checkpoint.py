"""Progress of a pass on disk: the running sums of a process, replaced as a whole, and a manifest of what they are."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ntps.checkpoint.manifest import Manifest, write_manifest
from ntps.checkpoint.owned_files import LAYERS, PARTS, PASS, PROCESS, erase, sweep
from ntps.errors import InputError
from ntps.files import MANIFEST, PROGRESS, damaged, sync_folder, writing
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

    The manifest is replaced once all that it names is on disk, and only then goes what it no longer names: whenever the
    process dies, manifest and sums belong together.

    Attributes:
        manifest: What is on disk now.
        before_commit: Puts on disk what must be there before the manifest says that batches are done.
    """

    def __init__(self, out: Path, manifest: Manifest) -> None:
        self.manifest = manifest
        self.before_commit: Callable[[], None] = lambda: None
        self._out, self._folder = out, folder_of(out, manifest.rank)
        self._due = time.monotonic() + INTERVAL
        if manifest.sums_path:
            self._sweep()

    def verified(self) -> Path | None:
        """The folder of the sums on disk, if there are any.

        Raises:
            InputError: They are not what was written.
        """
        if not self.manifest.sums_path:
            return None
        sums = self._out / self.manifest.sums_path
        for name, digest in self.manifest.files.items():
            try:
                intact = _digest(sums / name) == digest
            except OSError:
                intact = False
            if not intact:
                raise damaged(sums / name)
        return sums

    def restore(self) -> dict[int, Moments]:
        """The sums on disk by layer; none if the run begins now.

        Raises:
            InputError: They are not what was written.
        """
        sums = self.verified()
        return {} if sums is None else read_moments(sums)

    @property
    def due(self) -> bool:
        """Whether it is time to write the sums."""
        return time.monotonic() >= self._due

    def save(self, moments: Mapping[int, Moments], done: int, batches: int, *, complete: bool = False) -> None:
        """Replaces the sums on disk.

        Args:
            moments: The sums by layer.
            done: Batches of this process that are in them.
            batches: Batches of the plan.
            complete: Whether all texts of all processes are in them.

        Raises:
            InputError: The disk refuses; what was there stays.
        """
        if self.manifest.sums_path and not complete and done == self.manifest.done:
            return
        began = time.monotonic()
        # Never a name that the manifest holds now: the number grows for as long as the run lasts.
        sums = self._folder / ("whole" if complete else f"batch.{len(self.manifest.merged_batches) + done}")
        try:
            write_moments(sums, moments.items(), self.manifest.run)
        except InputError:
            # Half of the sums would only keep the disk full.
            erase(sums.parent, [f"{sums.name}/{name}" for name in LAYERS])
            raise
        self.commit(sums, done, batches, complete=complete)
        now = time.monotonic()
        self._due = now + max(INTERVAL, (now - began) / SHARE)

    def commit(self, sums: Path, done: int, batches: int, *, complete: bool = False) -> None:
        """Makes the sums that :func:`write_moments` wrote to a folder the progress; arguments as for :meth:`save`."""
        with writing(self._folder):
            self.before_commit()
            self._folder.mkdir(parents=True, exist_ok=True)
            files = {path.name: _digest(path) for path in sorted(sums.iterdir())}
            sync_folder(sums.parent)
            sync_folder(self._out)
            sums_path = str(sums.relative_to(self._out))
            manifest = replace(
                self.manifest, batches=batches, done=done, complete=complete, sums_path=sums_path, files=files
            )
            write_manifest(self._folder / MANIFEST, manifest)
        self.manifest = manifest
        self._sweep()

    def shrink(self, largest: int) -> None:
        """Remembers how many padded tokens fit the memory."""
        self.manifest = replace(self.manifest, largest=largest)

    def remove(self) -> None:
        """Leaves no progress of this process."""
        # The folder of the first process holds those of the others.
        own = [f"{self._folder.name}/{name}" for name in PROCESS] if self.manifest.rank else PASS
        erase(self._folder.parent, own)

    def leave(self) -> None:
        """Removes the progress of a process that is not the first, when the sums are in the first one.

        On a host of its own, nobody else needs the folders around it either; before that, another process of the host
        may be about to write there.
        """
        self.remove()
        if not (self._out / PROGRESS / MANIFEST).exists():
            # The first process has another disk, or needs them no more.
            erase(self._out, PARTS)
        for folder in (self._out / PROGRESS, self._out):
            with suppress(OSError):
                folder.rmdir()

    def _sweep(self) -> None:
        """Removes what the manifest does not name: older sums, and half-written ones of a run that was killed."""
        sweep(self._folder, (MANIFEST,))
        for sums in (*self._folder.glob("batch.[0-9]*"), self._folder / "whole"):
            if sums != self._out / self.manifest.sums_path:
                erase(self._folder, [f"{sums.name}/{name}" for name in LAYERS])


def folder_of(out: Path, rank: int) -> Path:
    """Where a process keeps its progress; the first one beside the folders of the others."""
    return out / PROGRESS / f"{OTHERS}{rank}" if rank else out / PROGRESS


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Progress of a pass on disk: the running sums, replaced as a whole, and a ledger that says what they are."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ntps.errors import InputError
from ntps.moments.moments import Moments
from ntps.moments.record import read_moments, write_moments, write_text
from ntps.moments.storage import sync_folder, write_whole, writing

PROGRESS, LEDGER = "progress", "ledger.json"
INTERVAL = 60.0
"""Seconds between two checkpoints, if they are cheap."""
SHARE = 0.05
"""Largest share of the time that writing checkpoints may take."""
SHORT = 40
"""Longer values are not shown when they differ."""


@dataclass(frozen=True)
class Ledger:
    """What is on disk of a pass.

    Attributes:
        run: What is scored with what, by names that users know; two runs that agree here compute the same sums.
        conditions: What moves the last bits only, such as the number of threads.
        tokens_per_batch: Budget of a batch, from which the plan of batches follows.
        batches: Number of batches of that plan.
        done: How many of them are in the sums.
        place: Folder with the sums, relative to the folder of results.
        files: SHA-256 of its files.
        notes: What a reader of the result must know.
    """

    run: Mapping[str, Any]
    conditions: Mapping[str, Any]
    tokens_per_batch: int
    batches: int = 0
    done: int = 0
    place: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether the sums hold every batch."""
        return 0 < self.batches == self.done


class Checkpoint:
    """The progress of one pass.

    The ledger is renamed into place once all that it names is on disk, and only then goes what it no longer names:
    whenever the process dies, ledger and sums belong together.

    Attributes:
        ledger: What is on disk now.
    """

    def __init__(self, out: Path, ledger: Ledger) -> None:
        self.ledger = ledger
        self._out, self._folder = out, out / PROGRESS
        self._due = time.monotonic() + INTERVAL

    @classmethod
    def open(cls, out: Path, fresh: Ledger, asked: int | None, *, resume: bool, overwrite: bool) -> Checkpoint:
        """Finds the progress of the same run, if it may be continued.

        Args:
            out: The folder of results, which nobody else writes to.
            fresh: The ledger of a run that begins now.
            asked: Budget of a batch that the user insists on.
            resume: Whether to continue; otherwise the progress of this run is discarded.
            overwrite: Whether any progress is discarded, whatever run it belongs to.

        Raises:
            InputError: The progress belongs to another run, or is damaged.
        """
        found = None if overwrite else read_ledger(out / PROGRESS / LEDGER)
        if found is not None:
            refuse_foreign(out / PROGRESS, found, fresh, asked)
        if found is None or not resume:
            checkpoint = cls(out, fresh)
            checkpoint.remove()
            if found is not None and found.place:
                # The statistics of a pass that was complete stand outside the folder of the progress.
                shutil.rmtree(out / found.place, ignore_errors=True)
            return checkpoint
        notes = found.notes
        if found.conditions != fresh.conditions:
            then, now = (", ".join(f"{k} {v}" for k, v in each.conditions.items()) for each in (found, fresh))
            notes += (f"the run was interrupted with {then} and continued with {now}: the last bits may differ",)
        checkpoint = cls(out, replace(found, conditions=fresh.conditions, notes=notes))
        checkpoint._sweep()
        return checkpoint

    def restore(self) -> dict[int, Moments]:
        """The sums on disk by layer; none if the run begins now.

        Raises:
            InputError: They are not what was written.
        """
        if not self.ledger.done:
            return {}
        place = self._out / self.ledger.place
        for name, digest in self.ledger.files.items():
            try:
                intact = _digest(place / name) == digest
            except OSError:
                intact = False
            if not intact:
                raise _damaged(place / name)
        return read_moments(place)

    def offer(self, moments: Mapping[int, Moments], done: int, batches: int) -> None:
        """Writes the sums if it is time to; arguments as for :meth:`save`."""
        if time.monotonic() >= self._due:
            self.save(moments, done, batches)

    def save(self, moments: Mapping[int, Moments], done: int, batches: int) -> None:
        """Replaces the sums on disk.

        Args:
            moments: The sums by layer.
            done: Batches that are in them.
            batches: Batches in all.

        Raises:
            InputError: The disk refuses; what was there stays.
        """
        began = time.monotonic()
        place = self._folder / f"batch.{done}"
        try:
            write_moments(place, moments, self.ledger.run)
        except InputError:
            # Half of the sums would only keep the disk full.
            shutil.rmtree(place, ignore_errors=True)
            raise
        self.commit(place, done, batches)
        now = time.monotonic()
        self._due = now + max(INTERVAL, (now - began) / SHARE)

    def commit(self, place: Path, done: int, batches: int) -> None:
        """Makes the sums that :func:`write_moments` wrote to ``place`` the progress; arguments as for :meth:`save`."""
        with writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            files = {path.name: _digest(path) for path in sorted(place.iterdir())}
            sync_folder(place.parent)
            sync_folder(self._out)
            where = str(place.relative_to(self._out))
            ledger = replace(self.ledger, batches=batches, done=done, place=where, files=files)
            write_ledger(self._folder / LEDGER, ledger)
        self.ledger = ledger
        self._sweep()

    def remove(self) -> None:
        """Leaves no progress."""
        with writing(self._folder):
            # First the ledger: without it the rest means nothing.
            (self._folder / LEDGER).unlink(missing_ok=True)
            if self._folder.exists():
                shutil.rmtree(self._folder)

    def _sweep(self) -> None:
        """Removes what the ledger does not name: older sums, and half-written ones of a run that was killed."""
        with writing(self._folder):
            for path in self._folder.iterdir():
                if path.is_dir() and path != self._out / self.ledger.place:
                    shutil.rmtree(path)
                elif not path.is_dir() and path.name != LEDGER:
                    path.unlink()


def write_ledger(path: Path, ledger: Ledger) -> None:
    """Replaces a ledger on disk as a whole."""
    text = json.dumps(asdict(ledger))
    whole = json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "ledger": text}) + "\n"
    write_whole(path, lambda temporary: write_text(temporary, whole))


def read_ledger(path: Path) -> Ledger | None:
    """Reads what :func:`write_ledger` wrote; None if there is no file.

    Raises:
        InputError: The file is damaged.
    """
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        if hashlib.sha256(whole["ledger"].encode()).hexdigest() != whole["sha256"]:
            raise ValueError("its content was changed")
        content = json.loads(whole["ledger"])
        return Ledger(**{**content, "notes": tuple(content["notes"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _damaged(path) from error


def refuse_foreign(folder: Path, found: Ledger, fresh: Ledger, asked: int | None) -> None:
    """Raises an :class:`InputError` if progress belongs to another run than the one that begins now.

    Args:
        folder: Where it was found.
        found: Its ledger.
        fresh: The ledger of the run that begins now.
        asked: Budget of a batch that the user insists on.
    """
    then = {**found.run, "tokens_per_batch": found.tokens_per_batch}
    now = {**json.loads(json.dumps(fresh.run)), "tokens_per_batch": asked or found.tokens_per_batch}
    pairs = {name: (then.get(name), now.get(name)) for name in {**then, **now} if then.get(name) != now.get(name)}
    if len(pairs) > 1:
        # It follows from the others, and says nothing to anyone.
        pairs.pop("settings_hash", None)
    if pairs:
        raise InputError(
            f"{folder} holds the progress of another run, which differs in "
            f"{', '.join(_difference(name, *pair) for name, pair in pairs.items())}: continue that run with its own "
            "command, discard it with --overwrite, or choose another --out"
        )


def _difference(name: str, then: object, now: object) -> str:
    return f"{name} ({then} then, {now} now)" if len(f"{then}{now}") <= SHORT else name


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path} is damaged, so that the run cannot be continued: start again with --overwrite, or choose another --out"
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Passes of tangent features that several processes share, and that go on where they were interrupted.

What a pass keeps of a text depends on its batch alone. So each process leaves the rows of its batches on disk as they
come, and whoever goes on runs the batches of which there are no rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from ntps.checkpoint import checkpoint
from ntps.checkpoint.checkpoint import OTHERS, folder_of
from ntps.checkpoint.lock import clear_folder, left_behind
from ntps.checkpoint.manifest import Manifest, require_same_run, write_manifest
from ntps.checkpoint.owned_files import PASS, PROCESS, erase, sweep, take
from ntps.checkpoint.resume import manifests
from ntps.checkpoint.row_chunks import chunk_texts, chunks, next_chunk, read_chunk, write_chunk
from ntps.distributed.peers import PeerFailed
from ntps.distributed.world import World
from ntps.errors import NumericalError
from ntps.files import MANIFEST, PROGRESS, writing
from ntps.forward.batch_plan import Batch, Shard
from ntps.forward.pooled_texts import PooledTexts
from ntps.forward.tangents import DIRECTIONS, RANK, TOKENS, WIDTH, TangentPass, TangentTexts
from ntps.jobs.exchange import join_rows, require_equal_across_processes, share_record
from ntps.jobs.record import Record
from ntps.jobs.session import RunSession
from ntps.models.tokenizing.tokens import TokenizedTexts
from ntps.tasks.task import Split
from ntps.validation.tangents import GAMMA

SECONDS = "seconds"
"""Beside the rows, what the model took for its states, and what the ways back took."""
EFFECT = "the last bits may differ"
"""What other conditions do to rows."""
Kind = TypeVar("Kind", bound=Record)


def run_with_tangents(
    ready: RunSession,
    seed: int,
    kind: type[Kind],
    make: Callable[[TangentRows], Kind | None],
    *,
    world: World,
    out: Path | None,
    resume: bool,
    overwrite: bool,
) -> Kind:
    """Makes a record from tangent features, goes on where the same run was interrupted, and leaves no progress.

    Args:
        ready: Model and task.
        seed: Of the features.
        kind: Kind of the record.
        make: Makes it in the first process, and runs the passes in all.
        world: The processes that share the run; all of them get the record.
        out: Folder for the results, which the first process has claimed; nothing is written without it.
        resume: Whether a run that was interrupted is continued.
        overwrite: Whether the progress of any other run is discarded.

    Raises:
        InputError: The progress belongs to another run, or is damaged, or some process has loaded something else.
    """
    run = {"kind": kind.kind, "settings_hash": ready.settings_hash}
    if out is not None and world.broadcast_object(world.rank == 0 and left_behind(out, run)) and resume:
        # It was killed when all but the clearing up was done.
        record = None if world.rank else kind.read(out)
    else:
        record = make(TangentRows.open(ready, seed, world, out, resume=resume, overwrite=overwrite))
        if record is not None and out is not None:
            clear_folder(out, run)
            record.write(out)
    record = share_record(world, kind, record)
    if out is not None:
        _clear(world, out)
    return record


@dataclass
class TangentRows:
    """The tangent features of a run.

    Attributes:
        ready: Model and task.
        seed: Of the features.
        world: The processes that share the run.
        out: Folder of results, which the first process has claimed; nothing is kept without it.
        manifest: What identifies the rows of this process on disk.
        notes: What a reader must know.
    """

    ready: RunSession
    seed: int
    world: World
    out: Path | None
    manifest: Manifest
    notes: tuple[str, ...] = ()
    _on_disk: Manifest | None = None

    @classmethod
    def open(
        cls, ready: RunSession, seed: int, world: World, out: Path | None, *, resume: bool, overwrite: bool
    ) -> TangentRows:
        """Finds the rows of the same run, if it may be continued.

        Args:
            ready: Model and task; follows the plan of batches of the run that is continued.
            seed: Of the features.
            world: The processes that share the run.
            out: Folder of results.
            resume: Whether to continue; otherwise the progress of this run is discarded.
            overwrite: Whether any progress is discarded, whatever run it belongs to.

        Raises:
            InputError: The progress belongs to another run, or is damaged, or some process has loaded something else.
        """
        features = {"width": WIDTH, "rank": RANK, "directions": DIRECTIONS, "seed": seed, "gamma": GAMMA}
        run = require_equal_across_processes(world, {**ready.pass_identity(), "tangents": features})
        conditions = {"device": ready.model.device.type, "threads": torch.get_num_threads()}
        fresh = Manifest(run, conditions, ready.tokens_per_batch, world.rank, world.size)
        found: Mapping[int, Manifest] = {}
        for rank in range(world.size):
            # One after the other: they may share a folder.
            if rank == world.rank and out is not None:
                found = _found(out, fresh, ready.settings.tokens_per_batch, resume, overwrite)
            world.barrier()
        notes = [note for each in found.values() for note in each.notes + each.interruption(fresh, EFFECT)]
        budget = next((each.tokens_per_batch for each in found.values()), None)
        said = world.all_gather_object([budget, notes])
        budget = next((each for each, _ in said if each is not None), fresh.tokens_per_batch)
        ready.follow(budget)
        largest = min((each.largest for each in found.values() if each.largest), default=None)
        manifest = replace(fresh, tokens_per_batch=budget, largest=largest, notes=tuple(dict.fromkeys(notes)))
        return cls(ready, seed, world, out, manifest, tuple(dict.fromkeys(note for _, each in said for note in each)))

    def collect(self, name: str, split: Split, tokens: TokenizedTexts) -> TangentTexts | None:
        """Runs the batches of which there are no rows yet, and gives the first process the rows of all texts.

        Args:
            name: What the texts are called: ``train`` or ``test``.
            split: The texts.
            tokens: Their tokens.

        Raises:
            InputError: LoRA does not know the model's projections, or the disk refuses, or rows on it are damaged.
            NumericalError: A derivative is not finite.
            OutOfMemory: Not even one text fits.
            PeerFailed: Another process has stopped.
        """
        world, plan = self.world, self.ready.work(split, tokens, None).plan
        there = {path: chunk_texts(path) for folder in _folders(self.out) for path in chunks(folder, name)}
        known = np.zeros(len(tokens), dtype=np.bool_)
        for texts in there.values():
            known[texts] = True
        said = world.all_gather_object([number for number, batch in enumerate(plan) if known[batch].all()])
        # Of what several of them see, as in a folder that they share, the first one takes care.
        restored = sorted({*said[world.rank]}.difference(*said[: world.rank]))
        shard = Shard(world.rank, world.size, tuple(sorted({*()}.union(*said))))
        tangents = TangentPass(self.ready.work(split, tokens, f"{name} texts", shard), seed=self.seed)
        rows, seconds = tangents.room(), np.zeros(2)
        for path in there if restored else ():
            texts, arrays = read_chunk(path)
            seconds += arrays.pop(SECONDS)
            for number, array in arrays.items():
                rows.arrays[int(number)][texts] = array
        self._run(name, tangents, rows)
        own = np.concatenate([np.empty(0, np.int64), *(plan[number] for number in restored), *shard.of(plan)])
        counted = np.array(world.all_gather_object([*(seconds + tangents.seconds).tolist(), len(own)])).sum(axis=0)
        if counted[2] != len(tokens):
            raise NumericalError(f"{counted[2]:.0f} of {len(tokens)} texts were passed: please report this defect")
        join_rows(world, rows.arrays, own)
        return None if world.rank else TangentTexts.of(rows, (float(counted[0]), float(counted[1])))

    def _run(self, name: str, tangents: TangentPass, rows: PooledTexts) -> None:
        pending: list[Batch] = []
        counted, due = np.zeros(2), time.monotonic() + checkpoint.INTERVAL

        def save() -> None:
            nonlocal counted, due
            if self.out is None or not pending:
                return
            folder, texts, before = folder_of(self.out, self.world.rank), np.concatenate(pending), counted
            counted = np.array(tangents.seconds)
            arrays = {str(number): array[texts] for number, array in rows.arrays.items()}
            if self._on_disk != self.manifest:
                # Before the first rows, which mean nothing without it.
                with writing(folder):
                    folder.mkdir(parents=True, exist_ok=True)
                write_manifest(folder / MANIFEST, self.manifest)
                self._on_disk = self.manifest
            write_chunk(next_chunk(folder, name), texts, {**arrays, SECONDS: counted - before})
            pending.clear()
            due = time.monotonic() + checkpoint.INTERVAL

        def finished(batch: Batch) -> None:
            pending.append(batch)
            if time.monotonic() >= due:
                save()
            try:
                self.world.check()
            except PeerFailed:
                save()
                raise

        def smaller(largest: int) -> None:
            self.manifest = replace(self.manifest, largest=largest)

        with self.world.checked_batches():
            tangents.run(self.manifest.largest or TOKENS, rows=rows, finished=finished, smaller=smaller)
        save()


def _found(out: Path, fresh: Manifest, asked: int | None, resume: bool, overwrite: bool) -> Mapping[int, Manifest]:
    """What processes of the same run left where this one can see it, by rank; anything else is removed or refused."""
    if fresh.rank == 0:
        take(out, PASS)
    sweep(out, PASS)
    found = {} if overwrite else manifests(out)
    for rank, manifest in found.items():
        require_same_run(folder_of(out, rank), manifest, fresh, asked)
    if not resume:
        found = {}
    if not found:
        erase(out, PASS)
    for folder in _folders(out):
        if not (folder / MANIFEST).exists():
            erase(folder, PROCESS)
    return found


def _clear(world: World, out: Path) -> None:
    """Leaves no progress, once the result is on disk."""
    for rank in reversed(range(world.size)):
        if rank == world.rank:
            erase(out, PASS)
            for folder in (out / PROGRESS, out) if rank else ():
                # On a host of its own nobody needs it.
                with suppress(OSError):
                    folder.rmdir()
        world.barrier()


def _folders(out: Path | None) -> list[Path]:
    """Where processes leave their rows, as far as this one can see them."""
    return [] if out is None else [out / PROGRESS, *sorted((out / PROGRESS).glob(f"{OTHERS}[0-9]*"))]

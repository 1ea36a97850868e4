"""Where a run goes on: the progress that its processes left, under whatever number of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ntps.checkpoint.checkpoint import OTHERS, Checkpoint, folder_of
from ntps.checkpoint.manifest import Manifest, foreign_progress, read_manifest, require_same_run
from ntps.checkpoint.owned_files import LAYERS, PARTS, PASS, PROCESS, RESULTS, erase, take
from ntps.distributed.world import World
from ntps.files import MANIFEST, MOMENTS, PROGRESS, writing
from ntps.moments.accumulator import Moments
from ntps.moments.sums_folder import read_layer_moments, read_moments, write_moments


def open_progress(
    world: World, out: Path, fresh: Manifest, asked: int | None, *, resume: bool, overwrite: bool
) -> Checkpoint:
    """Finds the progress of the same run, if it may be continued.

    The first process decides for all: how large batches are, and which of them are still to be run.

    Args:
        world: The processes.
        out: The folder of results, which no other run writes to.
        fresh: The manifest of this process in a run that begins now.
        asked: Budget of a batch that the user insists on.
        resume: Whether to continue; otherwise the progress of this run is discarded.
        overwrite: Whether any progress is discarded, whatever run it belongs to.

    Raises:
        InputError: The progress belongs to another run, or is damaged.
    """
    if world.rank == 0:
        take(out, (*RESULTS, *PARTS, *PASS))
        checkpoint = _open_first(out, fresh, asked, resume, overwrite)
        world.broadcast_object({**checkpoint.manifest.partition, "complete": checkpoint.manifest.complete})
        return checkpoint
    decided = world.broadcast_object(None)
    fresh = replace(fresh, **{**decided, "merged_batches": tuple(decided["merged_batches"])})
    folder = folder_of(out, fresh.rank)
    with writing(folder):
        # Before any work is done: this may be another disk than that of the first process.
        folder.mkdir(parents=True, exist_ok=True)
    found = None if overwrite else read_manifest(folder / MANIFEST)
    if found is not None:
        require_same_run(folder, found, fresh, asked)
    if found is not None and resume and found.partition == fresh.partition and not fresh.complete:
        return _continued(out, found, fresh)
    checkpoint = Checkpoint(out, fresh)
    checkpoint.remove()
    return checkpoint


def _open_first(out: Path, fresh: Manifest, asked: int | None, resume: bool, overwrite: bool) -> Checkpoint:
    found = {} if overwrite else manifests(out)
    for rank, manifest in found.items():
        require_same_run(folder_of(out, rank), manifest, fresh, asked)
    if resume and 0 in found and found[0].complete:
        return _continued(out, found[0], fresh)
    parts = _parts(found) if resume else []
    if not parts:
        checkpoint = Checkpoint(out, fresh)
        checkpoint.remove()
        if 0 in found and found[0].sums_path == MOMENTS:
            # The statistics of a complete pass stand outside the folder of the progress.
            erase(out, [f"{MOMENTS}/{name}" for name in LAYERS])
        return checkpoint
    if parts[0].world != fresh.world:
        return _repartition(out, parts, fresh)
    if 0 in found:
        return _continued(out, found[0], fresh)
    return Checkpoint(out, replace(fresh, tokens_per_batch=parts[0].tokens_per_batch))


def manifests(out: Path) -> dict[int, Manifest]:
    """All that this host can see, by rank."""
    names = [path.name.removeprefix(OTHERS) for path in (out / PROGRESS).glob(f"{OTHERS}*")]
    ranks = [0, *sorted(int(name) for name in names if name.isdecimal())]
    found = {rank: read_manifest(folder_of(out, rank) / MANIFEST) for rank in ranks}
    return {rank: manifest for rank, manifest in found.items() if manifest is not None}


def require_no_progress(out: Path, *, overwrite: bool) -> None:
    """Makes sure that nothing of a pass that was interrupted stands where a run writes that leaves no progress.

    Args:
        out: The folder of results, which no other run writes to.
        overwrite: Whether such progress is discarded.

    Raises:
        InputError: There is some, and it may not be discarded.
    """
    if not manifests(out):
        return
    if not overwrite:
        raise foreign_progress(out)
    take(out, PASS)
    erase(out, PASS)


def _parts(found: dict[int, Manifest]) -> list[Manifest]:
    """Those that are parts of one whole, by rank."""
    # The first process may have died before it wrote anything; but merged batches are in its sums alone.
    first = found.get(0) or max(found.values(), key=lambda manifest: manifest.done, default=None)
    if first is None or (first.merged_batches and first.rank):
        return []
    return [manifest for manifest in found.values() if manifest.partition == first.partition]


def _repartition(out: Path, parts: list[Manifest], fresh: Manifest) -> Checkpoint:
    """Merges what another number of processes did; the processes of now divide the rest of the batches."""
    first = parts[0]
    done = {number for part in parts for number in part.shard.numbers(part.batches)[: part.done].tolist()}
    merged = tuple(sorted({*first.merged_batches, *done}))
    manifest = replace(fresh, tokens_per_batch=first.tokens_per_batch, merged_batches=merged, largest=first.largest)
    checkpoint = Checkpoint(out, _with_notes(manifest, first, fresh))
    folders = [sums for part in parts if (sums := Checkpoint(out, part).verified()) is not None]
    sums = folders[0]
    if len(parts) > 1 or first.rank:
        sums = folder_of(out, 0) / f"batch.{len(merged)}"
        write_moments(sums, _sum(folders).items(), fresh.run)
    # From here on the first process holds them, and the folders of the others mean nothing any more.
    checkpoint.commit(sums, 0, first.batches)
    erase(out / PROGRESS, [f"{OTHERS}[0-9]*/{name}" for name in PROCESS])
    return checkpoint


def _sum(folders: list[Path]) -> dict[int, Moments]:
    total = read_moments(folders[0])
    for folder in folders[1:]:
        for layer, moments in total.items():
            moments.merge(read_layer_moments(folder, layer))
    return total


def _continued(out: Path, found: Manifest, fresh: Manifest) -> Checkpoint:
    return Checkpoint(out, replace(_with_notes(found, found, fresh), conditions=fresh.conditions))


def _with_notes(manifest: Manifest, found: Manifest, fresh: Manifest) -> Manifest:
    return replace(manifest, notes=found.notes + found.interruption(fresh, "the last bits may differ"))

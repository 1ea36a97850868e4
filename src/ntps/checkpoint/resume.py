"""Where a run goes on: the progress that its processes left, under whatever number of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ntps.checkpoint.checkpoint import OTHERS, Checkpoint, folder_of
from ntps.checkpoint.manifest import Manifest, read_manifest, require_same_run
from ntps.checkpoint.owned_files import LAYERS, PARTS, PASS, PROCESS, RESULTS, erase, take
from ntps.distributed.world import World
from ntps.files import LEDGER, MOMENTS, PROGRESS, writing
from ntps.moments.accumulator import Moments
from ntps.moments.sums_folder import read_layer_moments, saved_layers, write_moments


def open_progress(
    world: World, out: Path, fresh: Manifest, asked: int | None, *, resume: bool, overwrite: bool
) -> Checkpoint:
    """Finds the progress of the same run, if it may be continued.

    The first process decides for all: how large batches are, and which of them are still to be dealt.

    Args:
        world: The processes.
        out: The folder of results, which no other run writes to.
        fresh: The ledger of this process in a run that begins now.
        asked: Budget of a batch that the user insists on.
        resume: Whether to continue; otherwise the progress of this run is discarded.
        overwrite: Whether any progress is discarded, whatever run it belongs to.

    Raises:
        InputError: The progress belongs to another run, or is damaged.
    """
    if world.rank == 0:
        take(out, (*RESULTS, *PARTS, *PASS))
        checkpoint = _open_first(out, fresh, asked, resume, overwrite)
        world.share(lambda: {**checkpoint.ledger.deal, "whole": checkpoint.ledger.whole})
        return checkpoint
    told = world.share(dict)
    deal = {**told, "earlier": tuple(told["earlier"])}
    fresh = replace(fresh, **deal)
    folder = folder_of(out, fresh.rank)
    with writing(folder):
        # Before any work is done: this may be another disk than that of the first process.
        folder.mkdir(parents=True, exist_ok=True)
    found = None if overwrite else read_manifest(folder / LEDGER)
    if found is not None:
        require_same_run(folder, found, fresh, asked)
    if found is not None and resume and found.deal == fresh.deal and not fresh.whole:
        return _continued(out, found, fresh)
    checkpoint = Checkpoint(out, fresh)
    checkpoint.remove()
    return checkpoint


def _open_first(out: Path, fresh: Manifest, asked: int | None, resume: bool, overwrite: bool) -> Checkpoint:
    found = {} if overwrite else _ledgers(out)
    for rank, ledger in found.items():
        require_same_run(folder_of(out, rank), ledger, fresh, asked)
    if resume and 0 in found and found[0].whole:
        return _continued(out, found[0], fresh)
    parts = _parts(found) if resume else []
    if not parts:
        checkpoint = Checkpoint(out, fresh)
        checkpoint.remove()
        if 0 in found and found[0].place == MOMENTS:
            # The statistics of a pass that was complete stand outside the folder of the progress.
            erase(out, [f"{MOMENTS}/{name}" for name in LAYERS])
        return checkpoint
    if parts[0].world != fresh.world:
        return _repartition(out, parts, fresh)
    if 0 in found:
        return _continued(out, found[0], fresh)
    return Checkpoint(out, replace(fresh, tokens_per_batch=parts[0].tokens_per_batch))


def _ledgers(out: Path) -> dict[int, Manifest]:
    """All that this host can see, by rank."""
    names = [path.name.removeprefix(OTHERS) for path in (out / PROGRESS).glob(f"{OTHERS}*")]
    ranks = [0, *sorted(int(name) for name in names if name.isdecimal())]
    read = {rank: read_manifest(folder_of(out, rank) / LEDGER) for rank in ranks}
    return {rank: ledger for rank, ledger in read.items() if ledger is not None}


def _parts(found: dict[int, Manifest]) -> list[Manifest]:
    """Those that are parts of one whole, by rank."""
    # The first process may have died before it wrote anything; but what was dealt anew, it alone holds.
    whole = found.get(0) or max(found.values(), key=lambda ledger: ledger.done, default=None)
    if whole is None or (whole.earlier and whole.rank):
        return []
    return [ledger for ledger in found.values() if ledger.deal == whole.deal]


def _repartition(out: Path, parts: list[Manifest], fresh: Manifest) -> Checkpoint:
    """Joins what another number of processes did; the rest of the batches is to be dealt among those of now."""
    done = {number for part in parts for number in part.share.numbers(part.batches)[: part.done].tolist()}
    earlier = tuple(sorted({*parts[0].earlier, *done}))
    ledger = replace(fresh, tokens_per_batch=parts[0].tokens_per_batch, earlier=earlier, largest=parts[0].largest)
    checkpoint = Checkpoint(out, _with_notes(ledger, parts[0], fresh))
    places = [place for part in parts if (place := Checkpoint(out, part).verified()) is not None]
    place = places[0]
    if len(parts) > 1 or parts[0].rank:
        place = folder_of(out, 0) / f"batch.{len(earlier)}"
        write_moments(place, _sum(places).items(), fresh.run)
    # From here on the first process holds them, and the folders of the others mean nothing any more.
    checkpoint.commit(place, 0, parts[0].batches)
    erase(out / PROGRESS, [f"{OTHERS}[0-9]*/{name}" for name in PROCESS])
    return checkpoint


def _sum(places: list[Path]) -> dict[int, Moments]:
    total = {layer: read_layer_moments(places[0], layer) for layer in saved_layers(places[0])}
    for place in places[1:]:
        for layer, moments in total.items():
            moments.merge(read_layer_moments(place, layer))
    return total


def _continued(out: Path, found: Manifest, fresh: Manifest) -> Checkpoint:
    return Checkpoint(out, replace(_with_notes(found, found, fresh), conditions=fresh.conditions))


def _with_notes(ledger: Manifest, found: Manifest, fresh: Manifest) -> Manifest:
    return replace(ledger, notes=found.notes + found.interruption(fresh, "the last bits may differ"))

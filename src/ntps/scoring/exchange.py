"""What the processes of a run tell each other before and after their batches."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from ntps.distributed.world import World
from ntps.errors import InputError
from ntps.forward.batch_plan import Batch, Shard
from ntps.forward.pooled_texts import PooledTexts
from ntps.moments.accumulator import Moments
from ntps.moments.sums import SUMS
from ntps.scoring.record import ScoreFile, ScoreRecord
from ntps.scoring.reductions import Probes, Seen
from ntps.theory import LinearProbe

PLACES = ("model id", "model revision", "model tokenizer")
"""Where things lie, which may differ from host to host."""


def require_equal_across_processes(world: World, identity: Mapping[str, Any]) -> dict[str, Any]:
    """What identifies the run, in the words of the first process.

    Raises:
        InputError: Some process has loaded something else.
    """
    mine = json.loads(json.dumps(identity))
    said = world.all_gather_object(mine)
    for rank, other in enumerate(said):
        differing = [name for name in mine if name not in PLACES and other[name] != said[0][name]]
        if differing:
            raise InputError(
                f"process {rank} differs from process 0 in {', '.join(differing)}: give all hosts the same command, "
                "model, texts and versions of libraries"
            )
    first: dict[str, Any] = said[0]
    return first


def join_moments(world: World, moments: dict[int, Moments]) -> None:
    """Adds the sums of all other processes to those of the first one, in the order of their ranks.

    One matrix after the other, so that the first process needs room for one more matrix only.

    Args:
        world: The processes.
        moments: The moments of this process, of the same layers in all.
    """
    world.barrier()
    for layer in sorted(moments):
        own = moments[layer]
        # Not in the order of the dictionary: sums that were read from a file have another one.
        for name in SUMS:
            world.reduce(own.sums[name])
        counts = torch.tensor([own.texts, own.tokens])
        world.reduce(counts)
        own.texts, own.tokens = counts.tolist()


def share_probes(world: World, probes: Probes | None, layers: Sequence[int], shape: tuple[int, int]) -> Probes:
    """The probes that the first process fitted, in all.

    Args:
        world: The processes.
        probes: The probes, in the first process.
        layers: The layers.
        shape: (d, c) of every probe.
    """
    # The closed forms take the first process a while.
    world.barrier()
    nothing = LinearProbe(np.zeros(shape), np.zeros(shape[1]))
    known: dict[str, dict[int, LinearProbe]] = {}
    fitted = world.broadcast_object([name for name, each in vars(probes).items() if each] if probes else None)
    for name in fitted:
        own = getattr(probes, name) if probes else {}
        known[name] = {}
        for layer in layers:
            parts = vars(own.get(layer, nothing)).items()
            probe = {part: world.broadcast(torch.as_tensor(value)).numpy() for part, value in parts}
            known[name][layer] = LinearProbe(**probe)
    return Probes(**{"ridge": {}, "together": {}, **known})


def open_pooled(world: World, pooled: PooledTexts, layers: Sequence[int], width: int) -> None:
    """Makes room for pooled texts, one process after the other, because they may share a folder."""
    for rank in range(world.size):
        if rank == world.rank:
            pooled.open(layers, width)
        world.barrier()


def join_pooled(world: World, pooled: PooledTexts, plan: Sequence[Batch], shard: Shard) -> None:
    """Gives the first process the pooled texts of all others.

    Args:
        world: The processes.
        pooled: Those of this process, of the same layers in all.
        plan: The batches of all.
        shard: Those of this process; the first one has every text that is in no other shard.
    """
    if world.alone:
        return
    if shard.rank:
        own = np.concatenate([*shard.of(plan), np.empty(0, dtype=np.int64)])
    else:
        others = [batch for rank in range(1, world.size) for batch in replace(shard, rank=rank).of(plan)]
        own = np.setdiff1d(np.arange(pooled.texts), np.concatenate([*others, np.empty(0, dtype=np.int64)]))
    rows, _ = pooled.places(own)
    world.barrier()
    for layer in sorted(pooled.arrays):
        whole = np.zeros_like(pooled.arrays[layer])
        whole[rows] = pooled.arrays[layer][rows]
        world.reduce(torch.from_numpy(whole))
        if world.rank == 0:
            pooled.arrays[layer][:] = whole


def join_seen(world: World, seen: Seen) -> None:
    """Adds what all other processes saw to what the first one did, in the order of their ranks."""
    world.barrier()
    for sums in seen.ols.values():
        world.reduce(torch.from_numpy(sums.sums))
    for predicted in seen.ridge.predicted.values() if seen.ridge else ():
        world.reduce(torch.from_numpy(predicted))


def share_record(world: World, record: ScoreRecord | None) -> ScoreRecord:
    """The record of the first process, in all."""
    if record is not None and world.alone:
        return record
    file = io.BytesIO()
    if record is not None:
        record.curves.to_parquet(file, index=False)
    content = np.frombuffer(file.getbuffer(), dtype=np.uint8).copy()
    result, size = world.broadcast_object([None if record is None else record.result.to_dict(), len(content)])
    content = world.broadcast(torch.from_numpy(np.resize(content, size))).numpy()
    return ScoreRecord(ScoreFile.model_validate(result), pd.read_parquet(io.BytesIO(content.tobytes())))

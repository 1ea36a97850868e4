"""What the processes of a score tell each other before and after their batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ntps.distributed.world import World
from ntps.forward.batch_plan import Batch, Shard
from ntps.forward.pooled_texts import PooledTexts
from ntps.jobs.exchange import join_rows
from ntps.moments.accumulator import Moments
from ntps.moments.sums import SUMS
from ntps.scoring.reductions import Probes, Seen
from ntps.theory import LinearProbe


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
    join_rows(world, pooled.arrays, rows)


def join_seen(world: World, seen: Seen) -> None:
    """Adds what all other processes saw to what the first one did, in the order of their ranks."""
    world.barrier()
    for sums in seen.ols.values():
        world.reduce(torch.from_numpy(sums.sums))
    for predicted in seen.ridge.predicted.values() if seen.ridge else ():
        world.reduce(torch.from_numpy(predicted))

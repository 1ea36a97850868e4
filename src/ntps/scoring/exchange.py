"""What the processes of a run tell each other before and after their batches."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from ntps.distributed.world import World
from ntps.errors import InputError
from ntps.moments.accumulator import Moments
from ntps.moments.sums import SUMS
from ntps.scoring.record import ScoreFile, ScoreRecord
from ntps.theory import LinearProbe, PredictionSums

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


def share_probes(
    world: World, probes: Mapping[int, LinearProbe], layers: Sequence[int], shape: tuple[int, int]
) -> dict[int, LinearProbe]:
    """The probes that the first process fitted, in all.

    Args:
        world: The processes.
        probes: The probe of each layer; read in the first process only.
        layers: The layers.
        shape: (d, c) of every probe.
    """
    # The closed forms take the first process a while.
    world.barrier()
    nothing = LinearProbe(np.zeros(shape), np.zeros(shape[1]))
    known = {}
    for layer in layers:
        parts = vars(probes.get(layer, nothing)).items()
        known[layer] = LinearProbe(**{name: world.broadcast(torch.as_tensor(part)).numpy() for name, part in parts})
    return known


def join_tallies(world: World, tallies: Mapping[int, PredictionSums]) -> None:
    """Adds the tallies of all other processes to those of the first one, in the order of their ranks."""
    world.barrier()
    for tally in tallies.values():
        world.reduce(torch.from_numpy(tally.sums))


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

"""What the processes of any run tell each other: that they run the same, the rows of their texts, and the result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ntps.distributed.world import World
from ntps.errors import InputError
from ntps.forward.batch_plan import Batch
from ntps.forward.pooled_texts import PooledTexts
from ntps.jobs.record import Record

PLACES = ("model id", "model revision", "model tokenizer")
"""Where things lie, which may differ from host to host."""
Kind = TypeVar("Kind", bound=Record)


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


def open_pooled(world: World, pooled: PooledTexts, layers: Sequence[int], width: int) -> None:
    """Makes room for pooled texts, one process after the other, because they may share a folder."""
    for rank in range(world.size):
        if rank == world.rank:
            pooled.open(layers, width)
        world.barrier()


def join_rows(world: World, arrays: Mapping[int, NDArray[Any]], own: Batch) -> None:
    """Gives the first process the rows of all others.

    Args:
        world: The processes.
        arrays: Those of this process, with the same keys and shapes in all.
        own: The rows that are this process's; no two processes have the same.
    """
    if world.alone:
        return
    world.barrier()
    for key in sorted(arrays):
        whole = np.zeros_like(arrays[key])
        whole[own] = arrays[key][own]
        world.reduce(torch.from_numpy(whole))
        if world.rank == 0:
            arrays[key][:] = whole


def share_record(world: World, kind: type[Kind], record: Kind | None) -> Kind:
    """The record of the first process, in all."""
    if record is not None and world.alone:
        return record
    with TemporaryDirectory(prefix="ntps-") as name:
        folder = Path(name)
        if record is not None:
            record.write(folder)
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        sizes = world.broadcast_object({file: len(content) for file, content in files.items()})
        for file, size in sizes.items():
            content = np.frombuffer(files.get(file, bytes(size)), dtype=np.uint8).copy()
            content = world.broadcast(torch.from_numpy(content)).numpy()
            if record is None:
                (folder / file).write_bytes(content.tobytes())
        return kind.read(folder) if record is None else record

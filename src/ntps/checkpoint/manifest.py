"""What stands beside running sums on disk, so that they are never taken for others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from ntps.errors import InputError
from ntps.files import damaged, write_text, write_whole
from ntps.forward.batch_plan import Shard

SHORT = 40
"""Longer values are not shown when they differ."""


@dataclass(frozen=True)
class Manifest:
    """What is on disk of the part of a pass that one process runs.

    Attributes:
        run: What is scored with what, by names that users know; two runs that agree here compute the same sums.
        conditions: What moves the last bits only, such as the number of threads.
        tokens_per_batch: Budget of a batch, from which the plan of batches follows.
        rank: Which process.
        world: Among how many the batches are divided.
        merged_batches: Numbers of batches that the first process held before they were divided.
        batches: Number of batches of the plan.
        done: How many of its own batches are in the sums.
        complete: Whether the sums hold every text, those of the other processes too.
        sums_path: Folder with the sums, relative to the folder of results.
        files: SHA-256 of its files.
        largest: Padded tokens that fit the memory at once, if a batch did not.
        notes: What a reader of the result must know.
    """

    run: Mapping[str, Any]
    conditions: Mapping[str, Any]
    tokens_per_batch: int
    rank: int = 0
    world: int = 1
    merged_batches: Annotated[tuple[int, ...], Field(alias="earlier")] = ()
    batches: int = 0
    done: int = 0
    complete: Annotated[bool, Field(alias="whole")] = False
    sums_path: Annotated[str, Field(alias="place")] = ""
    files: Mapping[str, str] = field(default_factory=dict)
    largest: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def shard(self) -> Shard:
        """The batches of the process."""
        return Shard(self.rank, self.world, self.merged_batches)

    @property
    def partition(self) -> dict[str, Any]:
        """What all processes must agree on for their sums to be parts of one whole."""
        names = "tokens_per_batch", "world", "merged_batches"
        return {name: getattr(self, name) for name in names}

    def interruption(self, fresh: Manifest, effect: str) -> tuple[str, ...]:
        """What a reader must know if the run goes on under other conditions, with their effect; nothing if not."""
        if self.conditions == fresh.conditions:
            return ()
        then, now = (", ".join(f"{k} {v}" for k, v in each.conditions.items()) for each in (self, fresh))
        return (f"the run was interrupted with {then} and continued with {now}: {effect}",)


_MANIFEST = TypeAdapter(Manifest)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Replaces a manifest on disk as a whole."""
    text = json.dumps(_MANIFEST.dump_python(manifest, mode="json", by_alias=True))
    whole = json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "ledger": text}) + "\n"
    write_whole(path, lambda temporary: write_text(temporary, whole))


def read_manifest(path: Path) -> Manifest | None:
    """Reads what :func:`write_manifest` wrote; None if there is no file.

    Raises:
        InputError: The file is damaged.
    """
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        if hashlib.sha256(whole["ledger"].encode()).hexdigest() != whole["sha256"]:
            raise ValueError("its content was changed")
        return _MANIFEST.validate_json(whole["ledger"], strict=True)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path) from error


def require_same_run(folder: Path, found: Manifest, fresh: Manifest, asked: int | None) -> None:
    """Raises an :class:`InputError` if progress belongs to another run than the one that begins now.

    Args:
        folder: Where it was found.
        found: Its manifest.
        fresh: The manifest of the run that begins now.
        asked: Budget of a batch that the user insists on.
    """
    then = {**found.run, "tokens_per_batch": found.tokens_per_batch}
    now = {**json.loads(json.dumps(fresh.run)), "tokens_per_batch": asked or found.tokens_per_batch}
    pairs = {name: (then.get(name), now.get(name)) for name in {**then, **now} if then.get(name) != now.get(name)}
    if len(pairs) > 1:
        # It follows from the others, and says nothing to anyone.
        pairs.pop("settings_hash", None)
    if then.keys() != now.keys():
        raise foreign_progress(folder, ", of another command or another version of ntps")
    if pairs:
        differences = ", ".join(_difference(name, *pair) for name, pair in pairs.items())
        raise foreign_progress(folder, f", which differs in {differences}")


def foreign_progress(folder: Path, which: str = "") -> InputError:
    """The error of progress that belongs to another run."""
    return InputError(
        f"{folder} holds the progress of another run{which}: continue that run with its own command, discard it with "
        "`overwrite`, or choose another `out`"
    )


def _difference(name: str, then: object, now: object) -> str:
    return f"{name} ({then} then, {now} now)" if len(f"{then}{now}") <= SHORT else name

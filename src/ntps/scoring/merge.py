"""Statistics that were computed apart, joined: runs of one model over texts that no two of them share."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ntps.checkpoint.lock import clear_folder, left_behind
from ntps.errors import InputError
from ntps.files import MOMENTS
from ntps.jobs.blocks import TaskBlock
from ntps.jobs.provenance import identity
from ntps.moments.accumulator import Moments
from ntps.moments.sums_folder import write_moments
from ntps.options.scoring import CurveOptions, ScoreSettings
from ntps.scoring.record import MergedPart, ScoreFile, ScoreRecord
from ntps.scoring.rescore import rescore_run
from ntps.scoring.stored_run import PooledLabels, StoredRun
from ntps.validation.labels import Labels

EQUAL = {
    # A dtype changes the weights too, so it comes first.
    "settings": ("layers", "pooling", "max_length", "dtype", "attention_mask"),
    "model": ("architecture", "weights", "adapter"),
    "task": ("target_kind", "label_names", "classes"),
}
"""Without these, sums of two runs have no meaning together."""
FINGERPRINTS = ("fingerprint", "texts_fingerprint", "tokens_fingerprint")


def merge_runs(folders: Sequence[Path], out: Path, curves: CurveOptions, *, rivals: bool = False) -> ScoreRecord:
    """Adds up the statistics of several runs and scores the sum, layer by layer in memory.

    Args:
        folders: Folders of the runs.
        out: Folder for the result, which the caller has claimed.
        curves: Which curves to report.
        rivals: Whether to give the scores of others, for which all runs must have kept their pooled texts.

    Raises:
        InputError: They do not belong together, or texts are in two of them.
    """
    runs = [StoredRun.open(folder, test=False) for folder in folders]
    if len(runs) < 2:
        raise InputError("there is nothing to merge: give the folders of at least two runs")
    for run in runs[1:]:
        _require_equal(runs[0], run)
    parts = [part for run in runs for part in _parts(run)]
    _require_apart(parts)
    first = runs[0].index
    settings = ScoreSettings(
        pooling=first.settings.pooling,
        max_length=first.settings.max_length,
        test=False,
        cv_texts=min(
            (each for run in runs if (each := run.index.settings.cv_texts) is not None), default=ScoreSettings.cv_texts
        ),
        rivals=rivals,
        **asdict(curves),
    )
    texts = _texts(runs)
    if rivals and texts is None:
        raise InputError("`rivals` need the pooled texts of all parts: score them again with `keep_pooled`")
    task, layers = _merged_task(runs), list(first.layers)
    index = {
        "settings_hash": settings.settings_hash(tuple(layers), **identity(first.model, task, first.settings.dtype)),
        "model": first.model.to_dict(),
        "task": task.to_dict(),
        "settings": {
            **_common([run.index.settings.to_dict() for run in runs]),
            **settings.to_dict(),
            "layers": layers,
        },
        "warnings": [
            *dict.fromkeys(line for run in runs for line in (*run.index.warnings, *run.doubts)),
            *_doubts(runs, parts),
        ],
        "merged": [part.to_dict() for part in parts],
    }
    whole = {"kind": "merge", **{name: index[name] for name in ("settings_hash", "merged")}}
    if left_behind(out, whole):
        return ScoreRecord.read(out)
    clear_folder(out, whole)
    write_moments(out / MOMENTS, _sums(runs, layers), index)
    scored = rescore_run(out, curves=curves, test=False, texts=texts)
    result = {name: value for name, value in scored.result.to_dict().items() if name != "rescored"}
    return ScoreRecord(ScoreFile.model_validate({**result, "merged": parts}), scored.curves, scored.left_out)


def _texts(runs: Sequence[StoredRun]) -> PooledLabels | None:
    """The pooled texts of all runs, if all kept theirs."""
    kept = [texts for run in runs if (texts := run.texts) is not None]
    if len(kept) < len(runs):
        return None
    labels = [texts.labels for texts in kept]
    return PooledLabels(lambda layer: np.concatenate([texts.read(layer) for texts in kept]), Labels.joined(labels))


def _sums(runs: Sequence[StoredRun], layers: Sequence[int]) -> Iterator[tuple[int, Moments]]:
    for layer in layers:
        total = runs[0].moments(layer)
        for run in runs[1:]:
            total.merge(run.moments(layer))
        counted = sum(run.index.task.texts for run in runs)
        if total.texts != counted:
            raise InputError(
                f"layer {layer} has {total.texts} of {counted} texts: some of the folders are damaged, compute their "
                "moments again"
            )
        yield layer, total


def _require_equal(first: StoredRun, other: StoredRun) -> None:
    for block, names in EQUAL.items():
        for name in names:
            pair = [getattr(getattr(run.index, block), name) for run in (first, other)]
            if pair[0] != pair[1]:
                shown = f" ({pair[0]} and {pair[1]})" if len(f"{pair[0]}{pair[1]}") < 80 else ""
                raise InputError(
                    f"{first.folder} and {other.folder} cannot be merged, because they differ in {block} "
                    f"{name}{shown}: score all parts with the same model and options"
                )


def _parts(run: StoredRun) -> Sequence[MergedPart]:
    """The runs that a folder consists of: itself, or what was merged into it."""
    if run.index.merged is not None:
        return run.index.merged
    task = run.index.task
    names = ("id", "source", "split", "selection", "texts", "tokens", *FINGERPRINTS)
    own = {"folder": str(run.folder), **{name: getattr(task, name) for name in names}}
    return [MergedPart.model_validate(own)]


def _require_apart(parts: Sequence[MergedPart]) -> None:
    seen: dict[str, str] = {}
    for part in parts:
        texts, folder = part.texts_fingerprint, part.folder
        if texts in seen:
            raise InputError(f"{seen[texts]} and {folder} hold the same texts, which would count twice: leave one out")
        seen[texts] = folder


def _doubts(runs: Sequence[StoredRun], parts: Sequence[MergedPart]) -> Iterator[str]:
    """What may be wrong and cannot be known."""
    by_source: dict[tuple[str, str | None], list[str]] = {}
    for part in parts:
        by_source.setdefault((part.source, part.split), []).append(part.folder)
    for (source, split), folders in by_source.items():
        if len(folders) > 1:
            yield (
                f"{', '.join(folders)} all come from {source}, split {split}: texts that they share are counted more "
                "than once"
            )
    if sum(run.index.task.groups is not None for run in runs) > 1:
        yield "groups of different parts are taken for different groups, whatever they are called"


def _merged_task(runs: Sequence[StoredRun]) -> TaskBlock:
    tasks = [run.index.task for run in runs]
    counts = [task.class_counts for task in tasks]
    dropped: Counter[str] = Counter()
    for task in tasks:
        dropped.update(task.dropped)
    return TaskBlock.model_validate(
        {
            **_common([task.to_dict() for task in tasks]),
            "id": " + ".join(dict.fromkeys(task.id for task in tasks)),
            "source": " + ".join(dict.fromkeys(task.source for task in tasks)),
            **{name: sum(getattr(task, name) for task in tasks) for name in ("texts", "tokens", "truncated")},
            **{name: _digest([getattr(task, name) for task in tasks]) for name in FINGERPRINTS},
            "class_counts": None if None in counts else [sum(each) for each in zip(*filter(None, counts), strict=True)],
            "dropped": dict(dropped),
            # A group may have texts in several parts.
            "groups": None,
            "test": None,
            "notes": list(dict.fromkeys(note for task in tasks for note in task.notes)),
        }
    )


def _common(blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all agree on; None for the rest."""
    first, *others = blocks
    return {name: value if all(each.get(name) == value for each in others) else None for name, value in first.items()}


def _digest(fingerprints: Sequence[str]) -> str:
    return hashlib.sha256(" ".join(fingerprints).encode()).hexdigest()

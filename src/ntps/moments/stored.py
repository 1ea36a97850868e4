"""Scores from what a run left on disk: other curves, or other labels for the same texts, without the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ntps.errors import InputError
from ntps.moments.clock import Clock
from ntps.moments.collect import HeldOut
from ntps.moments.describe import envelope, identity, relabel_task
from ntps.moments.layers import score_layers
from ntps.moments.moments import Moments
from ntps.moments.pooled import POOLED, Array, PooledArrays, read_pooled
from ntps.moments.prepared import gathered
from ntps.moments.record import INDEX, MOMENTS, RESULT, ScoreRecord, layer_row, read_layer_moments
from ntps.moments.score import Convention, LayerScore
from ntps.moments.settings import ScoreSettings
from ntps.moments.summary import summarize
from ntps.tasks import Split, Task
from ntps.theory import LinearProbe, variance_explained


@dataclass(frozen=True)
class StoredRun:
    """What a scoring run left in its folder.

    Attributes:
        folder: The folder.
        index: What stands beside the statistics.
    """

    folder: Path
    index: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> StoredRun:
        """Finds the statistics of a run.

        Raises:
            InputError: There are none.
        """
        path = folder / MOMENTS / INDEX
        try:
            index = json.loads(path.read_text(encoding="utf-8"))
            if not {"model", "task", "settings", "layers"} <= index.keys():
                raise ValueError("it does not say where its sums come from")
        except FileNotFoundError as error:
            raise InputError(
                f"{folder} holds no statistics: give a folder that `ntps score --out` wrote, without --moments drop"
            ) from error
        except (OSError, ValueError, AttributeError) as error:
            raise InputError(f"{path} cannot be read ({error}): compute the moments again") from error
        return cls(folder, index)

    def pooled(self, part: str) -> PooledArrays:
        """Pooled texts of a part, ``train`` or ``test``.

        Raises:
            InputError: They were not kept, or belong to another run.
        """
        place = self.folder / POOLED / part
        if not (place / INDEX).exists():
            raise InputError(
                f"{self.folder} holds no pooled {part} texts, which other labels need: score the model again with "
                "--keep-pooled"
            )
        arrays, found = read_pooled(place), json.loads((place / INDEX).read_text(encoding="utf-8"))
        if found.get("settings_hash") != self.index["settings_hash"]:
            raise InputError(f"{place} belongs to another run than {MOMENTS}: score the model again with --keep-pooled")
        return arrays

    @cached_property
    def held_out(self) -> dict[int, dict[str, Any]]:
        """Held-out figures of the layers, if the run came to its end; they do not depend on curves."""
        if not (self.folder / RESULT).exists():
            return {}
        rows = ScoreRecord.read(self.folder).result["layers"]
        return {row["layer"]: {name: row[name] for name in ("r2_test", "accuracy_test")} for row in rows}


def rescore(
    folder: Path,
    task: Task | None = None,
    *,
    layers: str | None = None,
    convention: Convention = "paper",
    centered: bool = False,
) -> ScoreRecord:
    """Scores layers from statistics on disk.

    Args:
        folder: Folder that a scoring run wrote.
        task: The same texts with other labels; the labels of that run by default. Needs the pooled texts of that run.
        layers: Layers such as ``0,3,-1``; all that were kept by default.
        convention: Whose curves to report.
        centered: Whether both problems get an intercept.

    Raises:
        InputError: Statistics or pooled texts are missing or damaged, or the task has other texts.
    """
    clock = Clock(("statistics", "theory"))
    run = StoredRun.open(folder)
    stored = run.index["settings"]
    settings = ScoreSettings(
        layers, stored["pooling"], stored["max_length"], None, stored["test"], convention, centered
    )
    chosen = _chosen(run, settings)
    source = _OwnLabels(run) if task is None else _OtherLabels(run, task)
    scores = []
    for layer in chosen:
        with clock.phase("statistics"):
            moments = source.moments(layer)
        with clock.phase("theory"):
            (score,) = score_layers({layer: moments}, run.index["model"]["layer_names"], convention, centered)
        scores.append(replace(score, **source.held_out(score)))
    described = {**stored, **settings.described(), "layers": chosen, "tokens_per_batch": stored["tokens_per_batch"]}
    provenance = {
        "settings_hash": settings.digest(tuple(chosen), **identity(run.index["model"], source.block, stored["dtype"])),
        "model": run.index["model"],
        "task": source.block,
        "settings": described,
        "rescored": {
            "from": str(folder),
            "settings_hash": run.index["settings_hash"],
            "used": [MOMENTS] if task is None else [MOMENTS, POOLED],
        },
    }
    warnings = [*run.index["warnings"], *source.warnings, *gathered({score.name: score.warnings for score in scores})]
    result = {
        **envelope("score", provenance, clock),
        "layers": [layer_row(score) for score in scores],
        "summary": summarize(scores),
        "warnings": warnings,
    }
    return ScoreRecord(result, pd.concat([score.to_frame() for score in scores], ignore_index=True))


def _chosen(run: StoredRun, settings: ScoreSettings) -> list[int]:
    kept = run.index["layers"]
    if settings.layers is None:
        return list(kept)
    wanted = settings.layer_indices(run.index["model"]["num_layers"])
    if missing := [layer for layer in wanted if layer not in kept]:
        raise InputError(
            f"{run.folder} holds no statistics of layer {missing[0]} but of {', '.join(map(str, kept))}: choose among "
            "them with --layers"
        )
    return list(wanted)


class _OwnLabels:
    """The labels that the run had."""

    def __init__(self, run: StoredRun) -> None:
        self._run = run
        self.block: dict[str, Any] = run.index["task"]
        self.warnings: list[str] = []
        if self.block["test"] and not run.held_out:
            self.warnings = [f"there are no held-out figures, because the run in {run.folder} has not come to its end"]

    def moments(self, layer: int) -> Moments:
        return read_layer_moments(self._run.folder / MOMENTS, layer)

    def held_out(self, score: LayerScore) -> dict[str, Any]:
        return self._run.held_out.get(score.layer, {})


class _OtherLabels:
    """Other labels for the same texts."""

    def __init__(self, run: StoredRun, task: Task) -> None:
        self._run, self._task = run, task
        block = run.index["task"]
        _require_same_texts(run, task.train, block)
        self._pooled = run.pooled("train")
        self._targets = task.targets(task.train.labels)
        self.warnings: list[str] = []
        self._test: PooledArrays = {}
        if task.test is not None and block["test"] is not None:
            if task.test.texts_fingerprint == block["test"]["texts_fingerprint"]:
                self._test = run.pooled("test")
            else:
                self.warnings = [f"there are no held-out figures, because {task.id} has other test texts"]
        self.block = relabel_task(block, task, bool(self._test))

    def moments(self, layer: int) -> Moments:
        return relabelled(read_layer_moments(self._run.folder / MOMENTS, layer), self._pooled[layer], self._targets)

    def held_out(self, score: LayerScore) -> dict[str, Any]:
        if not self._test or self._task.test is None:
            return {}
        targets = self._task.targets(self._task.test.labels)
        found = _evaluate(score.probe, self._test[score.layer], targets)
        return {"r2_test": found.r2, "accuracy_test": found.accuracy if self._task.kind == "classes" else None}


def relabelled(moments: Moments, pooled: Array, targets: Array) -> Moments:
    """The moments of the same texts with other targets.

    Args:
        moments: Moments with any targets.
        pooled: ``(n, d)`` the pooled texts.
        targets: ``(n, c)`` the other targets.
    """
    other = Moments(moments.hidden_size, targets.shape[1], pooling=moments.pooling)
    # What depends on the labels; the rest is the same.
    by_target = {"pooled_target": pooled.T @ targets, "target_gram": targets.T @ targets, "target_sum": targets.sum(0)}
    other.sums = {**moments.sums, **{name: torch.from_numpy(np.asarray(sums)) for name, sums in by_target.items()}}
    other.texts, other.tokens = moments.texts, moments.tokens
    return other


def _require_same_texts(run: StoredRun, split: Split, block: Mapping[str, Any]) -> None:
    if split.texts_fingerprint == block["texts_fingerprint"]:
        return
    counts = "" if len(split) == block["texts"] else f" ({len(split)} texts here, {block['texts']} there)"
    raise InputError(
        f"the labels do not belong to the texts that {run.folder} was computed from{counts}: give the same texts in "
        "the same order, each with its label, and the same --split, --limit and --seed"
    )


def _evaluate(probe: LinearProbe, pooled: Array, targets: Array) -> HeldOut:
    predicted = probe.predict(pooled)
    deviation = targets - targets.mean(axis=0)
    hits = predicted.argmax(axis=1) == targets.argmax(axis=1)
    r2 = variance_explained(((targets - predicted) ** 2).sum(axis=0), (deviation**2).sum(axis=0))
    return HeldOut(r2, float(hits.mean()))

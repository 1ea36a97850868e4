"""Probes of pooled texts that a score kept, without the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ntps.errors import InputError
from ntps.files import POOLED
from ntps.jobs.blocks import SettingsBlock
from ntps.jobs.clock import Clock
from ntps.jobs.kept_texts import KeptTexts
from ntps.jobs.progress import NullReporter, Reporter
from ntps.jobs.provenance import identity
from ntps.jobs.record import Provenance, Rescored
from ntps.moments.kernels import resolution_of
from ntps.options.layers import Layers
from ntps.options.probing import Kind, Probe, ProbeSettings
from ntps.tasks.task import Task
from ntps.training.probes.compared import compare_layers
from ntps.training.probes.fitted import PooledSplits
from ntps.training.probes.probe_run import probe_record, require_fitting
from ntps.training.records import ProbeRecord


def reprobe_run(
    folder: Path,
    task: Task | None,
    kind: Probe | Kind,
    *,
    layers: Layers = None,
    seed: int = 0,
    test: bool = True,
    reporter: Reporter | None = None,
) -> ProbeRecord:
    """Fits a probe to every layer asked for.

    Args:
        folder: Folder of a score that kept its pooled texts.
        task: The same texts with other labels; those of the score by default.
        kind: The kind of probe.
        layers: Layers such as ``0,3,-1``; those that a probe of the model would take by default.
        seed: Of whatever is random about the probe.
        test: Whether to give held-out figures.
        reporter: Learns about progress.

    Returns:
        The record that a probe of the model would have left, but for times and the block ``rescored``.

    Raises:
        InputError: Pooled texts are missing or damaged, the task has other texts, or the kind needs the model.
    """
    if ProbeSettings(kind=kind).probe.name == "tangent":
        raise InputError(f"`kind` tangent needs the model: name it, and the task, instead of {folder}")
    clock = Clock(("training",))
    kept = KeptTexts.open(folder, task, test)
    then, model, block = kept.index.settings, kept.index.model, kept.block
    settings = ProbeSettings(
        kind=kind, layers=layers, pooling=then.pooling, max_length=then.max_length, test=then.test and test, seed=seed
    )
    require_fitting(settings, block.target_kind, block.id)
    chosen = settings.layer_indices(model.num_layers) if layers is not None else _by_default(kept, settings)
    if missing := sorted({*chosen} - {*kept.train}):
        raise InputError(
            f"{folder} holds no pooled texts of layer {missing[0]}, only of {', '.join(map(str, kept.train))}: choose "
            "among them with `layers`"
        )
    resolution = resolution_of(getattr(torch, then.dtype))
    pooled = {
        layer: PooledSplits(
            kept.labels,
            np.asarray(kept.train[layer]),
            kept.test_labels,
            None if kept.test is None else np.asarray(kept.test[layer]),
            resolution,
        )
        for layer in chosen
    }
    with clock.phase("training"):
        found = compare_layers(pooled, model.layer_names, settings, reporter or NullReporter())
    of_pass = {name: getattr(then, name) for name in SettingsBlock.model_fields}
    provenance = Provenance(
        settings_hash=settings.settings_hash(chosen, **identity(model, block, then.dtype)),
        model=model,
        task=block,
        settings=SettingsBlock.model_validate(
            {**of_pass, **settings.to_dict(), "layers": chosen, "tokens_per_batch": then.tokens_per_batch}
        ),
        rescored=Rescored.model_validate(
            {"from": str(folder), "settings_hash": kept.index.settings_hash, "used": [POOLED]}
        ),
    )
    return probe_record(found, provenance, clock, settings, kept.warnings)


def _by_default(kept: KeptTexts, settings: ProbeSettings) -> tuple[int, ...]:
    """Of the layers that were kept, those that a probe takes if none are named."""
    wanted = settings.layer_indices(kept.index.model.num_layers)
    return tuple(layer for layer in sorted(kept.train) if layer in wanted) or wanted

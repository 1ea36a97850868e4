"""Model × task → a probe of every layer asked for, and how well it does."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from ntps.checkpoint.lock import clear_folder, left_behind
from ntps.errors import InputError
from ntps.forward.pooled_texts import collect_pooled
from ntps.jobs.progress import Reporter
from ntps.jobs.provenance import envelope
from ntps.jobs.session import RunSession, group_warnings
from ntps.jobs.unused_rows import unused_rows
from ntps.models.adapters.adapter import require_package
from ntps.models.model import LanguageModel
from ntps.moments.kernels import resolution_of
from ntps.options.probing import AdamWProbe, LeastSquares, LogisticProbe, ProbeSettings
from ntps.tasks.task import Task
from ntps.theory import few_texts
from ntps.training.metrics import majority_accuracy
from ntps.training.probes.fitted import CURVES, PooledSplits, ProbeFit, probe_adamw, probe_logistic, probe_ols
from ntps.training.records import ProbeFile, ProbeRecord, ProbeRow

PHASES = ("tokenize", "forward", "training")


def run_probe(
    model: LanguageModel,
    task: Task,
    settings: ProbeSettings,
    *,
    out: Path | None = None,
    reporter: Reporter | None = None,
) -> ProbeRecord:
    """Fits a probe to every layer asked for: one pass over the training texts, one over the test texts.

    Pooled texts are held in memory: texts × layers × width × 8 bytes.

    Args:
        model: The model, which stays as it is.
        task: The task.
        settings: The options.
        out: Folder for the results, which the caller has claimed; nothing is written without it.
        reporter: Learns about progress.

    Raises:
        InputError: An option does not fit the model or the task, or a file cannot be written.
        NumericalError: Hidden states are not finite.
    """
    if task.kind == "regression" and isinstance(settings.probe, LogisticProbe):
        raise InputError(f"a logistic probe needs classes, and {task.id} has real targets: use `kind` ols or adamw")
    for package in settings.probe.packages:
        require_package(package, f"`kind` {settings.probe.name}")
    ready = RunSession(model, task, settings, reporter, PHASES)
    run = {"kind": ProbeRecord.kind, "settings_hash": ready.settings_hash}
    if out is not None and left_behind(out, run):
        return ProbeRecord.read(out)
    pooled = _pool(ready)
    with ready.clock.phase("training"):
        fitted, notes = _fit_layers(ready, settings, pooled)
    rows = [_row(layer, model.layer_names[layer], each) for layer, each in fitted.items()]
    last = rows[-1]
    labels = {"train": task.train.labels, "test": ready.test.labels if ready.test else None}
    content = {
        **envelope(ProbeRecord.kind, ready.provenance(), ready.clock, *settings.probe.packages),
        "layers": rows,
        "summary": {
            "layer": last.layer,
            "name": last.name,
            "rule": "last layer",
            "train": last.train,
            "test": last.test,
            "majority_accuracy": {
                split: None if each is None else majority_accuracy(task.train.labels, each, task)
                for split, each in labels.items()
            },
        },
        "warnings": [
            *unused_rows(ready.described_task, unusable=True),
            *ready.warnings(),
            *group_warnings({model.layer_names[layer]: tuple(_few_texts(each)) for layer, each in pooled.items()}),
            *group_warnings({model.layer_names[layer]: each.warnings for layer, each in fitted.items()}),
            *notes,
        ],
    }
    curves = pd.DataFrame(
        [{"layer": layer, **row} for layer, each in fitted.items() for row in each.curve], columns=CURVES
    )
    record = ProbeRecord(ProbeFile.model_validate(content), curves.astype(dict.fromkeys(CURVES[4:], "float64")))
    if out is not None:
        clear_folder(out, run)
        record.write(out)
    return record


def _pool(ready: RunSession) -> dict[int, PooledSplits]:
    with ready.clock.phase("forward"):
        train, test = collect_pooled(ready.work(ready.task.train, ready.tokens, "train texts")), {}
        if ready.test is not None and ready.test_tokens is not None:
            test = collect_pooled(ready.work(ready.test, ready.test_tokens, "test texts"))
        resolution = resolution_of(ready.model.dtype)
        return {
            layer: PooledSplits(ready.task, rows, test.get(layer), ready.test, resolution)
            for layer, rows in train.items()
        }


def _fit_layers(
    ready: RunSession, settings: ProbeSettings, pooled: Mapping[int, PooledSplits]
) -> tuple[dict[int, ProbeFit], list[str]]:
    """Probes by layer, and what scikit-learn had to say."""
    match settings.probe:
        case LeastSquares() as ols:
            advance = ready.reporter.start("probes", len(pooled), "layers")
            return {layer: probe_ols(splits, ols, advance) for layer, splits in pooled.items()}, []
        case AdamWProbe() as adamw:
            advance = ready.reporter.start("probes", adamw.epochs * len(pooled), "epochs")
            return {layer: probe_adamw(splits, adamw, settings.seed, advance) for layer, splits in pooled.items()}, []
        case LogisticProbe() as logistic:
            advance = ready.reporter.start("probes", len(pooled), "layers")
            # One thread a layer, and none within: small products gain nothing from more, and results then depend on
            # the number of threads.
            with (
                warnings.catch_warnings(record=True) as caught,
                threadpool_limits(1),
                ThreadPoolExecutor(torch.get_num_threads()) as pool,
            ):
                warnings.simplefilter("always")
                found = pool.map(
                    lambda splits: probe_logistic(splits, logistic, settings.seed, advance), pooled.values()
                )
                fitted = dict(zip(pooled, found, strict=True))
            return fitted, sorted({f"scikit-learn: {warning.message}" for warning in caught})


def _few_texts(splits: PooledSplits) -> Iterator[str]:
    texts = len(splits.train)
    if few_texts(texts, splits.rank):
        yield f"{texts} training texts are few for {splits.rank} dimensions: trust figures of test texts only"


def _row(layer: int, name: str, fitted: ProbeFit) -> ProbeRow:
    figures = {"train": asdict(fitted.train), "test": None if fitted.test is None else asdict(fitted.test)}
    content = {"layer": layer, "name": name, **figures, **fitted.details, "warnings": fitted.warnings}
    return ProbeRow.model_validate(content)

"""Model × task → a probe of every layer asked for, and how well it does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ntps.checkpoint.lock import clear_folder, left_behind
from ntps.checkpoint.resume import require_no_progress
from ntps.checkpoint.tangent_rows import TangentRows, run_with_tangents
from ntps.distributed.world import World
from ntps.errors import InputError
from ntps.forward.pooled_texts import collect_pooled
from ntps.jobs.clock import Clock
from ntps.jobs.progress import Reporter
from ntps.jobs.provenance import envelope
from ntps.jobs.record import Provenance
from ntps.jobs.session import RunSession
from ntps.jobs.unused_rows import unused_rows
from ntps.models.adapters.adapter import require_package
from ntps.models.model import LanguageModel
from ntps.moments.kernels import resolution_of
from ntps.options.probing import LogisticProbe, ProbeSettings, RidgeProbe, TangentProbe
from ntps.tasks.task import TargetKind, Task
from ntps.training.probes.compared import ComparedProbes, compare_layers
from ntps.training.probes.fitted import PooledSplits
from ntps.training.probes.saved import SavedProbe, SavedTangentProbe
from ntps.training.probes.tangent import probe_tangents
from ntps.training.records import ProbeFile, ProbeRecord
from ntps.validation.labels import Labels

PHASES = ("tokenize", "forward", "training")


def run_probe(
    model: LanguageModel,
    task: Task,
    settings: ProbeSettings,
    *,
    out: Path | None = None,
    resume: bool = True,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    world: World | None = None,
) -> ProbeRecord:
    """Fits a probe to every layer asked for: one pass over the training texts, one over the test texts.

    Pooled texts are held in memory: texts × layers × width × 8 bytes. The passes of a tangent probe, which take longer,
    go on where they were interrupted, and several processes share them.

    Args:
        model: The model, which stays as it is.
        task: The task.
        settings: The options.
        out: Folder for the results, which the caller has claimed; nothing is written without it.
        resume: Whether a run that was interrupted is continued.
        overwrite: Whether the progress of any other run is discarded.
        reporter: Learns about progress.
        world: The processes that share the run; all of them get the record.

    Raises:
        InputError: An option does not fit the model or the task, or a file cannot be written.
        NumericalError: Hidden states are not finite.
    """
    world = world or World()
    require_fitting(settings, task.kind, task.id)
    if not world.alone and not isinstance(settings.probe, TangentProbe):
        raise InputError(
            f"`kind` {settings.probe.name} is for one process: start it without torchrun, or choose `kind` tangent, "
            "whose passes several processes share"
        )
    ready = RunSession(model, task, settings, reporter, PHASES)
    if isinstance(settings.probe, TangentProbe):

        def make(rows: TangentRows) -> ProbeRecord | None:
            found = probe_tangents(rows)
            if found is None:
                return None
            return probe_record(found, ready.provenance(), ready.clock, settings, [*rows.notes, *ready.warnings()])

        return run_with_tangents(
            ready, settings.seed, ProbeRecord, make, world=world, out=out, resume=resume, overwrite=overwrite
        )
    run = {"kind": ProbeRecord.kind, "settings_hash": ready.settings_hash}
    if out is not None and left_behind(out, run):
        return ProbeRecord.read(out)
    if out is not None:
        require_no_progress(out, overwrite=overwrite)
    pooled = _pool(ready)
    with ready.clock.phase("training"):
        found = compare_layers(pooled, model.layer_names, settings, ready.reporter)
    record = probe_record(found, ready.provenance(), ready.clock, settings, ready.warnings())
    if out is not None:
        clear_folder(out, run)
        record.write(out)
    return record


def probe_record(
    found: ComparedProbes, provenance: Provenance, clock: Clock, settings: ProbeSettings, warnings: Iterable[str]
) -> ProbeRecord:
    """The record of some probes.

    Args:
        found: The probes.
        provenance: What they were fitted to.
        clock: Where the seconds went.
        settings: The options.
        warnings: What a reader must know of model and texts.
    """
    content = {
        **envelope(ProbeRecord.kind, provenance, clock, *settings.probe.packages),
        "layers": found.rows,
        "all_layers": found.all_layers,
        "summary": found.summary,
        "warnings": [*unused_rows(provenance.task, unusable=True), *warnings, *found.warnings],
    }
    result = ProbeFile.model_validate(content)
    weights: SavedProbe | SavedTangentProbe | None = None
    if found.tangents is not None:
        weights = SavedTangentProbe.of(found.tangents, settings.seed, provenance)
    elif found.ridge is not None and isinstance(settings.probe, RidgeProbe):
        weights = SavedProbe.of(found.ridge, result.summary.layer, provenance)
    return ProbeRecord(result, found.curves, weights, held_out=found.held_out)


def require_fitting(settings: ProbeSettings, kind: TargetKind, task: str) -> None:
    """Refuses a kind of probe that cannot be fitted to such labels, or not here.

    Raises:
        InputError: So it is.
    """
    if kind == "regression" and isinstance(settings.probe, LogisticProbe):
        raise InputError(
            f"a logistic probe needs classes, and {task} has real targets: use `kind` ridge, ols, adamw or tangent"
        )
    for package in settings.probe.packages:
        require_package(package, f"`kind` {settings.probe.name}")


def _pool(ready: RunSession) -> dict[int, PooledSplits]:
    with ready.clock.phase("forward"):
        labels = Labels.of(ready.task, ready.task.train)
        train = collect_pooled(ready.work(ready.task.train, ready.tokens, "train texts"))
        resolution = resolution_of(ready.model.dtype)
        if ready.test is None or ready.test_tokens is None:
            return {layer: PooledSplits(labels, rows, resolution=resolution) for layer, rows in train.items()}
        test_labels = Labels.of(ready.task, ready.test)
        test = collect_pooled(ready.work(ready.test, ready.test_tokens, "test texts"))
        return {
            layer: PooledSplits(labels, rows, test_labels, test[layer], resolution) for layer, rows in train.items()
        }

"""Scores from statistics on disk: other curves, or other labels for the same texts, without the model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from ntps.errors import InputError
from ntps.files import MOMENTS, POOLED
from ntps.jobs.clock import Clock
from ntps.jobs.new_texts import cross_validate_sample
from ntps.jobs.provenance import envelope, identity
from ntps.jobs.record import Provenance, Rescored
from ntps.jobs.session import group_warnings
from ntps.jobs.unused_rows import unused_rows
from ntps.models.adapters.adapter import require_package
from ntps.moments.layer_score import score_layers
from ntps.options.layers import Layers
from ntps.options.scoring import CurveOptions, ScoreSettings
from ntps.scoring.record import LayerRow, ScoreFile, ScoreRecord, summarize
from ntps.scoring.stored_run import PooledLabels, RelabelledRun, StoredRun
from ntps.scoring.validated import validated_scores, without_directions
from ntps.tasks.task import Task

OTHER_DIRECTIONS = (
    "with another `centered`, next-token directions are others: area_cv and ntps_share95_ridge need pooled texts that "
    "were kept"
)


def rescore_run(
    folder: Path,
    task: Task | None = None,
    curves: CurveOptions | None = None,
    *,
    layers: Layers = None,
    test: bool = True,
    rivals: bool = False,
    texts: PooledLabels | None = None,
) -> ScoreRecord:
    """Scores layers from what a run left, one after the other in memory.

    Args:
        folder: Folder of the run.
        task: The same texts with other labels, which needs the run's pooled texts; the labels of the run by default.
        curves: Which curves to report.
        layers: Layers such as ``0,3,-1``; all that were kept by default.
        test: Whether to give held-out figures.
        rivals: Whether to give the scores of others, which the run itself may have been asked for.
        texts: Pooled texts that are left out in turn; those that the run kept by default.

    Returns:
        The record that the run itself would have left, bit for bit where the labels are its own, but for times and
        the block ``rescored``, which says where it comes from.

    Raises:
        InputError: Statistics or pooled texts are missing or damaged, or the task has other texts.
    """
    clock = Clock(("statistics", "theory"))
    chosen_curves = asdict(curves or CurveOptions())
    run = StoredRun.open(folder, test)
    then, model = run.index.settings, run.index.model
    settings = ScoreSettings(
        layers=layers,
        pooling=then.pooling,
        max_length=then.max_length,
        test=then.test and test,
        cv_texts=ScoreSettings.cv_texts if then.cv_texts is None else then.cv_texts,
        rivals=rivals or bool(then.rivals),
        **chosen_curves,
    )
    chosen = _chosen(run, settings)
    labelled = run if task is None else RelabelledRun(run, task)
    kept = texts or labelled.texts
    if settings.rivals:
        require_package("scikit-learn", "`rivals`")
    stored = labelled.validated(chosen).layers
    if rivals and kept is None and not all("rivals" in stored.get(layer, {}) for layer in chosen):
        raise InputError(f"`rivals` need pooled texts, which {folder} does not hold: score the model again with it")
    with clock.phase("theory"):
        probes = None if kept is None else cross_validate_sample(kept.read, chosen, kept.labels, settings.cv_texts)
    penalties = None if probes is None else probes.penalties
    scores = []
    for layer in chosen:
        with clock.phase("statistics"):
            moments = labelled.moments(layer)
        with clock.phase("theory"):
            (score,) = score_layers({layer: moments}, model.layer_names, **chosen_curves, penalties=penalties)
        scores.append(labelled.with_held_out(score))
    with clock.phase("theory"):
        if probes is None:
            found = labelled.validated(chosen)
        else:
            found = validated_scores(
                probes, scores, model.layer_names, labelled.held_out(probes), rivals=settings.rivals
            )
    notes: list[str] = []
    if found.layers and probes is None and settings.centered != then.centered:
        found, notes = without_directions(found), [OTHER_DIRECTIONS]
    rows = [LayerRow.of(score, found.layers.get(score.layer, {})) for score in scores]
    used = [MOMENTS] if task is None else [MOMENTS, POOLED]
    changed = {"layers": tuple(chosen), **chosen_curves, "test": settings.test, "rivals": settings.rivals}
    provenance = Provenance(
        settings_hash=settings.settings_hash(tuple(chosen), **identity(model, labelled.task, then.dtype)),
        model=model,
        task=labelled.task,
        settings=then.model_copy(update=changed),
        rescored=Rescored.model_validate({"from": str(folder), "settings_hash": run.index.settings_hash, "used": used}),
    )
    result = ScoreFile.model_validate(
        {
            **envelope("score", provenance, clock),
            "layers": rows,
            "all_layers": found.together,
            "summary": summarize(scores, rows, found, labelled.task),
            "warnings": [
                *unused_rows(labelled.task, unusable=True),
                *run.index.warnings,
                *run.doubts,
                *labelled.warnings,
                *notes,
                *group_warnings({row.name: row.all_warnings for row in rows}),
            ],
        }
    )
    frame = pd.concat([score.to_frame() for score in scores], ignore_index=True)
    return ScoreRecord(result, frame, found.left_out, held_out=found.held_out)


def _chosen(run: StoredRun, settings: ScoreSettings) -> list[int]:
    kept = list(run.index.layers)
    if settings.layers is None:
        return kept
    wanted = settings.layer_indices(run.index.model.num_layers)
    if missing := sorted({*wanted} - {*kept}):
        raise InputError(
            f"{run.folder} holds no statistics of layer {missing[0]}, only of {', '.join(map(str, kept))}: choose "
            "among them with `layers`"
        )
    return list(wanted)

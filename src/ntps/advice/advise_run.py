"""Model × task → the best probe, what LoRA would add, and what more texts would bring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from ntps.advice.calibration import Calibration
from ntps.advice.fits import Fits, fit_all
from ntps.advice.record import AdviceFile, AdviceRecord
from ntps.advice.verdict import Verdict, calibration_block, costs
from ntps.checkpoint.tangent_rows import TangentRows, run_with_tangents
from ntps.distributed.world import World
from ntps.errors import InputError
from ntps.jobs.new_texts import entries, validated
from ntps.jobs.progress import Reporter
from ntps.jobs.provenance import envelope
from ntps.jobs.session import RunSession
from ntps.jobs.unused_rows import unused_rows
from ntps.models.adapters.lora import lora_projections
from ntps.models.model import LanguageModel
from ntps.options.advising import AdviseSettings
from ntps.tasks.task import Task
from ntps.validation.judged import estimates
from ntps.validation.labels import Labels
from ntps.validation.learning_curve import FEWEST, LearningCurve

PHASES = ("tokenize", "forward", "backward", "theory")
ALL_LAYERS = "all layers"


def run_advice(
    model: LanguageModel,
    task: Task,
    settings: AdviseSettings,
    *,
    out: Path | None = None,
    resume: bool = True,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    world: World | None = None,
) -> AdviceRecord:
    """Runs one forward pass with its ways back over the training texts, and forecasts LoRA.

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
        InputError: The task has no classes or too few texts, LoRA does not know the model's projections, or the
            calibration is of another version.
        NumericalError: A derivative is not finite.
    """
    calibration = Calibration.read(None if settings.calibration is None else Path(settings.calibration))
    require_fitting(model, task)
    ready = RunSession(model, task, settings, reporter, PHASES)

    def make(rows: TangentRows) -> AdviceRecord | None:
        fits = fit_all(rows)
        if fits is None:
            return None
        result = _advice(ready, fits, calibration, settings, rows.notes)
        return AdviceRecord(result, pd.DataFrame([dict(point) for point in result.learning_curve]))

    return run_with_tangents(
        ready, settings.seed, AdviceRecord, make, world=world or World(), out=out, resume=resume, overwrite=overwrite
    )


def require_fitting(model: LanguageModel, task: Task) -> None:
    """Refuses what nothing can be said about.

    Raises:
        InputError: So it is.
    """
    if task.kind != "classes":
        what = "real targets" if task.kind == "regression" else "label sets"
        raise InputError(
            f"{task.id} has {what}, and forecasts of LoRA are calibrated on classes: `ntps probe` fits probes to it"
        )
    labels = Labels.of(task, task.train)
    if labels.units < FEWEST:
        raise InputError(
            f"{task.id} has {labels.units} training texts that stand for themselves, and advice needs {FEWEST}: it "
            "learns from a quarter of them and judges on the others"
        )
    lora_projections(model)


def _advice(
    ready: RunSession, fits: Fits, calibration: Calibration, settings: AdviseSettings, notes: Sequence[str]
) -> AdviceFile:
    names, count, parameters = ready.model.layer_names, len(ready.task.train), ready.model.parameters
    found = validated(fits.probes, names, None)
    assert found.together is not None, "texts were left out"
    verdict = Verdict(fits.evidence(count, parameters), calibration, settings.worth / 100, fits.ahead)
    tangent = entries(estimates(fits.tangents.judged, fits.labels, refitted=True), "cv")
    chosen = found.chosen(dict(enumerate(names)))
    best = {f"best_cv{end}": chosen[f"chosen_cv{end}"] for end in ("", "_interval")}
    if fits.best_layer is None:
        best = {f"best_cv{end}": getattr(found.together, f"accuracy_cv{end}") for end in ("", "_interval")}
    summary = {
        **chosen,
        "best": ALL_LAYERS if fits.best_layer is None else names[fits.best_layer],
        **best,
        **{f"tangent_cv{end}": tangent[f"accuracy_cv{end}"] for end in ("", "_interval")},
        **ready.described_task.majority,
        "decision": verdict.decision,
        "enough_texts": verdict.enough_texts,
    }
    content = {
        **envelope(AdviceRecord.kind, ready.provenance(), ready.clock),
        "layers": tuple({"layer": layer, "name": names[layer], **found.layers[layer]} for layer in ready.layers),
        "all_layers": found.together,
        "tangent": tangent,
        "learning_curve": tuple(_points(fits.curve, count, best)),
        "lora": verdict.forecast,
        "costs": costs(fits.texts, ready.clock.seconds()["total"], count),
        "calibration": calibration_block(
            calibration,
            None if settings.calibration is None else str(settings.calibration),
            ready.described,
            ready.described_task.id,
        ),
        "summary": summary,
        "warnings": (*unused_rows(ready.described_task, unusable=True), *notes, *ready.warnings()),
    }
    return AdviceFile.model_validate(content)


def _points(curve: LearningCurve | None, count: int, best: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """What the best probe reaches from fewer texts, from all of them, as the summary says it, and from more."""
    if curve is None:
        return
    for texts, reached in zip(curve.texts, curve.reached, strict=True):
        point: dict[str, object] = {"accuracy": reached.value, "accuracy_interval": (reached.low, reached.high)}
        if texts == count:
            point = {"accuracy": best["best_cv"], "accuracy_interval": best["best_cv_interval"]}
        yield {"texts": texts, **point}

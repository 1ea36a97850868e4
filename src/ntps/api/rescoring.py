"""``ntps.rescore``: a score from statistics on disk."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from ntps.api.results import ScoreResult
from ntps.checkpoint.lock import claim_folder, replace_result
from ntps.errors import InputError
from ntps.files import folder_path
from ntps.options.keywords import takes, values
from ntps.options.layers import Layers
from ntps.options.scoring import CurveOptions, RivalOptions
from ntps.options.shared import OutputOptions
from ntps.scoring.rescore import rescore_run
from ntps.tasks.load import load_task
from ntps.tasks.task import Task


@dataclass(frozen=True)
class Scored:
    """What is scored again.

    Attributes:
        folder: Folder that a score was written to, with its statistics.
        task: The same texts with other labels, which needs a score with ``keep_pooled``: a name, file, folder or a task
            that :func:`ntps.load_task` loaded with the options of that score. The labels of that score by default.
    """

    folder: str | Path
    task: str | Path | Task | None = None


@dataclass(frozen=True, kw_only=True)
class RescoreJob(RivalOptions, CurveOptions, OutputOptions, Scored):
    """What scoring again takes.

    Attributes:
        out: Another folder, for ``result.json`` and ``curves.parquet``; nothing is written by default.
        overwrite: Whether a result in ``out`` may be replaced.
        layers: Layers such as ``0,3,-1`` or ``[0, 3]``; all that were scored by default.
        test: Whether to give held-out figures.
    """

    layers: Layers = None
    test: bool = True


@takes(RescoreJob)
def rescore(job: RescoreJob) -> ScoreResult:
    """Scores again from what :func:`ntps.score` wrote, without the model.

    Returns:
        The result; its ``rescored`` block says where it comes from.

    Raises:
        InputError: Statistics or pooled texts are missing or damaged, or the texts are others.

    Examples:
        >>> result = ntps.score(limit=50, test=False, out="scored")
        >>> again = ntps.rescore("scored", layers="-1", convention="released")
        >>> len(again.to_frame())  # nineteen fractions of the columns
        19
    """
    task, source, target = job.task, Path(job.folder), None if job.out is None else folder_path(job.out)
    if target is not None and target.resolve() == source.resolve():
        raise InputError(f"{target} holds the statistics that the score comes from: choose another `out`")
    with nullcontext() if target is None else claim_folder(target, job.overwrite, reads=(source, task)):
        labels = load_task(task, test=job.test) if isinstance(task, str | Path) else task
        curves = CurveOptions(**values(job, CurveOptions))
        record = rescore_run(source, labels, curves, layers=job.layers, test=job.test, rivals=job.rivals)
        if target is not None:
            replace_result(target, record)
    return ScoreResult(record)

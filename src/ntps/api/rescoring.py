"""``ntps.rescore``: a score from statistics on disk."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from ntps.api.results import ScoreResult
from ntps.checkpoint.lock import claim_folder, replace_result
from ntps.errors import InputError
from ntps.files import folder_path
from ntps.jobs.settings import Layers
from ntps.moments.layer_score import Convention
from ntps.scoring.rescore import rescore_run
from ntps.tasks.load import load_task
from ntps.tasks.task import Task


def rescore(
    folder: str | Path,
    task: str | Path | Task | None = None,
    *,
    out: str | Path | None = None,
    layers: Layers = None,
    convention: Convention = "paper",
    centered: bool = False,
    test: bool = True,
    overwrite: bool = False,
) -> ScoreResult:
    """Scores again from what :func:`ntps.score` wrote, without the model.

    Args:
        folder: Folder that a score was written to, with its statistics.
        task: The same texts with other labels, which needs a score with ``keep_pooled``: a name, file, folder or a task
            that :func:`ntps.load_task` loaded with the options of that score. The labels of that score by default.
        out: Another folder, for ``result.json`` and ``curves.parquet``; nothing is written by default.
        layers: Layers such as ``0,3,-1`` or ``[0, 3]``; all that were scored by default.
        convention: ``paper`` (Algorithm 1) or ``released`` (the authors' sweep).
        centered: Whether both problems get an intercept: covariances instead of second moments.
        test: Whether to give held-out figures.
        overwrite: Whether a result in ``out`` may be replaced.

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
    source, target = Path(folder), None if out is None else folder_path(out)
    if target is not None and target.resolve() == source.resolve():
        raise InputError(f"{target} holds the statistics that the score comes from: choose another --out")
    with nullcontext() if target is None else claim_folder(target, overwrite, reads=(source, task)):
        labels = load_task(task, test=test) if isinstance(task, str | Path) else task
        record = rescore_run(source, labels, layers=layers, convention=convention, centered=centered, test=test)
        if target is not None:
            replace_result(target, record)
    return ScoreResult(record)

"""``ntps.merge``: statistics that were computed apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ntps.api.results import ScoreResult
from ntps.checkpoint.lock import claim_folder
from ntps.errors import InputError
from ntps.files import folder_path
from ntps.moments.layer_score import Convention
from ntps.scoring.merge import merge_runs


def merge(
    folders: Sequence[str | Path],
    out: str | Path,
    *,
    convention: Convention = "paper",
    centered: bool = False,
    overwrite: bool = False,
) -> ScoreResult:
    """Adds up the statistics of runs of one model on texts that no two of them share, and scores the sum.

    Args:
        folders: Folders that scores were written to, with their statistics.
        out: Another folder, for ``result.json``, ``curves.parquet`` and ``moments/``.
        convention: ``paper`` (Algorithm 1) or ``released`` (the authors' sweep).
        centered: Whether both problems get an intercept: covariances instead of second moments.
        overwrite: Whether a result in ``out`` may be replaced.

    Returns:
        The result, without held-out figures; its ``merged`` block lists the parts.

    Raises:
        InputError: The runs differ in model, labels or settings, or hold the same texts.

    Examples:
        >>> for month in ("January", "February"):
        ...     task = ntps.task_from_lists([f"a good {month}", f"a bad {month}"], ["good", "bad"])
        ...     result = ntps.score(task=task, out=month)
        >>> ntps.merge(["January", "February"], "year").to_dict()["task"]["texts"]
        4
    """
    target, sources = folder_path(out), [Path(folder) for folder in folders]
    if target.resolve() in [source.resolve() for source in sources]:
        raise InputError(f"{target} is one of the parts: choose another --out")
    with claim_folder(target, overwrite, reads=sources):
        record = merge_runs(sources, target, convention=convention, centered=centered)
        record.write(target)
    return ScoreResult(record)

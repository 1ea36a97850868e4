"""``ntps.merge``: statistics that were computed apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ntps.api.results import ScoreResult
from ntps.checkpoint.lock import claim_folder
from ntps.errors import InputError
from ntps.files import folder_path
from ntps.options.keywords import takes, values
from ntps.options.scoring import CurveOptions, RivalOptions
from ntps.scoring.merge import merge_runs


@dataclass(frozen=True)
class Parts:
    """What is merged, and where to.

    Attributes:
        folders: Folders that scores were written to, with their statistics.
        out: Another folder, for ``result.json``, ``curves.parquet`` and ``moments/``.
        overwrite: Whether a result in ``out`` may be replaced.
    """

    folders: Sequence[str | Path]
    out: str | Path
    overwrite: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, kw_only=True)
class MergeJob(RivalOptions, CurveOptions, Parts):
    """What merging takes."""


@takes(MergeJob)
def merge(job: MergeJob) -> ScoreResult:
    """Adds up the statistics of runs of one model on texts that no two of them share, and scores the sum.

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
    target, sources = folder_path(job.out), [Path(folder) for folder in job.folders]
    if target.resolve() in [source.resolve() for source in sources]:
        raise InputError(f"{target} is one of the parts: choose another `out`")
    with claim_folder(target, job.overwrite, reads=sources):
        record = merge_runs(sources, target, CurveOptions(**values(job, CurveOptions)), rivals=job.rivals)
        record.write(target)
    return ScoreResult(record)

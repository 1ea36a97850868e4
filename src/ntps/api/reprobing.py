"""``ntps.reprobe``: a probe of pooled texts on disk."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from ntps.api.rescoring import Scored
from ntps.api.results import ProbeResult
from ntps.checkpoint.lock import claim_folder, replace_result
from ntps.errors import InputError
from ntps.files import folder_path
from ntps.jobs.progress import Reporter
from ntps.options.keywords import takes
from ntps.options.layers import Layers
from ntps.options.probing import Kind, Probe
from ntps.options.shared import OutputOptions
from ntps.tasks.load import load_task
from ntps.training.probes.reprobe import reprobe_run


@dataclass(frozen=True, kw_only=True)
class ReprobeJob(OutputOptions, Scored):
    """What probing again takes.

    Attributes:
        folder: Folder that a score was written to with ``keep_pooled``.
        out: Another folder, for ``result.json`` and ``curves.parquet``; nothing is written by default.
        overwrite: Whether a result in ``out`` may be replaced.
        kind: As for :func:`ntps.probe`.
        layers: Layers such as ``0,3,-1`` or ``[0, 3]``; all that were kept by default, for ``adamw`` the last.
        seed: Seed of whatever is random about the probe.
        test: Whether to give held-out figures.
        reporter: Learns about progress.
    """

    kind: Probe | Kind = "ridge"
    layers: Layers = None
    seed: int = 0
    test: bool = True
    reporter: Reporter | None = None


@takes(ReprobeJob)
def reprobe(job: ReprobeJob) -> ProbeResult:
    """Fits a linear probe to pooled texts that :func:`ntps.score` kept, without the model.

    Returns:
        The result; its ``rescored`` block says where it comes from.

    Raises:
        InputError: Pooled texts are missing or damaged, or the task has other texts.

    Examples:
        >>> result = ntps.score(limit=50, test=False, out="scored", keep_pooled=True)
        >>> again = ntps.reprobe("scored", kind="ols", layers="-1")
        >>> again.layers["name"].tolist()
        ['final_norm']
    """
    task, source, target = job.task, Path(job.folder), None if job.out is None else folder_path(job.out)
    if target is not None and target.resolve() == source.resolve():
        raise InputError(f"{target} holds the pooled texts that are probed: choose another `out`")
    with nullcontext() if target is None else claim_folder(target, job.overwrite, reads=(source, task)):
        labels = load_task(task, test=job.test) if isinstance(task, str | Path) else task
        record = reprobe_run(
            source, labels, job.kind, layers=job.layers, seed=job.seed, test=job.test, reporter=job.reporter
        )
        if target is not None:
            replace_result(target, record)
    return ProbeResult(record)

"""``ntps.score``: the main job as a function."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ntps.api.loading import FrozenModelOptions, open_inputs
from ntps.api.results import ScoreResult
from ntps.checkpoint.owned_files import PARTS, PASS, RESULTS
from ntps.distributed.world import join_world
from ntps.errors import InputError
from ntps.models.adapters.adapter import check_adapter
from ntps.options import takes, values
from ntps.scoring.adapter_change import parse_place
from ntps.scoring.score_run import run_score
from ntps.scoring.settings import ScoreSettings


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(ScoreSettings, FrozenModelOptions):
    """What a score takes.

    Attributes:
        out: Folder for ``result.json``, ``curves.parquet`` and ``moments/``; nothing is written by default.
        adapter: Folder of a LoRA adapter to merge into the model. The model without it is scored too, and the result
            says what changed.
        at: Layer and k, such as ``4:100``, at which the change of NTPS is reported besides.
        keep_moments: Whether statistics are written to ``out``.
        keep_pooled: Whether the pooled texts of every layer are written to ``out`` too: with them, :func:`ntps.rescore`
            takes other labels.
        resume: Whether an interrupted run of the same call is continued from its progress in ``out``.
    """

    adapter: str | Path | None = None
    at: str | None = None
    keep_moments: bool = True
    keep_pooled: bool = False
    resume: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.at is not None and self.adapter is None:
            raise InputError("--at compares before with after: give --adapter with it")


@takes(ScoreOptions)
def score(options: ScoreOptions) -> ScoreResult:
    """Scores how well a model's next-token learning fits a labelled task, in one forward pass.

    Returns:
        The result, with ``summary``, ``to_frame()``, ``plot()`` and ``save()``.

    Raises:
        InputError: Something that was given cannot be used; the message says what to do.
        NumericalError: Hidden states are not finite.

    Examples:
        >>> result = ntps.score(limit=50)  # the embedded model and task
        >>> result.layers["name"].tolist()
        ['embed', 'block.1', 'block.2', 'block.3', 'block.4', 'final_norm']
        >>> 0 <= result.summary["area"] <= 1
        True
    """
    settings, adapter = ScoreSettings(**values(options, ScoreSettings)), options.adapter
    writes = (*RESULTS, *PARTS, *PASS)
    with (
        join_world() as world,
        open_inputs(options, test=options.test, adapter=adapter, writes=writes, world=world) as (task, folder),
    ):
        loaded = options.load(world)
        baseline = place = None
        if options.at is not None:
            place = parse_place(options.at, loaded.num_layers, loaded.hidden_size)
        if adapter is not None:
            check_adapter(loaded, Path(adapter))
            baseline = run_score(loaded, task, settings, reporter=options.reporter, world=world)
            # One model at a time in the memory.
            del loaded
            loaded = options.load(world, adapter)
        record = run_score(
            loaded,
            task,
            settings,
            out=folder,
            keep_moments=options.keep_moments,
            keep_pooled=options.keep_pooled,
            resume=options.resume,
            overwrite=options.overwrite,
            reporter=options.reporter,
            world=world,
            baseline=baseline,
            place=place,
        )
    return ScoreResult(record)

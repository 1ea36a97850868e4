"""``ntps.score``: the main job as a function."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ntps.api.loading import FrozenModelJob, open_inputs
from ntps.api.results import ScoreResult
from ntps.checkpoint.owned_files import PARTS, PASS, RESULTS
from ntps.distributed.world import join_world
from ntps.models.adapters.adapter import check_adapter
from ntps.options.keywords import takes, values
from ntps.options.scoring import ScoreOptions, ScoreSettings
from ntps.scoring.adapter_change import parse_place
from ntps.scoring.score_run import run_score


@dataclass(frozen=True, kw_only=True)
class ScoreJob(ScoreOptions, FrozenModelJob):
    """What a score takes."""


@takes(ScoreJob)
def score(options: ScoreJob) -> ScoreResult:
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
            keep_moments=options.moments == "keep",
            keep_pooled=options.keep_pooled,
            resume=options.resume,
            overwrite=options.overwrite,
            reporter=options.reporter,
            world=world,
            baseline=baseline,
            place=place,
        )
    return ScoreResult(record)

"""``ntps.api.estimate``: what a score would take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ntps.api.loading import open_inputs
from ntps.api.scoring import ScoreJob
from ntps.distributed.world import join_world
from ntps.models.adapters.adapter import check_adapter
from ntps.options.keywords import takes, values
from ntps.options.scoring import ScoreSettings
from ntps.scoring.dry_run import estimate_score


@takes(ScoreJob)
def estimate(options: ScoreJob) -> dict[str, Any]:
    """Says what :func:`ntps.score` with the same options would take; a few batches run, and nothing is written.

    Returns:
        ``texts, memory_bytes, disk_bytes, seconds`` and what they are about, in JSON types.

    Raises:
        InputError: Something that was given cannot be used.
    """
    settings, adapter = ScoreSettings(**values(options, ScoreSettings)), options.adapter
    nowhere = replace(options, out=None)
    with (
        join_world() as world,
        open_inputs(nowhere, test=options.test, adapter=adapter, world=world) as (task, _),
    ):
        loaded = options.load(world)
        if adapter is not None:
            check_adapter(loaded, Path(adapter))
        return estimate_score(
            loaded,
            task,
            settings,
            processes=world.size,
            runs=1 if adapter is None else 2,
            keep_moments=options.moments == "keep",
            keep_pooled=options.keep_pooled,
            reporter=options.reporter,
        )

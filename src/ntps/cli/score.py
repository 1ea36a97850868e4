"""``ntps score``: the main job."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

import typer

from ntps import api
from ntps.cli.arguments import DryRun, From, ModelArgument, TaskArgument, other_labels
from ntps.cli.console import err, out, progress_bars
from ntps.cli.from_options import flat
from ntps.cli.results import Showing, show
from ntps.display.estimate import estimate_lines
from ntps.display.sentences import plain_words
from ntps.display.tables import change_table, in_sample_table, layer_table
from ntps.models.registry import EMBEDDED
from ntps.options.keywords import values
from ntps.options.scoring import CurveOptions, ScoreOptions

if TYPE_CHECKING:
    from ntps.api.results import ScoreResult


OF_RESCORING = {"layers", "test", "out", "overwrite", "rivals"}
"""What has a meaning with ``--from``, besides curves."""


@flat
def score(
    context: typer.Context,
    options: ScoreOptions,
    showing: Showing,
    model: ModelArgument = None,
    task: TaskArgument = None,
    from_folder: From = None,
    dry_run: DryRun = False,
) -> None:
    """Score how well what MODEL learned by predicting the next token fits TASK.

    One forward pass over the texts, no training. Without arguments, the embedded model is scored on the embedded task.
    """
    if from_folder is not None:
        result = api.rescore(
            from_folder,
            other_labels(context, options, OF_RESCORING | {each.name for each in fields(CurveOptions)}),
            out=options.out,
            layers=options.layers,
            **values(options, CurveOptions),
            rivals=options.rivals,
            test=options.test,
            overwrite=options.overwrite,
        )
        show(result, partial(print_scores, showing.verbose), options.out, showing)
        return
    if not showing.quiet:
        doing = "Trying" if dry_run else "Scoring"
        err.prose(f"{doing} {model or f'the embedded model ({EMBEDDED})'} on {task or 'the embedded task'}")
    given = values(options, ScoreOptions)
    with progress_bars(showing.quiet) as reporter:
        if dry_run:
            estimate = api.estimate(model, task, **given, reporter=reporter)
        else:
            result = api.score(model, task, **given, reporter=reporter)
    if not dry_run:
        show(result, partial(print_scores, showing.verbose), options.out, showing)
    elif showing.as_json:
        out.print_json(json.dumps(estimate))
    else:
        for line in estimate_lines(estimate):
            out.prose(line)


def print_scores(verbose: bool, scored: ScoreResult) -> None:
    """The table of layers, and what it says in words."""
    result = scored.record.result
    out.table(layer_table(result))
    if verbose and result.summary.criterion is not None:
        out.table(in_sample_table(result))
    for line in plain_words(result):
        out.prose(line)
    if result.change is not None:
        out.table(change_table(result.change))

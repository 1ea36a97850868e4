"""``ntps score``: the main job."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ntps import api
from ntps.cli.arguments import DryRun, From, ModelArgument, TaskArgument
from ntps.cli.console import err, out, progress_bars
from ntps.cli.from_options import flat
from ntps.cli.results import Showing, show
from ntps.display.estimate import estimate_lines
from ntps.display.sentences import plain_words
from ntps.display.tables import change_table, in_sample_table, layer_table
from ntps.errors import InputError
from ntps.models.registry import EMBEDDED
from ntps.options.keywords import values
from ntps.options.scoring import CurveOptions, RivalOptions, ScoreOptions
from ntps.options.shared import TaskOptions

if TYPE_CHECKING:
    from ntps.tasks.task import Task

if TYPE_CHECKING:
    from ntps.api.results import ScoreResult


OF_RESCORING = ("model", "from_folder", "layers", "test", "out", "overwrite")
"""What has a meaning with ``--from``, besides curves and what is shown."""


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
            _other_labels(context, from_folder, options),
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
        err.print(f"{doing} {model or f'the embedded model ({EMBEDDED})'} on {task or 'the embedded task'}")
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
            out.print(line, soft_wrap=True)


def print_scores(verbose: bool, scored: ScoreResult) -> None:
    """The table of layers, and what it says in words."""
    result = scored.record.result
    out.print(layer_table(result))
    if verbose and result.summary.criterion is not None:
        out.print(in_sample_table(result))
    for line in plain_words(result):
        out.print(line, soft_wrap=True)
    if result.change is not None:
        out.print(change_table(result.change))


def _other_labels(context: typer.Context, folder: Path, options: ScoreOptions) -> Task | None:
    """The task with other labels that stands in the model's place, if one does.

    Args:
        context: The command line.
        folder: What ``--from`` names.
        options: The options.

    Raises:
        InputError: Something is given that has no effect without a model, or no task can be loaded.
    """
    task, more = context.params["model"], context.params["task"]
    if more is not None:
        raise InputError(f"--from {folder} runs no model: give a TASK with other labels alone, or nothing")
    of_labels = values(options, TaskOptions)
    allowed = {*OF_RESCORING, *(of_labels if task else ())}
    allowed |= {each.name for kind in (CurveOptions, RivalOptions, Showing) for each in fields(kind)}
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE" and parameter.name not in allowed:
            needs = "without a TASK" if parameter.name in of_labels else "which runs no model"
            raise InputError(f"{parameter.opts[0]} has no effect with --from, {needs}: leave it out")
    if task is None:
        return None
    from ntps.tasks.load import load_task

    return load_task(task, test=options.test, **of_labels)

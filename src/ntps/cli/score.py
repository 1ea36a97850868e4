"""``ntps score``: the main job."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

import typer

from ntps import api
from ntps.cli.arguments import DryRun, From, ModelArgument, TaskArgument, other_labels
from ntps.cli.console import err, out, progress_bars
from ntps.cli.from_options import flat
from ntps.cli.results import Showing, announce, show
from ntps.display.estimate import estimate_lines
from ntps.display.sentences import plain_words
from ntps.display.tables import change_table, in_sample_table, layer_table
from ntps.options.keywords import values
from ntps.options.probing import ProbeOptions
from ntps.options.scoring import CurveOptions, ScoreOptions

if TYPE_CHECKING:
    from ntps.api.results import ScoreResult
    from ntps.scoring.record import ScoreFile


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
        announce("Trying" if dry_run else "Scoring", model, task)
    given = values(options, ScoreOptions)
    with progress_bars(showing.quiet) as reporter:
        if dry_run:
            estimate = api.estimate(model, task, **given, reporter=reporter)
        else:
            result = api.score(model, task, **given, reporter=reporter)
    if not dry_run:
        show(result, partial(print_scores, showing.verbose), options.out, showing)
        if not (showing.quiet or showing.as_json):
            for line in next_steps(context, options, result.record.result):
                # What is indented is a command, to be copied.
                err.prose(line, whole=[line.strip()] if line.startswith(" ") else ())
    elif showing.as_json:
        out.print_json(json.dumps(estimate))
    else:
        for line in estimate_lines(estimate):
            out.prose(line)


def next_steps(context: typer.Context, options: ScoreOptions, result: ScoreFile) -> Iterator[str]:
    """The commands that make a classifier of what was scored, by the probe that does better on new texts.

    None where no probe certainly tells anything, and where an adapter was scored, which ``ntps probe`` does not take.

    Args:
        context: The command line, whose options of model and texts are those of the probe too.
        options: The options.
        result: The score.
    """
    summary, together = result.summary, result.all_layers
    whole = None if together is None else getattr(together, f"{summary.criterion}_cv")
    value, ends = summary.reached if summary.criterion is not None else (None, None)
    low = (ends or (None,))[0]
    if value is None or low is None or low <= summary.blind or options.adapter is not None:
        return
    every = whole is not None and whole > value and len(result.layers) > 1
    folder = "probe" if options.out is None else f"{options.out}-probe"
    given = [name for name in (context.params["model"], context.params["task"]) if name is not None]
    shared = {each.name for each in fields(ProbeOptions)} - {"out", "overwrite", *(() if every else ("layers",))}
    layer = [] if every else ["--layers", str(summary.layer)]
    yield f"To predict new texts by {'one probe of all layers' if every else f'the probe of {summary.name}'}:"
    yield f"  {shlex.join(['ntps', 'probe', *given, *_as_given(context, shared), *layer, '--out', folder])}"
    code = ["--trust-remote-code"] if options.trust_remote_code else []
    yield f"  {shlex.join(['ntps', 'predict', folder, 'FILE.csv', *(['--all-layers'] if every else []), *code])}"


def _as_given(context: typer.Context, names: set[str]) -> Iterator[str]:
    """Options of the command line, by name, as they may be typed again."""
    for each in context.command.params:
        source = context.get_parameter_source(each.name or "")
        if each.name not in names or source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[each.name]
        if isinstance(value, bool):
            yield each.opts[0] if value else each.secondary_opts[0]
            continue
        for one in value if isinstance(value, list | tuple) else [value]:
            yield from (each.opts[0], str(one))


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

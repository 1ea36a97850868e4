"""``ntps advise`` and ``ntps calibrate``: whether LoRA would add anything, and how well that is known."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntps import api
from ntps.cli.arguments import ModelArgument, TaskArgument
from ntps.cli.console import err, out, progress_bars
from ntps.cli.from_options import flat
from ntps.cli.results import Showing, announce, show
from ntps.display.advice import advice_table, advice_words, calibration_words, errors_table
from ntps.options.advising import AdviseOptions
from ntps.options.keywords import values
from ntps.options.shared import OUTPUT

if TYPE_CHECKING:
    from ntps.api.advising import AdviceResult


@flat
def advise(options: AdviseOptions, showing: Showing, model: ModelArgument = None, task: TaskArgument = None) -> None:
    """Tell what a probe of MODEL reaches on TASK, whether LoRA would add anything, and what more texts would bring.

    One forward pass with a few ways back over the training texts; nothing is trained.
    """
    if not showing.quiet:
        announce("Looking at", model, task)
    with progress_bars(showing.quiet) as reporter:
        result = api.advise(model, task, **values(options, AdviseOptions), reporter=reporter)

    def body(result: AdviceResult) -> None:
        out.table(advice_table(result.record.result))
        for line in advice_words(result.record.result):
            out.prose(line)

    show(result, body, options.out, showing)


def calibrate(
    studies: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[STUDY...]",
            help="Folders that ntps study wrote, with score, tangent and lora of six tasks or more; files of "
            "calibrations, and `shipped` for the one that comes with ntps, are joined with them. Without one, that "
            "calibration is looked at.",
            show_default=False,
        ),
    ] = None,
    out_file: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="File for the calibration; not written by default.",
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the errors as JSON.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """Make a calibration for `ntps advise` from studies in which LoRA was trained, and tell how wrong it is.

    Errors are of forecasts for tasks, and for models, that were left out whole.
    """
    result = api.calibrate(studies or None, out_file)
    if as_json:
        errors = {by: [asdict(each) for each in rows] for by, rows in result.errors().items()}
        out.print_json(json.dumps({"unused": result.unused, "errors": errors}))
        return
    for line in result.unused:
        err.prose(line)
    for by, rows in result.errors().items():
        out.table(errors_table(by, rows))
    for line in calibration_words(result.calibration):
        out.prose(line)
    if out_file is not None:
        advise = shlex.join(["ntps", "advise", "--calibration", str(out_file)])
        out.prose(f"The calibration is in {out_file}; `{advise}` uses it", whole=[out_file])

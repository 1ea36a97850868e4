"""What ``ntps score --from DIR`` reads from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ntps.errors import InputError

if TYPE_CHECKING:
    from ntps.tasks.task import Task

OF_LABELS = ("text_column", "label_column", "split", "limit", "limit_first", "seed", "data_dir", "config")
OF_CURVES = ("from_folder", "layers", "convention", "centered", "test", "out_folder", "overwrite")
OF_SHOWING = ("as_json", "quiet", "verbose")


def other_labels(context: typer.Context, folder: Path) -> Task | None:
    """The task with other labels that stands in the model's place, if one does.

    Args:
        context: The command line.
        folder: What ``--from`` names.

    Raises:
        InputError: Something is given that has no effect without a model, or no task can be loaded.
    """
    given = context.params
    task, more = given["model"], given["task"]
    if more is not None:
        raise InputError(f"--from {folder} runs no model: give a TASK with other labels alone, or nothing")
    allowed = {"model", *OF_CURVES, *OF_SHOWING, *(OF_LABELS if task else ())}
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE" and parameter.name not in allowed:
            needs = "without a TASK" if parameter.name in OF_LABELS else "which runs no model"
            raise InputError(f"{parameter.opts[0]} has no effect with --from, {needs}: leave it out")
    if task is None:
        return None
    from ntps.tasks.load import load_task

    options = {name: given[name] for name in (*OF_LABELS, "test")}
    return load_task(task, text_columns=options.pop("text_column") or (), **options)

"""``--from``: what the command line means where no model is run."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import fields
from typing import TYPE_CHECKING

import typer

from ntps.cli.results import Showing
from ntps.errors import InputError
from ntps.options.keywords import values
from ntps.options.shared import TaskOptions

if TYPE_CHECKING:
    from ntps.tasks.task import Task


def other_labels(context: typer.Context, options: TaskOptions, known: Set[str]) -> Task | None:
    """The task with other labels that stands in the model's place, if one does.

    Args:
        context: The command line.
        options: The options, with those of texts.
        known: Options that have a meaning without a model, besides those of texts and of what is shown.

    Raises:
        InputError: Something is given that has no effect without a model, or no task can be loaded.
    """
    task, more, folder = (context.params[name] for name in ("model", "task", "from_folder"))
    if more is not None:
        raise InputError(f"--from {folder} runs no model: give a TASK with other labels alone, or nothing")
    of_labels = values(options, TaskOptions)
    allowed = {"model", "from_folder", *known, *(of_labels if task else ())}
    allowed |= {each.name for each in fields(Showing)}
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE" and parameter.name not in allowed:
            needs = "without a TASK" if parameter.name in of_labels else "which runs no model"
            raise InputError(f"{parameter.opts[0]} has no effect with --from, {needs}: leave it out")
    if task is None:
        return None
    from ntps.tasks.load import load_task

    return load_task(task, test=context.params["test"], **of_labels)

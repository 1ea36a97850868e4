"""Arguments and options of the command line alone."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ntps.cli.results import Showing
from ntps.errors import InputError
from ntps.files import folder_path
from ntps.models.registry import EMBEDDED
from ntps.options.keywords import values
from ntps.options.shared import OUTPUT, SELECTION, TaskOptions

if TYPE_CHECKING:
    from ntps.tasks.task import Task


def _not_a_task(context: typer.Context, model: str | None) -> str | None:
    """Refuses a task in the model's place, which is what a first call is likely to get wrong."""
    if model is None or context.params.get("from_folder"):
        return model
    from ntps.tasks.registry import TASK_NAMES
    from ntps.tasks.sources.files import extension

    path = Path(model)
    named = model in TASK_NAMES and not path.exists()
    if named or (path.is_file() and extension(path)):
        raise InputError(
            f"{model} is a task, but the first argument is the model: write `ntps {context.info_name} MODEL {model}`, "
            f"for instance `ntps {context.info_name} {EMBEDDED} {model}`"
        )
    return model


ModelArgument = Annotated[
    str | None,
    typer.Argument(
        help="Folder, hub id or id@revision; the embedded model by default.",
        show_default=False,
        callback=_not_a_task,
    ),
]
TaskArgument = Annotated[
    str | None,
    typer.Argument(
        help="Name (see `ntps tasks`), hub dataset id, file or folder; the embedded task by default.",
        show_default=False,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder with local copies of named tasks (or NTPS_DATA).", rich_help_panel=SELECTION),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="DIR",
        help="Read what ntps score left in DIR, and run no model; the one argument is then a TASK with other labels "
        "for the same texts. That, and every probe, needs a score with --keep-pooled.",
        is_eager=True,
        rich_help_panel=SELECTION,
    ),
]
FOLDER: dict[str, Any] = {"parser": folder_path, "metavar": "PATH"}
"""Of an option that names a folder to write to."""
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Say what the run would take: tokens, memory, disk, time; run nothing.",
        rich_help_panel=OUTPUT,
    ),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only the result and warnings.", rich_help_panel=OUTPUT)]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Say more, and show where an error comes from.", rich_help_panel=OUTPUT)
]


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

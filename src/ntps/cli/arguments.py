"""Arguments and options of the command line alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ntps.errors import InputError
from ntps.files import folder_path
from ntps.models.registry import EMBEDDED
from ntps.options.shared import OUTPUT, SELECTION


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

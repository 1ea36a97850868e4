"""Options that several commands share, with one wording."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ntps.errors import InputError
from ntps.files import folder_path
from ntps.models.registry import EMBEDDED

SELECTION = "What to score"
COMPUTING = "How to compute"
OUTPUT = "What to write"


class PoolingName(StrEnum):
    """How a text becomes one vector."""

    mean = "mean"
    sum = "sum"
    last = "last"


class ConventionName(StrEnum):
    """Whose curves to report."""

    paper = "paper"
    released = "released"


class DtypeName(StrEnum):
    """Dtypes of the forward pass."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"
    float64 = "float64"


class KeepOrDrop(StrEnum):
    """What happens to statistics."""

    keep = "keep"
    drop = "drop"


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
TextColumns = Annotated[
    list[str] | None,
    typer.Option("--text-column", help="Column with the text; give it twice for pairs.", rich_help_panel=SELECTION),
]
LabelColumn = Annotated[
    str | None, typer.Option("--label-column", help="Column with the label.", rich_help_panel=SELECTION)
]
Split = Annotated[str, typer.Option(help="Split to score.", rich_help_panel=SELECTION)]
Limit = Annotated[
    int | None, typer.Option(help="At most this many texts a split: a seeded sample.", min=1, rich_help_panel=SELECTION)
]
LimitFirst = Annotated[
    bool, typer.Option("--limit-first", help="Take the first texts instead of a sample.", rich_help_panel=SELECTION)
]
Seed = Annotated[int, typer.Option(help="Seed of the sample.", rich_help_panel=SELECTION)]
Layers = Annotated[
    str | None, typer.Option(help="Layers such as 0,3,-1 or 0:12; all by default.", rich_help_panel=SELECTION)
]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder with local copies of named tasks (or NTPS_DATA).", rich_help_panel=SELECTION),
]
DatasetConfig = Annotated[
    str | None, typer.Option("--config", help="Configuration of a hub dataset.", rich_help_panel=SELECTION)
]
Test = Annotated[
    bool, typer.Option("--test/--no-test", help="Held-out figures on the test split.", rich_help_panel=SELECTION)
]
Pooling = Annotated[PoolingName, typer.Option(help="How a text becomes one vector.", rich_help_panel=COMPUTING)]
Convention = Annotated[
    ConventionName,
    typer.Option(help="paper: Algorithm 1; released: the authors' sweep.", rich_help_panel=COMPUTING),
]
Centered = Annotated[
    bool,
    typer.Option(
        "--centered",
        help="Covariances instead of second moments: both problems get an intercept.",
        rich_help_panel=COMPUTING,
    ),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="DIR",
        help="Score again from what a run left in DIR, without the model; the one argument is then a TASK with other "
        "labels for the same texts, which needs --keep-pooled.",
        is_eager=True,
        rich_help_panel=SELECTION,
    ),
]
Dtype = Annotated[
    DtypeName, typer.Option(help="Dtype of the forward pass; statistics are float64.", rich_help_panel=COMPUTING)
]
Device = Annotated[
    str | None,
    typer.Option(
        help="cpu, cuda, cuda:1 …; CUDA if there is one. auto spreads layers over all devices, needs accelerate.",
        rich_help_panel=COMPUTING,
    ),
]
MaxLength = Annotated[
    int | None, typer.Option(help="Token limit below the model's context.", rich_help_panel=COMPUTING)
]


def _padded_tokens(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InputError(
            f"--tokens-per-batch must be a number of padded tokens, such as 4096, not {text!r}: without the option, "
            "it goes by device"
        ) from error


TokensPerBatch = Annotated[
    int | None,
    typer.Option(
        help="Padded tokens a batch; by device.", rich_help_panel=COMPUTING, parser=_padded_tokens, metavar="N"
    ),
]
Tokenizer = Annotated[
    str | None, typer.Option(help="Tokenizer to use instead of the model's own.", rich_help_panel=COMPUTING)
]
Adapter = Annotated[
    Path | None,
    typer.Option(help="Folder of a LoRA adapter to merge; shows what it changed.", rich_help_panel=SELECTION),
]
At = Annotated[
    str | None,
    typer.Option(help="With --adapter: a layer and a k to compare at, such as 4:100.", rich_help_panel=SELECTION),
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Let code from the hub run.", rich_help_panel=COMPUTING)
]
FOLDER: dict[str, Any] = {"parser": folder_path, "metavar": "PATH"}
"""Of an option that names a folder to write to."""
Out = Annotated[Path | None, typer.Option("--out", help="Folder for the results.", rich_help_panel=OUTPUT, **FOLDER)]
MomentsOption = Annotated[
    KeepOrDrop, typer.Option("--moments", help="Whether statistics stay in the folder.", rich_help_panel=OUTPUT)
]
KeepPooled = Annotated[
    bool,
    typer.Option("--keep-pooled", help="Keep pooled texts too, for other labels with --from.", rich_help_panel=OUTPUT),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace a result or progress there.", rich_help_panel=OUTPUT)
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume/--no-resume", help="Continue an interrupted run of the same command.", rich_help_panel=OUTPUT
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Say what the run would take: tokens, memory, disk, time; run nothing.",
        rich_help_panel=OUTPUT,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print result.json instead of a table.", rich_help_panel=OUTPUT)]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only the result and warnings.", rich_help_panel=OUTPUT)]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Say more, and show where an error comes from.", rich_help_panel=OUTPUT)
]

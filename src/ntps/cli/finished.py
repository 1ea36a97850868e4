"""``ntps merge`` and ``ntps words``: what can be done with scores that are finished."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntps import api
from ntps.cli.arguments import FOLDER, Verbose
from ntps.cli.console import out
from ntps.cli.from_options import flat
from ntps.cli.results import Showing, show
from ntps.cli.score import print_scores
from ntps.errors import InputError
from ntps.files import RESULT, distinct_names
from ntps.options.keywords import values
from ntps.options.scoring import CurveOptions, RivalOptions
from ntps.options.shared import COMPUTING, OUTPUT

if TYPE_CHECKING:
    from ntps.api.results import ScoreResult


@flat
def merge(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Folders that ntps score --out wrote.", show_default=False)
    ],
    out_folder: Annotated[
        Path,
        typer.Option("--out", help="Folder for the result.", rich_help_panel=OUTPUT, show_default=False, **FOLDER),
    ],
    curves: CurveOptions,
    rivals: RivalOptions,
    showing: Showing,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a result there.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Join the statistics of runs of one model on different texts, and score them as one.

    The model is not needed, so there are no held-out figures.
    """
    result = api.merge(folders, out_folder, **values(curves, CurveOptions), rivals=rivals.rivals, overwrite=overwrite)
    show(result, _print_parts, out_folder, showing)


def _print_parts(result: ScoreResult) -> None:
    """The parts before the table."""
    parts = result.record.result.merged or ()
    for part, name in zip(parts, distinct_names([part.folder for part in parts]), strict=True):
        out.prose(f"{part.texts:,} texts of {name}", whole=[name])
    print_scores(False, result)


def words(
    scored: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder that ntps score --out wrote.", show_default=False)
    ],
    lists: Annotated[
        list[str],
        typer.Option("--list", help="Words of a list, such as Joy=lovely,amazing; repeat it.", show_default=False),
    ],
    layer: Annotated[int | None, typer.Option(help="Layer; that of the score's summary by default.")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1 …; CUDA if there is one.", rich_help_panel=COMPUTING)
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Let code from the hub run.", rich_help_panel=COMPUTING)
    ] = False,
    out_folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for the result; DIR/words by default.",
            rich_help_panel=OUTPUT,
            **FOLDER,
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Project words on the leading directions of U and V of a layer in DIR: what figure 1 of the paper shows.

    `ntps report` draws it.
    """
    from ntps.checkpoint.lock import claim_folder
    from ntps.models.load import load_model
    from ntps.scoring.record import ScoreRecord
    from ntps.scoring.word_planes import WordSettings, run_words

    settings = WordSettings(_named(lists), layer)
    score = ScoreRecord.read(scored).result
    block = score.model
    model = load_model(
        block.id if block.revision is None else f"{block.id}@{block.revision}",
        dtype=score.settings.dtype,
        device=device,
        tokenizer=block.tokenizer,
        trust_remote_code=trust_remote_code,
    )
    target = out_folder or scored / "words"
    with claim_folder(target, overwrite=True, writes=(RESULT,)):
        result = run_words(scored, model, settings, out=target)
    summary = result.summary
    found = f"{len(result.words)} words in layer {summary.layer} ({summary.name})"
    out.prose(f"{found} are in {target}", whole=[target])


def _named(lists: list[str]) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for text in lists:
        name, equals, words = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise InputError(f"--list {text!r} has no name: write a name and its words, such as Joy=lovely,amazing")
        if name in named:
            raise InputError(f"--list {name} is given twice: put all of its words in one list, or rename one")
        named[name] = [word.strip() for word in words.split(",") if word.strip()]
    return named

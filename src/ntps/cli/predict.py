"""``ntps predict``: labels of new texts by a probe, or a classifier, that was saved."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from ntps.cli.arguments import Quiet, Verbose
from ntps.cli.console import err, out, progress_bars, say, with_flags
from ntps.cli.from_options import flat
from ntps.options.keywords import values
from ntps.options.predicting import PredictorOptions, RowOptions, WritingOptions
from ntps.options.shared import COMPUTING

if TYPE_CHECKING:
    from ntps.prediction.predictions import Predictions


@flat
def predict(
    probe: Annotated[
        Path,
        typer.Argument(
            metavar="PROBE", help="Folder that ntps probe --out or ntps finetune --out wrote.", show_default=False
        ),
    ],
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Texts: .jsonl, .csv, .tsv (or .gz of them), .parquet; - for JSON lines on standard input.",
            show_default=False,
        ),
    ],
    loading: PredictorOptions,
    rows: RowOptions,
    writing: WritingOptions,
    model: Annotated[
        str | None,
        typer.Option(help="Where the model is now; where it was by default.", rich_help_panel=COMPUTING),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Predict labels of the texts in FILE by PROBE: a line for each row, in the order of the rows.

    Rows are read and predicted some at a time, so that memory does not grow with them.
    """
    from ntps.files import write_whole
    from ntps.jobs.progress import NullReporter
    from ntps.prediction.agreement import Agreement
    from ntps.prediction.loading import load_probe
    from ntps.prediction.predictor import truncated
    from ntps.prediction.rows import predict_rows, read_rows

    tables = read_rows(file, None if sys.stdin is None else sys.stdin.buffer)
    predictor = load_probe(probe, model=model, **values(loading, PredictorOptions))
    for warning in predictor.warnings:
        say("Warning", "yellow", with_flags(warning))
    agreement = None if rows.label_column is None else Agreement(rows.label_column)
    count = cut = 0
    # No bar among lines on the same terminal.
    silent = quiet or (writing.out is None and out.is_terminal)

    def write(stream: IO[bytes]) -> None:
        nonlocal count, cut
        with progress_bars(silent) as reporter:
            advance = (reporter or NullReporter()).start("Predicting", None, "texts")
            for table, predictions in predict_rows(predictor, tables, rows.text_columns):
                if agreement is not None:
                    agreement.add(table, predictions)
                stream.writelines(line.encode() for line in _lines(predictions, writing, header=not count))
                stream.flush()
                count += len(predictions)
                cut += predictions.truncated
                advance(len(predictions))

    def write_file(path: Path) -> None:
        with path.open("wb") as stream:
            write(stream)

    if writing.out is not None:
        # Where a link leads to, the file is replaced, and not the link.
        write_whole(Path(writing.out).resolve(), write_file)
    else:
        try:
            write(sys.stdout.buffer)
        except BrokenPipeError:
            # Whoever reads has had enough, and Python would complain once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit from None
    if not quiet:
        where = "" if writing.out is None else f", in {writing.out}"
        texts = f"{count:,} text{'s' if count > 1 else ''}"
        err.prose(f"{texts} predicted by the {predictor.description}{where}", whole=[writing.out or ""])
    if cut:
        say("Warning", "yellow", truncated(cut, count))
    if agreement is not None:
        err.prose(agreement.sentence())


def _lines(predictions: Predictions, writing: WritingOptions, *, header: bool) -> Iterator[str]:
    from ntps.prediction.lines import csv_lines, json_lines

    make = partial(csv_lines, header=header) if writing.csv else json_lines
    return make(predictions, every=writing.probabilities)

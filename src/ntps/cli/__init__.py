"""The command line."""

from __future__ import annotations

import errno
import shlex
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperOption

from ntps.cli.advise import advise, calibrate
from ntps.cli.console import err, flags_of, out, say
from ntps.cli.finetune import finetune
from ntps.cli.finished import merge, words
from ntps.cli.models import doctor, models, paper, tasks
from ntps.cli.predict import predict
from ntps.cli.probe import probe
from ntps.cli.report import report
from ntps.cli.score import score
from ntps.cli.study import rank, study
from ntps.distributed.launch import process_rank
from ntps.errors import InputError, NtpsError
from ntps.jobs.command import COMMAND


class Command(TyperCommand):
    """A command whose errors name its flags, and that refuses two values for an option that takes one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the command line."""
        with flags_of(each for each in self.params if isinstance(each, TyperOption)):
            given = self.make_parser(ctx).parse_args(list(args))[2]
            for option in given:
                several = isinstance(option, TyperOption) and (option.multiple or option.is_flag)
                if isinstance(option, TyperOption) and not several and given.count(option) > 1:
                    raise InputError(f"{option.opts[0]} is given {given.count(option)} times: it takes one value")
            ctx.meta[COMMAND.name] = shlex.join(["ntps", str(ctx.info_name), *args])
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        with flags_of(each for each in self.params if isinstance(each, TyperOption)):
            token = COMMAND.set(ctx.meta[COMMAND.name])
            try:
                return super().invoke(ctx)
            finally:
                COMMAND.reset(token)


app = typer.Typer(
    name="ntps",
    help="Next Token Perception Score: how well a language model's pretraining fits a labelled task.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (
    score,
    rank,
    advise,
    probe,
    predict,
    finetune,
    words,
    merge,
    study,
    calibrate,
    report,
    tasks,
    models,
    paper,
    doctor,
):
    app.command(cls=Command)(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        from ntps.version import __version__

        typer.echo(f"ntps {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of ntps itself."""


def main() -> None:
    """Runs the command line and turns every error into one sentence and an exit status."""
    verbose = "-v" in sys.argv or "--verbose" in sys.argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # Better a question mark in the table than a lost computation, where the encoding lacks a sign of ours.
            stream.reconfigure(errors="replace")
    # Several processes of one run speak with one voice; what stops one of them, it says itself.
    out.quiet = err.quiet = process_rank() > 0
    try:
        _require_current_folder()
        app()
    except NtpsError as error:
        if error.already_reported:
            sys.exit(error.exit_status)
        _fail(error, str(error), error.exit_status, verbose)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            _unexpected(error, verbose)
        _fail(error, "no space is left where the output goes: free some, or choose another place", 1, verbose)
    except KeyboardInterrupt as error:
        _fail(error, "interrupted", 130, False)
    except Exception as error:
        _unexpected(error, verbose)


def _require_current_folder() -> None:
    """Paths mean nothing in a folder that was removed under one's feet."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise InputError("the current folder does not exist any more: change to another one") from error


def _unexpected(error: Exception, verbose: bool) -> NoReturn:
    where = "please report it" if verbose else "-v shows where; please report it"
    _fail(error, f"unexpected {type(error).__name__}: {error} ({where})", 1, verbose)


def _fail(error: BaseException, sentence: str, status: int, verbose: bool) -> NoReturn:
    err.quiet = False
    if verbose:
        err.print_exception()
    say("Error", "red", sentence)
    sys.exit(status)

"""``ntps study``: models × tasks × measurements."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ntps.cli.arguments import FOLDER, DataDir, Quiet, Verbose
from ntps.cli.console import err, out, progress_bars, say, with_flags
from ntps.cli.from_options import flat
from ntps.cli.results import Showing
from ntps.display.ranking import ranking_markdown, ranking_table, ranking_words
from ntps.errors import FailedRuns, InputError
from ntps.files import RESULT
from ntps.options.keywords import values
from ntps.options.ranking import RankOptions
from ntps.options.shared import ENGINE, OUTPUT, SELECTION
from ntps.study.names import STUDIES, file_name
from ntps.study.status import Overwrite, Status

if TYPE_CHECKING:
    from ntps.study.runs import Outcome, Run
    from ntps.study.session import PlannedRun


class EngineName(StrEnum):
    """Who makes the runs."""

    local = "local"
    ray = "ray"


def study(
    definition: Annotated[
        str, typer.Argument(metavar="STUDY", help=f"YAML file, or one of {', '.join(STUDIES)}.", show_default=False)
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(help="Model instead of the study's; may be repeated.", rich_help_panel=SELECTION),
    ] = None,
    data_dir: DataDir = None,
    engine: Annotated[
        EngineName, typer.Option(help="This machine, or a Ray cluster.", rich_help_panel=ENGINE)
    ] = EngineName.local,
    jobs: Annotated[int, typer.Option(help="Processes that share this machine.", min=1, rich_help_panel=ENGINE)] = 1,
    address: Annotated[
        str | None,
        typer.Option(help="Ray cluster; RAY_ADDRESS or this machine by default.", rich_help_panel=ENGINE),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and what it costs, and stop.", rich_help_panel=ENGINE)
    ] = False,
    out_folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder of the study; study-NAME by default.",
            rich_help_panel=OUTPUT,
            **FOLDER,
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="Folder of the runs, if studies share it.", rich_help_panel=OUTPUT, **FOLDER),
    ] = None,
    overwrite: Annotated[
        Overwrite, typer.Option(help="Which runs are made.", rich_help_panel=OUTPUT)
    ] = Overwrite.only_missing,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print study.json instead of words.", rich_help_panel=OUTPUT)
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make every measurement of every model on every task that STUDY names.

    What is done is not done again: the same command goes on where it was interrupted or killed.
    """
    from ntps.study.definition import load_study
    from ntps.study.session import StudySession

    loaded = load_study(definition, model or ())
    folder = out_folder or Path(f"study-{file_name(loaded.name)}")
    directory = None if data_dir is None else str(data_dir)
    studying = StudySession.begin(loaded, folder, results=results, overwrite=overwrite, data_dir=directory)
    if dry_run:
        _show(studying.plan(), verbose)
        return
    with progress_bars(quiet or jobs > 1 or engine is EngineName.ray) as reporter:
        lines = _Lines(len(studying.runs), quiet)
        outcomes = studying.run(lines, engine=engine.value, jobs=jobs, address=address, reporter=reporter)
    if as_json:
        out.print_json((folder / "study.json").read_text(encoding="utf-8"))
    elif not quiet:
        counts = Counter(_fate(outcome) for outcome in outcomes)
        out.print(", ".join(f"{count} {fate}" for fate, count in counts.items()))
        out.print(f"Results are in {folder}; `ntps report {folder}` shows them", soft_wrap=True)
    failed = [outcome for outcome in outcomes if outcome.state.status is not Status.done]
    if failed:
        raise FailedRuns(
            f"{len(failed)} of {len(outcomes)} runs have no result, the first being {failed[0].run}: "
            f"{folder / 'study.json'} tells the cause of each"
        )


def _fate(outcome: Outcome) -> str:
    if outcome.state.status is Status.done:
        return "made" if outcome.made else "kept"
    return "failed" if outcome.made else "left alone"


@dataclass(frozen=True, kw_only=True)
class RankShowing(Showing):
    """How a ranking is printed.

    Attributes:
        as_json: Print ranking.json instead of a table.
        as_csv: Print a row of values for each model.
        as_markdown: Print the table in Markdown.
    """

    as_csv: bool = False
    as_markdown: bool = False

    def __post_init__(self) -> None:
        if self.as_json + self.as_csv + self.as_markdown > 1:
            raise InputError("a ranking is printed in one form: give one of --json, --csv and --markdown")


@flat
def rank(
    options: RankOptions,
    showing: RankShowing,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TASK MODEL...",
            help="A task and models, as `ntps score` takes them; or folders of results of the same texts.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Rank models by what the best layer of each reaches on new texts of a task.

    One forward pass for each model, no training. Places that nothing decides are shown as such.
    """
    from ntps.api.ranking import RankJob, rank_models

    task, models = _told_apart(inputs or [], options.models_file is not None)
    with progress_bars(showing.quiet or options.jobs > 1 or options.engine == "ray") as reporter:
        job = RankJob(task, models, **values(options, RankOptions))
        # Nobody knows how many runs it takes to decide.
        total = len(job.named) * (1 + options.lora) if options.until is None else None
        result = rank_models(job, _Lines(total, showing.quiet), reporter)
    ranking = result.ranking
    if showing.as_json:
        out.print_json(json.dumps(result.to_dict()))
    elif showing.as_csv:
        out.out(result.to_frame().to_csv(index=False), end="")
    elif showing.as_markdown:
        out.out(ranking_markdown(ranking))
    else:
        out.print(ranking_table(ranking))
        for line in ranking_words(ranking):
            out.print(line, soft_wrap=True)
        if options.out is not None:
            out.print(f"Results are in {options.out}", soft_wrap=True)
    if ranking.missing:
        raise FailedRuns(f"{len(ranking.missing)} of {len(job.named)} models have no score")


def _told_apart(inputs: Sequence[str], named: bool) -> tuple[str | None, list[str]]:
    """The task and the models; no task where all are folders of results."""
    results = [each for each in inputs if (Path(each) / RESULT).is_file()]
    if results and len(results) == len(inputs) and not named:
        return None, results
    if not inputs:
        raise InputError("nothing is named: give a TASK and its models, or folders of results")
    return inputs[0], list(inputs[1:])


class _Lines:
    """One line for whatever happens."""

    def __init__(self, total: int | None, quiet: bool) -> None:
        self._total, self._quiet = total, quiet
        self._done = 0
        self._said: set[str] = set()

    def started(self, run: Run) -> None:
        """Says nothing: the end is told, and bars show what is going on."""

    def waiting(self, run: Run, why: str) -> None:
        """Tells it once."""
        if why not in self._said:
            self._said.add(why)
            say("Waiting", "yellow", f"{run}: {why}")

    def finished(self, outcome: Outcome) -> None:
        """Tells how the run ended."""
        self._done += 1
        state = outcome.state
        number = self._done if self._total is None else f"{self._done:>{len(str(self._total))}}/{self._total}"
        place = f"[{number}] {outcome.run}"
        if state.status is Status.done:
            if not self._quiet:
                fate = _duration(state.seconds or 0.0) if outcome.made else "done before"
                err.print(f"{place}: {fate}", soft_wrap=True)
        else:
            say("Failed", "red", with_flags(f"{place}: {state.cause}"))


def _show(plan: Sequence[PlannedRun], verbose: bool) -> None:
    """The plan: a row a measurement, or a row a run."""
    todo = [row for row in plan if row.kept is None]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("run" if verbose else "measurement", overflow="fold")
    for column in ("runs", "to do", "tokens", "steps", "time", "memory"):
        table.add_column(column, justify="right", no_wrap=True)
    groups: dict[str, list[PlannedRun]] = {}
    for row in plan:
        groups.setdefault(str(row.run) if verbose else row.run.measurement, []).append(row)
    for name, rows in groups.items():
        _add(table, name, rows)
    _add(table, "all", plan)
    out.print(table)
    for kept, count in Counter(row.kept for row in plan if row.kept).items():
        out.print(with_flags(f"{count} × {kept}"), soft_wrap=True)
    unknown = sum(row.cost.seconds is None for row in todo)
    out.print(
        "Rough figures from counts of parameters and characters; time is that of one run after another on this "
        "machine's processor, memory that of the largest run.",
        soft_wrap=True,
    )
    if unknown:
        out.print(f"Nothing is known about the size of {unknown} runs.", soft_wrap=True)


def _add(table: Table, name: str, rows: Sequence[PlannedRun]) -> None:
    costs = [row.cost for row in rows if row.kept is None]
    seconds = [cost.seconds for cost in costs if cost.seconds is not None]
    memory = [cost.memory_gb for cost in costs if cost.memory_gb is not None]
    table.add_row(
        name,
        str(len(rows)),
        str(len(costs)),
        f"{sum(cost.tokens or 0 for cost in costs):,}",
        f"{sum(cost.steps for cost in costs):,}",
        _duration(sum(seconds)) if seconds else "",
        f"{max(memory):.1f} GB" if memory else "",
    )


def _duration(seconds: float) -> str:
    """In the largest unit that leaves a number above one."""
    for name, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"

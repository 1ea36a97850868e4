"""``ntps study``: models × tasks × measurements."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer
from rich.table import Table

from ntps.cli.console import duration, err, out, progress_bars, say, with_flags
from ntps.cli.from_options import flat
from ntps.cli.results import Showing
from ntps.display.ranking import ranking_markdown, ranking_table, ranking_words
from ntps.errors import FailedRuns, InputError
from ntps.files import RESULT, folder_path
from ntps.options.keywords import values
from ntps.options.ranking import EngineOptions, RankOptions
from ntps.options.shared import ENGINE, OUTPUT, SELECTION
from ntps.study.names import STUDIES, file_name
from ntps.study.status import Overwrite, Status

if TYPE_CHECKING:
    from ntps.study.runs import Outcome, Run
    from ntps.study.session import PlannedRun


@dataclass(frozen=True, kw_only=True)
class StudyShowing(Showing):
    """How a study is printed.

    Attributes:
        as_json: Print study.json instead of words.
    """

    as_json: bool = False


@dataclass(frozen=True, kw_only=True)
class StudySelection:
    """What a study is made of.

    Attributes:
        models: Model instead of the study's.
        data_dir: Folder with local copies of named tasks (or NTPS_DATA).
    """

    panel: ClassVar[str] = SELECTION

    models: Sequence[str] = ()
    data_dir: str | Path | None = None


@dataclass(frozen=True, kw_only=True)
class StudyOutput:
    """Where a study goes.

    Attributes:
        out: Folder of the study; study-NAME by default.
        results: Folder of the runs, if studies share it.
        overwrite: Which runs are made.
    """

    panel: ClassVar[str] = OUTPUT

    out: str | Path | None = None
    results: str | Path | None = None
    overwrite: Overwrite = Overwrite.only_missing


@dataclass(frozen=True, kw_only=True)
class StudyOptions(EngineOptions, StudyOutput, StudySelection):
    """The options of ``ntps study``."""


@flat
def study(
    options: StudyOptions,
    showing: StudyShowing,
    definition: Annotated[
        str, typer.Argument(metavar="STUDY", help=f"YAML file, or one of {', '.join(STUDIES)}.", show_default=False)
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and what it costs, and stop.", rich_help_panel=ENGINE)
    ] = False,
) -> None:
    """Make every measurement of every model on every task that STUDY names.

    What is done is not done again: the same command goes on where it was interrupted or killed.
    """
    from ntps.study.definition import load_study
    from ntps.study.session import StudySession

    loaded = load_study(definition, options.models)
    folder = folder_path(f"study-{file_name(loaded.name)}" if options.out is None else options.out)
    results = None if options.results is None else folder_path(options.results)
    data_dir = None if options.data_dir is None else str(options.data_dir)
    studying = StudySession.begin(loaded, folder, results=results, overwrite=options.overwrite, data_dir=data_dir)
    if dry_run:
        _show(studying.plan(), showing.verbose)
        return
    with progress_bars(showing.quiet or options.jobs > 1 or options.engine == "ray") as reporter:
        lines = _Lines(len(studying.runs), showing.quiet)
        outcomes = studying.run(lines, **values(options, EngineOptions), reporter=reporter)
    if showing.as_json:
        out.print_json((folder / "study.json").read_text(encoding="utf-8"))
    elif not showing.quiet:
        counts = Counter(_fate(outcome) for outcome in outcomes)
        out.prose(", ".join(f"{count} {fate}" for fate, count in counts.items()))
        report = shlex.join(["ntps", "report", str(folder)])
        out.prose(f"Results are in {folder}; `{report}` shows them", whole=[folder])
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
        out.table(ranking_table(ranking))
        for line in ranking_words(ranking):
            out.prose(line)
        if options.out is not None:
            out.prose(f"Results are in {options.out}", whole=[options.out])
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
        self._started = self._done = 0
        self._said: set[str] = set()

    def started(self, run: Run) -> None:
        """Tells it of what is made, as far as that is known."""
        from ntps.study.runs import run_state

        self._started += 1
        if not self._quiet and run_state(run).status is not Status.done:
            err.prose(f"{self._number(self._started)} started {run}")

    def waiting(self, run: Run, why: str) -> None:
        """Tells it once."""
        if why not in self._said:
            self._said.add(why)
            say("Waiting", "yellow", f"{run}: {why}")

    def finished(self, outcome: Outcome) -> None:
        """Tells how the run ended."""
        self._done += 1
        state = outcome.state
        place = f"{self._number(self._done)} {outcome.run}"
        if state.status is Status.done:
            if not self._quiet:
                fate = duration(state.seconds or 0.0) if outcome.made else "done before"
                err.prose(f"{place}: {fate}")
        else:
            say("Failed", "red", with_flags(f"{place}: {state.cause}"))

    def _number(self, count: int) -> str:
        return f"[{count}]" if self._total is None else f"[{count:>{len(str(self._total))}}/{self._total}]"


def _show(plan: Sequence[PlannedRun], verbose: bool) -> None:
    """The plan: a row a measurement, or a row a run."""
    todo = [row for row in plan if row.kept is None]
    table = Table()
    table.add_column("run" if verbose else "measurement", no_wrap=True)
    for column in ("runs", "to do", "tokens", "steps", "time", "memory"):
        table.add_column(column, justify="right", no_wrap=True)
    groups: dict[str, list[PlannedRun]] = {}
    for row in plan:
        groups.setdefault(str(row.run) if verbose else row.run.measurement, []).append(row)
    for name, rows in groups.items():
        _add(table, name, rows)
    _add(table, "all", plan)
    out.table(table)
    for kept, count in Counter(row.kept for row in plan if row.kept).items():
        out.prose(with_flags(f"{count} × {kept}"))
    unknown = sum(row.cost.seconds is None for row in todo)
    out.prose(
        "Rough figures from counts of parameters and characters; time is that of one run after another on this "
        "machine's processor, memory that of the largest run."
    )
    if unknown:
        out.prose(f"Nothing is known about the size of {unknown} runs.")


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
        duration(sum(seconds)) if seconds else "",
        f"{max(memory):.1f} GB" if memory else "",
    )

"""``ntps.rank``: several models on one task, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ntps.advice.record import AdviceFile
from ntps.api.results import RankResult
from ntps.checkpoint.owned_files import take
from ntps.errors import FailedRuns, InputError
from ntps.files import folder_path
from ntps.jobs.progress import Reporter
from ntps.models.load import find_model
from ntps.options.advising import AdviseSettings
from ntps.options.keywords import takes, values
from ntps.options.ranking import EngineOptions, RankOptions
from ntps.options.scoring import ScoreSettings
from ntps.options.shared import FrozenModelOptions, TaskOptions
from ntps.study.analysis.reader import read_result
from ntps.study.definition import ranking_study
from ntps.study.engines import Listener, NullListener
from ntps.study.ranking.compare import Forecast, rank_folders, rank_looks
from ntps.study.ranking.looks import Look, look_at, sample_of, sample_sizes, standing
from ntps.study.ranking.record import RANKING
from ntps.study.runs import Run, run_state
from ntps.study.session import StudySession
from ntps.study.specs import ModelSpec, Study, TaskSpec
from ntps.study.status import Overwrite, Status
from ntps.tasks.load import load_task
from ntps.tasks.task import Task
from ntps.validation.labels import Labels

SCORE, ADVICE = "score", "advice"
"""What is measured of each model."""
FEWEST = 10
"""With fewer texts that stand for themselves, no two models could ever be told apart."""


@dataclass(frozen=True)
class RankInputs:
    """What is ranked on what.

    Attributes:
        task: Name, hub id, file or folder; None where ``models`` are folders of results.
        models: Folders, hub ids or ``id@revision``; or folders that :func:`ntps.score` or a study wrote, of the same
            texts with the same labels.
    """

    task: str | Path | None = None
    models: Sequence[str | Path] = ()

    def __post_init__(self) -> None:
        if isinstance(self.models, str | Path):
            raise InputError(f"`models` must be a list of models, such as ['demo'], not {self.models!r}")


@dataclass(frozen=True, kw_only=True)
class RankJob(RankOptions, RankInputs):
    """What :func:`rank` takes."""

    def __post_init__(self) -> None:
        RankInputs.__post_init__(self)
        RankOptions.__post_init__(self)

    @property
    def named(self) -> list[str]:
        """All models, those of a file too."""
        listed = [] if self.models_file is None else _models_of_file(self.models_file)
        return [*map(str, self.models), *listed]


@takes(RankJob)
def rank(options: RankJob) -> RankResult:
    """Ranks models by what the best layer of each reaches on new texts of a task, in one forward pass each.

    A model that fails is named with the reason, and the others go on. With several ``jobs``, call this below ``if
    __name__ == "__main__":``, because the new processes import the calling program.

    Returns:
        The result, with ``to_frame()``, ``ranking`` and ``save()``.

    Raises:
        InputError: Something that was given cannot be used; the message says what to do.
        FailedRuns: No model could be scored.

    Examples:
        >>> for layer in (1, 2):  # the score of another layer stands in for another model
        ...     _ = ntps.score(limit=60, layers=[0, layer], test=False, out=f"run{layer}")
        >>> ntps.rank(models=["run1", "run2"]).to_frame()["place"].tolist()
        ['1–2', '1–2']
        >>> ntps.rank("docstrings", ["demo"])
        Traceback (most recent call last):
        ntps.errors.InputError: a ranking needs two models or more: ...
    """
    return rank_models(options)


def rank_models(options: RankJob, listener: Listener | None = None, reporter: Reporter | None = None) -> RankResult:
    """The same, for whoever wants to hear how it goes.

    Args:
        options: The options.
        listener: Learns what becomes of each model.
        reporter: Learns about progress within one, where models are scored in this process.
    """
    folder = None if options.out is None else folder_path(options.out)
    if options.task is None:
        _refuse_of_runs(options)
        ranking = rank_folders([Path(each) for each in options.named])
        if folder is not None:
            ranking.write(folder)
        return RankResult(ranking)
    if folder is None and options.engine == "ray":
        raise InputError("`engine` ray needs `out`: a folder that all machines of the cluster share")
    study = _study(options)
    task = _require_inputs(study, options.data_dir)
    samples = sample_sizes(min(len(task.train), options.cv_texts)) if options.until else []
    if samples:
        (spec,), whole = study.tasks, task.selection["available"]
        study = replace(study, tasks=tuple(spec if size == whole else sample_of(spec, size) for size in samples))
    if folder is not None:
        take(folder, (RANKING,))
    overwrite = Overwrite.always if options.overwrite else Overwrite.failed
    data_dir = None if options.data_dir is None else str(options.data_dir)
    with _place(folder) as place:
        session = StudySession.begin(study, place, overwrite=overwrite, data_dir=data_dir)
        looks, missing = _looks(session, options, listener or NullListener(), reporter)
        if not looks:
            name, cause = next(iter(missing.items()))
            raise FailedRuns(f"no model has a score; of {name}, the reason is: {cause}")
        ranking = rank_looks(
            looks,
            missing,
            kept=folder is not None,
            until=options.until,
            samples=samples,
            forecasts=dict(_forecasts(session)),
        )
        if folder is not None:
            ranking.write(folder)
    return RankResult(ranking)


def _forecasts(session: StudySession) -> Iterator[tuple[str, Forecast]]:
    """What LoRA would reach, by the name of the model, where that was asked for."""
    for run in session.runs:
        if run.measurement == ADVICE:
            state = run_state(run)
            result = read_result(run.folder) if state.status is Status.done else None
            yield run.model.name, result if isinstance(result, AdviceFile) else str(state.cause)


def _looks(
    session: StudySession, options: RankJob, listener: Listener, reporter: Reporter | None
) -> tuple[list[Look], dict[str, str]]:
    """Makes the runs of one sample after the other, until nothing is left to decide.

    Returns:
        What was seen, and why models have no score of the last sample that they were to be scored on.
    """
    looks: list[Look] = []
    missing: dict[str, str] = {}
    made: list[Run] = []
    left = [model.name for model in session.study.models]
    for task in session.study.tasks:
        runs = [run for run in session.runs if run.task == task and run.model.name in left]
        made += runs
        studying = replace(session, runs=made)
        studying.run(listener, **values(options, EngineOptions), reporter=reporter, only=runs)
        states = {run.model.name: run_state(run) for run in runs if run.measurement == SCORE}
        failed = {name: str(state.cause) for name, state in states.items() if state.status is not Status.done}
        # A sample that none can be scored on, such as one without a second class, leaves it to the next.
        missing = {name: cause for name, cause in missing.items() if name not in states} | failed
        scored = (run for run in runs if run.measurement == SCORE and run.model.name not in failed)
        folders = {run.model.name: run.folder for run in scored}
        if folders:
            looks.append(look_at(folders, len(session.study.tasks)))
            left = [name for name in standing(looks).left(options.until) if name not in missing]
        if len(left) < 2:
            break
    return looks, missing


def _models_of_file(path: str | Path) -> list[str]:
    """The models that a file names, one a line.

    Raises:
        InputError: It cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InputError(f"cannot read {path} ({reason}): `models_file` is a text of models, one a line") from error
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def _refuse_of_runs(options: RankJob) -> None:
    """Options of runs mean nothing where no model runs; leaving them out silently would be a wrong result."""
    for each in fields(RankOptions):
        value = getattr(options, each.name)
        if each.name not in ("out", "models_file") and (tuple(value) if each.default == () else value) != each.default:
            raise InputError(
                f"`{each.name}` has no effect on folders of results, whose models do not run: leave it out"
            )


def _study(options: RankJob) -> Study:
    loading = values(options, FrozenModelOptions)
    loading["tokenizer"] = None if options.tokenizer is None else str(options.tokenizer)
    texts = {key: value for key, value in values(options, TaskOptions).items() if key not in ("limit", "data_dir")}
    texts["text_columns"] = tuple(texts["text_columns"])
    task = TaskSpec(str(options.task), **texts, train_texts=options.limit, test_texts=options.limit)
    measurements: dict[str, Any] = {SCORE: ScoreSettings(**values(options, ScoreSettings))}
    if options.lora:
        shared = {name: getattr(options, name) for name in ("max_length", "tokens_per_batch", "seed")}
        measurements[ADVICE] = AdviseSettings(**shared)
    return ranking_study([ModelSpec(each, **loading) for each in options.named], task, measurements)


def _require_inputs(study: Study, data_dir: str | Path | None) -> Task:
    """The task; whatever is not there is found out before the first model runs."""
    for model in study.models:
        find_model(model.id, model.tokenizer)
    (spec,) = study.tasks
    task = load_task(spec.id, **spec.loading, data_dir=data_dir)
    units = Labels.of(task, task.train).units
    if units < FEWEST:
        raise InputError(
            f"{spec.id} has {units} texts that stand for themselves, which tell no two models apart: a ranking needs "
            f"{FEWEST} or more"
        )
    return task


@contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with TemporaryDirectory(prefix="ntps-rank-") as made:
        yield Path(made)

"""From studies with trained LoRA to a calibration: what scores and tangent probes said beside what training reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ntps.advice.calibration import Calibration
from ntps.advice.cells import Cell, last_part
from ntps.advice.fits import NORMAL
from ntps.errors import InputError
from ntps.jobs.record import ResultFile
from ntps.json_files import read_json
from ntps.options.recipes import LoRA
from ntps.scoring.record import ScoreFile
from ntps.study.analysis.reader import read_result
from ntps.study.state import STUDY, StudyFile
from ntps.training.records import FinetuneFile, ProbeFile

NEEDED = ("score", "tangent", "lora")
"""Measurements that a cell is made of."""
SHIPPED = "shipped"
"""Name of the calibration that comes with ntps, where a study or a file could stand."""
SHOWN = 3
"""How many cells are named that are there twice."""
REMEDY = "give folders that `ntps study` wrote, with the measurements score, tangent and lora"


@dataclass(frozen=True)
class Cells:
    """What studies give.

    Attributes:
        cells: One for each model and task that has all measurements; of several LoRA runs, the one that was best on the
            texts that it held back.
        unused: Why others are none, each with its model and task.
    """

    cells: tuple[Cell, ...]
    unused: tuple[str, ...]


def calibrate_studies(sources: Sequence[str | Path]) -> tuple[Calibration, tuple[str, ...]]:
    """Makes a calibration.

    Args:
        sources: Folders of studies, files of calibrations, and ``"shipped"`` for the one that comes with ntps.

    Returns:
        The calibration, and why some models and tasks of the studies, or of later files, are not in it.

    Raises:
        InputError: A folder holds no study, a file no calibration of this version, or the cells are too few.
    """
    files = [source for source in sources if str(source) == SHIPPED or Path(source).is_file()]
    found = cells_of([Path(source) for source in sources if source not in files])
    read = [(str(file), Calibration.read(None if str(file) == SHIPPED else Path(file)).cells) for file in files]
    cells: dict[tuple[str, str, int], Cell] = {}
    unused = list(found.unused)
    for name, more in [*read, ("the study", found.cells)]:
        keyed = [((cell.model, cell.task, cell.texts), cell) for cell in more]
        twice = [_cell_name(*key) for key, cell in keyed if cells.setdefault(key, cell) is not cell]
        if twice:
            unused.append(
                f"{len(twice)} of {len(more)} cells of {name} are not used, because they are there already: "
                f"{', '.join((*twice[:SHOWN], *('…' for _ in twice[SHOWN : SHOWN + 1])))}"
            )
    calibration = Calibration.of(tuple(cells.values()))
    calibration.require_enough(" and ".join(map(str, sources)))
    return calibration, tuple(unused)


def cells_of(folders: Sequence[Path]) -> Cells:
    """Reads every finished run, and puts those of the same weights and texts together.

    Args:
        folders: Of studies.

    Raises:
        InputError: A folder holds no study, or a result in it cannot be read.
    """
    found: dict[tuple[str, str], dict[str, list[ResultFile]]] = {}
    cells: list[Cell] = []
    unused: list[str] = []
    for folder in folders:
        if not folder.exists():
            raise InputError(f"there is no {folder}: {REMEDY}, files that `ntps calibrate` wrote, or {SHIPPED!r}")
        for row in read_json(folder / STUDY, StudyFile, REMEDY).runs:
            if row.measurement not in NEEDED or row.status != "done":
                continue
            result = read_result(folder / row.folder)
            if row.measurement != "tangent" and result.task.test is None:
                name = f"{row.measurement} of {last_part(row.model)} on {last_part(row.task)}"
                unused.append(f"{name} is not used: it has no test texts")
                continue
            runs = found.setdefault((result.model.weights, result.task.fingerprint), {})
            runs.setdefault(row.measurement, []).append(result)
    every = [next(iter(runs.values()))[0] for runs in found.values()]
    models, tasks = _names(some.model.id for some in every), _names(some.task.id for some in every)
    for some, runs in zip(every, found.values(), strict=True):
        model, task = models[some.model.id], tasks[some.task.id]
        name = _cell_name(model, task, some.task.texts)
        try:
            cells.append(_cell(model, task, runs))
        except InputError as error:
            unused.append(f"{name} is not used: {error}")
    return Cells(tuple(cells), tuple(unused))


def _cell_name(model: str, task: str, texts: int) -> str:
    return f"{model} on {texts:,} texts of {task}"


def _names(ids: Iterable[str]) -> dict[str, str]:
    """The last part of each id or path, and all of it where others end alike."""
    last = {each: last_part(each) for each in ids}
    counts = Counter(last.values())
    return {each: name if counts[name] == 1 else each for each, name in last.items()}


def _cell(model: str, task: str, runs: Mapping[str, Sequence[ResultFile]]) -> Cell:
    """The cell of one model and task.

    Raises:
        InputError: Something is missing; says what.
    """
    for name in NEEDED:
        if name not in runs:
            raise InputError(f"it has no {name}")
    score, tangent, lora = runs["score"][0], runs["tangent"][0], _best_lora(runs["lora"])
    assert isinstance(score, ScoreFile) and isinstance(tangent, ProbeFile)
    if score.task.target_kind != "classes":
        raise InputError("its labels are no classes")
    together, by_layer = score.all_layers, {row.layer: row for row in score.layers}
    chosen, last = by_layer[score.summary.layer], by_layer.get(score.model.num_layers)
    if together is None or last is None:
        raise InputError("its score left no texts out, or lacks the last layer")
    ends = together.accuracy_cv_interval
    assert score.task.test is not None, "others are not used"
    if ends is None:
        raise InputError("its texts are too few for intervals")
    if lora.task.test is None or lora.task.test.fingerprint != score.task.test.fingerprint:
        raise InputError("its LoRA was judged on other test texts than its score")
    content = {
        "model": model,
        "task": task,
        "texts": score.task.texts,
        "classes": sum(count > 0 for count in score.task.class_counts or ()),
        "parameters": score.model.parameters,
        "final": last.accuracy_cv,
        "all_layers": together.accuracy_cv,
        "all_layers_error": (float(ends[1] or 0.0) - float(ends[0] or 0.0)) / (2 * NORMAL),
        "tangent": tangent.layers[-1].accuracy_cv,
        "all_layers_test": together.accuracy_test,
        "final_test": last.accuracy_test,
        "lora_test": None if lora.summary.test is None else lora.summary.test.accuracy,
        "test_texts": score.task.test.texts,
        "area": chosen.area,
        "ntps": chosen.ntps_share95,
        "steps": lora.summary.steps,
        "lora_seconds": lora.timing.get("total"),
        "advice_seconds": tangent.timing.get("total"),
    }
    return Cell.model_validate(content)


def _best_lora(runs: Sequence[ResultFile]) -> FinetuneFile:
    """The run that was best on the texts that it held back: a learning rate is chosen so."""
    trained = [run for run in runs if isinstance(run, FinetuneFile) and run.summary.validation is not None]
    if not trained:
        raise InputError("its LoRA held no texts back to say when to stop, as the standard recipe does")
    standard = [run for run in trained if not _differences(run)]
    if not standard:
        raise InputError(f"its LoRA is not the standard recipe's: {_differences(trained[0])}")
    return max(standard, key=_validation)


def _differences(run: FinetuneFile) -> str:
    """In what a run differs from the standard recipe, but for its learning rate, which may be searched."""
    held_back = run.summary.validation_texts or 0
    expected, settings = asdict(LoRA().for_texts(run.task.texts - held_back)), run.settings.to_dict()
    return ", ".join(
        f"{name} {settings[name]} and not {value}"
        for name, value in expected.items()
        if name in settings and name not in ("learning_rate", "epsilons") and settings[name] != value
    )


def _validation(run: FinetuneFile) -> float:
    validation = run.summary.validation
    return 0.0 if validation is None or validation.accuracy is None else validation.accuracy

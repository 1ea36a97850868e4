"""A folder of results → tidy tables: one row per run, layer, point of a curve, probe, fine-tuning and loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ntps.advice.record import AdviceFile
from ntps.errors import InputError
from ntps.jobs.record import Head, ResultFile
from ntps.jobs.unused_rows import unused_rows
from ntps.json_files import checked, load_json, read_json
from ntps.scoring.record import ScoreFile
from ntps.scoring.word_planes import WordsFile
from ntps.study.analysis.reached import reached_of
from ntps.study.state import StudyFile, StudyRow
from ntps.training.records import BySplit, FiguresBlock, FinetuneFile, ProbeFile
from ntps.validation.rivals import RIVALS

Row = dict[str, Any]
RESULT, CURVES, STUDY, WORDS = "result.json", "curves.parquet", "study.json", "words"
REMEDY = "give a folder that ntps wrote, or make the run again"
KINDS: Mapping[str, type[ResultFile]] = {
    "score": ScoreFile,
    "probe": ProbeFile,
    "finetune": FinetuneFile,
    "words": WordsFile,
    "advice": AdviceFile,
}
FIGURES = tuple(name for name in FiguresBlock.model_fields if not name.endswith("_interval"))
FRACTIONS = np.round(np.arange(1, 20) / 20, 2)
"""Of the columns of V: the k at which tasks whose V has other ranks are compared."""

COLUMNS = {
    table: tuple(names.split())
    for table, names in {
        "runs": "model task measurement status cause seconds texts test_texts classes unused created",
        "reached": "model task measurement layer figure value low high texts split majority",
        "layers": "model task measurement layer name depth chosen accuracy_cv r2_cv area_cv chance_area_cv area "
        f"chance_area r2 r2_adjusted r2_test accuracy_test k_share95 ntps_share95 {' '.join(RIVALS)}",
        "curves": "model task layer name depth fraction k ntps retained_centered",
        "probes": f"model task kind layer name last chosen split majority {' '.join(FIGURES)}",
        "finetunes": f"model task method split majority steps {' '.join(FIGURES)}",
        "changes": "model task layer name depth k ntps_before ntps_after ntps_change_percent area_before area_after "
        "r2_before r2_after area_cv_before area_cv_after r2_cv_before r2_cv_after",
        "losses": "model task method split step cross_entropy",
        "advice": "model task texts majority best best_cv best_cv_low best_cv_high lora lora_low lora_high gain "
        "gain_low gain_high chance worth decision",
    }.items()
}


@dataclass(frozen=True)
class StudyResults:
    """Everything that a folder of results says. Tables have their columns even where they have no rows.

    Attributes:
        name: Name of the study, or of the folder.
        runs: What was to be run, and how it went: ``status`` is ``done``, ``failed`` or ``missing``.
        reached: What each run reaches on texts not seen; see :func:`~ntps.study.analysis.reached.reached_of`.
        layers: Scores of layers; ``measurement`` is ``score`` or ``score-after-lora``.
        curves: Their curves at nineteen fractions of the columns of V, before fine-tuning.
        probes: Probes by kind, layer and split.
        finetunes: Fine-tuning by method (``lora``, ``full``, ``scratch``) and split.
        changes: Scores before and after LoRA.
        losses: Training losses by step.
        advice: What the best probe reaches, and what LoRA is forecast to.
        words: Results of kind ``words``.
    """

    name: str
    runs: pd.DataFrame
    reached: pd.DataFrame
    layers: pd.DataFrame
    curves: pd.DataFrame
    probes: pd.DataFrame
    finetunes: pd.DataFrame
    changes: pd.DataFrame
    losses: pd.DataFrame
    advice: pd.DataFrame
    words: tuple[WordsFile, ...]

    @property
    def models(self) -> list[str]:
        """Models in the order of the study."""
        return list(dict.fromkeys(self.runs["model"]))

    @property
    def tasks(self) -> list[str]:
        """Tasks in the order of the study."""
        return list(dict.fromkeys(self.runs["task"]))


def read_results(folder: Path) -> StudyResults:
    """Reads a study, or any folder with results somewhere below it.

    Args:
        folder: With ``study.json``, the runs that it lists, and how each went; without, whatever results there are.

    Raises:
        InputError: There is no such folder, no result in it, or its ``study.json`` cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: give one that ntps study or ntps score --out wrote")
    manifest = folder / STUDY
    name, entries = _listed(manifest) if manifest.is_file() else (folder.resolve().name, list(_found(folder)))
    if not entries:
        raise InputError(f"there is no result in {folder}: give a folder that ntps study or ntps score --out wrote")
    labels = _labels(entries)
    rows: dict[str, list[Row]] = {table: [] for table in COLUMNS}
    for entry in entries:
        key = {"model": labels[_model(entry)], "task": labels[entry.task]}
        run: Row = {**key, "measurement": entry.measurement, "status": entry.status}
        run |= {"cause": entry.cause, "seconds": entry.seconds}
        if entry.status == "done":
            try:
                _add_result(rows, key, run, folder / entry.folder)
            except (InputError, OSError, ValueError, KeyError, TypeError) as error:
                run |= {"status": "failed", "cause": f"its result cannot be read: {error}"}
        rows["runs"].append(run)
    tables = {table: pd.DataFrame(found, columns=list(COLUMNS[table])) for table, found in rows.items()}
    words = read_words(folder, [folder / entry.folder for entry in entries if entry.folder])
    return StudyResults(name=name, words=words, **tables)


def read_words(folder: Path, runs: Sequence[Path] = ()) -> tuple[WordsFile, ...]:
    """Results of kind ``words`` below a folder, and those of runs that may lie elsewhere.

    Raises:
        InputError: One cannot be read.
    """
    # A score has its words beside it, a study in a run of their own.
    beside = {(run / below / RESULT).resolve() for run in runs for below in (WORDS, "")}
    places = sorted({path.resolve() for path in folder.rglob(RESULT)} | {path for path in beside if path.is_file()})
    return tuple(read_json(path, WordsFile, REMEDY) for path in places if _kind(path) == "words")


def _listed(manifest: Path) -> tuple[str, Sequence[StudyRow]]:
    study = read_json(manifest, StudyFile, "give a folder that ntps study wrote")
    if study.schema_version != 1:
        raise InputError(f"{manifest} is not a study of schema 1: give a folder that ntps study wrote")
    return study.name or manifest.parent.resolve().name, study.runs


def _found(folder: Path) -> Iterator[StudyRow]:
    for path in sorted(folder.rglob(RESULT)):
        result = read_result(path.parent) if _kind(path) in KINDS else None
        if isinstance(result, ScoreFile | ProbeFile | FinetuneFile):
            yield StudyRow(
                model=result.model.id,
                revision=result.model.revision,
                task=result.task.id,
                measurement=result.measurement,
                folder=str(path.parent.relative_to(folder)),
                status="done",
            )


def read_result(folder: Path) -> ResultFile:
    """The content of ``result.json`` in a folder, whatever its kind.

    Raises:
        InputError: There is none, it cannot be read, or it is no result of ours.
    """
    path = folder / RESULT
    content = load_json(path, REMEDY)
    kind = checked(path, content, Head, REMEDY).kind
    if kind not in KINDS:
        raise InputError(f"{path} is of the unknown kind {kind!r}: {REMEDY}")
    return checked(path, content, KINDS[kind], REMEDY)


def _kind(path: Path) -> str | None:
    """The kind of a result; None for a file that is none of ours."""
    content = load_json(path, REMEDY)
    kind = content.get("kind") if isinstance(content, dict) else None
    return kind if isinstance(kind, str) else None


def _model(entry: StudyRow) -> str:
    return entry.model if entry.revision in (None, "local") else f"{entry.model}@{entry.revision[:7]}"


def _labels(entries: Sequence[StudyRow]) -> dict[str, str]:
    """Last part of each id, or the whole id where that would not tell two apart."""
    labels: dict[str, str] = {}
    for ids in ({_model(entry) for entry in entries}, {entry.task for entry in entries}):
        short = {name: name.split("@")[0].replace("__", "/").rstrip("/").rsplit("/", 1)[-1] for name in ids}
        counts = pd.Series(list(short.values())).value_counts()
        labels |= {name: label if counts[label] == 1 else name for name, label in short.items()}
    return labels


def _records(frame: pd.DataFrame) -> list[Row]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _add_result(rows: dict[str, list[Row]], key: Row, run: Row, folder: Path) -> None:
    result = read_result(folder)
    task = result.task
    run |= {"texts": task.texts, "classes": task.classes, "test_texts": None if task.test is None else task.test.texts}
    run |= {"unused": "; ".join(unused_rows(task)), "created": result.created}
    run["seconds"] = result.timing.get("total") if run["seconds"] is None else run["seconds"]
    if (reached := reached_of(result)) is not None:
        rows["reached"].append({**key, "measurement": run["measurement"], **reached})
    match result:
        case ScoreFile():
            _add_score(rows, key, run["measurement"], result, folder)
        case ProbeFile():
            for row in result.layers:
                kept = {**key, "kind": result.measurement, "layer": row.layer, "name": row.name}
                kept |= {"last": row.layer == result.layers[-1].layer, "chosen": row.layer == result.summary.layer}
                rows["probes"] += _by_split(kept, row, result.summary.majority_accuracy)
        case FinetuneFile():
            kept = {**key, "method": result.measurement}
            found = _by_split({**kept, "steps": result.summary.steps}, result.summary, result.summary.majority_accuracy)
            rows["finetunes"] += found
            losses = _curves(folder, {"step": int, "cross_entropy": float}, ["split"])
            rows["losses"] += [{**kept, **row} for row in _records(losses)]
        case AdviceFile():
            rows["advice"].append({**key, **_advised(result)})


def _advised(result: AdviceFile) -> Row:
    """What advice says of one model on one task."""
    summary, lora = result.summary, result.lora
    found = {"best": summary.best, "decision": summary.decision, "majority": summary.majority_accuracy}
    found |= {"texts": result.task.texts, "worth": result.settings.worth / 100}
    figures = {"best_cv": (summary.best_cv, summary.best_cv_interval)}
    if lora is not None:
        figures |= {"lora": (lora.accuracy, lora.accuracy_interval), "gain": (lora.gain, lora.gain_interval)}
        found["chance"] = lora.chance
    for name, (value, ends) in figures.items():
        low, high = ends or (None, None)
        found |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return found


def _curves(folder: Path, numbers: Mapping[str, type], words: Sequence[str] = ()) -> pd.DataFrame:
    """Columns of numbers, as numbers, and of words."""
    try:
        return pd.read_parquet(folder / CURVES, columns=[*numbers, *words]).astype(numbers)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"cannot read the curves of {folder}: {error}") from error


def _by_split(kept: Row, splits: BySplit, majority: Mapping[str, float | None]) -> list[Row]:
    return [
        {**kept, "split": split, "majority": majority[split], **dict(each)} for split, each in splits.figures.items()
    ]


def _add_score(rows: dict[str, list[Row]], key: Row, measurement: str, result: ScoreFile, folder: Path) -> None:
    blocks = max(result.model.num_layers, 1)
    places: dict[object, Row] = {
        row.layer: {**key, "layer": row.layer, "name": row.name, "depth": row.layer / blocks} for row in result.layers
    }
    for row in result.layers:
        # Only texts left out choose so; an older score knew none.
        chosen = None if result.summary.criterion is None else float(row.layer == result.summary.layer)
        of_run = {**places[row.layer], "measurement": measurement, "chosen": chosen}
        rows["layers"].append({**dict(row), **dict(row.rivals or ()), **of_run})
    if measurement == "score":
        numbers = dict.fromkeys(("fraction", "ntps", "retained_centered"), float)
        curves = _curves(folder, {"layer": int, "k": int, **numbers})
        for layer, curve in curves.groupby("layer"):
            if layer not in places:
                raise InputError(f"the curves of {folder} have a layer {layer} that its {RESULT} does not have")
            rows["curves"] += [{**places[layer], **row} for row in _records(at_fractions(curve))]
    if result.change is not None:
        rows["changes"] += [{**dict(row), **places[row.layer]} for row in result.change.layers]


def at_fractions(curve: pd.DataFrame) -> pd.DataFrame:
    """The rows of one layer's curves at :data:`FRACTIONS` of its columns, as Algorithm 1 counts them.

    Args:
        curve: Every k from 1 to rank V, or already the nineteen fractions.
    """
    if curve["fraction"].notna().all():
        return curve
    k = np.maximum(1, (FRACTIONS * len(curve)).astype(int))
    chosen: pd.DataFrame = curve.iloc[k - 1].assign(fraction=FRACTIONS)
    return chosen

"""Which model: scores of the same texts, side by side, in an order that says how certain it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from ntps import theory
from ntps.checkpoint.owned_files import take
from ntps.errors import InputError
from ntps.files import LEFT_OUT, SCHEMA, write_json
from ntps.jobs.new_texts import Interval
from ntps.json_files import Block, Figure, Items
from ntps.scoring.record import ScoreFile
from ntps.study.analysis.reader import read_result
from ntps.validation.judged import criterion
from ntps.validation.labels import Labels
from ntps.validation.left_out_texts import LeftOutTexts
from ntps.version import __version__

RANKING = "ranking.json"


class RankedModel(Block):
    """A model in its place.

    Attributes:
        model: What it is called.
        first: The best place that it may have. The places of all models hold together at 95 %.
        last: The worst one.
        value: What its chosen layer reaches on new texts, in the ranking's ``criterion``.
        behind: That, less the value of the model at the top; null for that one itself.
        behind_interval: The interval of the difference on the same texts; those of all pairs of models hold together.
        equals: Models that cannot be told from it.
        layer: Name of its best layer.
        all_layers: What one probe of all its layers together reaches.
        test: What the probe of the best layer reaches on the test texts.
        area_cv: Share of the R² of new texts that probes of next-token directions reach in the best layer.
        chance_area_cv: The same of random subspaces.
        parameters: Of the base transformer.
        seconds: What its score took.
        folder: Of that score; null if it was not kept.
    """

    model: str
    first: int
    last: int
    value: Figure
    value_interval: Interval
    behind: Figure
    behind_interval: Interval
    equals: Items[str]
    layer: str
    all_layers: Figure
    all_layers_interval: Interval
    test: Figure
    test_interval: Interval
    area_cv: Figure
    chance_area_cv: Figure
    parameters: int
    seconds: Figure
    folder: str | None

    @property
    def place(self) -> str:
        """Its place, or the places between which nothing decides."""
        return str(self.first) if self.first == self.last else f"{self.first}–{self.last}"


class MissingModel(Block):
    """A model that has no score.

    Attributes:
        cause: Why.
    """

    model: str
    cause: str


class Ranking(Block):
    """Models by what they reach on new texts of one task.

    Attributes:
        schema_version: 1; the schema grows by addition only.
        created: When they were compared.
        task: Id of the task.
        fingerprint: SHA-256 over its texts and labels.
        texts: How many texts were left out in turn.
        test_texts: How many test texts there are.
        criterion: The figure by which models are compared.
        baseline: What that figure is without looking at the texts.
        majority: The most frequent class.
        models: The models that have a score, the best first.
        missing: Those that have none.
    """

    schema_version: int = Field(alias="schema")
    kind: Literal["ranking"]
    ntps_version: str
    created: str
    task: str
    fingerprint: str
    texts: int
    test_texts: int | None
    criterion: str
    baseline: Figure
    majority: str | None
    models: Items[RankedModel]
    missing: Items[MissingModel]

    def write(self, folder: Path) -> None:
        """Writes ``ranking.json``.

        Raises:
            InputError: The folder cannot be written, or another file of this name is there.
        """
        take(folder, (RANKING,))
        write_json(folder / RANKING, self.to_dict(), ensure_ascii=False, allow_nan=False)


def rank_folders(folders: Sequence[Path]) -> Ranking:
    """Ranks the models of folders of results.

    Raises:
        InputError: There are fewer than two, or they are not of the same texts with the same labels.
    """
    if len(folders) < 2:
        raise InputError("a ranking needs two folders of results or more: name others, or a task with its models")
    scores = [_read(folder) for folder in folders]
    short = [Path(score.model.id).name for score in scores]
    names = [name if short.count(name) == 1 else str(folder) for name, folder in zip(short, folders, strict=True)]
    for name, count in Counter(str(folder.resolve()) for folder in folders).items():
        if count > 1:
            raise InputError(f"{name} is given {count} times: a ranking has every model once")
    return rank_scores(dict(zip(names, folders, strict=True)), {})


def rank_scores(folders: Mapping[str, Path], missing: Mapping[str, str], *, kept: bool = True) -> Ranking:
    """Ranks the models that have a score.

    Args:
        folders: The folder of each score, by the name of the model.
        missing: Why other models have none.
        kept: Whether the folders stay.

    Raises:
        InputError: A score is not of the same texts with the same labels as the others, or says nothing of new texts.
    """
    scores = {name: _read(folder) for name, folder in folders.items()}
    left_out = {name: LeftOutTexts.read(folder / LEFT_OUT) for name, folder in folders.items()}
    (first, head), (_, kept_first) = next(iter(scores.items())), next(iter(left_out.items()))
    for name, score in scores.items():
        same = _same_labels(kept_first.labels, left_out[name].labels)
        if score.task.fingerprint != head.task.fingerprint or not same:
            raise InputError(
                f"{folders[first]} and {folders[name]} cannot be compared, because their texts or labels differ: score "
                "both models on the same task, with the same options"
            )
    labels, figures = kept_first.labels, [criterion(each.judged, each.labels) for each in left_out.values()]
    try:
        found = theory.compare(figures, labels.draws, labels.units)
    except ValueError as error:
        raise InputError(f"the models cannot be ranked on {head.task.id}: {error}") from error
    names, order = list(scores), np.argsort(-found.values, kind="stable")
    rows = []
    for index in order:
        gap, half, top = found.difference[index], found.half[index], order[0]
        width = None if index == top or np.isinf(half[top]) else half[top]
        standing = {
            "first": int(found.first[index]),
            "last": int(found.last[index]),
            "behind": None if index == top else gap[top],
            "behind_interval": None if width is None else (gap[top] - width, gap[top] + width),
            "equals": tuple(names[other] for other in order if other != index and abs(gap[other]) <= half[other]),
            "folder": str(folders[names[index]]) if kept else None,
        }
        rows.append(_row(names[index], scores[names[index]], standing))
    summary = head.summary
    return Ranking(
        schema=SCHEMA,
        kind="ranking",
        ntps_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=head.task.id,
        fingerprint=head.task.fingerprint,
        texts=len(labels),
        test_texts=None if head.task.test is None else head.task.test.texts,
        criterion=str(summary.criterion),
        baseline=summary.baseline_cv,
        majority=summary.majority,
        models=tuple(rows),
        missing=tuple(MissingModel(model=name, cause=cause) for name, cause in missing.items()),
    )


def _read(folder: Path) -> ScoreFile:
    result = read_result(folder)
    if not isinstance(result, ScoreFile):
        raise InputError(f"{folder} holds no score: give folders that `ntps score --out` wrote")
    if result.summary.criterion is None:
        raise InputError(
            f"the score in {folder} says nothing of new texts, by which models are ranked: score the model again with "
            "`cv_texts` above 0"
        )
    return result


def _row(name: str, score: ScoreFile, standing: Mapping[str, object]) -> RankedModel:
    """A model with what its score says by itself, and where it stands among the others."""
    summary, together, figure = score.summary, score.all_layers, score.summary.criterion
    return RankedModel.model_validate(
        {
            "model": name,
            "value": summary.chosen_cv,
            "value_interval": summary.chosen_cv_interval,
            "layer": summary.name,
            "all_layers": getattr(together, f"{figure}_cv", None),
            "all_layers_interval": getattr(together, f"{figure}_cv_interval", None),
            "test": getattr(summary, f"{figure}_test"),
            "test_interval": getattr(summary, f"{figure}_test_interval"),
            "area_cv": summary.area_cv,
            "chance_area_cv": summary.chance_area_cv,
            "parameters": score.model.parameters,
            "seconds": score.timing.get("total"),
            **standing,
        }
    )


def _same_labels(one: Labels, other: Labels) -> bool:
    """Whether the same texts were left out, with the same labels and the same groups."""
    arrays, others = one.to_arrays(), other.to_arrays()
    same = all(np.array_equal(values, others[name]) for name, values in arrays.items() if name in others)
    return one.kind == other.kind and arrays.keys() == others.keys() and same

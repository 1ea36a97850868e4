"""From scores of the same texts to a ranking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ntps.advice.record import AdviceFile, LoraForecast
from ntps.errors import InputError
from ntps.files import SCHEMA, distinct_names
from ntps.jobs.command import COMMAND
from ntps.jobs.unused_rows import unused_rows
from ntps.scoring.record import ScoreFile
from ntps.study.ranking.looks import Look, look_at, read_score, standing
from ntps.study.ranking.record import MissingModel, RankedModel, Ranking
from ntps.version import __version__

Forecast = AdviceFile | str
"""Advice about a model, or why there is none."""


def rank_folders(folders: Sequence[Path]) -> Ranking:
    """Ranks the models of folders of results.

    Raises:
        InputError: There are fewer than two, or they are not of the same texts with the same labels.
    """
    if len(folders) < 2:
        raise InputError("a ranking needs two folders of results or more: name others, or a task with its models")
    short = [Path(read_score(folder).model.id).name for folder in folders]
    places = distinct_names([folder.resolve() for folder in folders])
    alone = {name for name in short if short.count(name) == 1 and name not in places}
    names = [name if name in alone else place for name, place in zip(short, places, strict=True)]
    for name, count in Counter(str(folder.resolve()) for folder in folders).items():
        if count > 1:
            raise InputError(f"{name} is given {count} times: a ranking has every model once")
    return rank_looks([look_at(dict(zip(names, folders, strict=True)))], {})


def rank_looks(
    looks: Sequence[Look],
    missing: Mapping[str, str],
    *,
    kept: bool = True,
    until: str | None = None,
    samples: Sequence[int] = (),
    forecasts: Mapping[str, Forecast] = MappingProxyType({}),
) -> Ranking:
    """Ranks the models that have a score.

    Args:
        looks: What was looked at, the first look being at all models.
        missing: Why other models have none.
        kept: Whether the folders of the scores stay.
        until: What was to be decided.
        samples: Sizes of all samples that might have been taken.
        forecasts: What LoRA would reach, by the name of the model.
    """
    stand = standing(looks)
    names, found, order = list(stand.last), stand.found, stand.order
    top, rows = order[0], []
    for index, above in zip(order, [None, *order], strict=False):
        name, gap, width = names[index], found.difference[index, order[0]], found.half[index, order[0]]
        undecided = ~(stand.better[index] | stand.better[:, index])
        look = stand.last[name]
        scores = [each.scores[name] for each in looks if name in each.scores]
        seconds = [taken for score in scores if (taken := score.timing.get("total")) is not None]
        of_pair = {
            "first": int(found.first[index]),
            "last": int(found.last[index]),
            "behind": None if index == top else gap,
            "behind_interval": None if index == top or np.isinf(width) else (gap - width, gap + width),
            "equals": tuple(names[other] for other in order if other != index and undecided[other]),
            "folder": str(look.folders[name]) if kept else None,
            "texts": look.texts,
            "seconds": sum(seconds) if seconds else None,
            **({} if above is None else _step(looks, name, names[above])),
            **_forecast(forecasts.get(name)),
        }
        rows.append(_row(name, scores[-1], of_pair))
    head = looks[-1]
    score = head.scores[names[top]] if names[top] in head.scores else next(iter(head.scores.values()))
    summary = score.summary
    return Ranking(
        schema=SCHEMA,
        kind="ranking",
        ntps_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=score.task.id,
        fingerprint=score.task.fingerprint,
        texts=head.texts,
        test_texts=None if score.task.test is None else score.task.test.texts,
        criterion=str(summary.criterion),
        baseline=summary.baseline_cv,
        majority=summary.majority,
        models=tuple(rows),
        missing=tuple(MissingModel(model=name, cause=cause) for name, cause in missing.items()),
        until=until,
        samples=tuple(samples),
        command=COMMAND.get(),
        unused=tuple(unused_rows(score.task, unusable=True)),
    )


def _step(looks: Sequence[Look], below: str, above: str) -> dict[str, object]:
    """How far apart the probes of all layers of two neighbours are, on the largest sample that both were scored on."""
    gap, half = next(look for look in reversed(looks) if {below, above} <= look.scores.keys()).step(below, above)
    return {"all_layers_step": gap, "all_layers_step_interval": None if np.isinf(half) else (gap - half, gap + half)}


def _forecast(found: Forecast | None) -> dict[str, object]:
    """What a row says of LoRA."""
    match found:
        case None:
            return {}
        case AdviceFile(lora=LoraForecast() as lora):
            return {"lora": lora.accuracy, "lora_interval": lora.accuracy_interval}
        case AdviceFile():
            return {"lora_missing": "the calibration is too far away from it"}
    return {"lora_missing": found}


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
            "embedding": score.embedding,
            "parameters": score.model.parameters,
            "source": score.model.id,
            "weights": score.model.weights,
            **standing,
        }
    )

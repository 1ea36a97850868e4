"""Looks at growing samples of texts, until it is decided which model is the best, or in which order all are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from ntps import theory
from ntps.errors import InputError
from ntps.files import LEFT_OUT
from ntps.scoring.record import ScoreFile
from ntps.study.analysis.reader import read_result
from ntps.study.specs import TaskSpec
from ntps.validation.judged import criterion
from ntps.validation.labels import Labels
from ntps.validation.left_out_texts import LeftOutTexts

SMALLEST = 250
"""Texts of the first sample, or up to twice as many."""


@dataclass(frozen=True)
class Look:
    """Models that were compared on the same texts.

    Attributes:
        folders: The folder of each score, by the name of the model.
        scores: What it says.
        texts: How many texts were left out in turn.
        found: The comparison of best layers.
        together: That of one probe of all layers of each model.
    """

    folders: Mapping[str, Path]
    scores: Mapping[str, ScoreFile]
    texts: int
    found: theory.Comparison
    together: theory.Comparison

    def step(self, below: str, above: str) -> tuple[float, float]:
        """What one probe of all layers of a model reaches, less that of another, and half the width of the interval."""
        names = list(self.folders)
        pair = names.index(below), names.index(above)
        return float(self.together.difference[pair]), float(self.together.half[pair])


@dataclass(frozen=True)
class Standing:
    """What several looks say together.

    Attributes:
        last: The last look at each model, by its name.
        found: The comparison: of each pair, that of the look which decided it, or else of the last one.
        better: Pairs of which the row is certainly better than the column.
        order: The models from the best to the worst.
    """

    last: Mapping[str, Look]
    found: theory.Comparison
    better: Bool[NDArray[np.bool_], "models models"]
    order: Sequence[int]

    def left(self, until: str | None) -> list[str]:
        """The models about which another look could decide something; fewer than two if nothing is left to decide.

        Args:
            until: ``best`` drops whatever is certainly not the best, ``order`` those whose place is certain.
        """
        open_ones = self.found.first == 1 if until == "best" else self.found.first < self.found.last
        return [name for name, still in zip(self.last, open_ones, strict=True) if still]


def sample_sizes(texts: int) -> list[int]:
    """All texts, half of them, and so on down to 250, ascending: together no more than twice all."""
    sizes = [texts]
    while sizes[0] // 2 >= SMALLEST:
        sizes.insert(0, sizes[0] // 2)
    return sizes


def sample_of(task: TaskSpec, texts: int) -> TaskSpec:
    """A sample of a task, part of every larger one."""
    test = texts if task.test_texts is None else min(texts, task.test_texts)
    return replace(task, name=f"{task.name}-{texts}", train_texts=texts, test_texts=test, nested=True)


def look_at(folders: Mapping[str, Path], looks: int = 1) -> Look:
    """Compares models by what is left out text by text.

    Args:
        folders: The folder of each score, by the name of the model.
        looks: How many samples may be looked at: the differences in all of them hold together at 95 %, a like share of
            the remaining 5 % for each.

    Raises:
        InputError: A score is not of the same texts with the same labels as the others, or says nothing of new texts.
    """
    scores = {name: read_score(folder) for name, folder in folders.items()}
    left_out = {name: LeftOutTexts.read(folder / LEFT_OUT) for name, folder in folders.items()}
    (first, head), (_, kept_first) = next(iter(scores.items())), next(iter(left_out.items()))
    for name, score in scores.items():
        same = _same_labels(kept_first.labels, left_out[name].labels)
        if score.task.fingerprint != head.task.fingerprint or not same:
            raise InputError(
                f"{folders[first]} and {folders[name]} cannot be compared, because their texts or labels differ: score "
                "both models on the same task, with the same options"
            )
    labels, level = kept_first.labels, 1 - (1 - theory.LEVEL) / looks
    best = [criterion(each.judged, each.labels) for each in left_out.values()]
    whole = [criterion([each.together], each.labels) for each in left_out.values()]
    try:
        found, together = (theory.compare(each, labels.draws, labels.units, level) for each in (best, whole))
    except ValueError as error:
        raise InputError(f"the models cannot be ranked on {head.task.id}: {error}") from error
    return Look(folders, scores, len(labels), found, together)


def standing(looks: Sequence[Look]) -> Standing:
    """Puts looks together, the first of which has all models.

    What one look decides stays decided, as all of them hold together; and where a is better than b and b better than c,
    a is better than c, whatever look says which.
    """
    last = {name: look for look in looks for name in look.folders}
    names = list(last)
    values = np.zeros(len(names))
    difference, half = np.zeros((2, len(names), len(names)))
    better = np.zeros(half.shape, dtype=bool)
    for look in looks:
        own = [names.index(name) for name in look.folders]
        values[own] = look.found.values
        decided = better | better.T
        for matrix, seen in ((difference, look.found.difference), (half, look.found.half)):
            matrix[np.ix_(own, own)] = np.where(decided[np.ix_(own, own)], matrix[np.ix_(own, own)], seen)
        better = difference > half
    for between in range(len(names)):
        better = better | np.outer(better[:, between], better[between])
    # Of looks that contradict one another, none decides.
    better &= ~better.T
    found = theory.Comparison(
        values, difference, half, first=1 + better.sum(axis=0), last=len(names) - better.sum(axis=1)
    )
    wins = np.where(better | better.T, better, difference > 0).sum(axis=1)
    return Standing(last, found, better, np.lexsort((-values, -wins)).tolist())


def read_score(folder: Path) -> ScoreFile:
    """The score in a folder.

    Raises:
        InputError: There is none, or it says nothing of new texts.
    """
    result = read_result(folder)
    if not isinstance(result, ScoreFile):
        raise InputError(f"{folder} holds no score: give folders that `ntps score --out` wrote")
    if result.summary.criterion is None:
        raise InputError(
            f"the score in {folder} says nothing of new texts, by which models are ranked: score the model again with "
            "`cv_texts` above 0"
        )
    return result


def _same_labels(one: Labels, other: Labels) -> bool:
    """Whether the same texts were left out, with the same labels and the same groups."""
    arrays, others = one.to_arrays(), other.to_arrays()
    same = all(np.array_equal(values, others[name]) for name, values in arrays.items() if name in others)
    return one.kind == other.kind and arrays.keys() == others.keys() and same

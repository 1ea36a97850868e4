"""Where words lie in the planes of the perception and the autoregressive subspace (figure 1 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ntps.checkpoint.owned_files import take
from ntps.errors import InputError
from ntps.files import MOMENTS, RESULT, write_json
from ntps.forward.pooled_texts import collect_pooled
from ntps.forward.stream import Pass
from ntps.jobs.blocks import LayerBlock
from ntps.jobs.clock import Clock
from ntps.jobs.provenance import envelope
from ntps.jobs.record import Provenance, ResultFile
from ntps.json_files import Block, Items
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokens import tokenize
from ntps.moments.spectra import Spectra
from ntps.moments.sums_folder import read_layer_moments
from ntps.options.passes import Pooling
from ntps.scoring.record import ScoreRecord

Array = NDArray[np.float64]

AXES = 2
SIGN_RULE = (
    "axes by descending eigenvalue; each is turned so that the mean of the first list is not below the mean of the "
    "other words"
)


@dataclass(frozen=True)
class WordSettings:
    """Which words, and in which planes.

    Attributes:
        lists: Words by the name of their list; the first one turns the axes.
        layer: Index of the layer; that of the score's summary by default.
    """

    # What changes no number beyond rounding.
    not_hashed: ClassVar[tuple[str, ...]] = ()

    lists: Mapping[str, Sequence[str]]
    layer: int | None = None

    def __post_init__(self) -> None:
        if not self.lists:
            raise InputError("there is no list of words: name at least one")
        for name, words in self.lists.items():
            if not words or not all(word.strip() for word in words):
                raise InputError(f"the word list {name!r} is empty, or one of its words is: name at least one word")

    def identity(self) -> dict[str, Any]:
        """What a study compares."""
        return asdict(self)


class WordsSettingsBlock(Block):
    """The options of words."""

    lists: Mapping[str, Items[str]]
    pooling: Pooling


class WordsSummary(LayerBlock):
    """The layer, and the axes.

    Attributes:
        rule: How axes are ordered and turned.
        perception_eigenvalues: Of the axes in U.
        autoregressive_eigenvalues: Of the axes in V.
    """

    rule: str
    perception_eigenvalues: Items[float]
    autoregressive_eigenvalues: Items[float]


class WordRow(Block):
    """Where a word lies: directions 1 and 2 of U and of V, as far as they exist."""

    list: str
    word: str
    tokens: int
    u1: float | None = None
    u2: float | None = None
    v1: float | None = None
    v2: float | None = None


class WordsFile(ResultFile):
    """``result.json`` of words."""

    settings: WordsSettingsBlock
    summary: WordsSummary
    words: Items[WordRow]


def run_words(scored: Path, model: LanguageModel, settings: WordSettings, *, out: Path | None = None) -> WordsFile:
    """Measures where words lie in the planes of U and V of a layer that was scored.

    Args:
        scored: Folder of the score, with its moments: they define U and V.
        model: The model that was scored.
        settings: The words and the layer.
        out: Folder for ``result.json``; nothing is written without it.

    Returns:
        The content of ``result.json``, of kind ``words``.

    Raises:
        InputError: There is no score or no moments of that layer, they are another model's, or a word has no
            token.
    """
    clock, score = Clock(), ScoreRecord.read(scored).result
    if out is not None and out.resolve() == scored.resolve():
        raise InputError(f"{out} holds the score that the words are of: choose another `out`")
    if model.weights() != score.model.weights:
        raise InputError(f"{scored} holds the score of other weights than those of {model.id}: score this model first")
    names = {row.layer: row.name for row in score.layers}
    layer = score.summary.layer if settings.layer is None else settings.layer
    if layer not in names:
        raise InputError(f"{scored} holds no score of layer {layer}: choose one of {', '.join(map(str, names))}")
    if not (scored / MOMENTS).is_dir():
        raise InputError(f"{scored} holds no moments, which define the planes: score again with `moments` keep")
    with clock.phase("theory"):
        spectra = Spectra.of(read_layer_moments(scored / MOMENTS, layer).means())
    with clock.phase("forward"):
        frame, states = word_states(model, settings.lists, layer, score.settings.pooling)
    first = (frame["list"] == frame["list"].iloc[0]).to_numpy()
    for letter, subspace in (("u", spectra.perception), ("v", spectra.autoregressive)):
        for axis, values in enumerate(turned(states @ subspace.basis[:, :AXES], first).T, start=1):
            frame[f"{letter}{axis}"] = values
    provenance = Provenance(
        settings_hash=score.settings_hash,
        model=score.model,
        task=score.task,
        settings=WordsSettingsBlock(
            lists={name: tuple(words) for name, words in settings.lists.items()}, pooling=score.settings.pooling
        ),
    )
    result = WordsFile.model_validate(
        {
            **envelope("words", provenance, clock),
            "summary": {
                "layer": layer,
                "name": names[layer],
                "rule": SIGN_RULE,
                "perception_eigenvalues": spectra.perception.values[:AXES].tolist(),
                "autoregressive_eigenvalues": spectra.autoregressive.values[:AXES].tolist(),
            },
            "words": frame.to_dict("records"),
            "warnings": [],
        }
    )
    if out is not None:
        take(out, (RESULT,))
        write_json(out / RESULT, result.to_dict(), ensure_ascii=False)
    return result


def word_states(
    model: LanguageModel, lists: Mapping[str, Sequence[str]], layer: int, pooling: Pooling
) -> tuple[pd.DataFrame, Array]:
    """Hidden states of words, each a text of its own, pooled as the texts of a task are.

    Returns:
        ``list, word, tokens`` by row, and ``(words, d)``.

    Raises:
        InputError: A word has no token.
    """
    frame = pd.DataFrame([(name, word) for name, words in lists.items() for word in words], columns=["list", "word"])
    tokens = tokenize(model, frame["word"].tolist())
    work = Pass(
        model=model,
        tokens=tokens,
        targets=lambda batch: np.zeros((len(batch), 1)),
        layers=(layer,),
        pooling=pooling,
        # Word by word, nothing is padded: no model needs a mask.
        masked=False,
        tokens_per_batch=1,
        progress=lambda _done: None,
    )
    return frame.assign(tokens=tokens.lengths), collect_pooled(work)[layer]


def turned(coordinates: Array, first: NDArray[np.bool_]) -> Array:
    """Coordinates ``(words, axes)`` with the signs of :data:`SIGN_RULE`: eigenvectors have none of their own.

    Unlike a rule about entries of the eigenvectors, it survives rotations of the hidden states and compares models.

    Args:
        coordinates: ``(words, axes)``.
        first: ``(words,)`` whether a word is of the first list.
    """
    others = coordinates[~first].mean(axis=0) if not first.all() else 0.0
    return np.where(coordinates[first].mean(axis=0) < others, -coordinates, coordinates)

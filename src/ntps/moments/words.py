"""Where words lie in the planes of the perception and the autoregressive subspace (figure 1 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from ntps.errors import InputError
from ntps.models import LanguageModel, tokenize
from ntps.moments.collect import Pass
from ntps.moments.kernels import RaggedBatch
from ntps.moments.moments import Moments
from ntps.moments.plan import Batch
from ntps.moments.spectra import Spectra

Array = NDArray[np.float64]

AXES = 2
SIGN_RULE = (
    "axes by descending eigenvalue; each is turned so that the mean of the first list is not below the mean of the "
    "other words"
)


@dataclass(frozen=True)
class WordPlanes:
    """Coordinates of words in the first two directions of U and of V.

    Attributes:
        frame: One row per word: ``list, word, tokens, u1, u2, v1, v2``; a direction that does not exist is absent.
        perception_eigenvalues: Λ of the axes of U, descending.
        autoregressive_eigenvalues: λ of the axes of V, descending.
        layer: Index of the layer.
        name: Its name.
        rule: How the axes are ordered and turned.
    """

    frame: pd.DataFrame
    perception_eigenvalues: tuple[float, ...]
    autoregressive_eigenvalues: tuple[float, ...]
    layer: int
    name: str
    rule: str = SIGN_RULE


def measure_words(model: LanguageModel, moments: Moments, layer: int, lists: Mapping[str, Sequence[str]]) -> WordPlanes:
    """Projects the hidden states of words on the leading directions of U and V of a layer.

    A word is a text of its own: its tokens pass through the model alone and are pooled as the texts of the task were.

    Args:
        model: The model.
        moments: Moments of the layer on the task, which define U and V.
        layer: The layer's index.
        lists: Words by the name of their list; at least one word in each.

    Raises:
        InputError: A list is empty, a word has no token, or the moments are not this model's.
    """
    words = [(name, word) for name, members in lists.items() for word in members]
    empty = [name for name, members in lists.items() if not members]
    if empty or not words:
        raise InputError(f"the word list {empty[0]!r} is empty: name a word" if empty else "there are no word lists")
    if moments.hidden_size != model.hidden_size:
        raise InputError(
            f"the moments are {moments.hidden_size} wide and {model.id} is {model.hidden_size}: score this model first"
        )
    tokens = tokenize(model, [word for _, word in words])
    states = np.zeros((len(words), model.hidden_size))
    work = Pass(
        model=model,
        tokens=tokens,
        targets=lambda batch: np.zeros((len(batch), 1)),
        layers=(layer,),
        pooling=moments.pooling,
        # Word by word, nothing is padded: no model needs a mask.
        masked=False,
        tokens_per_batch=1,
        progress=lambda _done: None,
    )

    def keep(_layer: int, rows: RaggedBatch, _targets: Tensor, texts: Batch) -> None:
        states[texts] = rows.pooled.cpu().numpy()

    work.run(keep)
    spectra = Spectra.of(moments.means())
    frame = pd.DataFrame(words, columns=["list", "word"])
    frame["tokens"] = tokens.lengths
    first = (frame["list"] == frame["list"].iloc[0]).to_numpy()
    for letter, subspace in (("u", spectra.perception), ("v", spectra.autoregressive)):
        for axis, values in enumerate(turned(states @ subspace.basis[:, :AXES], first).T, start=1):
            frame[f"{letter}{axis}"] = values
    return WordPlanes(
        frame=frame,
        perception_eigenvalues=tuple(spectra.perception.values[:AXES].tolist()),
        autoregressive_eigenvalues=tuple(spectra.autoregressive.values[:AXES].tolist()),
        layer=layer,
        name=model.layer_names[layer],
    )


def turned(coordinates: Array, first: NDArray[np.bool_]) -> Array:
    """Coordinates ``(words, axes)`` with the signs of :data:`SIGN_RULE`: eigenvectors have none of their own.

    Unlike a rule about entries of the eigenvectors, it survives rotations of the hidden states and compares models.

    Args:
        coordinates: ``(words, axes)``.
        first: ``(words,)`` whether a word is of the first list.
    """
    others = coordinates[~first].mean(axis=0) if not first.all() else 0.0
    return np.where(coordinates[first].mean(axis=0) < others, -coordinates, coordinates)

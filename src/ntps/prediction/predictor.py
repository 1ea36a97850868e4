"""What ``ntps.load_probe`` returns: labels and probabilities of texts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from ntps.errors import InputError
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokens import tokenize
from ntps.prediction.predictions import Predictions
from ntps.prediction.scorers import Scorer
from ntps.tasks.task import TargetKind

Array = NDArray[np.float64]
SHOWN = 4
TEXT = "text {}".format
"""What errors call a text, unless something says otherwise."""


@dataclass(frozen=True, repr=False)
class Predictor:
    """A probe, or a fine-tuned classifier, with the model that it belongs to.

    Attributes:
        description: What predicts, such as ``ridge probe of block.2``.
        model: The model that the texts go through.
        kind: What is predicted: ``classes``, ``multilabel`` or ``regression``.
        label_names: Names of the classes, of the labels of sets, or of the numbers; length c.
        text_columns: Columns of the file that it was trained on which held the texts.
        max_length: Tokens after which texts are cut; None for the model's own limit.
        scorer: Makes logits of token ids.
        warnings: What casts doubt on predictions, such as another tokenizer than then.

    Examples:
        >>> _ = ntps.probe(limit=100, layers="2", out="probe")
        >>> ntps.load_probe("probe")
        Predictor(ridge probe of block.2 of demo; 6 classes: python, scipy, pandas, torch, transformers, matplotlib)
    """

    description: str
    model: LanguageModel
    kind: TargetKind
    label_names: tuple[str, ...]
    text_columns: tuple[str, ...]
    max_length: int | None
    scorer: Scorer
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        count = len(self.label_names)
        targets = {"classes": "classes", "multilabel": "labels", "regression": "numbers"}[self.kind]
        names = ", ".join(self.label_names[: 2 * SHOWN]) + (", …" if count > 2 * SHOWN else "")
        what = f"{count} {targets if count > 1 else targets.removesuffix('s')}"
        return f"Predictor({self.description} of {self.model.id}; {what}: {names})"

    def predict(self, texts: Sequence[str]) -> NDArray[Any]:
        """Predicts labels, by a forward pass up to the last layer that is needed.

        Args:
            texts: The texts.

        Returns:
            ``(n,)`` names of the most probable classes; for label sets ``(n, c)`` truth values, for real targets
            ``(n,)`` or ``(n, c)`` numbers.

        Raises:
            InputError: A text is empty or no text.

        Examples:
            >>> _ = ntps.probe(limit=100, layers="2", out="probe")
            >>> ntps.load_probe("probe").predict(["Draw a scatter plot.", "Solve a linear system."]).shape
            (2,)
        """
        return self._told(texts).labels

    def predict_proba(self, texts: Sequence[str]) -> Float64[Array, "texts outputs"]:
        """Probabilities, in the order of ``label_names``; errors as for :meth:`predict`.

        Those of ridge probes are calibrated on training texts left out. The classes of a text add up to 1; a label of
        a set has a probability of its own.

        Args:
            texts: The texts.

        Raises:
            InputError: The targets are real.

        Examples:
            >>> _ = ntps.probe(limit=100, layers="2", out="probe")
            >>> ntps.load_probe("probe").predict_proba(["Draw a scatter plot."]).sum().round(6)
            1.0
        """
        return self._told(texts).probabilities

    def predictions(self, texts: Sequence[str], at: Callable[[int], str] | None = None) -> Predictions:
        """Everything that is predicted, from one forward pass.

        Args:
            texts: The texts.
            at: What errors call a text, from its index; ``text 0`` and so on by default.

        Raises:
            InputError: A text is empty or no text.
        """
        if isinstance(texts, str):
            raise InputError("one text was given where a list of texts is needed: put it into brackets")
        at, texts = at or TEXT, list(texts)
        require_texts(texts, at)
        if not texts:
            return Predictions(self.kind, self.label_names, np.empty((0, len(self.label_names))))
        tokens = tokenize(self.model, texts, self.max_length, at=at)
        return Predictions(self.kind, self.label_names, self.scorer(tokens), tokens.truncated)

    def _told(self, texts: Sequence[str]) -> Predictions:
        """Predictions, with warnings: of the predictor, and where texts were cut."""
        found = self.predictions(texts)
        for sentence in self.warnings:
            warnings.warn(sentence, stacklevel=3)
        if found.truncated:
            warnings.warn(truncated(found.truncated, len(found)), stacklevel=3)
        return found


def truncated(count: int, texts: int) -> str:
    """That texts were cut, as results say it too."""
    return f"{count:,} of {texts:,} texts were longer than the limit and lost their end"


def require_texts(texts: Sequence[object], at: Callable[[int], str] = TEXT) -> None:
    """Refuses what is no text, or an empty one.

    Args:
        texts: The texts.
        at: What errors call a text, from its index.

    Raises:
        InputError: So it is.
    """
    for index, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{at(index)} is {text!r:.40}: give a text that is not empty, or leave it out")

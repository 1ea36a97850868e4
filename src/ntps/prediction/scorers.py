"""Token ids → logits, or numbers: the forward pass as far as it is needed, and what was fitted to its states."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import NDArray

from ntps.forward.batch_plan import plan_batches
from ntps.forward.out_of_memory import explained_memory, retry_smaller
from ntps.forward.stream import Pass
from ntps.forward.tangents import TangentPass
from ntps.jobs.session import DEFAULT_TOKENS_PER_BATCH
from ntps.models.model import LanguageModel
from ntps.models.precision import ieee_float32
from ntps.models.quiet import quiet_transformers
from ntps.models.tokenizing.tokens import TokenizedTexts
from ntps.options.passes import Pooling
from ntps.theory import LinearProbe
from ntps.training.finetuning.classifier import Classifier
from ntps.validation.probabilities import logits_of
from ntps.validation.tangents import TangentRidge

Array = NDArray[np.float64]
Scorer = Callable[[TokenizedTexts], Array]
"""Logits of texts, a row each; numbers for real targets."""


@dataclass(frozen=True)
class Forward:
    """How texts go through a model.

    Attributes:
        model: The model.
        pooling: How a text becomes one vector.
        masked: Whether the model needs an attention mask.
        tokens_per_batch: Budget of a batch; by device unless given.
    """

    model: LanguageModel
    pooling: Pooling
    masked: bool
    tokens_per_batch: int | None = None

    @property
    def budget(self) -> int:
        """The budget of a batch."""
        fallback = DEFAULT_TOKENS_PER_BATCH.get(self.model.device.type, DEFAULT_TOKENS_PER_BATCH["cpu"])
        return self.tokens_per_batch or fallback

    def work(self, tokens: TokenizedTexts, layers: Sequence[int], largest: int | None = None) -> Pass:
        """A pass over texts whose labels nobody knows."""
        return Pass(
            model=self.model,
            tokens=tokens,
            targets=lambda batch: np.empty((len(batch), 0)),
            layers=layers,
            pooling=self.pooling,
            masked=self.masked,
            tokens_per_batch=self.budget,
            progress=lambda _done: None,
            largest=largest,
        )


@dataclass(frozen=True)
class LinearScorer:
    """A probe of one layer, or of several together.

    Attributes:
        forward: How texts reach it.
        parts: What each layer adds to the prediction.
        inverse_temperature: What makes logits of predictions; None for real targets.
    """

    forward: Forward
    parts: Mapping[int, LinearProbe]
    inverse_temperature: float | None

    def __call__(self, tokens: TokenizedTexts) -> Float64[Array, "texts outputs"]:
        """Logits, or numbers."""
        values = retry_smaller(lambda largest: self._values(tokens, largest), None, lambda _tokens: None)
        return _scaled(values, self.inverse_temperature)

    def _values(self, tokens: TokenizedTexts, largest: int | None) -> Float64[Array, "texts outputs"]:
        outputs = next(iter(self.parts.values())).coefficients.shape[1]
        values = np.zeros((len(tokens), outputs))

        def reduce(layer: int, rows: Any, _targets: Any, texts: NDArray[np.int64]) -> None:
            values[texts] += self.parts[layer].predict(rows.pooled.cpu().numpy())

        self.forward.work(tokens, sorted(self.parts), largest).run(reduce)
        return values


@dataclass
class TangentScorer:
    """A tangent probe.

    Attributes:
        forward: How texts reach it.
        ridge: Its weights.
        features: Numbers of its features: ``width, rank, directions, seed``.
        inverse_temperature: As for :class:`LinearScorer`.
    """

    forward: Forward
    ridge: TangentRidge
    features: Mapping[str, int]
    inverse_temperature: float | None
    _tangents: TangentPass | None = None

    def __call__(self, tokens: TokenizedTexts) -> Float64[Array, "texts outputs"]:
        """Logits, or numbers."""
        work = self.forward.work(tokens, [self.forward.model.num_layers])
        if self._tangents is None:
            self._tangents = TangentPass(work, **self.features)
        # The random numbers of its sketch are drawn once.
        self._tangents.work = work
        found = self._tangents.run()
        predicted = self.ridge.predict(found.pooled[self.forward.model.num_layers], found.tangents)
        return _scaled(predicted, self.inverse_temperature)


@dataclass(frozen=True)
class ClassifierScorer:
    """A fine-tuned classifier.

    Attributes:
        forward: How texts reach it; it pools by itself.
        classifier: The model with its head.
    """

    forward: Forward
    classifier: Classifier

    def __call__(self, tokens: TokenizedTexts) -> Float64[Array, "texts outputs"]:
        """Logits, or numbers."""
        return retry_smaller(lambda largest: self._logits(tokens, largest), self.forward.budget, lambda _tokens: None)

    @quiet_transformers()
    @torch.no_grad()
    def _logits(self, tokens: TokenizedTexts, largest: int | None) -> Float64[Array, "texts outputs"]:
        logits = np.empty((len(tokens), self.classifier.head.out_features))
        device, pad_id = self.forward.model.device, self.forward.model.pad_id
        for batch in plan_batches(tokens.lengths, largest or self.forward.budget):
            ids = torch.as_tensor(tokens.padded(batch, pad_id), device=device)
            lengths = torch.as_tensor(tokens.lengths[batch], device=device)
            with explained_memory(len(batch), ids.numel()), ieee_float32():
                logits[batch] = self.classifier([ids], [lengths]).double().cpu().numpy()
        return logits


def _scaled(values: Float64[Array, "texts outputs"], inverse_temperature: float | None) -> Array:
    return values if inverse_temperature is None else logits_of(values, inverse_temperature)

"""One pass over the training texts → probes of every layer, of all together, and LoRA's linear regime."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from ntps.advice.cells import Evidence
from ntps.checkpoint.tangent_rows import TangentRows
from ntps.forward.tangents import TangentTexts
from ntps.moments.kernels import resolution_of
from ntps.options.passes import CV_TEXTS
from ntps.validation.choice import LayerChoice
from ntps.validation.cross_validation import CrossValidation, cross_validate
from ntps.validation.judged import Judged, estimates
from ntps.validation.labels import Labels, seeded_sample
from ntps.validation.learning_curve import LearningCurve, learning_curve
from ntps.validation.tangents import TangentFit, fit_tangents

NORMAL = 1.96
"""Half a 95 % interval, in standard errors."""


@dataclass(frozen=True)
class Fits:
    """Everything that closed forms say about a model and a task.

    Attributes:
        texts: What the pass kept.
        probes: The probe of each layer, and that of all layers.
        tangents: The ridge on the last layer and its derivatives by LoRA's weights.
    """

    texts: TangentTexts
    probes: CrossValidation
    tangents: TangentFit

    @property
    def labels(self) -> Labels:
        """Labels of the texts that probes were fitted to."""
        return self.probes.labels

    @cached_property
    def choice(self) -> LayerChoice:
        """The best layer."""
        choice = self.probes.choice
        assert choice is not None, "classes have an accuracy"
        return choice

    @property
    def best_layer(self) -> int | None:
        """The layer of the best probe, None for all layers together; its choice is judged on texts outside it."""
        single = self.choice.estimate.value
        return self.choice.layer if single is not None and single > self._all_layers else None

    @property
    def ahead(self) -> float:
        """How far the best probe is above that of all layers."""
        return max((self.choice.estimate.value or 0.0) - self._all_layers, 0.0)

    @property
    def _all_layers(self) -> float:
        return accuracy_of(self.probes.together.judged)

    @property
    def best(self) -> Judged:
        """The best probe on texts left out."""
        fits = self.probes
        return (fits.together if self.best_layer is None else fits.fits[self.best_layer]).judged

    @cached_property
    def curve(self) -> LearningCurve | None:
        """What the best probe reaches by the number of texts; None where these are too few."""
        return learning_curve(self.probes.decomposition(self.best_layer), self.best, self.labels)

    def evidence(self, texts: int, parameters: int) -> Evidence:
        """What a forecast is made from.

        Args:
            texts: Training texts, also those that no probe was fitted to.
            parameters: Of the base transformer.
        """
        together = estimates(self.probes.together.judged, self.labels, refitted=True)["accuracy"]
        assert together.value is not None and together.low is not None and together.high is not None
        return Evidence(
            texts=texts,
            classes=int((self.labels.targets.sum(axis=0) > 0).sum()),
            parameters=parameters,
            final=accuracy_of(self.probes.fits[max(self.probes.fits)].judged),
            all_layers=together.value,
            all_layers_error=(together.high - together.low) / (2 * NORMAL),
            tangent=accuracy_of(self.tangents.judged),
        )


def fit_all(rows: TangentRows) -> Fits | None:
    """Runs the pass and its ways back, and fits every probe; of many texts, to a seeded sample.

    Args:
        rows: What is known of model and task already, in all layers.

    Returns:
        The probes in the first process, None in the others that share the pass.

    Raises:
        InputError: LoRA does not know the model's projections.
        NumericalError: A derivative is not finite.
        OutOfMemory: Not even one text fits.
    """
    ready = rows.ready
    sample = seeded_sample(len(ready.task.train), CV_TEXTS)
    labels = Labels.of(ready.task, ready.task.train).take(sample)
    texts = rows.collect("train", ready.task.train, ready.tokens.take(sample))
    if texts is None:
        return None
    ready.clock.add("forward", texts.forward_seconds)
    ready.clock.add("backward", texts.backward_seconds)
    with ready.clock.phase("theory"):
        resolution = resolution_of(torch.float32)
        probes = cross_validate(texts.pooled.__getitem__, list(ready.layers), labels, resolution)
        assert probes is not None, "texts that are too few were refused"
        last = ready.layers[-1]
        tangents = fit_tangents(texts.pooled[last], texts.tangents, labels, resolution)
        fits = Fits(texts, probes, tangents)
        # Before it is asked for, so that its seconds are counted.
        _ = fits.curve
        return fits


def accuracy_of(judged: Judged) -> float:
    """Share of right answers on texts left out."""
    assert judged.hits is not None, "of classes"
    return float(judged.hits.mean())

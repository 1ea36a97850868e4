"""From what probes reach on texts left out to what LoRA would, by least squares over cells that were trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from ntps.advice.cells import Cell, Evidence

Array = NDArray[np.float64]

LEVEL = 0.95
PAIRED = 0.65
"""Standard error of the difference of two probes on the same texts, over that of one of them: the mean over ten tasks
and two models, of the last layer and all layers."""


def regressors(evidence: Evidence) -> Float64[Array, " regressors"]:
    """What the gain over the probe of all layers is regressed on.

    A constant; how far the tangent ridge, which is LoRA in its linear regime, is above that probe; how far the last
    layer, which LoRA's head sees, is; and classes per text: LoRA's head begins at random, and few texts of many classes
    do not train it.
    """
    whole = evidence.all_layers
    return np.array([1.0, evidence.tangent - whole, evidence.final - whole, evidence.classes / evidence.texts])


@dataclass(frozen=True)
class Prediction:
    """A forecast of one number: Student's t about a value.

    Attributes:
        value: The most likely one.
        spread: Scale of the distribution.
        freedom: Its degrees of freedom.
    """

    value: float
    spread: float
    freedom: int

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends of the 95 % prediction interval."""
        half = float(stdtrit(self.freedom, (1 + LEVEL) / 2)) * self.spread
        return self.value - half, self.value + half

    def chance_above(self, threshold: float) -> float:
        """How likely the number is to exceed a threshold."""
        return float(stdtr(self.freedom, (self.value - threshold) / self.spread))


@dataclass(frozen=True)
class Forecaster:
    """A least-squares fit to cells, with the errors that it made on tasks that it had not seen.

    An error has two parts: what few texts do to the figures of probes, which is known, and a spread beyond it.

    Attributes:
        coefficients: Of :func:`regressors`, for the gain over the probe of all layers.
        gain_spread: Root mean square of the errors of the gain, beyond that of few texts.
        accuracy_spread: The same of LoRA's accuracy.
        freedom: Tasks less coefficients.
    """

    coefficients: Float64[Array, " regressors"]
    gain_spread: float
    accuracy_spread: float
    freedom: int

    @classmethod
    def fit(cls, cells: Sequence[Cell]) -> Forecaster:
        """Fits all cells; errors are those of fits that lack the cell's task.

        Raises:
            ValueError: There are too few tasks.
        """
        tasks = sorted({cell.task for cell in cells})
        coefficients = _least_squares(cells)
        freedom = len(tasks) - len(coefficients)
        if freedom < 1:
            raise ValueError(f"{len(tasks)} tasks are too few")
        others = {task: _least_squares([cell for cell in cells if cell.task != task]) for task in tasks}
        gains = np.array([_gain(cell, others[cell.task]) for cell in cells])
        of_probes = np.array([cell.all_layers_error for cell in cells])
        accuracies = np.array([cell.all_layers for cell in cells]) + gains
        gain_spread = _beyond(gains - [cell.gain for cell in cells], sampling(coefficients) * of_probes)
        return cls(
            coefficients, gain_spread, _beyond(accuracies - [cell.lora_test for cell in cells], of_probes), freedom
        )

    def gain(self, evidence: Evidence, stretch: float = 1.0) -> Prediction:
        """What LoRA gains over the probe of all layers.

        Args:
            evidence: What probes reach.
            stretch: How much wider than the errors on unseen tasks the forecast is.
        """
        spread = math.hypot(self.gain_spread, sampling(self.coefficients) * evidence.all_layers_error)
        return Prediction(_gain(evidence, self.coefficients), stretch * spread, self.freedom)

    def accuracy(self, evidence: Evidence, stretch: float = 1.0) -> Prediction:
        """What LoRA reaches on new texts; arguments as for :meth:`gain`."""
        value = min(max(evidence.all_layers + _gain(evidence, self.coefficients), 0.0), 1.0)
        return Prediction(value, stretch * math.hypot(self.accuracy_spread, evidence.all_layers_error), self.freedom)


def sampling(coefficients: Float64[Array, " regressors"]) -> float:
    """How many standard errors of a probe few texts move a gain by."""
    return PAIRED * float(np.linalg.norm(coefficients[1:3]))


def _beyond(errors: Float64[Array, " cells"], known: Float64[Array, " cells"]) -> float:
    """Root mean square of errors, less what is known to be in them."""
    return math.sqrt(max(float(np.mean(errors**2 - known**2)), 0.0))


def _gain(evidence: Evidence, coefficients: Float64[Array, " regressors"]) -> float:
    return float(regressors(evidence) @ coefficients)


def _least_squares(cells: Sequence[Cell]) -> Float64[Array, " regressors"]:
    """Every task weighs the same, however many cells it has."""
    counts = {cell.task: sum(other.task == cell.task for other in cells) for cell in cells}
    weights = np.array([counts[cell.task] ** -0.5 for cell in cells])
    rows = np.stack([regressors(cell) for cell in cells]) * weights[:, None]
    return np.asarray(np.linalg.lstsq(rows, weights * [cell.gain for cell in cells])[0])

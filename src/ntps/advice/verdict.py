"""From evidence to what is said about LoRA: a forecast, what it would cost, and a decision."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from ntps.advice.calibration import FARTHEST, Calibration, stretch
from ntps.advice.cells import Evidence, named
from ntps.advice.record import TOO_WIDE, Costs, LoraForecast
from ntps.forward.tangents import TangentTexts
from ntps.jobs.blocks import ModelBlock
from ntps.options.recipes import LoRA
from ntps.training.finetuning.held_back import parts_of

CERTAIN = 0.9
"""How likely a gain must be above what is worth it, or below, to decide."""
MOST_TIMES = 100
"""More texts than so many times those at hand are no advice."""

Decision = Literal["probe", "lora", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """What is said about LoRA.

    Attributes:
        evidence: What probes reach.
        calibration: What the forecast rests on.
        worth: The gain that is worth training for, as a share.
        ahead: How far the best probe is above that of all layers.
    """

    evidence: Evidence
    calibration: Calibration
    worth: float
    ahead: float = 0.0

    @property
    def forecast(self) -> LoraForecast | None:
        """The forecast; None where the calibration is too far away."""
        outside = self.calibration.outside(self.evidence)
        if any(distance > FARTHEST for distance, _ in outside):
            return None
        wider, forecaster = stretch(outside), self.calibration.forecaster
        gain, accuracy = (each(self.evidence, wider) for each in (forecaster.gain, forecaster.accuracy))
        low, high = accuracy.interval
        best = self.evidence.all_layers + self.ahead

        def possible(gained: float) -> float:
            """A gain over the best probe with which LoRA's accuracy is one."""
            return min(max(gained - self.ahead, -best), 1 - best)

        return LoraForecast(
            accuracy=min(max(accuracy.value, 0.0), 1.0),
            accuracy_interval=(max(low, 0.0), min(high, 1.0)),
            gain=possible(gain.value),
            gain_interval=(possible(gain.interval[0]), possible(gain.interval[1])),
            chance=gain.chance_above(self.worth + self.ahead),
            stretch=wider,
            outside=tuple(words for _, words in outside),
        )

    @property
    def decision(self) -> Decision:
        """Whether LoRA is worth it."""
        return "undecided" if self.forecast is None else self._decided(self.evidence)

    @property
    def enough_texts(self) -> int | None:
        """With how many texts the same figures would decide; None where they do, or where more texts would not do."""
        texts = self.evidence.texts
        if self.forecast is None or self.decision != "undecided":
            return None
        for times in (1.5, 2, 3, 5, 10, 20, 50, MOST_TIMES):
            more = {
                "texts": round(times * texts),
                "all_layers_error": self.evidence.all_layers_error / math.sqrt(times),
            }
            if self._decided(self.evidence.model_copy(update=more)) != "undecided":
                return round(times * texts)
        return None

    def _decided(self, evidence: Evidence) -> Decision:
        wider = stretch(self.calibration.outside(evidence))
        chance = self.calibration.forecaster.gain(evidence, wider).chance_above(self.worth + self.ahead)
        return decided(chance, wider)


def decided(chance: float, stretch: float) -> Decision:
    """What the chance of a gain that is worth it decides, by a forecast that was stretched."""
    if stretch >= TOO_WIDE or 1 - CERTAIN < chance < CERTAIN:
        return "undecided"
    return "lora" if chance >= CERTAIN else "probe"


def costs(texts: TangentTexts, seconds: float, count: int) -> Costs:
    """What things cost here, from what the pass took.

    A text in a step of training takes about what it took to pass it and to go all ways back: 0.6 to 1.05 times as long,
    0.8 in the median, in the 32 cells of the calibration, with the evaluations on texts held back.

    Args:
        texts: What the pass kept of the texts.
        seconds: What this advice took.
        count: Training texts.
    """
    seen = len(texts.tangents)
    recipe = LoRA().for_texts(count - count // parts_of(count))
    trained = recipe.total_steps * recipe.texts_per_step
    lora = trained * (texts.forward_seconds + texts.backward_seconds) / seen
    forward = texts.forward_seconds * count / seen
    return Costs(forward=forward, advice=seconds, lora=lora, lora_steps=recipe.total_steps)


def calibration_block(calibration: Calibration, source: str | None, model: ModelBlock, task: str) -> dict[str, Any]:
    """What a forecast rests on, as results say it.

    Args:
        calibration: The calibration.
        source: Its file; None for the one that comes with ntps.
        model: The model that the forecast is for.
        task: Id of its task.
    """
    cells = calibration.cells
    of = {f"{name}s": len({getattr(cell, name) for cell in cells}) for name in ("task", "model")}
    # A name alone, such as that of a folder called model, is not enough where the size tells more.
    same = {
        "same_model": any(named(cell.model, model.id) and cell.parameters == model.parameters for cell in cells),
        "same_task": any(named(cell.task, task) for cell in cells),
    }
    return {"source": source, "created": calibration.created, "cells": len(cells), **of, **same}

"""What ``result.json`` of advice says."""

from __future__ import annotations

from typing import Literal

from ntps.jobs.blocks import LayerBlock, SettingsBlock
from ntps.jobs.new_texts import AllLayers, ChosenLayer, Interval, NewTexts
from ntps.jobs.record import Record, ResultFile
from ntps.json_files import Block, Figure, Items

TOO_WIDE = 2.0
"""Where intervals are so many times as wide because nothing like it was calibrated, nothing is decided."""


class AdvisedLayer(NewTexts, LayerBlock):
    """The ridge probe of one layer."""


class CurvePoint(Block):
    """What the best probe reaches.

    Attributes:
        texts: How many it learns from.
        accuracy: What it reaches on new texts; of more texts than there are, what is expected.
    """

    texts: int
    accuracy: Figure
    accuracy_interval: Interval


class LoraForecast(Block):
    """What LoRA would reach on new texts, trained by the standard recipe.

    Attributes:
        accuracy: The most likely accuracy, with its 95 % prediction interval.
        gain: What it is above the best probe.
        chance: How likely it is to gain more than ``worth``.
        stretch: How much wider the intervals are than errors on unseen tasks, for what lies outside the calibration.
        outside: What that is, in words.
    """

    accuracy: float
    accuracy_interval: Interval
    gain: float
    gain_interval: Interval
    chance: float
    stretch: float
    outside: Items[str]

    @property
    def too_wide(self) -> bool:
        """Whether too little like it was calibrated for a decision."""
        return self.stretch >= TOO_WIDE


class Costs(Block):
    """Seconds on this machine; none of them is a promise.

    Attributes:
        forward: One forward pass over the training texts.
        advice: What this advice took: passes, ways back, and closed forms.
        lora: All steps of LoRA by its standard recipe, which stops before when it no longer gets better; about.
        lora_steps: Steps that are.
    """

    forward: float
    advice: float
    lora: float
    lora_steps: int


class CalibrationBlock(Block):
    """What the forecast rests on.

    Attributes:
        source: The file; null for the one that comes with ntps.
        created: When its cells were collected.
        cells: How many they are.
        tasks: Of how many tasks.
        models: Of how many models.
        same_model: Whether they hold this very model, by name and size: the forecast is then no test of itself.
        same_task: Whether they hold this very task, by name.
    """

    source: str | None
    created: str
    cells: int
    tasks: int
    models: int
    same_model: bool | None = None
    same_task: bool | None = None


class AdviceSummary(ChosenLayer):
    """What to do.

    Attributes:
        best: The best probe: ``all layers`` or the name of the best layer.
        best_cv: What it reaches on new texts.
        tangent_cv: What the ridge on tangent features reaches, without training.
        majority: The most frequent class.
        majority_accuracy: What always answering it gives.
        decision: ``probe`` where the chance of a gain that is worth it is 10 % or less, ``lora`` where it is 90 % or
            more, ``undecided`` between.
        enough_texts: How many texts would decide; null where it is decided, or where more texts would not do.
    """

    best: str
    best_cv: Figure
    best_cv_interval: Interval
    tangent_cv: Figure
    tangent_cv_interval: Interval
    majority: str
    majority_accuracy: float
    decision: Literal["probe", "lora", "undecided"]
    enough_texts: int | None


class AdviceSettingsBlock(SettingsBlock):
    """The options of advice.

    Attributes:
        worth: Points of accuracy that LoRA must gain to be worth its training.
    """

    worth: float


class AdviceFile(ResultFile):
    """``result.json`` of advice.

    Attributes:
        lora: Null where the calibration is too far away for a forecast.
    """

    settings: AdviceSettingsBlock
    layers: Items[AdvisedLayer]
    all_layers: AllLayers
    tangent: NewTexts
    learning_curve: Items[CurvePoint]
    lora: LoraForecast | None
    costs: Costs
    calibration: CalibrationBlock
    summary: AdviceSummary

    @property
    def measurement(self) -> str:
        """What was measured."""
        return self.kind


class AdviceRecord(Record):
    """Finished advice; its curves are the learning curve."""

    kind = "advice"
    file = AdviceFile
    result: AdviceFile

"""The options of advice about LoRA."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from ntps.options.layers import Layers
from ntps.options.limits import check_number, check_seed
from ntps.options.passes import PassSettings, Pooling
from ntps.options.shared import OUTPUT, SELECTION, FrozenModelOptions, ResumableOptions, TaskOptions

WORTH = 2.0


@dataclass(frozen=True, kw_only=True)
class AdviseSettings(PassSettings):
    """What advice can be asked for.

    The pooled text is the mean token, as in fine-tuning, and every layer is looked at: ``layers`` and ``pooling`` have
    no other value. Test texts are left alone.

    Attributes:
        worth: Points of accuracy that LoRA must gain to be worth its training.
        calibration: File that ``ntps calibrate`` wrote; the one that comes with ntps by default.
        seed: Seed of the sample of texts, and of the directions and sketches of tangent features.
    """

    panel: ClassVar[str] = SELECTION

    layers: Layers = field(default=None, init=False)
    pooling: Pooling = field(default="mean", init=False)
    test: bool = field(default=False, init=False)
    worth: float = WORTH
    calibration: str | Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("worth", self.worth, at_least=0, at_most=100)
        check_seed("seed", self.seed)
        # In JSON types.
        object.__setattr__(self, "calibration", None if self.calibration is None else str(self.calibration))


@dataclass(frozen=True, kw_only=True)
class AdviseOptions(AdviseSettings, ResumableOptions, FrozenModelOptions, TaskOptions):
    """What advice takes besides a model and a task.

    Attributes:
        out: Folder for ``result.json``; nothing is written by default.
    """

    panel: ClassVar[str] = OUTPUT

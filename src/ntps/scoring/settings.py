"""The options of a scoring run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from ntps.jobs.settings import PassSettings, check_choice
from ntps.moments.layer_score import Convention


@dataclass(frozen=True, kw_only=True)
class ScoreSettings(PassSettings):
    """What a scoring run can be asked for.

    Attributes:
        convention: ``paper`` (Algorithm 1) or ``released`` (the authors' sweep).
        centered: Whether both problems get an intercept: covariances instead of second moments.
    """

    convention: Convention = "paper"
    centered: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("--convention", self.convention, get_args(Convention))

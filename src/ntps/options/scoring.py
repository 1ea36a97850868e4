"""The options of a scoring run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

from ntps.errors import InputError
from ntps.options.limits import check_choice, check_number
from ntps.options.passes import CV_TEXTS, PassSettings
from ntps.options.shared import COMPUTING, OUTPUT, SELECTION, FrozenModelOptions, ResumableOptions, TaskOptions

Convention = Literal["paper", "released"]


@dataclass(frozen=True, kw_only=True)
class CurveOptions:
    """Which curves are made of the statistics.

    Attributes:
        convention: ``paper`` (Algorithm 1) or ``released`` (the authors' sweep).
        centered: Whether both problems get an intercept: covariances instead of second moments.
    """

    panel: ClassVar[str] = COMPUTING

    convention: Convention = "paper"
    centered: bool = False


@dataclass(frozen=True, kw_only=True)
class RivalOptions:
    """What is computed to compare with.

    Attributes:
        rivals: Whether the transferability scores of others are computed for every layer too: H-score, LogME, linear
            discriminants, TransRate, nearest neighbours, N-LEEP.
    """

    panel: ClassVar[str] = COMPUTING

    rivals: bool = False


@dataclass(frozen=True, kw_only=True)
class ScoreSettings(RivalOptions, CurveOptions, PassSettings):
    """What a scoring run can be asked for.

    Attributes:
        cv_texts: Most texts that are left out in turn to say what holds for new texts, a seeded sample of those scored;
            0 for none, which needs less memory.
    """

    later: ClassVar[tuple[str, ...]] = ("cv_texts", "rivals")

    cv_texts: int = CV_TEXTS

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("convention", self.convention, get_args(Convention))
        check_number("cv_texts", self.cv_texts, whole=True, at_least=0)
        if self.rivals and not self.cv_texts:
            raise InputError("`rivals` are computed from the texts that `cv_texts` keeps: give one above 0")


@dataclass(frozen=True, kw_only=True)
class AdapterOptions:
    """An adapter whose effect is measured.

    Attributes:
        adapter: Folder of a LoRA adapter to merge into the model. The model without it is scored too, and the result
            says what changed.
        at: Layer and k, such as ``4:100``, at which the change of NTPS is reported besides.
    """

    panel: ClassVar[str] = SELECTION

    adapter: str | Path | None = None
    at: str | None = None


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(AdapterOptions, ScoreSettings, ResumableOptions, FrozenModelOptions, TaskOptions):
    """What a score takes besides a model and a task.

    Attributes:
        out: Folder for ``result.json``, ``curves.parquet`` and ``moments/``; nothing is written by default.
        moments: Whether statistics stay in ``out``: ``keep`` or ``drop``.
        keep_pooled: Whether the pooled texts of every layer are written to ``out`` too: with them, other labels can be
            scored without the model.
    """

    panel: ClassVar[str] = OUTPUT

    moments: Literal["keep", "drop"] = "keep"
    keep_pooled: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("moments", self.moments, ("keep", "drop"))
        if self.at is not None and self.adapter is None:
            raise InputError("`at` compares before with after: give `adapter` with it")
        if not isinstance(self.at, str | None):
            raise InputError(f"`at` must be a layer and a k, such as '4:100', not {self.at!r}")

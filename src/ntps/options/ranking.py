"""The options of a ranking of models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from ntps.errors import InputError
from ntps.options.limits import check_choice, check_number
from ntps.options.scoring import ScoreSettings
from ntps.options.shared import ENGINE, SELECTION, FrozenModelOptions, OutputOptions, TaskOptions


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Who makes the runs.

    Attributes:
        engine: ``local``, this machine, or ``ray``, a Ray cluster.
        jobs: Processes that share this machine.
        address: Ray cluster; RAY_ADDRESS or this machine by default.
    """

    panel: ClassVar[str] = ENGINE

    engine: Literal["local", "ray"] = "local"
    jobs: int = 1
    address: str | None = None

    def __post_init__(self) -> None:
        check_choice("engine", self.engine, ("local", "ray"))
        check_number("jobs", self.jobs, whole=True, at_least=1)


@dataclass(frozen=True, kw_only=True)
class RankOptions(EngineOptions, ScoreSettings, OutputOptions, FrozenModelOptions, TaskOptions):
    """What a ranking takes besides a task and models.

    Attributes:
        until: Ends the ranking as soon as something is certain at 95 %: which model is the ``best``, or the whole
            ``order``. Models are then scored on growing samples of the texts, and dropped when they no longer matter.
        lora: Whether what LoRA would reach is forecast for each model too (see :func:`ntps.advise`), which takes four
            ways back through it.
        models_file: File that names more models, one a line; what follows a ``#`` is a comment.
        out: Folder for ``ranking.json`` and the score of every model; nothing is kept by default. The same command goes
            on there where it was interrupted, and tries again what failed.
        overwrite: Whether every model is scored anew.
    """

    panel: ClassVar[str] = SELECTION

    until: Literal["best", "order"] | None = None
    lora: bool = False
    models_file: str | Path | None = None

    def __post_init__(self) -> None:
        EngineOptions.__post_init__(self)
        ScoreSettings.__post_init__(self)
        if self.until is not None:
            check_choice("until", self.until, ("best", "order"))
            if self.lora:
                raise InputError(
                    "`lora` is forecast from all texts, and `until` takes as few as it can: give one of them"
                )
        if not self.cv_texts:
            raise InputError("`cv_texts` must be above 0: models are ranked by how right they are on texts left out")

"""``ntps.advise`` and ``ntps.calibrate``: whether LoRA would add anything, as functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ntps.advice.advise_run import run_advice
from ntps.advice.calibration import Calibration
from ntps.advice.errors import ForecastErrors, left_out_errors
from ntps.advice.record import AdviceRecord
from ntps.api.loading import FrozenModelJob, open_inputs
from ntps.api.results import Result
from ntps.display.advice import advice_words
from ntps.distributed.world import join_world
from ntps.errors import InputError
from ntps.options.advising import AdviseOptions, AdviseSettings
from ntps.options.keywords import takes, values
from ntps.study.calibrating import calibrate_studies


class AdviceResult(Result):
    """What :func:`ntps.advise` returns: ``to_frame()`` is the learning curve of the best probe.

    Attributes:
        record: Everything that is or would be on disk.

    Examples:
        >>> result = ntps.advise(limit=60)
        >>> folder = result.save("advice")
        >>> ntps.AdviceResult.load("advice").summary == result.summary
        True
    """

    record: AdviceRecord

    @classmethod
    def load(cls, folder: str | Path) -> AdviceResult:
        """Reads a result from its folder.

        Raises:
            InputError: There is no readable advice.
        """
        return cls(AdviceRecord.read(Path(folder)))

    def __repr__(self) -> str:
        return "\n".join([super().__repr__(), *advice_words(self.record.result)])


@dataclass(frozen=True)
class CalibrationResult:
    """What :func:`ntps.calibrate` returns.

    Attributes:
        calibration: The cells that forecasts rest on.
        unused: Why some models and tasks are not among them.
    """

    calibration: Calibration
    unused: tuple[str, ...]

    def errors(self) -> dict[str, list[ForecastErrors]]:
        """Errors of forecasts for tasks that were left out, and for models where there are several."""
        cells = self.calibration.cells
        several = [by for by in ("task", "model") if len({getattr(cell, by) for cell in cells}) > 1]
        return {by: left_out_errors(cells, by) for by in several}


@dataclass(frozen=True, kw_only=True)
class AdviseJob(AdviseOptions, FrozenModelJob):
    """What advice takes."""


@takes(AdviseJob)
def advise(options: AdviseJob) -> AdviceResult:
    """Tells what the best probe reaches, what LoRA would add, and what more texts would bring, without training.

    One forward pass over the training texts and a few ways back. What LoRA would reach is forecast from its linear
    regime, by a calibration on models that were trained; see :func:`ntps.calibrate`.

    Returns:
        The result, with ``summary``, ``to_frame()`` (the learning curve) and ``save()``.

    Raises:
        InputError: Something that was given cannot be used; the message says what to do.
        NumericalError: Hidden states, or their derivatives, are not finite.

    Examples:
        >>> result = ntps.advise(limit=60)
        >>> result.to_frame()["texts"].tolist()
        [15, 30, 60, 120]
        >>> result.summary["decision"] in ("probe", "lora", "undecided")
        True
    """
    settings = AdviseSettings(**values(options, AdviseSettings))
    with join_world() as world, open_inputs(options, test=False, world=world) as (task, folder):
        record = run_advice(
            options.load(world),
            task,
            settings,
            out=folder,
            resume=options.resume,
            overwrite=options.overwrite,
            reporter=options.reporter,
            world=world,
        )
    return AdviceResult(record)


def calibrate(
    studies: str | Path | Sequence[str | Path] | None = None, out: str | Path | None = None
) -> CalibrationResult:
    """Makes a calibration of LoRA forecasts from studies in which LoRA was trained, and tells how wrong it is.

    Args:
        studies: Folders of studies with the measurements ``score``, ``tangent`` and ``lora``, the last by the standard
            recipe, on six tasks or more. Of several LoRA runs of one model and task, such as those of several learning
            rates, the one counts that is best on the texts that it held back. Files of calibrations may stand among
            them, and ``"shipped"`` for the one that comes with ntps, whose cells are then joined. None looks at that
            one alone.
        out: File for the calibration, for ``calibration`` of :func:`ntps.advise`; not written by default.

    Returns:
        The calibration, with ``errors()``.

    Raises:
        InputError: A folder holds no study, a file no calibration of this version, or the tasks are too few.

    Examples:
        >>> errors = ntps.calibrate().errors()["task"]
        >>> errors[0].name, errors[0].accuracy < 0.05
        ('forecast', True)
    """
    if studies is None:
        if out is not None:
            raise InputError("the calibration that comes with ntps needs no `out`: name studies to make another one")
        return CalibrationResult(Calibration.read(), ())
    calibration, unused = calibrate_studies([studies] if isinstance(studies, str | Path) else list(studies))
    if out is not None:
        calibration.write(Path(out))
    return CalibrationResult(calibration, unused)

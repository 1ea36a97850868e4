"""``ntps.finetune``: LoRA, full fine-tuning and training from scratch as a function."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ntps.api.loading import Job, open_inputs
from ntps.api.results import FinetuneResult
from ntps.checkpoint.owned_files import PARTS, RESULTS
from ntps.distributed.world import join_world
from ntps.errors import InputError
from ntps.models.model import LanguageModel
from ntps.options.finetuning import FinetuneOptions, FinetuneSettings
from ntps.options.keywords import takes, values
from ntps.options.recipes import FullFineTuning, LoRA, Method
from ntps.options.shared import ModelOptions
from ntps.training.finetuning.finetune_run import run_finetune
from ntps.training.finetuning.saved import files_of


@dataclass(frozen=True, kw_only=True)
class FinetuneJob(FinetuneOptions, Job):
    """What fine-tuning takes.

    Attributes:
        model: Folder, hub id or ``id@revision``; the embedded model by default. It is loaded anew: training changes it.
    """

    method: LoRA | FullFineTuning | Method = field(default="lora", kw_only=False)


@takes(FinetuneJob)
def finetune(options: FinetuneJob) -> FinetuneResult:
    """Trains a classifier, until it no longer does better on texts held back, and measures it on the test texts.

    Returns:
        The result, with ``summary``, ``to_frame()``, ``plot()`` and ``save()``.

    Raises:
        InputError: Something that was given cannot be used; the message says what to do.
        NumericalError: Hidden states or the loss are not finite.

    Examples:
        >>> result = ntps.finetune(limit=20, method=ntps.LoRA(rank=4, steps=2, batch_size=4), test=False)
        >>> result.summary["steps"]
        2
    """
    settings = FinetuneSettings(**values(options, FinetuneSettings))
    if isinstance(options.model, LanguageModel):
        raise InputError("`model` is loaded already, and fine-tuning would change it: give its folder or its id")
    own = files_of(settings.recipe.name, None if options.out is None else Path(options.out))
    with (
        join_world() as world,
        open_inputs(options, test=options.test, writes=(*RESULTS, *PARTS, *own), world=world) as (task, folder),
    ):
        record = run_finetune(
            options.model,
            task,
            settings,
            out=folder,
            **values(options, ModelOptions),
            report_to=options.report_to,
            resume=options.resume,
            overwrite=options.overwrite,
            reporter=options.reporter,
        )
    return FinetuneResult(record)

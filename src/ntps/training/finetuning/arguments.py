"""What transformers' Trainer is told.

Imported where it is used: transformers takes seconds to import.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from transformers import TrainingArguments
from transformers.integrations.integration_utils import get_reporting_integration_callbacks

from ntps.errors import InputError
from ntps.hub import first_line
from ntps.options.finetuning import FinetuneSettings
from ntps.options.recipes import FullFineTuning

LOG_EVERY = 10
"""Steps over which the training loss is averaged."""


def training_arguments(
    folder: Path, settings: FinetuneSettings, *, cpu: bool, bfloat16: bool, save: bool, report_to: Sequence[str]
) -> TrainingArguments:
    """What the Trainer is told; it also finds out which process of how many this is.

    Args:
        folder: For checkpoints.
        settings: The options.
        cpu: Whether to stay on the CPU.
        bfloat16: Whether to compute in it where that is safe.
        save: Whether checkpoints are written.
        report_to: Trackers, such as ``tensorboard``.

    Raises:
        InputError: A step cannot be divided among the processes, or there is no such tracker.
    """
    _require_trackers(report_to)
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=settings.recipe.total_steps,
        gradient_accumulation_steps=settings.accumulate,
        train_sampling_strategy="sequential",
        # The only limit on a step is Adafactor's own.
        max_grad_norm=0.0,
        bf16=bfloat16,
        use_cpu=cpu,
        eval_strategy="steps",
        eval_steps=settings.eval_every,
        save_strategy="steps" if save else "no",
        save_steps=settings.save_every,
        logging_steps=LOG_EVERY,
        logging_nan_inf_filter=False,
        log_level="error",
        disable_tqdm=True,
        report_to=list(report_to) or "none",
        remove_unused_columns=False,
        # All of LoRA is used; of a whole model, some heads may not be.
        ddp_find_unused_parameters=isinstance(settings.recipe, FullFineTuning),
        seed=settings.seed,
    )
    parts = arguments.world_size * settings.accumulate
    texts = settings.recipe.texts_per_step
    if texts % parts:
        raise InputError(
            f"`batch_size` {texts} cannot be divided among {arguments.world_size} processes with "
            f"`accumulate` {settings.accumulate}: give a multiple of {parts}"
        )
    arguments.per_device_train_batch_size = texts // parts
    # Each process needs dropout of its own.
    arguments.seed += arguments.process_index
    # Without torchrun, one process uses one device: the Trainer would spread a step over all that it sees.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _require_trackers(names: Sequence[str]) -> None:
    try:
        for callback in get_reporting_integration_callbacks(list(names)):
            callback()
    except (ValueError, RuntimeError, ImportError) as error:
        raise InputError(f"`report_to` {' '.join(names)} cannot be used: {first_line(error)}") from error

"""transformers' Trainer, made to train a classifier by the recipe and to evaluate every text exactly once.

Imported where it is used: transformers takes seconds to import.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import (
    Adafactor,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    get_cosine_schedule_with_warmup,
)
from transformers.integrations.integration_utils import get_reporting_integration_callbacks

from ntps.checkpoint.owned_files import erase
from ntps.errors import InputError, NumericalError
from ntps.forward.batch_plan import plan_batches
from ntps.hub import first_line
from ntps.options.finetuning import FinetuneSettings, FullFineTuning
from ntps.training.finetuning.batches import Collator
from ntps.training.finetuning.classifier import Classifier
from ntps.training.finetuning.saved import CHECKPOINT, COMPLETE, TRAINED
from ntps.training.loss import loss_function
from ntps.training.metrics import figures_of_logits

Array = NDArray[np.float64]
LOG_EVERY = 10
"""Steps over which the training loss is averaged."""
KEPT = 2
"""Checkpoints that stay: a loss of power may take the last one."""


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
    texts = settings.recipe.batch_size
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


class Tuner(Trainer):  # type: ignore[misc,unused-ignore]
    """The Trainer with the recipe's optimizer and schedule, an evaluation of its own, and small checkpoints.

    Args:
        classifier: What to train.
        arguments: From :func:`training_arguments`.
        settings: The options.
        order: Texts to train on, one after the other.
        collate: Makes tensors of texts to train on.
        test: Makes tensors of the texts to evaluate on; None for no evaluation.
        advance: Told about steps done.
    """

    def __init__(
        self,
        classifier: Classifier,
        arguments: TrainingArguments,
        settings: FinetuneSettings,
        order: Sequence[int],
        collate: Collator,
        test: Collator | None,
        advance: Callable[[int], None],
    ) -> None:
        trained = [parameter for parameter in classifier.parameters() if parameter.requires_grad]
        optimizer = Adafactor(trained, **settings.recipe.optimizer_options)
        # Stepped by the Trainer, once a step: prepared by accelerate, it would step once for every process.
        schedule = get_cosine_schedule_with_warmup(optimizer, settings.recipe.warmup_steps, settings.recipe.total_steps)
        if test is None:
            arguments.eval_strategy = "no"
        super().__init__(
            classifier,
            arguments,
            data_collator=collate,
            train_dataset=order,
            eval_dataset=[],
            optimizers=(optimizer, schedule),
            callbacks=[_Watch(advance)],
        )
        self.remove_callback(PrinterCallback)
        self._classifier, self._task, self._test = classifier, collate.task, test
        self._logits: tuple[int, Array] | None = None

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean loss of a part of a step; the parts are of equal size, so that their mean is that of the step."""
        logits = model(inputs["ids"], inputs["lengths"])
        loss = loss_function(self._task.kind)(logits, inputs["labels"])
        return (loss, logits) if return_outputs else loss

    def logits(self, collate: Collator) -> Float64[Array, "texts outputs"]:
        """Logits of every text of a split, computed by one process each, in the order of the texts."""
        classifier, arguments = self._classifier, self.args
        plan = plan_batches(collate.tokens.lengths, collate.tokens_per_batch)
        found = torch.zeros(len(collate.tokens), collate.task.outputs + 1, device=arguments.device)
        was_training = classifier.training
        classifier.eval()
        with torch.no_grad(), self.accelerator.autocast():
            for batch in plan[arguments.process_index :: arguments.world_size]:
                inputs = self._prepare_inputs(collate(batch.tolist()))
                rows = torch.as_tensor(batch, device=arguments.device)
                found[rows, :-1] = classifier(inputs["ids"], inputs["lengths"])
                found[rows, -1] += 1
        classifier.train(was_training)
        found = self.accelerator.reduce(found, reduction="sum")
        if not bool((found[:, -1] == 1).all()):
            raise NumericalError("not every text was evaluated exactly once: please report this defect")
        outputs: Array = found[:, :-1].cpu().double().numpy()
        return outputs

    def test_logits(self) -> Float64[Array, "texts outputs"]:
        """Logits of the test texts under the weights as they are."""
        if self._test is None:
            raise ValueError("there are no test texts")
        step = self.state.global_step
        if self._logits is None or self._logits[0] != step:
            self._logits = step, self.logits(self._test)
        return self._logits[1]

    def evaluate(self, *_args: Any, **_kwargs: Any) -> dict[str, float]:
        """Figures on the test texts; the Trainer's own loop would pad the last round with repeated texts."""
        if self._test is None:
            return {}
        found = figures_of_logits(self.test_logits(), self._test.labels)
        metrics = {f"eval_{name}": value for name, value in vars(found).items() if value is not None}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Writes what is trained, without the frozen rest; nothing is pickled."""
        if self.args.should_save:
            folder = Path(output_dir or str(self.args.output_dir))
            folder.mkdir(parents=True, exist_ok=True)
            save_file(trained_weights(self._classifier), folder / TRAINED)

    def _save_checkpoint(self, model: nn.Module, trial: object) -> None:
        """Says in one sentence what the disk refuses: torch tells of it in a RuntimeError."""
        try:
            super()._save_checkpoint(model, trial)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise InputError(
                f"cannot write a checkpoint to {self.args.output_dir}: {first_line(error)}; free the space or choose "
                "another folder with `out`"
            ) from error

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """The other half of :meth:`save_model`."""
        weights = load_file(Path(resume_from_checkpoint) / TRAINED)
        result = self._classifier.load_state_dict(weights, strict=False)
        if result.unexpected_keys or set(trained_weights(self._classifier)) != set(weights):
            raise InputError(f"{resume_from_checkpoint} is damaged: start again with `overwrite`")


def trained_weights(classifier: nn.Module) -> dict[str, Tensor]:
    """The weights that training changes, by name."""
    return {name: weight.data for name, weight in classifier.named_parameters() if weight.requires_grad}


class _Watch(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Reports progress, stops where the loss is lost, and makes checkpoints begin a new average of the loss."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Counts the steps of an earlier run."""
        self._advance(state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """A step is done."""
        self._advance(1)
        # An average is not part of a checkpoint.
        control.should_log |= control.should_save or state.global_step >= state.max_steps

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Looks at the loss."""
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            raise NumericalError(
                f"the training loss is no finite number at step {state.global_step}: lower `learning_rate`"
            )

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Marks a checkpoint as complete once every process has written its part."""
        if args.world_size > 1:
            torch.distributed.barrier()
        if args.should_save:
            folder = Path(str(args.output_dir))
            (folder / f"checkpoint-{state.global_step}" / COMPLETE).touch()
            _forget_older(folder)


def _forget_older(folder: Path) -> None:
    """Removes older checkpoints; the Trainer would remove whatever stands in their folders."""
    steps = sorted(int(path.parent.name.rpartition("-")[2]) for path in folder.glob(f"checkpoint-*/{COMPLETE}"))
    for step in steps[:-KEPT]:
        erase(folder, [f"checkpoint-{step}/{name}" for name in CHECKPOINT])


def last_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint in a folder, if there is one."""
    found = [path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE}")]
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)

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

from ntps.errors import InputError, NumericalError
from ntps.forward.batch_plan import plan_batches
from ntps.hub import first_line
from ntps.options.finetuning import FinetuneSettings
from ntps.training.finetuning.batches import Collator
from ntps.training.finetuning.checkpoints import complete
from ntps.training.finetuning.classifier import Classifier
from ntps.training.finetuning.held_back import Best
from ntps.training.finetuning.saved import BEST, TRAINED
from ntps.training.loss import loss_function
from ntps.training.metrics import figures_of_logits

Array = NDArray[np.float64]
STATE = "trainer_state.json"
"""What the Trainer calls its log and counters in a checkpoint."""


class Tuner(Trainer):  # type: ignore[misc,unused-ignore]
    """The Trainer with the recipe's optimizer and schedule, an evaluation of its own, and small checkpoints.

    Args:
        classifier: What to train.
        arguments: From :func:`training_arguments`.
        settings: The options.
        order: Texts to train on, one after the other.
        collate: Makes tensors of texts to train on.
        evaluated: Makes tensors of the texts to evaluate on, those held back or else the test texts; None for no
            evaluation.
        advance: Told about steps done.
    """

    def __init__(
        self,
        classifier: Classifier,
        arguments: TrainingArguments,
        settings: FinetuneSettings,
        order: Sequence[int],
        collate: Collator,
        evaluated: Collator | None,
        advance: Callable[[int], None],
    ) -> None:
        trained = [parameter for parameter in classifier.parameters() if parameter.requires_grad]
        optimizer = Adafactor(trained, **settings.recipe.optimizer_options)
        # Stepped by the Trainer, once a step: prepared by accelerate, it would step once for every process.
        schedule = get_cosine_schedule_with_warmup(optimizer, settings.recipe.warmup_steps, settings.recipe.total_steps)
        if evaluated is None:
            arguments.eval_strategy = "no"
        super().__init__(
            classifier,
            arguments,
            data_collator=collate,
            train_dataset=order,
            eval_dataset=[],
            optimizers=(optimizer, schedule),
            callbacks=[_Watch(advance, settings.recipe.validated)],
        )
        self.remove_callback(PrinterCallback)
        self._classifier, self._task, self._evaluated, self._advance = classifier, collate.task, evaluated, advance
        self._patience = settings.recipe.patience
        self._best: dict[str, Tensor] = {}
        self._logits: tuple[Collator, int, Array] | None = None

    def run(self, found: Path | None) -> None:
        """Trains, from a checkpoint on if there is one."""
        if found is not None:
            state = TrainerState.load_from_json(str(found / STATE))
            if self._is_over(state):
                self._load_from_checkpoint(str(found))
                self.state = state
                self._advance(state.global_step)
                return
        self.train(resume_from_checkpoint=None if found is None else str(found))

    def restore_best(self) -> int:
        """Puts the weights back that did best on the texts held back, if there are any.

        Returns:
            The step that they are of.
        """
        best = Best.of(self.state.log_history) if self._best else None
        if best is None:
            return int(self.state.global_step)
        self._classifier.load_state_dict(self._best, strict=False)
        self._logits = None
        return best.step

    def _is_over(self, state: TrainerState) -> bool:
        """Whether patience is at its end."""
        best = None if self._patience is None else Best.of(state.log_history)
        return best is not None and self._patience is not None and best.since >= self._patience

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean loss of a part of a step; the parts are of equal size, so that their mean is that of the step."""
        logits = model(inputs["ids"], inputs["lengths"])
        loss = loss_function(self._task.kind)(logits, inputs["labels"])
        return (loss, logits) if return_outputs else loss

    def logits(self, collate: Collator) -> Float64[Array, "texts outputs"]:
        """Logits of every text under the weights as they are, in the order of the texts; one process computes each."""
        step = int(self.state.global_step)
        if self._logits is None or self._logits[:2] != (collate, step):
            self._logits = collate, step, self._computed(collate)
        return self._logits[2]

    def _computed(self, collate: Collator) -> Float64[Array, "texts outputs"]:
        classifier, arguments = self._classifier, self.args
        plan = plan_batches(collate.lengths, collate.tokens_per_batch)
        found = torch.zeros(len(collate), collate.task.outputs + 1, device=arguments.device)
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

    def evaluate(self, *_args: Any, **_kwargs: Any) -> dict[str, float]:
        """Figures on the texts to evaluate; the Trainer's own loop would pad the last round with repeated texts."""
        if self._evaluated is None:
            return {}
        found = figures_of_logits(self.logits(self._evaluated), self._evaluated.labels)
        metrics = {f"eval_{name}": value for name, value in vars(found).items() if value is not None}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        if self._patience is not None:
            self._keep_or_stop()
        return metrics

    def _keep_or_stop(self) -> None:
        """Sets the weights aside where no earlier ones did as well, and ends the training where patience does."""
        best = Best.of(self.state.log_history)
        if best is not None and best.since == 0:
            self._best = {
                name: weight.to("cpu", copy=True) for name, weight in trained_weights(self._classifier).items()
            }
        if self._is_over(self.state):
            self.control.should_training_stop = True
            self.control.should_save = self.args.save_strategy != "no"

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Writes what is trained, without the frozen rest; nothing is pickled."""
        if self.args.should_save:
            folder = Path(output_dir or str(self.args.output_dir))
            folder.mkdir(parents=True, exist_ok=True)
            save_file(trained_weights(self._classifier), folder / TRAINED)
            if self._best:
                save_file(self._best, folder / BEST)

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
        folder = Path(resume_from_checkpoint)
        weights = load_file(folder / TRAINED)
        result = self._classifier.load_state_dict(weights, strict=False)
        if (folder / BEST).is_file():
            self._best = load_file(folder / BEST)
        trained = set(trained_weights(self._classifier))
        if result.unexpected_keys or not trained == set(weights) == set(self._best or weights):
            raise InputError(f"{resume_from_checkpoint} is damaged: start again with `overwrite`")


def trained_weights(classifier: nn.Module) -> dict[str, Tensor]:
    """The weights that training changes, by name."""
    return {name: weight.data for name, weight in classifier.named_parameters() if weight.requires_grad}


class _Watch(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Reports progress, stops where the loss is lost, and makes checkpoints begin a new average of the loss."""

    def __init__(self, advance: Callable[[int], None], may_stop: bool) -> None:
        self._advance, self._may_stop = advance, may_stop

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Counts the steps of an earlier run."""
        self._advance(state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """A step is done."""
        self._advance(1)
        # An average is not part of a checkpoint, and an evaluation may end the training.
        control.should_log |= control.should_save or state.global_step >= state.max_steps
        control.should_log |= control.should_evaluate and self._may_stop

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
            complete(Path(str(args.output_dir)), state.global_step)

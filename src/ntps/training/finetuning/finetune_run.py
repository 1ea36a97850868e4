"""Model × task → a fine-tuned classifier with its figures: LoRA, or all weights, from a checkpoint or from scratch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from ntps.checkpoint.lock import clear_folder, left_behind
from ntps.checkpoint.manifest import Manifest, read_manifest, require_same_run, write_manifest
from ntps.checkpoint.owned_files import erase, take
from ntps.errors import InputError
from ntps.files import MANIFEST, PROGRESS, writing
from ntps.jobs.held_out_texts import CHOSEN, HeldOutTexts
from ntps.jobs.progress import Reporter
from ntps.jobs.provenance import envelope
from ntps.jobs.session import RunSession
from ntps.jobs.unused_rows import unused_rows
from ntps.models.adapters.adapter import require_training
from ntps.models.devices import check_device_name
from ntps.models.load import load_model
from ntps.models.quiet import quiet_transformers
from ntps.options.finetuning import FinetuneSettings, Precision
from ntps.options.recipes import LoRA
from ntps.tasks.task import Task
from ntps.training.finetuning.batches import Collator, text_order
from ntps.training.finetuning.checkpoints import last_checkpoint
from ntps.training.finetuning.classifier import new_classifier
from ntps.training.finetuning.curves import training_curves
from ntps.training.finetuning.held_back import Ids, held_back
from ntps.training.finetuning.saved import CHECKPOINTS, files_of, refuse_strangers, save_classifier
from ntps.training.metrics import Metrics, figures_of_logits, majority_accuracy
from ntps.training.records import FinetuneFile, FinetuneRecord
from ntps.validation.labels import Labels

if TYPE_CHECKING:
    from transformers import TrainingArguments


PHASES = ("tokenize", "forward", "training", "evaluation")
TOKENS_PER_BATCH = {"cpu": 512}
"""Padded tokens that go through the model at once, where fewer are faster than the default of scoring."""


def run_finetune(
    model: str | Path | None,
    task: Task,
    settings: FinetuneSettings,
    *,
    out: Path | None = None,
    device: str | None = None,
    tokenizer: str | Path | None = None,
    trust_remote_code: bool = False,
    report_to: Sequence[str] = (),
    resume: bool = True,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> FinetuneRecord:
    """Trains a classifier on a task and evaluates it on the test texts.

    Under ``torchrun`` every process takes a part of each step.

    Args:
        model: Folder, hub id, ``id@revision`` or short name; the embedded model if None. It is loaded here, because
            training changes it.
        task: The task.
        settings: The options.
        out: Folder for the results, which the caller has claimed; nothing is kept without it.
        device: ``cpu`` or ``cuda``; CUDA if there is one by default.
        tokenizer: Tokenizer to use instead of the model's own.
        trust_remote_code: Whether code from the hub may run.
        report_to: Trackers that transformers knows, such as ``tensorboard``.
        resume: Whether a run that was interrupted is continued.
        overwrite: Whether the progress of any other run is discarded.
        reporter: Learns about progress.

    Raises:
        InputError: Something that was given cannot be used, a library is missing, or a file cannot be written.
        NumericalError: The loss is no number.
    """
    require_training("fine-tuning")
    from ntps.training.finetuning.arguments import training_arguments

    cpu, bfloat16 = _device(device, settings)
    precision: Precision = "bfloat16" if bfloat16 else "float32"
    whole = Labels.of(task, task.train)
    parts = held_back(whole, settings.seed) if settings.recipe.validated else (np.arange(len(whole)), np.arange(0))
    settings = replace(settings, precision=precision).for_texts(len(parts[0]))
    recipe = settings.recipe
    with _folder(out) as folder, quiet_transformers():
        arguments = training_arguments(
            folder, settings, cpu=cpu, bfloat16=bfloat16, save=out is not None, report_to=report_to
        )
        loaded = load_model(
            model,
            # LoRA does not train the base, which may then be kept in the smaller dtype.
            dtype="bfloat16" if bfloat16 and isinstance(recipe, LoRA) else "float32",
            device=str(arguments.device),
            tokenizer=tokenizer,
            trust_remote_code=trust_remote_code,
            fresh=settings.seed if recipe.from_scratch else None,
        )
        settings = replace(settings, method=recipe.for_model(loaded.parameters))
        run = _FinetuneRun(loaded, task, settings, reporter, PHASES)
        run.trained, run.held_back = parts
        return run.finetune(arguments, folder, out, resume, overwrite)


class _FinetuneRun(RunSession):
    settings: FinetuneSettings
    trained: Ids
    held_back: Ids
    notes: tuple[str, ...] = ()

    def finetune(
        self, arguments: TrainingArguments, folder: Path, out: Path | None, resume: bool, overwrite: bool
    ) -> FinetuneRecord:
        from ntps.training.finetuning.tuner import Tuner

        settings, recipe, task = self.settings, self.settings.recipe, self.task
        fallback = TOKENS_PER_BATCH.get(self.model.device.type, self.tokens_per_batch)
        self.tokens_per_batch = settings.tokens_per_batch or fallback
        run = {"kind": FinetuneRecord.kind, **self.identity()}
        if out is not None:
            # The first process looks, and clears away what is not continued, before the others look.
            with arguments.main_process_first():
                behind = [arguments.should_save and left_behind(out, run) and resume]
                if not behind[0]:
                    self.open(out, arguments, resume, overwrite)
            if arguments.world_size > 1:
                torch.distributed.broadcast_object_list(behind)
            if behind[0]:
                # It was killed when all but the clearing up was done.
                record = FinetuneRecord.read(out)
                _end(arguments, out)
                return record
        collator = partial(Collator, task, pad_id=self.model.pad_id, tokens_per_batch=self.tokens_per_batch)
        train = collator(task.train, self.tokens)
        validation = collator(task.train, self.tokens, part=self.held_back) if len(self.held_back) else None
        test = None if self.test is None or self.test_tokens is None else collator(self.test, self.test_tokens)
        classifier = new_classifier(self.model, task, settings, masked=not self.check.causal)
        parameters = list(classifier.parameters())
        draws = text_order(len(self.trained), recipe.total_steps * recipe.texts_per_step, settings.seed)
        order = self.trained[draws].tolist()
        advance = self.reporter.start("training", recipe.total_steps, "steps")
        evaluated = validation if recipe.validated else test
        tuner = Tuner(classifier, arguments, settings, order, train, evaluated, advance)
        found = last_checkpoint(folder)
        with self.clock.phase("training"), writing(folder):
            try:
                tuner.run(found)
            except torch.OutOfMemoryError as error:
                raise InputError(
                    f"out of memory in step {tuner.state.global_step + 1}: take a step in more parts with a higher "
                    "`accumulate`, or lower `max_length`"
                ) from error
        with self.clock.phase("evaluation"):
            kept = tuner.restore_best()
            figures: dict[str, Metrics | None] = dict.fromkeys(("train", "validation", "test"))
            held_out: HeldOutTexts | None = None
            if validation is not None:
                figures["validation"] = figures_of_logits(tuner.logits(validation), validation.labels)
            if test is None:
                figures["train"] = figures_of_logits(tuner.logits(train), train.labels)
            else:
                logits = tuner.logits(test)
                figures["test"] = figures_of_logits(logits, test.labels, held_out=True)
                held_out = HeldOutTexts.of({CHOSEN: logits + 0.5 * (task.kind == "multilabel")}, test.labels)
        steps = int(tuner.state.global_step)
        summary = {
            **{name: None if each is None else asdict(each) for name, each in figures.items()},
            "validation_texts": len(self.held_back),
            "majority_accuracy": {
                "train": majority_accuracy(train.labels, train.labels),
                "test": None if test is None else majority_accuracy(train.labels, test.labels),
            },
            "steps": steps,
            "kept_step": kept,
            "stopped": "all steps were done" if steps == recipe.total_steps else "no better evaluation",
            "trainable_parameters": sum(each.numel() for each in parameters if each.requires_grad),
            "total_parameters": sum(each.numel() for each in parameters),
        }
        tested = None if figures["test"] is None or not recipe.validated else (kept, figures["test"])
        split: Literal["validation", "test"] = "validation" if recipe.validated else "test"
        curves = training_curves(tuner.state.log_history, task, split, tested)
        record = FinetuneRecord(self.result(arguments, summary), curves, held_out=held_out)
        if out is not None and arguments.should_save:
            clear_folder(out, run)
            weights = self.described.weights
            save_classifier(classifier, out, model=self.model, weights=weights, task=task, settings=settings)
            record.write(out)
        _end(arguments, out)
        return record

    def open(self, out: Path, arguments: TrainingArguments, resume: bool, overwrite: bool) -> None:
        """Finds out whether there is something to continue, and leaves nothing else there."""
        folder = out / PROGRESS
        fresh = Manifest(self.identity(), _conditions(arguments), self.tokens_per_batch)
        if not arguments.should_save:
            return
        take(out, files_of(self.settings.recipe.name, out))
        refuse_strangers(out)
        found = None if overwrite else read_manifest(folder / MANIFEST)
        if found is not None:
            require_same_run(folder, found, fresh, self.settings.tokens_per_batch)
        with writing(folder):
            if found is None or not resume:
                erase(out, CHECKPOINTS)
                folder.mkdir(parents=True, exist_ok=True)
            else:
                self.notes = found.interruption(fresh, "it differs from one that was not")
            write_manifest(folder / MANIFEST, fresh)

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be continued."""
        same = self.run_identity(self.settings.to_dict(), "peft", "accelerate")
        return {"model weights": self.described.weights, **same}

    def result(self, arguments: TrainingArguments, summary: Mapping[str, object]) -> FinetuneFile:
        found = self.provenance()
        settings = found.settings.model_copy(update={"processes": arguments.world_size})
        provenance = found.model_copy(update={"settings": settings})
        return FinetuneFile.model_validate(
            {
                **envelope("finetune", provenance, self.clock, "peft", "accelerate"),
                "summary": summary,
                "warnings": [*unused_rows(self.described_task, unusable=True), *self.notes, *self.warnings()],
            }
        )

    def warnings(self) -> Iterator[str]:
        """What a reader must know."""
        recipe = self.settings.recipe
        if isinstance(recipe, LoRA) and recipe.rank > self.model.hidden_size:
            yield (
                f"a LoRA of rank {recipe.rank} in a model of width {self.model.hidden_size} has no more than "
                f"{self.model.hidden_size} directions: the rest of its weights is wasted"
            )
        if recipe.validated and not len(self.held_back):
            yield (
                "all training texts belong together, so that none could be held back: training did every step, and the "
                "last weights were kept"
            )
        if self.test is None:
            yield "there are no test texts: the figures are those of the training texts, which flatter"
        yield from super().warnings()


def _device(name: str | None, settings: FinetuneSettings) -> tuple[bool, bool]:
    """Whether to stay on the CPU, and whether to compute in bfloat16."""
    if name not in (None, "cpu", "cuda"):
        check_device_name(name)
        raise InputError(
            f"`device` {name} is for scoring: choose cpu or cuda; torchrun uses several devices, and "
            "CUDA_VISIBLE_DEVICES says which"
        )
    cpu = name == "cpu" or not torch.cuda.is_available()
    if name == "cuda" and cpu:
        raise InputError("`device` cuda cannot be used here: there is no CUDA device")
    if settings.precision == "auto":
        return cpu, not cpu and torch.cuda.is_bf16_supported(including_emulation=False)
    return cpu, settings.precision == "bfloat16"


def _end(arguments: TrainingArguments, out: Path | None) -> None:
    """Leaves no progress, once every process has what it needs of it."""
    if arguments.world_size > 1:
        torch.distributed.barrier()
    if out is not None and arguments.should_save:
        erase(out, CHECKPOINTS)
    if arguments.world_size > 1:
        torch.distributed.destroy_process_group()


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Where checkpoints go; the Trainer insists on a folder even if it writes none."""
    if out is not None:
        yield out / PROGRESS
        return
    with TemporaryDirectory(prefix="ntps-") as folder:
        yield Path(folder)


def _conditions(arguments: TrainingArguments) -> dict[str, Any]:
    """What moves the last bits, or the order of dropout."""
    return {
        "device": arguments.device.type,
        "threads": torch.get_num_threads(),
        "processes": arguments.world_size,
    }

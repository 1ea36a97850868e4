"""A trained classifier on disk: the adapter or the model, the head, and what belongs to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ntps.checkpoint.owned_files import Account, erase, read_account, strangers, take
from ntps.errors import InputError
from ntps.files import SCHEMA, write_text, writing
from ntps.hub import first_line
from ntps.models.adapters.adapter import attach_adapter
from ntps.models.adapters.files import ADAPTER, CONFIG, ORIGIN, WEIGHTS
from ntps.models.adapters.lora import adapter_tensors
from ntps.models.model import LanguageModel
from ntps.models.quiet import quiet_transformers
from ntps.models.tokenizing.tokenizer import tokenizer_fingerprint
from ntps.options.finetuning import FinetuneSettings
from ntps.options.recipes import Method
from ntps.tasks.task import Task
from ntps.training.finetuning.classifier import Classifier

MODEL = "model"
"""Folder of a model that was trained as a whole."""
HEAD = "head.safetensors"
TRAINED, BEST, COMPLETE = "model.safetensors", "best.safetensors", "complete"
"""What is trained, what did best of it so far, and the empty file that a checkpoint gets last."""
CHECKPOINT = (
    TRAINED,
    BEST,
    "optimizer.pt",
    "scheduler.pt",
    "scaler.pt",
    "trainer_state.json",
    "rng_state*.pth",
    COMPLETE,
)
"""Files of a checkpoint: those three, and the Trainer's own."""
CHECKPOINTS = (
    "progress/ledger.json",
    *(f"progress/checkpoint-[0-9]*/{name}" for name in CHECKPOINT),
    *(f"progress/runs/{place}/events.out.tfevents.*" for place in ("*", "*/*")),
)
"""Progress of a training, with what TensorBoard adds, as patterns of files."""
ADAPTER_FILES = tuple(f"{ADAPTER}/{name}" for name in (CONFIG, WEIGHTS, HEAD, ORIGIN))
MODEL_FILES = tuple(f"{MODEL}/{name}" for name in ("config.json", HEAD, ORIGIN))
"""The rest is told by the library that writes it."""
HALVES = tuple(f".{name}.tmp/{files}" for name in (ADAPTER, MODEL) for files in ("*", "*/*"))


def files_of(method: Method, out: Path | None) -> tuple[str, ...]:
    """Patterns of all that a fine-tuning writes into a folder of results, or replaces there."""
    account = Account() if out is None else read_account(out)
    adapter = ADAPTER_FILES if method == "lora" or account.owns(ADAPTER) else ()
    model = MODEL_FILES if method == "full" or account.owns(MODEL) else ()
    return (*CHECKPOINTS, *HALVES, *adapter, *model)


def save_classifier(
    classifier: Classifier, out: Path, *, model: LanguageModel, weights: str, task: Task, settings: FinetuneSettings
) -> Path:
    """Writes ``adapter/`` or ``model/`` into a folder of results, whole or not at all.

    Args:
        classifier: What was trained.
        out: The folder of results.
        model: The model that it was made of.
        weights: Fingerprint of that model before it was trained.
        task: What it was trained on.
        settings: The options.

    Returns:
        The folder that was written.
    """
    folder = out / (ADAPTER if settings.recipe.name == "lora" else MODEL)
    take(out, files_of(settings.recipe.name, out))
    remove_classifier(out)
    temporary = folder.with_name(f".{folder.name}.tmp")
    content = {
        "schema": SCHEMA,
        "model": {
            "id": model.id,
            "revision": model.revision,
            "tokenizer": model.tokenizer_id,
            "tokenizer_fingerprint": tokenizer_fingerprint(model.tokenizer),
            "architecture": model.architecture,
            "weights": weights,
            "dtype": str(model.dtype).removeprefix("torch."),
        },
        "target_kind": task.kind,
        "label_names": list(task.label_names),
        "text_columns": list(task.selection.get("text_columns") or ()),
        "pooling": settings.pooling,
        "attention_mask": "passed" if classifier.masked else "omitted",
        "head_dropout": settings.recipe.head_dropout,
        "max_length": settings.max_length,
    }
    base: Any = classifier.base
    with writing(folder):
        temporary.mkdir(parents=True)
        if settings.recipe.name == "lora":
            tensors, config = adapter_tensors(base)
            save_file(tensors, temporary / WEIGHTS, metadata={"format": "pt"})
            write_text(temporary / CONFIG, json.dumps(config, indent=1) + "\n")
        else:
            with quiet_transformers():
                base.save_pretrained(temporary)
            model.tokenizer.save_pretrained(temporary)
        save_file(classifier.head.state_dict(), temporary / HEAD, metadata={"format": "pt"})
        write_text(temporary / ORIGIN, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        names = [path.relative_to(temporary) for path in temporary.rglob("*") if path.is_file()]
        take(out, [f"{folder.name}/{name.as_posix()}" for name in names])
        temporary.replace(folder)
    return folder


def refuse_strangers(out: Path) -> None:
    """Raises an :class:`InputError` if something stands in ``adapter/`` or ``model/`` that ntps did not write."""
    account = read_account(out)
    for name in (ADAPTER, MODEL):
        if account.owns(name) and (found := strangers(out, name)):
            raise InputError(
                f"{found[0]} was not written by ntps, and stands where its {name}/ would be replaced: move it away, or "
                "choose another `out`"
            )


def remove_classifier(out: Path) -> None:
    """Removes what an earlier run into the same folder wrote, or was writing when it was killed."""
    refuse_strangers(out)
    ours = read_account(out).wrote
    erase(out, [pattern for pattern in ours if pattern.startswith((f"{ADAPTER}/", f"{MODEL}/"))])
    erase(out, HALVES)


def classifier_folder(folder: Path) -> Path | None:
    """The folder of a classifier: ``adapter/`` or ``model/`` in a folder of results, or itself; None without one."""
    return next((part for part in (folder / ADAPTER, folder / MODEL, folder) if (part / ORIGIN).is_file()), None)


def load_classifier(model: LanguageModel, folder: str | Path) -> Classifier:
    """Loads a classifier that ``ntps finetune`` trained, in evaluation mode.

    Args:
        model: For ``adapter/``, the model that it was trained on, in the same dtype; its base is changed. For
            ``model/``, what :func:`ntps.load_model` makes of that folder.
        folder: The folder ``adapter/`` or ``model/``, or the folder of results that holds it.

    Returns:
        A module that gives the logits of token ids and lengths.

    Raises:
        InputError: The folder holds no classifier, or that of another model.
    """
    folder = classifier_folder(Path(folder)) or Path(folder)
    try:
        content = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
        head = load_file(folder / HEAD)
        outputs, width = head["weight"].shape
        classifier = Classifier(
            model.base,
            width,
            outputs,
            dropout=content["head_dropout"],
            masked=content["attention_mask"] == "passed",
        )
        classifier.head.load_state_dict(head)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{folder} holds no classifier ({first_line(error)}): give a folder that ntps finetune wrote"
        ) from error
    if width != model.hidden_size:
        raise InputError(
            f"the head in {folder} is for hidden states of width {width}, but those of {model.id} have "
            f"{model.hidden_size}: name the model that it was trained on"
        )
    if (folder / CONFIG).is_file():
        classifier.base = attach_adapter(model.base, folder, model.id)
    return classifier.to(model.device).eval()

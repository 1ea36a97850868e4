"""A trained classifier on disk: the adapter or the model, the head, and what belongs to them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ntps.errors import InputError
from ntps.hub import gist
from ntps.models import LanguageModel
from ntps.models.adapter import attach_adapter
from ntps.models.adapter_files import ADAPTER, CONFIG, ORIGIN, WEIGHTS
from ntps.models.lora import adapter_tensors
from ntps.models.quiet import quiet_transformers
from ntps.moments.record import SCHEMA, write_text
from ntps.moments.storage import writing
from ntps.tasks import Task
from ntps.training.classifier import Classifier
from ntps.training.recipe import FinetuneSettings

MODEL = "model"
"""Folder of a model that was trained as a whole."""
HEAD = "head.safetensors"


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
    folder = out / (ADAPTER if settings.method == "lora" else MODEL)
    remove_classifier(out)
    temporary = folder.with_name(f".{folder.name}.tmp")
    content = {
        "schema": SCHEMA,
        "model": {
            "id": model.id,
            "revision": model.revision,
            "architecture": model.architecture,
            "weights": weights,
            "dtype": str(model.dtype).removeprefix("torch."),
        },
        "target_kind": task.kind,
        "label_names": list(task.label_names),
        "pooling": settings.pooling,
        "attention_mask": "passed" if classifier.masked else "omitted",
        "head_dropout": settings.head_dropout,
        "max_length": settings.max_length,
    }
    base: Any = classifier.base
    with writing(folder):
        temporary.mkdir(parents=True)
        if settings.method == "lora":
            tensors, config = adapter_tensors(base)
            save_file(tensors, temporary / WEIGHTS, metadata={"format": "pt"})
            write_text(temporary / CONFIG, json.dumps(config, indent=1) + "\n")
        else:
            with quiet_transformers():
                base.save_pretrained(temporary)
            model.tokenizer.save_pretrained(temporary)
        save_file(classifier.head.state_dict(), temporary / HEAD, metadata={"format": "pt"})
        write_text(temporary / ORIGIN, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        temporary.replace(folder)
    return folder


def remove_classifier(out: Path) -> None:
    """Removes what an earlier run into the same folder wrote, or was writing when it was killed."""
    with writing(out):
        for name in (ADAPTER, MODEL):
            for folder in (out / name, out / f".{name}.tmp"):
                if folder.exists():
                    shutil.rmtree(folder)


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
    folder = Path(folder)
    folder = next((part for part in (folder / ADAPTER, folder / MODEL) if (part / ORIGIN).is_file()), folder)
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
            f"{folder} holds no classifier ({gist(error)}): give a folder that ntps finetune wrote"
        ) from error
    if width != model.hidden_size:
        raise InputError(
            f"the head in {folder} is for hidden states of width {width}, but those of {model.id} have "
            f"{model.hidden_size}: name the model that it was trained on"
        )
    if (folder / CONFIG).is_file():
        classifier.base = attach_adapter(model.base, folder, model.id)
    return classifier.to(model.device).eval()

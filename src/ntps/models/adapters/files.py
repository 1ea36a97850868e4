"""The files of a LoRA adapter in PEFT's format: where they are, and what they hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from ntps.errors import InputError
from ntps.hub import first_line

ADAPTER = "adapter"
"""Folder of the adapter in the results of a fine-tuning run."""
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PICKLED = "adapter_model.bin"
"""Weights as PEFT wrote them before 0.7."""
ORIGIN = "classifier.json"
"""What ntps writes beside an adapter: among other things, the weights that it was trained on."""


@dataclass(frozen=True)
class AdapterFiles:
    """What the folder of an adapter holds.

    Attributes:
        folder: The folder.
        settings: PEFT's configuration.
        tensors: The weights by PEFT's names.
        digest: SHA-256 of the file of the weights.
        trained_on: What ntps noted about the model that it trained the adapter on; None for adapters of others.
    """

    folder: Path
    settings: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    digest: str
    trained_on: Mapping[str, Any] | None


def read_adapter(folder: Path) -> AdapterFiles:
    """Reads the folder of an adapter, or the folder of results of the fine-tuning run that wrote it.

    Raises:
        InputError: There is no adapter, or none that can be read, or one of another kind than LoRA.
    """
    if not folder.is_dir():
        raise InputError(f"`adapter` {folder} is not a folder: give the one that holds {CONFIG}")
    if (folder / ADAPTER / CONFIG).is_file():
        folder /= ADAPTER
    weights = folder / (PICKLED if (folder / PICKLED).is_file() and not (folder / WEIGHTS).is_file() else WEIGHTS)
    for file in (folder / CONFIG, weights):
        if not file.is_file():
            raise InputError(f"`adapter` {folder} has no {file.name}: give a folder that ntps finetune or PEFT wrote")
    try:
        settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        kind = settings["peft_type"]
        if kind == "LORA":
            tensors = _load(folder)
    except Exception as error:  # unpickling raises nearly everything
        raise InputError(f"the adapter in {folder} cannot be read ({first_line(error)}): train it again") from error
    if kind != "LORA":
        raise InputError(
            f"the adapter in {folder} is of the kind {kind}, and only LoRA adapters can be merged here: merge it with "
            "PEFT's merge_and_unload, save the model, and give the folder of that model"
        )
    return AdapterFiles(folder, settings, tensors, hashlib.sha256(weights.read_bytes()).hexdigest(), _origin(folder))


@contextmanager
def without_adapter(folder: Path) -> Iterator[Path]:
    """A model's folder as it is without an adapter that lies beside the weights.

    Transformers adds such an adapter to the weights unasked, where PEFT is installed; here it is merged if it is
    named.
    """
    if not (folder / CONFIG).is_file():
        yield folder
        return
    with TemporaryDirectory() as view:
        for file in folder.iterdir():
            if file.name != CONFIG:
                (Path(view) / file.name).symlink_to(file.resolve())
        yield Path(view)


def adapter_beside(folder: Path, name: str) -> tuple[str, ...]:
    """What a reader must know about a model that is loaded by :func:`without_adapter`."""
    if not (folder / CONFIG).is_file():
        return ()
    return (
        f"{name} holds an adapter beside its weights ({CONFIG}), which was not added to them: name its folder with "
        "`adapter` to have it merged",
    )


def _load(folder: Path) -> dict[str, Tensor]:
    from peft.utils import load_peft_weights

    # Of a pickle, it takes tensors alone.
    found: dict[str, Tensor] = load_peft_weights(str(folder), device="cpu")
    return found


def _origin(folder: Path) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))["model"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{folder / ORIGIN} cannot be read ({first_line(error)}): train the adapter again") from error
    return found

"""LoRA adapters in PEFT's format: where they go, how they are written, read and merged."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ntps.errors import InputError
from ntps.hub import gist
from ntps.models.fingerprint import weights_fingerprint
from ntps.models.model import LanguageModel

ADAPTER = "adapter"
"""Folder of the adapter in the results of a fine-tuning run."""
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
ORIGIN = "classifier.json"
"""What ntps writes beside an adapter: among other things, the weights that it was trained on."""

TARGETS: tuple[tuple[str, ...], ...] = (
    ("q_proj", "k_proj", "v_proj"),
    ("c_attn",),
    ("qkv_proj",),
    ("query_key_value",),
    ("query", "key", "value"),
)
"""Names of the query, key and value projections: one for each family of architectures."""


def add_lora(model: LanguageModel, *, rank: int, alpha: float, dropout: float, start_layer: int) -> nn.Module:
    """Puts fresh LoRA matrices on the query, key and value projections of the model's blocks, in place.

    The rest of the model is frozen. The matrices are float32 whatever the dtype of the model.

    Args:
        model: The model; its base is changed.
        rank: Rank of the matrices.
        alpha: Their product counts ``alpha / rank`` times.
        dropout: Dropout before the first of them.
        start_layer: The first block that gets any; blocks count from 0.

    Returns:
        PEFT's model around the base.

    Raises:
        InputError: The projections have unknown names, or there is no such block.
    """
    from peft import LoraConfig, get_peft_model

    if not 0 <= start_layer < model.num_layers:
        raise InputError(f"--start-layer must be 0 to {model.num_layers - 1} for {model.id}, not {start_layer}")
    targets = _targets(model)
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # any number will do
        lora_dropout=dropout,
        bias="none",
        target_modules=list(targets),
        layers_to_transform=list(range(start_layer, model.num_layers)) if start_layer else None,
        layers_pattern=_path(model.base, model.blocks) if start_layer else None,
        # GPT-2 stores its projections transposed.
        fan_in_fan_out=targets == ("c_attn",),
    )
    with _peft_is_quiet():
        return get_peft_model(model.base, config)


def adapter_tensors(peft_model: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights of an adapter by PEFT's names, and its configuration in JSON types."""
    from peft import get_peft_model_state_dict

    # Not "auto", which asks the hub.
    weights = get_peft_model_state_dict(peft_model, save_embedding_layers=False)
    config = {**peft_model.active_peft_config.to_dict(), "inference_mode": True}
    plain = {name: sorted(value) if isinstance(value, set) else value for name, value in config.items()}
    return weights, plain


def require_training(what: str) -> None:
    """Makes sure that the libraries of the extra ``train`` are installed.

    Raises:
        InputError: One is missing; ``what`` says what needs it.
    """
    for name in ("accelerate", "peft"):
        if find_spec(name) is None:
            raise InputError(f"{what} needs the package {name}: install it with `pip install '.[train]'`")


def attach_adapter(base: nn.Module, folder: Path, name: str) -> Any:
    """Puts a trained adapter on a base transformer, in place.

    Args:
        base: The base transformer.
        folder: Folder in PEFT's format; from :func:`add_lora`, or trained on the causal language model with its head.
        name: What the user calls the model, for messages.

    Returns:
        PEFT's model around the base.

    Raises:
        InputError: The folder holds no LoRA adapter, or one of another model.
    """
    require_training("an adapter")
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    folder = adapter_folder(folder)
    found = _read(folder)
    wrong = InputError(f"the adapter in {folder} belongs to another model than {name}")
    trained_on = _trained_on(folder)
    dtype = str(next(base.parameters()).dtype).removeprefix("torch.")
    # The weights of another dtype are others.
    if trained_on and trained_on["dtype"] == dtype and trained_on["weights"] != weights_fingerprint(base):
        raise InputError(f"{wrong}: it was trained on {trained_on['id']}, whose weights differ; name that model")
    with _peft_is_quiet():
        try:
            config = LoraConfig.from_pretrained(str(folder))
            config.modules_to_save, config.task_type, config.inference_mode = None, None, False
            peft_model = get_peft_model(base, config)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{wrong}: {gist(error).partition('. ')[0]}") from error
        wanted = get_peft_model_state_dict(peft_model, save_embedding_layers=False)
        headless = f"base_model.model.{getattr(base, 'base_model_prefix', '')}."
        found = {key.replace(headless, "base_model.model.", 1): value for key, value in found.items()}
        for key in sorted({*wanted, *found}):
            if key not in wanted or key not in found:
                where = "the model has no place for" if key in found else "the adapter lacks"
                raise InputError(f"{wrong}: {where} {key}")
            if wanted[key].shape != found[key].shape:
                shapes = f"{tuple(found[key].shape)} in the adapter, {tuple(wanted[key].shape)} expected"
                raise InputError(f"{wrong}, or its configuration was changed: {key} is {shapes}")
        set_peft_model_state_dict(peft_model, found)
    return peft_model.eval()


def check_adapter(model: LanguageModel, folder: Path) -> None:
    """Raises what :func:`attach_adapter` would, and leaves the model as it is."""
    attach_adapter(model.base, folder, model.id).unload()


def merge_adapter(base: nn.Module, folder: Path, name: str) -> tuple[nn.Module, dict[str, Any]]:
    """Adds a trained adapter to the weights of a base transformer, which should be float32, in place.

    Args and errors are those of :func:`attach_adapter`.

    Returns:
        The base transformer, and what the adapter is, for ``result.json``.
    """
    peft_model = attach_adapter(base, folder, name)
    config = peft_model.active_peft_config
    described = {
        "id": str(folder),
        "rank": config.r,
        "alpha": config.lora_alpha,
        "targets": sorted(config.target_modules),
        "weights": hashlib.sha256((adapter_folder(folder) / WEIGHTS).read_bytes()).hexdigest(),
    }
    return peft_model.merge_and_unload(), described


def _targets(model: LanguageModel) -> tuple[str, ...]:
    names = {name.rpartition(".")[2] for name, _module in model.blocks.named_modules()}
    for targets in TARGETS:
        if names >= set(targets):
            return targets
    raise InputError(
        f"the query, key and value projections of {model.id} ({model.architecture}) have unknown names: LoRA knows "
        f"{'; '.join(', '.join(targets) for targets in TARGETS)}; use --method full"
    )


def _path(base: nn.Module, blocks: nn.ModuleList) -> str:
    names: dict[nn.Module, str] = {module: name for name, module in base.named_modules()}
    return names[blocks]


def adapter_folder(folder: Path) -> Path:
    """The folder of the adapter itself, where that of a fine-tuning run is given."""
    return folder / ADAPTER if (folder / ADAPTER / CONFIG).is_file() else folder


def _read(folder: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not folder.is_dir():
        raise InputError(f"--adapter {folder} is not a folder: give the one that holds {CONFIG}")
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise InputError(f"--adapter {folder} has no {name}: give a folder that ntps finetune or PEFT wrote")
    try:
        kind = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["peft_type"]
        weights = load_file(folder / WEIGHTS)
    except (OSError, ValueError, LookupError, TypeError, SafetensorError) as error:
        raise InputError(f"the adapter in {folder} cannot be read ({gist(error)}): train it again") from error
    if kind != "LORA":
        raise InputError(f"the adapter in {folder} is of the kind {kind}: only LoRA adapters can be merged")
    return weights


def _trained_on(folder: Path) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))["model"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{folder / ORIGIN} cannot be read ({gist(error)}): train the adapter again") from error
    return found


@contextmanager
def _peft_is_quiet() -> Iterator[None]:
    """PEFT calls methods of transformers that are deprecated, and gives advice that does not concern us."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

"""Trained LoRA adapters: put on a base transformer as they were trained on the whole model, and merged into it."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ntps.errors import InputError
from ntps.hub import first_line
from ntps.models.adapters.files import CONFIG, AdapterFiles, read_adapter
from ntps.models.adapters.lora import peft_is_quiet
from ntps.models.architecture import vocabulary
from ntps.models.fingerprint import weights_fingerprint
from ntps.models.model import LanguageModel

_ROOT = "base_model.model."
"""What PEFT's names begin with."""


class _Headless(nn.Module):
    """A model without its head, in which the base transformer has the name that it has in a model with one.

    Whatever names modules by their path (targets, patterns of ranks, excluded modules) means this path.
    """

    def __init__(self, base: Any) -> None:
        super().__init__()
        self.config = base.config
        self.place = base.base_model_prefix
        self.add_module(self.place, base)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(self, self.place)(*args, **kwargs)

    def get_input_embeddings(self) -> nn.Module:
        found: nn.Module = getattr(self, self.place).get_input_embeddings()
        return found


def require_training(what: str) -> None:
    """Makes sure that the libraries of the extra ``train`` are installed.

    Raises:
        InputError: One is missing; ``what`` says what needs it.
    """
    for name in ("accelerate", "peft"):
        require_package(name, what)


def require_package(name: str, what: str) -> None:
    """Makes sure that a package of the extra ``train`` is installed; arguments and errors as above."""
    if find_spec({"scikit-learn": "sklearn"}.get(name, name)) is None:
        raise InputError(f"{what} needs the package {name}: install it with `pip install '.[train]'`")


def attach_adapter(base: nn.Module, folder: Path, name: str) -> Any:
    """Puts a trained adapter on a base transformer, in place.

    Args:
        base: The base transformer.
        folder: Folder in PEFT's format; from :func:`ntps.models.adapters.lora.add_lora`, or trained with PEFT on the
            model with or without its head.
        name: What the user calls the model, for messages.

    Returns:
        PEFT's model around the base.

    Raises:
        InputError: The folder holds no LoRA adapter, or one of another model.
    """
    require_training("an adapter")
    files = read_adapter(folder)
    _require_origin(base, files, name)
    return _attach(base, files, name).eval()


def check_adapter(model: LanguageModel, folder: Path) -> None:
    """Raises what :func:`merge_adapter` would, and leaves the model as it is."""
    require_training("an adapter")
    from accelerate import init_empty_weights

    files = read_adapter(folder)
    _require_origin(model.base, files, model.id)
    with init_empty_weights():
        empty = type(model.base)(copy.deepcopy(model.base.config))
    _merge(empty, files, model.id)


def merge_adapter(base: nn.Module, folder: Path, name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Adds a trained adapter to the weights of a base transformer, which should be float32, in place.

    Args and errors are those of :func:`attach_adapter`.

    Returns:
        What the adapter is, for ``result.json``, and what a reader must know about it.
    """
    require_training("an adapter")
    files = read_adapter(folder)
    _require_origin(base, files, name)
    before = vocabulary(base)
    config = _merge(base, files, name)
    targets = config.target_modules
    described = {
        "id": str(folder),
        "rank": config.r,
        "alpha": config.lora_alpha,
        "targets": sorted([targets] if isinstance(targets, str) else targets),
        "weights": files.digest,
    }
    notes = []
    root = _root(base, files.tensors)
    heads = sorted({key.removeprefix(_ROOT).split(".")[0] for key in files.tensors if not key.startswith(root)})
    if heads:
        notes.append(
            f"the adapter's part for the head ({', '.join(heads)}) is not used: no hidden state passes through it"
        )
    if (now := vocabulary(base)) != before:
        notes.append(
            f"the adapter comes with a vocabulary of {now} tokens where the model has {before}: the tokenizer must "
            "be the one that it was trained with (`tokenizer`)"
        )
    return described, tuple(notes)


def _merge(base: Any, files: AdapterFiles, name: str) -> Any:
    """Merges in place; PEFT's configuration of the adapter."""
    if getattr(base.config, "quantization_config", None):
        raise InputError(
            f"the weights of {name} are quantized, and an adapter cannot be merged into them: name the model with the "
            "weights that they were made of"
        )
    peft_model = _attach(base, files, name)
    config = peft_model.active_peft_config
    weights = [id(module.get_base_layer().weight) for module in peft_model.modules() if hasattr(module, "lora_A")]
    if len(set(weights)) < len(weights):
        raise InputError(
            f"the adapter in {files.folder} changes layers that share their weights, each in its own way: it cannot be "
            "merged into them"
        )
    with peft_is_quiet():
        try:
            peft_model.merge_and_unload()
        except Exception as error:  # each variant of LoRA raises its own
            raise InputError(f"the adapter in {files.folder} cannot be merged: {_reason(error)}") from error
    return config


def _attach(base: Any, files: AdapterFiles, name: str) -> Any:
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    wrong = f"the adapter in {files.folder} belongs to another model than {name}"
    root = _root(base, files.tensors)
    found = {key: tensor for key, tensor in files.tensors.items() if root == _ROOT or key.startswith(root)}
    with peft_is_quiet():
        try:
            embedding = _fit_vocabulary(base, found, root)
            whole = base if root == _ROOT else _Headless(base)
            config = LoraConfig.from_pretrained(str(files.folder))
            config.task_type, config.inference_mode = None, False
            _leave_out_heads(config, whole)
            if next(base.parameters()).is_meta:
                # Principal components of weights that are not there cannot be found.
                config.init_lora_weights = True
            peft_model = get_peft_model(whole, config)
            wanted = get_peft_model_state_dict(peft_model, save_embedding_layers=False)
        except Exception as error:  # whatever stands in the configuration may fail anywhere
            raise InputError(f"{wrong}, or its {CONFIG} was changed: {_reason(error)}") from error
        weights = peft_model.state_dict()
        wanted |= {key: weights[key] for key in embedding if key in weights}
        for key in sorted({*wanted, *found}):
            if key not in wanted or key not in found:
                where = "the model has no place for" if key in found else "the adapter lacks"
                raise InputError(f"{wrong}: {where} {key}")
            if wanted[key].shape != found[key].shape:
                shapes = f"{tuple(found[key].shape)} in the adapter, {tuple(wanted[key].shape)} expected"
                raise InputError(f"{wrong}, or its {CONFIG} was changed: {key} is {shapes}")
        set_peft_model_state_dict(peft_model, found)
    return peft_model


def _root(base: Any, names: Iterable[str]) -> str:
    """What the names of the base transformer's weights begin with: adapters are trained with a head or without one."""
    prefix: str = base.base_model_prefix
    headed = f"{_ROOT}{prefix}."
    return headed if not hasattr(base, prefix) and any(name.startswith(headed) for name in names) else _ROOT


def _fit_vocabulary(base: Any, found: dict[str, Tensor], root: str) -> list[str]:
    """Resizes the embedding to the one that came with the adapter, if one did: its names, of which it has one at most.

    PEFT saves the whole embedding where tokens were added or it was trained, by the name that it had then.
    """
    embedding = base.get_input_embeddings()
    name = next(name for name, module in base.named_modules() if module is embedding)
    # Where it is trained whole, PEFT saves it once more, and what it was before.
    for copied in ("modules_to_save", "original_module"):
        found.pop(f"{root}{name}.{copied}.weight", None)
    saved = [f"{root}{name}.{wrapped}weight" for wrapped in ("", "base_layer.", "token_adapter.base_layer.")]
    saved = [key for key in saved if key in found]
    for key in saved:
        if len(found[key]) != len(embedding.weight):
            base.resize_token_embeddings(len(found[key]), mean_resizing=False)
    return saved


def _leave_out_heads(config: Any, whole: nn.Module) -> None:
    """PEFT refuses to look for modules that are not there, and the head is not."""
    names = [name for name, _module in whole.named_modules()]

    def there(wanted: str) -> bool:
        return any(name.endswith(wanted) for name in names)

    config.modules_to_save = [wanted for wanted in config.modules_to_save or () if there(wanted)] or None
    if isinstance(config.trainable_token_indices, dict):
        config.trainable_token_indices = {
            wanted: tokens for wanted, tokens in config.trainable_token_indices.items() if there(wanted)
        }


def _vocabulary(base: Any) -> int:
    return int(base.get_input_embeddings().num_embeddings)


def _reason(error: Exception) -> str:
    return first_line(error).partition(". ")[0]


def _require_origin(base: nn.Module, files: AdapterFiles, name: str) -> None:
    """An adapter of ours belongs to the very weights that it was trained on."""
    origin = files.trained_on
    dtype = str(next(base.parameters()).dtype).removeprefix("torch.")
    # The weights of another dtype are others.
    if origin and origin["dtype"] == dtype and origin["weights"] != weights_fingerprint(base):
        raise InputError(
            f"the adapter in {files.folder} belongs to another model than {name}: it was trained on {origin['id']}, "
            "whose weights differ; name that model"
        )

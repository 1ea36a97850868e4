"""A base transformer with its weights: all of them there, all of them used, all of them numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ntps.errors import InputError, NumericalError
from ntps.models.adapters.files import without_adapter
from ntps.models.explained import explained
from ntps.models.files import ModelFiles
from ntps.models.quiet import quiet_transformers

# Heads that only some checkpoints carry and that no hidden state passes through.
_UNUSED = ("pooler.",)


def load_base(
    files: ModelFiles, config: Any, dtype: torch.dtype, device: torch.device | None, trust_remote_code: bool
) -> tuple[Any, tuple[str, ...]]:
    """Loads a base transformer, without its head.

    Args:
        files: Files of the model, weights included.
        config: Its configuration.
        dtype: Dtype of the weights.
        device: Where they go; None for as many devices as it takes.
        trust_remote_code: Whether code that comes with the model may run.

    Returns:
        The base transformer in evaluation mode, and what a reader must know.

    Raises:
        InputError: Weights and configuration do not fit, or cannot be loaded.
        NumericalError: Weights are not finite.
    """
    options: dict[str, Any] = {} if device else {"device_map": "auto"}
    options |= {"config": config, "dtype": dtype, "output_loading_info": True, "ignore_mismatched_sizes": True}
    _refuse_integers(files, config)
    with explained(files, "weights"), quiet_transformers(), without_adapter(files.folder) as folder:
        kind = _auto_class(config)
        loaded, report = kind.from_pretrained(folder, **options, **files.options(trust_remote_code))
    base = _headless(loaded)
    who = type(base).__name__
    if report["mismatched_keys"]:
        key, found, expected = sorted(report["mismatched_keys"])[0]
        raise InputError(
            f"the weights of {files.name} do not fit its config.json: {key} is {tuple(found)} in the weights, and "
            f"{who} expects {tuple(expected)}; take both from one checkpoint"
        )
    missing = sorted(key for key in report["missing_keys"] if not key.startswith(_UNUSED))
    if missing:
        raise InputError(
            f"the weights of {files.name} lack {_count(missing)} that {who} needs, such as {missing[0]}: the "
            "checkpoint is incomplete or of another architecture"
        )
    notes = _without_a_place(base, sorted(report["unexpected_keys"]), files.name)
    require_finite(base, files.name, dtype)
    return (base.to(device) if device else base).eval(), notes


def fresh_base(files: ModelFiles, config: Any, seed: int, trust_remote_code: bool) -> Any:
    """A base transformer with random weights, in float32."""
    with explained(files, "architecture"), quiet_transformers(), torch.random.fork_rng():
        torch.manual_seed(seed)
        base = _auto_class(config).from_config(config, dtype=torch.float32, trust_remote_code=trust_remote_code)
    return _headless(base).eval()


def _auto_class(config: Any) -> Any:
    """The class that loads a model: with its head only where code of its own has none without."""
    from transformers import AutoModel, AutoModelForCausalLM

    own = getattr(config, "auto_map", None) or {}
    native = type(config).__module__.startswith(("transformers.models.", "ntps."))
    return AutoModel if native or not own or "AutoModel" in own else AutoModelForCausalLM


def _headless(loaded: Any) -> Any:
    return loaded.base_model if hasattr(loaded, "lm_head") else loaded


def _without_a_place(base: Any, unexpected: list[str], name: str) -> tuple[str, ...]:
    """Judges weights that were left out: those of heads may be, those inside the base transformer change its states.

    Raises:
        InputError: A module of the base transformer has no place for one of its own weights.
    """
    prefix, parts = f"{base.base_model_prefix}.", {part for part, _ in base.named_children()}
    inside = [key for key in unexpected if key.removeprefix(prefix).partition(".")[0] in parts]
    whole_blocks = [key for key in inside if isinstance(_holder(base, key.removeprefix(prefix)), nn.ModuleList)]
    odd = [key for key in inside if key not in whole_blocks and not key.startswith(_UNUSED)]
    if odd:
        raise InputError(
            f"the weights of {name} hold {_count(odd)} that {type(base).__name__} has no place for, such as {odd[0]}: "
            "its config.json is of another architecture or was changed; take both from one checkpoint"
        )
    if not whole_blocks:
        return ()
    return (
        f"the weights hold {_count(whole_blocks)} of blocks beyond those that config.json asks for, such as "
        f"{whole_blocks[0]}: they are not used",
    )


def _holder(base: nn.Module, key: str) -> nn.Module:
    """The last module on the way to a weight that there is."""
    module = base
    for part in key.split("."):
        found = module._modules.get(part)
        if found is None:
            break
        module = found
    return module


def _count(keys: list[str]) -> str:
    return f"{len(keys)} tensor{'s' * (len(keys) > 1)}"


def _refuse_integers(files: ModelFiles, config: Any) -> None:
    """Quantized weights whose configuration got lost would be taken for plain numbers."""
    from safetensors import safe_open

    if getattr(config, "quantization_config", None) or files.gguf:
        return
    for file in sorted(files.weights()):
        if not file.endswith(".safetensors"):
            continue
        with explained(files, "weights"), safe_open(files.folder / file, framework="pt") as opened:
            for key in opened.keys():  # noqa: SIM118  (not a dictionary)
                if key.endswith("weight") and opened.get_slice(key).get_dtype() in ("I8", "U8", "I16", "I32", "I64"):
                    raise InputError(
                        f"the weights of {files.name} are integers, such as {key}: they are quantized, and its "
                        "config.json has no quantization_config that says how; take both from one checkpoint"
                    )


def require_finite(base: nn.Module, name: str, dtype: torch.dtype) -> None:
    """Attention on the CPU turns queries and keys that are NaN into finite states: only the weights tell."""
    for parameter, weight in base.named_parameters():
        if weight.device.type != "meta" and not bool(torch.isfinite(weight).all()):
            raise NumericalError(
                f"the weights {parameter} of {name} are not finite in {dtype}: download or train the model again, or "
                "use a wider `dtype`"
            )

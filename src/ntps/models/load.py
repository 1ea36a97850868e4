"""A hub id or a folder → a loaded model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ntps.errors import InputError
from ntps.models.adapters.adapter import merge_adapter
from ntps.models.adapters.cast import in_dtype
from ntps.models.adapters.files import adapter_beside
from ntps.models.architecture import find_blocks, layer_names, probe
from ntps.models.devices import find_device
from ntps.models.explained import explained
from ntps.models.files import ModelFiles, find_files
from ntps.models.model import LanguageModel
from ntps.models.quiet import quiet_transformers
from ntps.models.registry import EMBEDDED
from ntps.models.tokenizing.tokenizer import load_tokenizer
from ntps.models.weights import fresh_base, load_base, require_finite

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}


def load_model(
    model: str | Path | None = None,
    *,
    dtype: str = "float32",
    device: str | None = None,
    tokenizer: str | Path | None = None,
    trust_remote_code: bool = False,
    adapter: str | Path | None = None,
    fresh: int | None = None,
) -> LanguageModel:
    """Loads a base transformer, without its head, and its tokenizer.

    Args:
        model: Folder, hub id or ``id@revision``, or the short name of a model of the paper; the embedded model by
            default. An existing folder wins over a name, and then no network is
            touched; only ``demo`` is always the embedded model.
        dtype: ``float32``, ``bfloat16``, ``float16`` or ``float64``.
        device: ``cpu``, ``cuda``, ``cuda:1`` …; ``auto`` spreads the layers over all devices; by default CUDA if there
            is one.
        tokenizer: Folder or hub id of a tokenizer to use instead of the model's own.
        trust_remote_code: Whether code from the hub may run.
        adapter: Folder of a LoRA adapter, in PEFT's format, to merge into the weights, in float32.
        fresh: Seed of random weights to use instead of the trained ones, which are not even looked for.

    Raises:
        InputError: The model, tokenizer or adapter cannot be found, loaded or used.

    Examples:
        >>> model = ntps.load_model()  # the embedded one
        >>> model.num_layers, model.hidden_size
        (5, 128)
    """
    if dtype not in DTYPES:
        raise InputError(f"`dtype` must be one of {', '.join(DTYPES)}, not {dtype!r}")
    target = find_device(device)
    # Transformers takes seconds to import, and `import ntps` should not.
    from ntps.models.openelm import register

    register()
    files, words = find_model(model, tokenizer)
    config = _load_config(files, trust_remote_code)
    loaded_tokenizer, told = load_tokenizer(words, config.model_type, trust_remote_code)
    described, remarks = None, adapter_beside(files.folder, files.name) if adapter is None and fresh is None else ()
    dropped: tuple[str, ...] = ()
    if fresh is not None:
        base = in_dtype(fresh_base(files, config, fresh, trust_remote_code), DTYPES[dtype], target)
    elif adapter is None:
        base, dropped = load_base(files.with_weights(), config, DTYPES[dtype], target, trust_remote_code)
    else:
        base, dropped = load_base(files.with_weights(), config, torch.float32, torch.device("cpu"), trust_remote_code)
        described, remarks = merge_adapter(base, Path(adapter), files.name)
        base = in_dtype(base, DTYPES[dtype], target)
        require_finite(base, f"{files.name} with the adapter {adapter}", DTYPES[dtype])
    text_config = base.config.get_text_config()
    blocks = find_blocks(base, text_config)
    return LanguageModel(
        id=files.name,
        revision=files.commit,
        architecture=(config.architectures or [type(base).__name__])[0],
        tokenizer=loaded_tokenizer,
        base=base,
        blocks=blocks,
        layer_names=layer_names(len(blocks), probe(base, blocks, files.name)),
        hidden_size=text_config.hidden_size,
        parameters=sum(parameter.numel() for parameter in base.parameters()),
        context=_context(base, text_config, loaded_tokenizer),
        dtype=DTYPES[dtype],
        tokenizer_id=words.name,
        notes=(files.notes if words is files else files.notes + words.notes) + told + dropped + remarks,
        adapter=described,
    )


def find_model(model: str | Path | None, tokenizer: str | Path | None = None) -> tuple[ModelFiles, ModelFiles]:
    """Finds the files of a model and of its tokenizer without loading them; arguments as for :func:`load_model`.

    Raises:
        InputError: One of them cannot be found.
    """
    files = find_files(EMBEDDED if model is None else str(model))
    return files, files if tokenizer is None else find_files(str(tokenizer), "tokenizer")


def _load_config(files: ModelFiles, trust_remote_code: bool) -> Any:
    from transformers import AutoConfig

    if "config.json" not in files.names and not files.gguf:
        where = "hub repository" if files.repo else "folder"
        raise InputError(
            f"{files.name} is a {where} without a model: it has no config.json; give one that save_pretrained wrote"
        )
    with explained(files, "configuration"), quiet_transformers():
        config = AutoConfig.from_pretrained(files.folder, **files.options(trust_remote_code))
    if config.is_encoder_decoder:
        raise InputError(
            f"{files.name} is an encoder-decoder model ({config.model_type}), which has no single stack of layers; "
            "give a decoder (causal language model) or an encoder"
        )
    if not hasattr(config.get_text_config(), "vocab_size"):
        raise InputError(
            f"{files.name} is a {config.model_type} model, which has no vocabulary of tokens: give a model of text, a "
            "decoder (causal language model) or an encoder"
        )
    return config


def _context(base: Any, config: Any, tokenizer: Any) -> int | None:
    limits = [getattr(config, "max_position_embeddings", None), tokenizer.model_max_length]
    for name, module in base.named_modules():
        # RoBERTa counts positions from behind the padding index on.
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            limits.append(len(module.weight) - module.padding_idx - 1)
    # Tokenizers without a limit say so with a number of thirty digits.
    known = [int(limit) for limit in limits if limit and 0 < limit < 10**9]
    return min(known) if known else None

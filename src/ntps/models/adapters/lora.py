"""Fresh LoRA matrices: where they go, and how PEFT names them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from ntps.errors import InputError
from ntps.models.model import LanguageModel

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
        raise InputError(f"`start_layer` must be 0 to {model.num_layers - 1} for {model.id}, not {start_layer}")
    targets = _targets(model, "use `method` full")
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
    with peft_is_quiet():
        return get_peft_model(model.base, config)


def adapter_tensors(peft_model: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights of an adapter by PEFT's names, and its configuration in JSON types."""
    from peft import get_peft_model_state_dict

    # Not "auto", which asks the hub.
    weights = get_peft_model_state_dict(peft_model, save_embedding_layers=False)
    config = {**peft_model.active_peft_config.to_dict(), "inference_mode": True}
    plain = {name: sorted(value) if isinstance(value, set) else value for name, value in config.items()}
    return weights, plain


def lora_projections(model: LanguageModel) -> list[nn.Module]:
    """The projections that LoRA adapts.

    Raises:
        InputError: They have unknown names.
    """
    targets = _targets(model, "choose another model")
    return [module for name, module in model.base.named_modules() if name.rpartition(".")[2] in targets]


def _targets(model: LanguageModel, remedy: str) -> tuple[str, ...]:
    names = {name.rpartition(".")[2] for name, _module in model.blocks.named_modules()}
    for targets in TARGETS:
        if names >= set(targets):
            return targets
    raise InputError(
        f"the query, key and value projections of {model.id} ({model.architecture}) have unknown names: LoRA knows "
        f"{'; '.join(', '.join(targets) for targets in TARGETS)}; {remedy}"
    )


def _path(base: nn.Module, blocks: nn.ModuleList) -> str:
    names: dict[nn.Module, str] = {module: name for name, module in base.named_modules()}
    return names[blocks]


@contextmanager
def peft_is_quiet() -> Iterator[None]:
    """PEFT calls methods of transformers that are deprecated, and gives advice that does not concern us."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

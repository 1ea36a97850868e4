"""Where a base transformer's layers are, and what they are called."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ntps.errors import InputError
from ntps.models.quiet import quiet_transformers


def find_blocks(base: nn.Module, config: Any) -> nn.ModuleList:
    """The list of transformer blocks: the only module list as long as the configuration says the model is deep.

    Args:
        base: Base transformer, without head.
        config: Its text configuration.

    Raises:
        InputError: There is no such list, or more than one.
    """
    depth = config.num_hidden_layers
    lists = {
        name: module
        for name, module in base.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == depth
    }
    # A list inside another one (experts inside a block) is not the list of blocks.
    outer = [name for name in lists if not any(name.startswith(f"{other}.") for other in lists)]
    if len(outer) != 1:
        found = ", ".join(outer) or "none"
        raise InputError(
            f"cannot find the {depth} blocks of {type(base).__name__} (candidates: {found}); "
            "only decoders and encoders with one stack of blocks can be scored"
        )
    return lists[outer[0]]


@torch.inference_mode()
def has_final_norm(base: nn.Module, blocks: nn.ModuleList, vocabulary: int) -> bool:
    """Whether something follows the last block, found by comparing its output with the model's on two tokens."""
    seen: list[torch.Tensor] = []
    handle = blocks[-1].register_forward_hook(lambda _module, _inputs, output: seen.append(first_tensor(output)))
    try:
        device = next(base.parameters()).device
        tokens = torch.tensor([[0, min(1, vocabulary - 1)]], device=device)
        # One of the two may happen to be the padding token, about which transformers would complain.
        with quiet_transformers():
            last = base(input_ids=tokens).last_hidden_state
    finally:
        handle.remove()
    return not torch.equal(seen[0].to(last.device), last)


def layer_names(depth: int, final_norm: bool) -> tuple[str, ...]:
    """Names of the layers 0 … L, as people read them."""
    return ("embed", *(f"block.{i}" for i in range(1, depth)), "final_norm" if final_norm else f"block.{depth}")


def first_tensor(output: Any) -> torch.Tensor:
    """The hidden states in a block's output, which is a tensor or a tuple that begins with one."""
    return output if isinstance(output, torch.Tensor) else output[0]

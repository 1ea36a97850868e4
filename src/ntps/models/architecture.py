"""Where a base transformer's layers are, and what they are called."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from ntps.errors import InputError
from ntps.hub import first_line
from ntps.models.quiet import quiet_transformers

PROBE_TOKENS = 4


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
def probe(base: nn.Module, blocks: nn.ModuleList, name: str) -> bool:
    """Runs a few tokens through a base transformer just as a pass does, and makes sure that its states can be read.

    Args:
        base: Base transformer, without head.
        blocks: Its blocks.
        name: What the user calls the model, for messages.

    Returns:
        Whether something follows the last block, such as a norm: whether its output is not what the model returns.

    Raises:
        InputError: It cannot run on token ids alone, its blocks do not hand on one state a token, or a pass changes it.
    """
    who = f"{name} ({type(base).__name__})"
    before = {path: type(module) for path, module in base.named_modules()}
    seen: list[Tensor] = []
    ids = torch.arange(PROBE_TOKENS, device=next(base.parameters()).device)[None]
    with ExitStack() as stack:
        for block in blocks:
            hook = block.register_forward_hook(lambda _module, _inputs, output: seen.append(states_of(output, ids)))
            stack.callback(hook.remove)
        # One of the tokens may happen to be the padding token, about which transformers would complain.
        stack.enter_context(quiet_transformers())
        try:
            output = base(input_ids=ids % vocabulary(base), attention_mask=None, use_cache=False)
            last = output.last_hidden_state
        except InputError as error:
            raise InputError(f"{who} cannot be scored: {error}") from error
        except Exception as error:  # models raise nearly everything where they are not given what they need
            raise InputError(
                f"{who} does not run on token ids alone ({first_line(error)}): only models of text with one stack of "
                "blocks can be scored"
            ) from error
    if len(seen) != len(blocks):
        raise InputError(
            f"{who} cannot be scored: of its {len(blocks)} blocks, {len(seen)} were seen at work, so it runs some of "
            "them in a way of its own, or more than once"
        )
    for path, module in base.named_modules():
        if (kind := before.get(path)) is not type(module):
            way = ': set "attention_type" to "original_full" in its config.json' if "BigBird" in who else ""
            raise InputError(
                f"{who} cannot be scored as it is: a short text changes {path} for all later ones (from "
                f"{kind.__name__ if kind else 'nothing'} to {type(module).__name__}){way}"
            )
    return not torch.equal(seen[-1].to(last.device), last)


def layer_names(depth: int, final_norm: bool) -> tuple[str, ...]:
    """Names of the layers 0 … L, as people read them."""
    return ("embed", *(f"block.{i}" for i in range(1, depth)), "final_norm" if final_norm else f"block.{depth}")


def states_of(output: Any, ids: Tensor) -> Tensor:
    """The hidden states ``(B, T, d)`` of token ids ``(B, T)`` in what a block takes or gives: a tensor, or a tuple.

    Some models pad their input on the right inside, to a multiple of their attention's window: what they add is cut.

    Raises:
        InputError: There is not one state a token.
    """
    hidden = output if isinstance(output, Tensor) else output[0]
    rows, length = ids.shape
    if hidden.dim() != 3 or hidden.shape[0] != rows or hidden.shape[1] < length:
        raise InputError(
            f"its blocks do not hand on one state a token: for {rows} × {length} tokens, "
            f"{' × '.join(map(str, hidden.shape))} numbers, which are several streams or another order"
        )
    return hidden[:, :length]


def vocabulary(base: Any) -> int:
    """Token ids that a base transformer knows."""
    return int(base.get_input_embeddings().weight.shape[0])

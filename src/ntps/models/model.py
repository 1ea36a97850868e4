"""A loaded model, and the hidden states of its layers as they appear."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ntps.models.architecture import states_of, vocabulary
from ntps.models.fingerprint import weights_fingerprint
from ntps.models.precision import ieee_float32
from ntps.models.quiet import quiet_transformers

LayerSink = Callable[[int, Tensor], None]
"""Receives a layer's index and its hidden states ``(B, T, d)``, which it must not keep."""


class _StopForward(Exception):
    """Ends a forward pass after the last layer that was asked for."""


@dataclass(frozen=True)
class LanguageModel:
    """A base transformer without its head, and its tokenizer.

    Attributes:
        id: Hub id or folder, as the user gave it.
        revision: Commit of a hub model; None for a folder.
        architecture: Name of the architecture in the configuration.
        tokenizer: The tokenizer.
        base: The base transformer, in evaluation mode.
        blocks: Its blocks, in order.
        layer_names: Names of the layers 0 … L.
        hidden_size: Width d.
        parameters: Number of parameters of the base transformer.
        context: Longest sequence that the model takes, in tokens; None if unlimited.
        dtype: Dtype of the weights.
        tokenizer_id: Hub id or folder of the tokenizer.
        notes: What a reader must know about the model.
        adapter: The LoRA adapter that was merged into the weights, if any.

    Examples:
        >>> import torch
        >>> model = ntps.load_model()
        >>> show = lambda layer, states: print(model.layer_names[layer], tuple(states.shape))
        >>> model.visit_layers(torch.tensor([[7, 8, 9]]), None, [0, 5], show)
        embed (1, 3, 128)
        final_norm (1, 3, 128)
    """

    id: str
    revision: str | None
    architecture: str
    tokenizer: Any
    base: nn.Module
    blocks: nn.ModuleList
    layer_names: tuple[str, ...]
    hidden_size: int
    parameters: int
    context: int | None
    dtype: torch.dtype
    tokenizer_id: str = ""
    notes: tuple[str, ...] = field(default=())
    adapter: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        size = f"{self.num_layers} blocks of {self.hidden_size:,} dimensions, {self.parameters:,} parameters"
        return f"LanguageModel({self.id}: {self.architecture}, {size}, {str(self.dtype).removeprefix('torch.')})"

    @property
    def num_layers(self) -> int:
        """Number L of blocks; layers are 0 … L."""
        return len(self.blocks)

    @property
    def device(self) -> torch.device:
        """Where the inputs go."""
        return next(self.base.parameters()).device

    @property
    def pad_id(self) -> int:
        """A token id to fill padding with; what it is does not matter to real tokens."""
        pad = self.tokenizer.pad_token_id
        return int(pad) if pad is not None and pad < self.vocabulary else 0

    @property
    def vocabulary(self) -> int:
        """Token ids that the model knows."""
        return vocabulary(self.base)

    def weights(self) -> str:
        """Fingerprint of the weights as they are now: they may have been trained on since they were loaded."""
        return weights_fingerprint(self.base)

    @torch.no_grad()
    def visit_layers(
        self, input_ids: Tensor, attention_mask: Tensor | None, layers: Collection[int], sink: LayerSink
    ) -> None:
        """Runs one forward pass and hands over the hidden states of some layers, in order, without keeping them.

        Layer 0 is what enters the first block, layer i what leaves block i, and layer L what the model returns last.
        The pass ends after the last layer asked for.

        Args:
            input_ids: ``(B, T)`` token ids, padded on the right.
            attention_mask: ``(B, T)``, or None to leave it out.
            layers: Indices of the layers.
            sink: Receives each layer.
        """
        last = max(layers)

        def deliver(layer: int, output: Any) -> None:
            sink(layer, states_of(output, input_ids))
            if layer == last:
                raise _StopForward

        with ieee_float32(), self.watching(layers, deliver):
            try:
                with quiet_transformers():
                    output = self.base(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
            except _StopForward:
                return
            sink(last, states_of(output.last_hidden_state, input_ids))

    @contextmanager
    def watching(self, layers: Collection[int], deliver: Callable[[int, Any], None]) -> Iterator[None]:
        """Hands over what blocks take and give while the model runs, of layers below the last.

        Args:
            layers: Indices of the layers.
            deliver: Receives a layer's index and what its block takes or gives.
        """
        with ExitStack() as stack:
            for layer in layers:
                if layer == 0:
                    hook = self.blocks[0].register_forward_pre_hook(_before_first(deliver), with_kwargs=True)
                elif layer < self.num_layers:
                    hook = self.blocks[layer - 1].register_forward_hook(_after(layer, deliver))
                else:
                    continue
                stack.callback(hook.remove)
            yield


_Deliver = Callable[[int, Any], None]
"""Receives a layer's index and what its block takes or gives."""


def _before_first(deliver: _Deliver) -> Callable[..., None]:
    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        deliver(0, args[0] if args else kwargs["hidden_states"])

    return hook


def _after(layer: int, deliver: _Deliver) -> Callable[..., None]:
    def hook(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        deliver(layer, output)

    return hook

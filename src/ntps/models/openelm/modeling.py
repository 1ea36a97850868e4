"""OpenELM (arXiv 2404.14619) for transformers 5: a decoder whose head counts and widths grow with depth."""

# transformers declares its class attributes as mutable and leaves hooks and decorators untyped; torch, module calls.
# ruff: noqa: RUF012
# mypy: disallow-untyped-calls=False, disallow-untyped-decorators=False, warn-return-any=False
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache, GenerationMixin, PreTrainedModel
from transformers.activations import ACT2FN
from transformers.masking_utils import create_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from ntps.models.openelm.configuration import OpenELMConfig

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines of the rotary angles, each `[batch or 1, 1, time, head_dim]` in float32."""


def rotary_angles(position_ids: Tensor, head_dim: int, base: float) -> Rotation:
    """Compute the rotation of every position.

    Nothing is stored in a buffer, so that casting or moving the model cannot touch the angles.

    Args:
        position_ids: Positions, `[batch or 1, time]`.
        head_dim: Width of a head.
        base: Base of the frequencies.

    Returns:
        Cosines and sines.
    """
    exponents = torch.arange(0, head_dim, 2, device=position_ids.device, dtype=torch.float32) / head_dim
    angles = position_ids[:, None, :, None].float() * base**-exponents
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def rotate(heads: Tensor, rotation: Rotation) -> Tensor:
    """Rotate `[batch, heads, time, head_dim]`, in half-split form; float32 inside, same type outside."""
    cos, sin = rotation
    first, second = heads.chunk(2, dim=-1)
    return (heads * cos + torch.cat([-second, first], dim=-1) * sin).to(heads.dtype)


def eager_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Tensor]:
    """Attention spelled out, with the signature of transformers' attention interface.

    Queries are `[batch, query heads, time, head_dim]`, keys and values `[batch, key heads, keys, head_dim]`; the mask
    `[batch, 1, time, keys]` is added to the scores; `kwargs` holds their `scaling` and what other functions use.

    Returns:
        Output `[batch, time, query heads, head_dim]` and weights `[batch, query heads, time, keys]`.
    """
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    scores = query @ key.transpose(-1, -2) * kwargs["scaling"]
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = scores.softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    return (weights @ value).transpose(1, 2).contiguous(), weights


class OpenELMRMSNorm(nn.Module):
    """Division by the root mean square over the last axis, in float32, times a weight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, hidden: Tensor) -> Tensor:
        """Normalize `[..., width]`."""
        exact = hidden.float()
        exact = exact * torch.rsqrt(exact.square().mean(dim=-1, keepdim=True) + 1e-6)
        return exact.to(hidden.dtype) * self.weight


class OpenELMAttention(nn.Module):
    """Grouped-query causal attention with one projection for queries, keys and values."""

    is_causal = True

    def __init__(self, config: OpenELMConfig, layer: int) -> None:
        super().__init__()
        query_heads, kv_heads = config.heads[layer]
        self.config = config
        self.layer_idx = layer
        self.head_dim = config.head_dim
        self.heads = (query_heads, kv_heads, kv_heads)
        self.num_key_value_groups = query_heads // kv_heads
        self.qkv_proj = nn.Linear(config.model_dim, sum(self.heads) * self.head_dim, bias=False)
        self.out_proj = nn.Linear(query_heads * self.head_dim, config.model_dim, bias=False)
        normalized = config.normalize_qk_projections
        self.q_norm = OpenELMRMSNorm(self.head_dim) if normalized else nn.Identity()
        self.k_norm = OpenELMRMSNorm(self.head_dim) if normalized else nn.Identity()

    def forward(
        self,
        hidden: Tensor,
        rotation: Rotation,
        attention_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend; `[batch, time, model_dim]` to the same shape, and the weights where they are computed."""
        qkv = self.qkv_proj(hidden).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        query, key, value = qkv.split(self.heads, dim=1)
        query, key = rotate(self.q_norm(query), rotation), rotate(self.k_norm(key), rotation)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention)
        output, weights = attend(self, query, key, value, attention_mask, scaling=self.head_dim**-0.5, **kwargs)
        return self.out_proj(output.flatten(-2)), weights


class OpenELMFeedForward(nn.Module):
    """Two projections around an activation, gated when the configuration says so."""

    def __init__(self, config: OpenELMConfig, layer: int) -> None:
        super().__init__()
        width = config.ffn_dims[layer]
        self.gated = config.ffn_with_glu
        self.proj_1 = nn.Linear(config.model_dim, 2 * width if self.gated else width, bias=False)
        self.proj_2 = nn.Linear(width, config.model_dim, bias=False)
        self.act = ACT2FN[config.activation_fn_name]

    def forward(self, hidden: Tensor) -> Tensor:
        """Transform `[..., model_dim]` position by position."""
        inner = self.proj_1(hidden)
        if not self.gated:
            return self.proj_2(self.act(inner))
        gate, linear = inner.chunk(2, dim=-1)
        return self.proj_2(self.act(gate) * linear)


class OpenELMBlock(GradientCheckpointingLayer):
    """A pre-norm block: attention, then feed-forward, each added to its input."""

    def __init__(self, config: OpenELMConfig, layer: int) -> None:
        super().__init__()
        self.attn = OpenELMAttention(config, layer)
        self.ffn = OpenELMFeedForward(config, layer)
        self.attn_norm = OpenELMRMSNorm(config.model_dim)
        self.ffn_norm = OpenELMRMSNorm(config.model_dim)

    def forward(self, hidden: Tensor, rotation: Rotation, **kwargs: Any) -> Tensor:
        """Transform `[batch, time, model_dim]`."""
        hidden = hidden + self.attn(self.attn_norm(hidden), rotation, **kwargs)[0]
        return hidden + self.ffn(self.ffn_norm(hidden))


class OpenELMPreTrainedModel(PreTrainedModel):
    """What transformers needs to know to load, place, record and checkpoint the blocks."""

    config_class = OpenELMConfig
    config: OpenELMConfig
    base_model_prefix = "transformer"
    supports_gradient_checkpointing = True
    _input_embed_layer = "token_embeddings"
    _no_split_modules = ["OpenELMBlock"]
    _skip_keys_device_placement = ["past_key_values"]
    _supports_sdpa = True
    _supports_attention_backend = True
    _can_record_outputs = {"hidden_states": OpenELMBlock, "attentions": OpenELMAttention}


class OpenELMModel(OpenELMPreTrainedModel):
    """The transformer without an output head."""

    _keys_to_ignore_on_load_unexpected = [r"^lm_head\."]

    def __init__(self, config: OpenELMConfig) -> None:
        super().__init__(config)
        self.token_embeddings = nn.Embedding(config.vocab_size, config.model_dim)
        self.layers = nn.ModuleList(OpenELMBlock(config, layer) for layer in range(config.num_transformer_layers))
        self.norm = OpenELMRMSNorm(config.model_dim)
        self.gradient_checkpointing = False
        self.post_init()

    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Run the transformer.

        Args:
            input_ids: Token ids, `[batch, time]`.
            attention_mask: 1 for real tokens, 0 for padding, `[batch, past + time]`; not needed for right padding.
            position_ids: Positions, `[batch or 1, time]`; counted from the cache's length when left out.
            past_key_values: Keys and values of earlier tokens.
            inputs_embeds: Instead of `input_ids`, `[batch, time, model_dim]`.
            use_cache: Whether to return keys and values for a later call.
            **kwargs: Options of transformers, such as `output_hidden_states`.

        Returns:
            `last_hidden_state` `[batch, time, model_dim]`; when asked for, `hidden_states`: the embeddings and the
            output of every block, the last one after the final norm.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Give exactly one of input_ids and inputs_embeds.")
        hidden = self.token_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        if position_ids is None:
            seen = 0 if past_key_values is None else past_key_values.get_seq_length()
            position_ids = torch.arange(seen, seen + hidden.shape[1], device=hidden.device)[None]
        # By name: older versions of transformers have another argument between them.
        mask = create_causal_mask(
            self.config, hidden, attention_mask, past_key_values=past_key_values, position_ids=position_ids
        )
        rotation = rotary_angles(position_ids, self.config.head_dim, self.config.rope_freq_constant)
        for block in self.layers:
            hidden = block(hidden, rotation, attention_mask=mask, past_key_values=past_key_values, **kwargs)
        return BaseModelOutputWithPast(
            last_hidden_state=self.norm(hidden), past_key_values=past_key_values if use_cache else None
        )


class OpenELMForCausalLM(OpenELMPreTrainedModel, GenerationMixin):
    """The transformer with a language-model head, which is the token embedding when the two are shared."""

    _tied_weights_keys = {"lm_head.weight": "transformer.token_embeddings.weight"}

    def __init__(self, config: OpenELMConfig) -> None:
        super().__init__(config)
        self.transformer = OpenELMModel(config)
        self.lm_head = nn.Linear(config.model_dim, config.vocab_size, bias=False)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Run the transformer and its head.

        Args:
            input_ids: Token ids, `[batch, time]`.
            attention_mask: 1 for real tokens, 0 for padding, `[batch, past + time]`; not needed for right padding.
            labels: Token ids to predict, not yet shifted, `[batch, time]`; -100 is ignored.
            logits_to_keep: How many last positions get logits (0: all), or which positions.
            **kwargs: The other arguments of `OpenELMModel.forward`.

        Returns:
            `logits` `[batch, time, vocab_size]` and, with labels, the mean `loss`.
        """
        outputs = self.transformer(input_ids=input_ids, attention_mask=attention_mask, **kwargs)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(outputs.last_hidden_state[:, kept])
        loss = None if labels is None else self.loss_function(logits, labels, self.config.vocab_size, **kwargs)
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

"""A base transformer with a linear head on the mean token of its last layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from ntps.models.adapters.lora import add_lora
from ntps.models.model import LanguageModel
from ntps.options.finetuning import FinetuneSettings
from ntps.options.recipes import LoRA
from ntps.tasks.task import Task


class Classifier(nn.Module):
    """Mean over the real tokens of the last hidden state → dropout → linear head, both in float32.

    Args:
        base: The base transformer, perhaps with LoRA on it.
        width: Width d of its hidden states.
        outputs: Width c of a target.
        dropout: Dropout before the head.
        masked: Whether the base needs an attention mask; a causal one does not, because texts are padded on the right.
    """

    def __init__(self, base: nn.Module, width: int, outputs: int, *, dropout: float, masked: bool) -> None:
        super().__init__()
        self.base = base
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, outputs)
        self.masked = masked

    def forward(
        self, ids: Sequence[Int64[Tensor, "group width"]], lengths: Sequence[Int64[Tensor, " group"]]
    ) -> Float[Tensor, "texts outputs"]:
        """Logits of texts that come in groups.

        Args:
            ids: Token ids of each group, padded on the right.
            lengths: Real tokens of each text, by group.
        """
        pooled = torch.cat([self._pooled(*group) for group in zip(ids, lengths, strict=True)])
        # Mixed precision must not reach the head.
        with torch.autocast(pooled.device.type, enabled=False):
            logits: Tensor = self.head(self.dropout(pooled))
        return logits

    def _pooled(
        self, ids: Int64[Tensor, "group width"], lengths: Int64[Tensor, " group"]
    ) -> Float32[Tensor, "group dims"]:
        real = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        mask = real.long() if self.masked else None
        hidden = self.base(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        kept: Tensor = hidden.float().masked_fill(~real.to(hidden.device)[..., None], 0.0)
        return kept.sum(dim=1) / lengths.to(hidden.device)[:, None]


def new_classifier(model: LanguageModel, task: Task, settings: FinetuneSettings, masked: bool) -> Classifier:
    """Puts what is to be trained on a model, whose base is changed: a head, and LoRA if it is asked for.

    Everything else is frozen. The same seed gives the same beginning.
    """
    recipe = settings.recipe
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        base = model.base
        if isinstance(recipe, LoRA):
            base = add_lora(
                model,
                rank=recipe.rank,
                alpha=recipe.alpha,
                dropout=recipe.lora_dropout,
                start_layer=recipe.start_layer,
            )
        classifier = Classifier(base, model.hidden_size, task.outputs, dropout=recipe.head_dropout, masked=masked)
    return classifier.to(model.device)

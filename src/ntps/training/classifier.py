"""A base transformer with a linear head on the mean token of its last layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ntps.models import LanguageModel
from ntps.models.adapter import add_lora
from ntps.tasks import TargetKind, Task
from ntps.training.recipe import FinetuneSettings

LOSSES: dict[TargetKind, Callable[[Tensor, Tensor], Tensor]] = {
    "classes": functional.cross_entropy,
    "multilabel": functional.binary_cross_entropy_with_logits,
    "regression": functional.mse_loss,
}


class Classifier(nn.Module):
    """Mean over the real tokens of the last hidden state → dropout → linear head, both in float32.

    Args:
        base: The base transformer, perhaps with LoRA on it.
        width: Width d of its hidden states.
        outputs: Width c of a target.
        kind: What the labels are, which decides the loss: cross entropy, binary cross entropy or squared error, each
            a mean over texts (and outputs).
        dropout: Dropout before the head.
        masked: Whether the base needs an attention mask; a causal one does not, because texts are padded on the right.
    """

    def __init__(
        self, base: nn.Module, width: int, outputs: int, kind: TargetKind, *, dropout: float, masked: bool
    ) -> None:
        super().__init__()
        self.base = base
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, outputs)
        self.kind, self.masked = kind, masked

    def forward(
        self, ids: Sequence[Tensor], lengths: Sequence[Tensor], labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Logits ``(B, c)`` of B texts in groups, and with labels their mean loss.

        Args:
            ids: ``(b, T)`` token ids of each group, padded on the right.
            lengths: ``(b,)`` real tokens of each text, by group.
            labels: ``(B,)`` classes or ``(B, c)`` targets, in the order of the groups.
        """
        pooled = torch.cat([self._pooled(*group) for group in zip(ids, lengths, strict=True)])
        # Mixed precision must not reach the head.
        with torch.autocast(pooled.device.type, enabled=False):
            logits = self.head(self.dropout(pooled))
            if labels is None:
                return {"logits": logits}
            return {"loss": LOSSES[self.kind](logits, labels), "logits": logits}

    def _pooled(self, ids: Tensor, lengths: Tensor) -> Tensor:
        real = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        mask = real.long() if self.masked else None
        hidden = self.base(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        kept: Tensor = hidden.float().masked_fill(~real.to(hidden.device)[..., None], 0.0)
        return kept.sum(dim=1) / lengths.to(hidden.device)[:, None]


def new_classifier(model: LanguageModel, task: Task, settings: FinetuneSettings, masked: bool) -> Classifier:
    """Puts what is to be trained on a model, whose base is changed: a head, and LoRA if it is asked for.

    Everything else is frozen. The same seed gives the same beginning.
    """
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        base = model.base
        if settings.method == "lora":
            base = add_lora(
                model,
                rank=settings.rank,
                alpha=settings.alpha,
                dropout=settings.lora_dropout,
                start_layer=settings.start_layer,
            )
        classifier = Classifier(
            base, model.hidden_size, task.outputs, task.kind, dropout=settings.head_dropout, masked=masked
        )
    return classifier.to(model.device)

"""The paper's linear probe: a linear head trained with AdamW on the frozen model's pooled texts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

from ntps.options.probing import AdamWProbe
from ntps.training.loss import label_tensor, loss_function
from ntps.validation.labels import Labels

Features = Callable[[Int64[Tensor, " batch"]], Float32[Tensor, "batch dims"]]
"""Pooled texts of the training texts with some indices."""
AfterEpoch = Callable[[int, nn.Linear, Int64[Tensor, " texts"], Float32[Tensor, "texts outputs"]], None]
"""Told after each epoch: its number from 1 on, the head, the order of the texts, and the logits as they were seen."""


def train_head(
    features: Features,
    width: int,
    labels: Labels,
    probe: AdamWProbe,
    seed: int,
    after_epoch: AfterEpoch = lambda _epoch, _head, _order, _logits: None,
) -> nn.Linear:
    """Trains a linear head with bias.

    The same seed gives the same head on the same machine, and random numbers elsewhere are left alone.

    Args:
        features: Pooled texts; computed once they cost nothing here, from the frozen model they cost a pass an epoch.
        width: Width d of the pooled texts.
        labels: Labels of these texts.
        probe: The options.
        seed: Seed of the first weights, the batches and the dropout.
        after_epoch: Learns about progress.
    """
    targets, loss = label_tensor(labels.raw, labels.kind), loss_function(labels.kind)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        head = nn.Linear(width, labels.targets.shape[1])
        optimizer = torch.optim.AdamW(
            head.parameters(), lr=probe.learning_rate, weight_decay=probe.weight_decay, fused=True
        )
        for epoch in range(1, probe.epochs + 1):
            order = torch.randperm(len(targets))
            seen = []
            for batch in torch.split(order, probe.batch_size):
                logits = head(functional.dropout(features(batch), probe.dropout))
                optimizer.zero_grad()
                torch.autograd.backward(loss(logits, targets[batch]))
                optimizer.step()
                seen.append(logits.detach())
            after_epoch(epoch, head, order, torch.cat(seen))
    return head

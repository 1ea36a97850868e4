"""What heads are trained on: cross entropy for classes and label sets, squared error for real targets."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.nn import functional

from ntps.tasks.task import Task
from ntps.training.metrics import Labels

Loss = Callable[[Tensor, Tensor], Tensor]
"""``loss(logits, targets)`` of a batch: a mean over its texts, and over outputs but for classes."""


def loss_function(task: Task) -> Loss:
    """The loss that a head for a task minimizes."""
    match task.kind:
        case "classes":
            return functional.cross_entropy
        case "multilabel":
            return functional.binary_cross_entropy_with_logits
        case "regression":
            return functional.mse_loss


def label_tensor(labels: Labels, task: Task) -> Int64[Tensor, " texts"] | Float32[Tensor, "texts outputs"]:
    """Labels as :func:`loss_function` takes them."""
    return torch.as_tensor(labels, dtype=torch.int64 if task.kind == "classes" else torch.float32)

"""What heads are trained on: cross entropy for classes and label sets, squared error for real targets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ntps.tasks.task import TargetKind

LabelArray = Int64[NDArray[np.int64], " texts"] | Float64[NDArray[np.float64], "texts outputs"]
"""Class indices, or label sets or real targets."""
Loss = Callable[[Tensor, Tensor], Tensor]
"""``loss(logits, targets)`` of a batch: a mean over its texts, and over outputs but for classes."""


def loss_function(kind: TargetKind) -> Loss:
    """The loss that a head for a kind of labels minimizes."""
    match kind:
        case "classes":
            return functional.cross_entropy
        case "multilabel":
            return functional.binary_cross_entropy_with_logits
        case "regression":
            return functional.mse_loss


def label_tensor(labels: LabelArray, kind: TargetKind) -> Int64[Tensor, " texts"] | Float32[Tensor, "texts outputs"]:
    """Labels as :func:`loss_function` takes them."""
    return torch.as_tensor(labels, dtype=torch.int64 if kind == "classes" else torch.float32)

"""The options of predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ntps.options.limits import check_number
from ntps.options.shared import COMPUTING, ModelOptions


@dataclass(frozen=True, kw_only=True)
class PredictorOptions(ModelOptions):
    """How a saved probe or classifier is loaded.

    Attributes:
        tokenizer: Tokenizer to use instead of the one that the probe was made with.
        all_layers: Whether the ridge probe of all layers together predicts, and not that of the chosen layer.
        tokens_per_batch: Padded tokens per batch; by device unless given.
    """

    panel: ClassVar[str] = COMPUTING

    all_layers: bool = False
    tokens_per_batch: int | None = None

    def __post_init__(self) -> None:
        check_number("tokens_per_batch", self.tokens_per_batch, whole=True, at_least=1, optional=True)

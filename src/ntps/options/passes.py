"""The options of a pass of texts through a model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, get_args

from ntps.options.layers import Layers, as_text, parse_layers, read_layers
from ntps.options.limits import check_choice, check_number
from ntps.options.shared import COMPUTING

CV_TEXTS = 20_000
"""Most texts that are left out in turn, unless something else is asked for."""
Pooling = Literal["mean", "sum", "last"]


@dataclass(frozen=True, kw_only=True)
class PassSettings:
    """What any run over the layers of a model can be asked for, once model and task are loaded.

    Attributes:
        layers: Layers such as ``0,3,-1`` or ``0:12``, in Python also ``[0, 3]``; all by default.
        pooling: How a text becomes one vector: ``mean``, ``sum`` or ``last``.
        max_length: Token limit below the model's context.
        tokens_per_batch: Padded tokens per batch; by device unless given.
        test: Whether to measure held-out figures where the task has a test split.
    """

    panel: ClassVar[str] = COMPUTING
    # What changes no number beyond rounding.
    not_hashed: ClassVar[tuple[str, ...]] = ("tokens_per_batch",)
    # What earlier versions did not know: with its default, a run is the same as theirs.
    later: ClassVar[tuple[str, ...]] = ()

    layers: Layers = None
    pooling: Pooling = "mean"
    max_length: int | None = None
    tokens_per_batch: int | None = None
    test: bool = True

    def __post_init__(self) -> None:
        check_choice("pooling", self.pooling, get_args(Pooling))
        check_number("tokens_per_batch", self.tokens_per_batch, whole=True, at_least=1, optional=True)
        check_number("max_length", self.max_length, whole=True, at_least=1, optional=True)
        # In one form, so that equal choices are equal settings.
        object.__setattr__(self, "layers", as_text(self.layers))
        if self.layers is not None:
            read_layers(as_text(self.layers) or "")

    def layer_indices(self, num_layers: int) -> tuple[int, ...]:
        """The layers asked for, ascending and without repetition, of a model with layers 0 … L.

        Raises:
            InputError: The text cannot be read, or names a layer that the model does not have.
        """
        return parse_layers(as_text(self.layers), num_layers)

    def to_dict(self) -> dict[str, Any]:
        """These settings by name, in JSON types."""
        return asdict(self)

    def identity(self) -> dict[str, Any]:
        """What a study compares: everything by name, given or not, but for later options with their default."""
        return {name: value for name, value in self.to_dict().items() if name not in self._unchanged}

    def settings_hash(self, layers: tuple[int, ...], **identity: Any) -> str:
        """SHA-256 over everything that changes numbers: these settings, but not ``not_hashed``, and the identity.

        Args:
            layers: The layers that the text of ``layers`` means.
            identity: What is scored, in JSON types.
        """
        numbers = {**self.to_dict(), **identity, "layers": layers}
        for name in (*self.not_hashed, *self._unchanged):
            del numbers[name]
        return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()

    @property
    def _unchanged(self) -> list[str]:
        """Later options that have their default."""
        return [name for name in self.later if getattr(self, name) == getattr(type(self), name)]

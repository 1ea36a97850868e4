"""The options of a scoring run."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, get_args

from ntps.errors import InputError
from ntps.limits import check_number
from ntps.moments.kernels import Pooling

Layers = str | int | Sequence[int] | None
"""Layers as the user gives them: ``0,3,-1``, ``0:12``, 3 or [0, 3]."""

DEFAULT_TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 16384}


@dataclass(frozen=True, kw_only=True)
class PassSettings:
    """What any run over the layers of a model can be asked for, once model and task are loaded.

    Attributes:
        layers: Layers such as ``0,3,-1``, ``0:12`` or ``[0, 3]``; all by default.
        pooling: How a text becomes one vector: ``mean``, ``sum`` or ``last``.
        max_length: Token limit below the model's context.
        tokens_per_batch: Padded tokens per batch; chosen by device if None.
        test: Whether to measure held-out figures where the task has a test split.
    """

    # What changes no number beyond rounding.
    not_hashed: ClassVar[tuple[str, ...]] = ("tokens_per_batch",)

    layers: Layers = None
    pooling: Pooling = "mean"
    max_length: int | None = None
    tokens_per_batch: int | None = None
    test: bool = True

    def __post_init__(self) -> None:
        check_choice("--pooling", self.pooling, get_args(Pooling))
        check_number("--tokens-per-batch", self.tokens_per_batch, whole=True, at_least=1)
        check_number("--max-length", self.max_length, whole=True, at_least=1)
        # In one form, so that equal choices are equal settings.
        object.__setattr__(self, "layers", _as_text(self.layers))
        if self.layers is not None:
            _read_layers(_as_text(self.layers) or "")

    def layer_indices(self, num_layers: int) -> tuple[int, ...]:
        """The layers asked for, ascending and without repetition, of a model with layers 0 … L.

        Raises:
            InputError: The text cannot be read, or names a layer that the model does not have.
        """
        return _parse_layers(_as_text(self.layers), num_layers)

    def described(self) -> dict[str, Any]:
        """These settings by name, in JSON types."""
        return asdict(self)

    def digest(self, layers: tuple[int, ...], **identity: Any) -> str:
        """SHA-256 over everything that changes numbers: these settings, but not ``not_hashed``, and the identity.

        Args:
            layers: The layers that the text of ``layers`` means.
            identity: What is scored, in JSON types.
        """
        numbers = {**self.described(), **identity, "layers": layers}
        for name in self.not_hashed:
            del numbers[name]
        return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()


def check_choice(option: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuses what an option does not allow."""
    if value not in allowed:
        raise InputError(f"{option} must be one of {', '.join(allowed)}, not {value!r}")


def _as_text(layers: Layers) -> str | None:
    if layers is None or isinstance(layers, str):
        return layers
    try:
        indices = [layers] if isinstance(layers, int) else list(layers)
        if not indices or any(isinstance(index, bool) for index in indices):
            raise TypeError
        return ",".join(str(operator.index(index)) for index in indices)
    except TypeError as error:
        raise InputError(f"layers {layers!r} cannot be read: give whole numbers such as [0, 3, -1]") from error


def _parse_layers(text: str | None, num_layers: int) -> tuple[int, ...]:
    if text is None:
        return tuple(range(num_layers + 1))
    chosen: set[int] = set()
    for bounds in _read_layers(text):
        if isinstance(bounds, int):
            chosen.add(_layer(bounds, num_layers))
            continue
        start, stop = bounds
        first = 0 if start is None else _layer(start, num_layers)
        end = num_layers + 1 if stop is None else stop if stop == num_layers + 1 else _layer(stop, num_layers)
        chosen.update(range(first, end))
    if not chosen:
        raise InputError(f"--layers {text!r} chooses no layer: a range ends before its second number")
    return tuple(sorted(chosen))


def _read_layers(text: str) -> list[int | tuple[int | None, int | None]]:
    """Indices and ranges, before it is known how many layers there are."""
    found: list[int | tuple[int | None, int | None]] = []
    for part in text.split(","):
        try:
            bounds = [int(bound) if bound.strip() else None for bound in part.split(":")]
        except ValueError:
            bounds = []
        match bounds:
            case [int(index)]:
                found.append(index)
            case [start, stop]:
                found.append((start, stop))
            case _:
                raise InputError(
                    f"--layers {text!r} cannot be read: write indices such as 0,3,-1 or a range such as 0:12"
                )
    return found


def _layer(index: int, num_layers: int) -> int:
    if not -num_layers - 1 <= index <= num_layers:
        raise InputError(
            f"--layers asks for layer {index}, but the model has layers 0 to {num_layers} "
            f"(or -{num_layers + 1} to -1, counted from the end)"
        )
    return index % (num_layers + 1)

"""Layers as a user names them."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from ntps.errors import InputError

Layers = str | int | Sequence[int] | None
"""``0,3,-1``, ``0:12``, 3 or [0, 3]; None for all."""


def as_text(layers: Layers) -> str | None:
    if layers is None or isinstance(layers, str):
        return layers
    try:
        indices = [layers] if isinstance(layers, int) else list(layers)
        if not indices or any(isinstance(index, bool) for index in indices):
            raise TypeError
        return ",".join(str(operator.index(index)) for index in indices)
    except TypeError as error:
        raise InputError(f"`layers` {layers!r} cannot be read: give whole numbers such as [0, 3, -1]") from error


def parse_layers(text: str | None, num_layers: int) -> tuple[int, ...]:
    if text is None:
        return tuple(range(num_layers + 1))
    chosen: set[int] = set()
    for bounds in read_layers(text):
        if isinstance(bounds, int):
            chosen.add(_layer(bounds, num_layers))
            continue
        start, stop = bounds
        first = 0 if start is None else _layer(start, num_layers)
        end = num_layers + 1 if stop is None else stop if stop == num_layers + 1 else _layer(stop, num_layers)
        chosen.update(range(first, end))
    if not chosen:
        raise InputError(f"`layers` {text!r} chooses no layer: a range ends before its second number")
    return tuple(sorted(chosen))


def read_layers(text: str) -> list[int | tuple[int | None, int | None]]:
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
                    f"`layers` {text!r} cannot be read: write indices such as 0,3,-1 or a range such as 0:12"
                )
    return found


def _layer(index: int, num_layers: int) -> int:
    if not -num_layers - 1 <= index <= num_layers:
        raise InputError(
            f"`layers` asks for layer {index}, but the model has layers 0 to {num_layers} "
            f"(or -{num_layers + 1} to -1, counted from the end)"
        )
    return index % (num_layers + 1)

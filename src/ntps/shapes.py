"""JSON of ours that is read again: what it must look like, so that a damaged or foreign file is one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ntps.errors import InputError

Shape = Any
"""A type; a tuple of shapes, one of which must fit; a list of one shape, for every entry; a mapping of shapes by key,
where other keys may stand beside, and a key that ends in ``?`` may be missing; :class:`Each` of a shape; None."""
NUMBER = (int, float)
MAYBE = (int, float, None)
"""A number, or none where it means nothing."""


class Each:
    """A mapping with any keys, every value of one shape."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape


def read_json(path: Path, shape: Shape, remedy: str) -> Any:
    """Reads a file that has a shape.

    Args:
        path: The file.
        shape: What it must look like.
        remedy: What to do if it does not.

    Raises:
        InputError: It cannot be read, or does not have the shape.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or f"it is not JSON: {error}"
        raise InputError(f"cannot read {path} ({reason}): {remedy}") from error
    if wrong := misfit(content, shape):
        raise InputError(f"{path} is not what ntps writes ({wrong}): {remedy}")
    return content


def misfit(value: Any, shape: Shape, name: str = "the file") -> str | None:
    """The first thing in a value that does not have the shape; None if all does."""
    if isinstance(shape, tuple):
        found = [misfit(value, each, name) for each in shape]
        # What is wrong inside a mapping says more than that it is no mapping.
        return None if None in found else max((each for each in found if each), key=lambda each: each.count("."))
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{name} is not a list"
        return _first(misfit(item, shape[0], f"{name}.{index}") for index, item in enumerate(value))
    if isinstance(shape, Each):
        if not isinstance(value, dict):
            return f"{name} is not a mapping"
        return _first(misfit(item, shape.shape, f"{name}.{key}") for key, item in value.items())
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            return f"{name} is not a mapping"
        for key in shape:
            bare = key.removesuffix("?")
            if bare not in value and bare == key:
                return f"{name} has no {key}"
        inside = {key.removesuffix("?"): each for key, each in shape.items()}
        return _first(misfit(value[key], each, f"{name}.{key}") for key, each in inside.items() if key in value)
    if shape is None:
        return None if value is None else f"{name} is not null"
    # In Python, true is a number.
    fits = isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
    return None if fits else f"{name} is not of the type {shape.__name__}"


def _first(found: Any) -> str | None:
    return next((each for each in found if each), None)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")

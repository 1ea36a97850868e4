"""JSON files of ours that are read again: typed, and checked, so that a damaged or foreign one is one sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Strict, ValidationError

from ntps.errors import InputError

T = TypeVar("T")
Items = Annotated[tuple[T, ...], Strict(False)]
"""A list; what stands in it is checked as strictly as everything else."""
Figure = Annotated[
    float | None,
    BeforeValidator(lambda value: None if isinstance(value, float) and not math.isfinite(value) else value),
]
"""A number; None where it is undefined."""


class Block(BaseModel):
    """A mapping in a file: its keys are attributes. Keys of newer versions are kept."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    def to_dict(self) -> dict[str, Any]:
        """What stands in the file, in JSON types: without the keys that older versions did not write."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, serialize_as_any=True)


B = TypeVar("B", bound=Block)


def read_json(path: Path, kind: type[B], remedy: str) -> B:
    """Reads a file of a kind.

    Args:
        path: The file.
        kind: What it must look like.
        remedy: What to do if it does not.

    Raises:
        InputError: It cannot be read, or looks different.
    """
    return checked(path, load_json(path, remedy), kind, remedy)


def load_json(path: Path, remedy: str) -> object:
    """Whatever JSON a file holds; arguments as for :func:`read_json`."""
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or f"it is not JSON: {error}"
        raise InputError(f"cannot read {path} ({reason}): {remedy}") from error
    return content


def checked(path: Path, content: object, kind: type[B], remedy: str) -> B:
    """The content of a file as what it must be; arguments as for :func:`read_json`."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path} is not what ntps writes ({_misfit(error)}): {remedy}") from error


def _misfit(error: ValidationError) -> str:
    """The first thing that is wrong, and the keys that lead to it."""
    first = error.errors(include_url=False, include_input=False)[0]
    *above, last = ("the file", *first["loc"])
    name = ".".join(map(str, (*above, last)))
    match first["type"].removesuffix("_type"):
        case "missing":
            return f"{'.'.join(map(str, above))} has no {last}"
        case "model" | "dict":
            return f"{name} is not a mapping"
        case "tuple":
            return f"{name} is not a list"
        case "int" | "float" | "bool" as kind:
            return f"{name} is not of the type {kind}"
        case "string":
            return f"{name} is not of the type str"
        case "literal_error":
            return f"{name} is not {first['ctx']['expected']}"
    return f"{name}: {first['msg']}"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")

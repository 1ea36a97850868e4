"""Options of whole jobs by what they concern, and how a function takes them as keywords."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, get_type_hints

import numpy as np

from ntps.errors import InputError

P = ParamSpec("P")
O = TypeVar("O")  # noqa: E741
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """Which texts, with which labels.

    Attributes:
        text_columns: Columns that hold the text; two are joined as a pair; detected by default.
        label_column: Column that holds the label; detected by default.
        split: Split to take for training texts.
        limit: Largest number of texts per split.
        limit_first: Takes the first texts instead of a seeded sample.
        seed: Seed of that sample, and of whatever else is random.
        data_dir: Folder with local copies of named tasks.
        config: Configuration of a hub dataset.
    """

    text_columns: Sequence[str] = ()
    label_column: str | None = None
    split: str = "train"
    limit: int | None = None
    limit_first: bool = False
    seed: int = 0
    data_dir: str | Path | None = None
    config: str | None = None


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """How a model is loaded.

    Attributes:
        device: Where the model runs; CUDA if there is one by default.
        tokenizer: Tokenizer to use instead of the model's own.
        trust_remote_code: Whether code from the hub may run.
    """

    device: str | None = None
    tokenizer: str | Path | None = None
    trust_remote_code: bool = False


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Where results go.

    Attributes:
        out: Folder for the results; nothing is written by default.
        overwrite: Whether a result in ``out``, or progress, may be replaced.
    """

    out: str | Path | None = None
    overwrite: bool = False


def values(options: object, kind: type[Any]) -> dict[str, Any]:
    """The fields of one concern, by name, of options that hold several."""
    return {each.name: getattr(options, each.name) for each in fields(kind)}


def takes(options: Callable[P, O]) -> Callable[[Callable[[O], R]], Callable[P, R]]:
    """Gives a function of one object of options the keywords of that object, its signature and its documentation.

    Args:
        options: Dataclass whose docstrings say under ``Attributes:`` what each option means.
    """

    def decorate(function: Callable[[O], R]) -> Callable[P, R]:
        signature = inspect.signature(options)
        hints = get_type_hints(options)
        construct: Callable[..., O] = options

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{function.__name__}() {error}") from None
            plain = {name: _plain(name, value, signature) for name, value in bound.arguments.items()}
            return function(construct(**plain))

        returns = inspect.signature(function).return_annotation
        vars(call)["__signature__"] = signature.replace(return_annotation=returns)
        call.__annotations__ = {name: hints[name] for name in signature.parameters} | {"return": returns}
        call.__doc__ = _documented(inspect.getdoc(function) or "", inspect.getmro(options), signature)  # type: ignore[arg-type]
        return call

    return decorate


def _plain(name: str, value: object, signature: inspect.Signature) -> object:
    """A value as results write it: of NumPy's numbers, Python's.

    Raises:
        InputError: A switch is given something else than true or false.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(signature.parameters[name].default, bool) and not isinstance(value, bool):
        raise InputError(f"{name} must be True or False, not {value!r}")
    return value


def _documented(text: str, kinds: Sequence[type], signature: inspect.Signature) -> str:
    """The docstring of a function with what the docstrings of its options say, the nearest class first."""
    meaning: dict[str, str] = {}
    for kind in reversed(kinds):
        _, _, attributes = (kind.__doc__ or "").partition("Attributes:\n")
        meaning |= re.findall(r"^ {8}(\w+): (.+(?:\n {12}.+)*)", attributes, re.MULTILINE)
    explained = [name for name in signature.parameters if name in meaning]
    entries = [f"    {name}: {meaning[name]}".replace("\n    ", "\n") for name in explained]
    head, returns, rest = text.partition("\nReturns:")
    return "\n".join([f"{head}\nArgs:", *entries]) + f"\n{returns}{rest}"

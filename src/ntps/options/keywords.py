"""How a function takes the fields of a dataclass of options as keywords, with their documentation."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar, get_args, get_type_hints

from ntps.errors import InputError

P = ParamSpec("P")
O = TypeVar("O")  # noqa: E741
R = TypeVar("R")


def values(options: object, kind: type[Any]) -> dict[str, Any]:
    """The fields of one concern, by name, of options that hold several."""
    return {each.name: getattr(options, each.name) for each in fields(kind) if each.init}


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
            plain = {
                name: _plain(name, value, signature.parameters[name].default, methods_of(hints[name]))
                for name, value in bound.arguments.items()
            }
            return function(construct(**plain))

        returns = inspect.signature(function).return_annotation
        vars(call)["__signature__"] = signature.replace(return_annotation=returns)
        call.__annotations__ = {name: hints[name] for name in signature.parameters} | {"return": returns}
        call.__doc__ = _documented(inspect.getdoc(function) or "", meanings(options), signature)  # type: ignore[arg-type]
        return call

    return decorate


def _plain(name: str, value: Any, default: object, methods: Mapping[str, type[Any]]) -> Any:
    """A value, or a method with its values, as results write it: of NumPy's numbers, Python's.

    Raises:
        InputError: A switch is given something else than true or false.
    """
    import numpy as np

    if type(value) in methods.values():
        own = {each.name: _plain(each.name, getattr(value, each.name), each.default, {}) for each in fields(value)}
        return replace(value, **own)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(default, bool) and not isinstance(value, bool):
        raise InputError(f"`{name}` must be True or False, not {value!r}")
    return value


def meanings(options: type) -> dict[str, str]:
    """What the docstrings of a dataclass of options, and of what it inherits from, say of each field."""
    meaning: dict[str, str] = {}
    for kind in reversed(inspect.getmro(options)):
        # Python 3.13 takes the indentation away itself.
        _, _, attributes = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")
        meaning |= re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", attributes, re.MULTILINE)
    return meaning


def _documented(text: str, meaning: Mapping[str, str], signature: inspect.Signature) -> str:
    """The docstring of a function with what its options mean."""
    explained = [name for name in signature.parameters if name in meaning]
    entries = [f"    {name}: {meaning[name]}" for name in explained]
    head, returns, rest = text.partition("\nReturns:")
    return "\n".join([f"{head}\nArgs:", *entries]) + f"\n{returns}{rest}"


def methods_of(hint: object) -> dict[str, type[Any]]:
    """The classes of methods among which an option chooses, by the names that the command line has for them."""
    # Models and tasks are dataclasses too, but no options.
    classes: list[type[Any]] = [each for each in get_args(hint) if hasattr(each, "panel")]
    return {each.name: each for each in classes}


def method_of(option: str, name: str, methods: Mapping[Any, type[Any]], given: Mapping[str, Any]) -> Any:
    """A method with the numbers that were given for it.

    Raises:
        InputError: A number is of another method.
    """
    known = {each.name for each in fields(methods[name])}
    for number in sorted(given.keys() - known):
        fitting = [other for other, kind in methods.items() if number in {each.name for each in fields(kind)}]
        raise InputError(f"`{number}` means nothing to `{option}` {name}: it is an option of {fitting[0]}")
    return methods[name](**given)

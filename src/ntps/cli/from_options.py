"""Commands that take the fields of dataclasses of options, each with its type, default, help and panel."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

from ntps.files import folder_path
from ntps.options.keywords import meanings, method_of, methods_of

SHORT = {"quiet": "-q", "verbose": "-v"}


def flat(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command an option for each field of its parameters that are dataclasses."""
    hints = get_type_hints(command, include_extras=True)
    whole = inspect.signature(command).parameters.values()
    kinds = {each.name: hints[each.name] for each in whole if is_dataclass(hints[each.name])}

    @wraps(command)
    def call(**given: Any) -> None:
        for name, kind in kinds.items():
            given[name] = _built(kind, given)
        command(**given)

    parameters: list[inspect.Parameter] = []
    for each in whole:
        if each.name in kinds:
            parameters += _options(kinds[each.name])
        else:
            parameters.append(each.replace(annotation=hints[each.name], kind=inspect.Parameter.KEYWORD_ONLY))
    vars(call)["__signature__"] = inspect.Signature(parameters)
    call.__annotations__ = {each.name: each.annotation for each in parameters}
    return call


def _own(kind: Any) -> Iterator[Field[Any]]:
    return (each for each in fields(kind) if each.init)


def _built(kind: Any, given: dict[str, Any]) -> Any:
    """The dataclass of what the command line gives, which is taken out of it."""
    hints, made = get_type_hints(kind), {}
    for each in _own(kind):
        value, methods = given.pop(each.name), methods_of(hints[each.name])
        numbers = {name: given.pop(name) for name in _numbers(methods)}
        if methods:
            value = method_of(each.name, value, methods, {n: v for n, v in numbers.items() if v is not None})
        made[each.name] = each.default if value is None else tuple(value) if isinstance(value, list) else value
    return kind(**made)


def _numbers(methods: Mapping[str, Any]) -> dict[str, list[str]]:
    """The fields of methods, each with the names of the methods that have it."""
    found: dict[str, list[str]] = {}
    for name, method in methods.items():
        for each in _own(method):
            found.setdefault(each.name, []).append(name)
    return found


def _options(kind: Any) -> Iterator[inspect.Parameter]:
    hints, meaning = get_type_hints(kind), meanings(kind)
    for each in _own(kind):
        methods = methods_of(hints[each.name])
        hint = Literal[tuple(methods)] if methods else hints[each.name]
        yield _option(kind, each, hint, meaning[each.name], each.default)
        for number, names in _numbers(methods).items():
            method = methods[names[0]]
            (field,) = (own for own in fields(method) if own.name == number)
            whose = "" if len(names) == len(methods) else f"{', '.join(names)}: "
            hint = get_type_hints(method)[number] | None
            yield _option(method, field, hint, whose + meanings(method)[number], None)


def _option(kind: Any, each: Field[Any], hint: Any, meaning: str, default: object) -> inspect.Parameter:
    owner = next(base for base in kind.__mro__ if each.name in vars(base).get("__annotations__", {}))
    shown, more = _type(hint)
    if each.name == "out":
        more = {"parser": folder_path, "metavar": "PATH"}
    if default is None and each.default is not None and each.default is not False:
        parts = each.default if isinstance(each.default, tuple) else (each.default,)
        more["show_default"] = ", ".join(map(str, parts))
    option = typer.Option(*_flags(each, shown), help=_help(meaning, shown), rich_help_panel=owner.panel, **more)
    default = None if default in ((), MISSING) else default
    return inspect.Parameter(
        each.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[shown, option]
    )


def _help(meaning: str, hint: object) -> str:
    plain = re.sub(r"[,;] in Python also [^;.]*", "", " ".join(meaning.replace("``", "").split()))
    return f"{plain} Repeat it for several." if hint == list[str] | None else plain


def _flags(each: Field[Any], hint: object) -> list[str]:
    """What is written on the command line; one of several values is in the singular."""
    words = each.name.replace("_", "-")
    if hint == list[str] | None:
        words = words.removesuffix("s")
    flag = f"--{words.removeprefix('as-')}"
    names = [*([SHORT[each.name]] if each.name in SHORT else []), flag]
    # What is off by default has one way to be switched.
    return [f"{flag}/--no-{words}"] if hint in (bool, bool | None) and each.default is not False else names


def _type(hint: object) -> tuple[Any, dict[str, Any]]:
    """What typer reads for a field, and more that it must know."""
    if get_origin(hint) is Literal or hint in (bool, int, float, str):
        return hint, {}
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if str in members:
        return str | None, {"metavar": "PATH"} if Path in members else {}
    if any(get_origin(each) is Sequence for each in members):
        return list[str] | None, {}
    return hint, {}

"""YAML that knows where each of its values stands, so that an error can say it."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from types import MappingProxyType, NoneType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml
from yaml.constructor import SafeConstructor

from ntps.errors import InputError
from ntps.study.nodes import Place, compose

T = TypeVar("T")


class Document:
    """One YAML document.

    Attributes:
        data: Its content.
    """

    def __init__(self, text: str, name: str) -> None:
        """Reads a document.

        Args:
            text: YAML.
            name: What errors call it.

        Raises:
            InputError: It is no YAML, or a mapping has a key twice.
        """
        self._name = name
        node, self._lines = compose(text, name)
        try:
            self.data: Any = None if node is None else SafeConstructor().construct_document(node)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise InputError(f"{name}, line {line}: this cannot be read ({error.problem}); correct it there") from error

    def error(self, path: Place, sentence: str) -> InputError:
        """What is wrong with the value at a path, and where it stands."""
        known = next(path[:end] for end in range(len(path), -1, -1) if path[:end] in self._lines)
        key = ".".join(str(part) if isinstance(part, str) else str(part + 1) for part in path)
        return InputError(f"{self._name}, line {self._lines[known]}{f', {key}' if key else ''}: {sentence}")

    def mapping(self, value: Any, path: Place) -> Mapping[str, Any]:
        """A value that must be a mapping; nothing at all counts as an empty one."""
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise self.error(path, "this must be a mapping of `key: value`")
        return value

    def sequence(self, value: Any, path: Place) -> Sequence[Any]:
        """A value that must be a list; nothing at all counts as an empty one."""
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.error(path, "this must be a list, one entry a line after `- `")
        return value

    def known(self, key: str, allowed: Iterable[str], path: Place) -> None:
        """Refuses a key that is not among the allowed ones."""
        names = list(allowed)
        if key not in names:
            close = difflib.get_close_matches(key, names, n=1, cutoff=0.4)
            hint = f"perhaps you mean {close[0]}" if close else f"the keys here are {', '.join(names) or 'none'}"
            raise self.error((*path, key), f"there is no such key; {hint}")

    def build(self, kind: type[T], value: Any, path: Place, fixed: Mapping[str, Any] = MappingProxyType({})) -> T:
        """Makes a dataclass of a mapping whose keys are its fields.

        Args:
            kind: The dataclass.
            value: The mapping.
            path: Where it stands.
            fixed: Fields that are set already, and that the file may not set.

        Raises:
            InputError: A key is unknown or missing, or a value is of the wrong type or refused by the dataclass.
        """
        entries = self.mapping(value, path)
        every = cast(Iterable[Field[Any]], fields(kind))  # type: ignore[arg-type]
        own = {field.name: field for field in every if field.init and field.name not in fixed}
        hints = get_type_hints(kind)
        for key in entries:
            self.known(key, own, path)
        for name, field in own.items():
            if field.default is MISSING and field.default_factory is MISSING and name not in entries:
                raise self.error(path, f"the key {name} is missing")
        given = {key: self._fit(entry, hints[key], (*path, key)) for key, entry in entries.items()}
        try:
            return kind(**given, **fixed)
        except InputError as error:
            culprit = [key for key in given if str(error).startswith(f"`{key}` ")]
            raise self.error((*path, *culprit), str(error)) from error

    def _fit(self, value: Any, hint: Any, path: Place) -> Any:
        fitted = _fitted(value, hint)
        if fitted is _Misfit:
            raise self.error(path, f"{reprlib.repr(value)} is not {_words(hint)}")
        return fitted


class _Misfit:
    """Stands for a value that does not fit."""


def _fitted(value: Any, hint: Any) -> Any:
    """The value as the type hint wants it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value if value in arguments else _Misfit
    if origin is Mapping:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            return _Misfit
        entries = {key: _fitted(item, arguments[1]) for key, item in value.items()}
        return _Misfit if _Misfit in entries.values() else entries
    if origin in (tuple, Sequence):
        if not isinstance(value, list) or (origin is tuple and ... not in arguments and len(value) != len(arguments)):
            return _Misfit
        items = [_fitted(item, arguments[0]) for item in value]
        return _Misfit if _Misfit in items else tuple(items)
    if arguments:
        options = [_fitted(value, argument) for argument in arguments]
        return next((option for option in options if option is not _Misfit), _Misfit)
    if hint is float and isinstance(value, str | int) and not isinstance(value, bool):
        # YAML 1.1 takes 1e-4 for a text.
        try:
            return float(value)
        except (ValueError, OverflowError):
            return _Misfit
    if hint not in (str, int, float, bool, NoneType):
        return value
    # In Python, true is a number.
    return value if isinstance(value, hint) and isinstance(value, bool) == (hint is bool) else _Misfit


def _words(hint: Any) -> str:
    """A type hint as people say it."""
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin is Mapping:
        return f"a mapping of names, each to {_words(arguments[1])}"
    if origin in (tuple, Sequence):
        count = "" if origin is Sequence or ... in arguments else f" of {len(arguments)}"
        return f"a list{count}, each entry {_words(arguments[0])}"
    if arguments:
        return " or ".join(map(_words, arguments))
    return names.get(hint, "what belongs here")

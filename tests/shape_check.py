"""What looks at the arrays that functions take and return while tests run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

import jaxtyping
from beartype import beartype


def install(rooms: Sequence[str]) -> None:
    """Has the arrays of every call in these packages checked. Before they are imported."""
    jaxtyped = jaxtyping.jaxtyped

    def check_arrays(target: Any) -> Any:
        if isinstance(target, type):
            if is_dataclass(target):
                target.__init__ = check_arrays(target.__init__)  # type: ignore[method-assign]
            return target
        hints = {name: _resolved(hint, target.__globals__) for name, hint in target.__annotations__.items()}
        arrays = {name: hint for name, hint in hints.items() if _holds_arrays(hint)}
        if not arrays:
            return target
        written = target.__annotations__
        target.__annotations__ = arrays  # Other types are for mypy, and some tests give wrong ones on purpose.
        checked = jaxtyped(beartype(target), typechecker=None)
        target.__annotations__ = checked.__annotations__ = written
        return checked

    # The hook writes `@jaxtyping.jaxtyped` over each function. Ours is quicker at a call: it does not check arguments
    # again with what is returned, and it leaves functions without arrays alone.
    jaxtyping.jaxtyped = lambda typechecker: check_arrays  # type: ignore[assignment]
    jaxtyping.install_import_hook(rooms, None)


def _resolved(hint: object, names: dict[str, Any]) -> object:
    try:
        return eval(hint, names) if isinstance(hint, str) else hint
    except NameError:  # A class further down, or one that only mypy imports.
        return Any


def _holds_arrays(hint: object) -> bool:
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return get_origin(hint) in (tuple, Union, UnionType) and any(_holds_arrays(part) for part in get_args(hint))

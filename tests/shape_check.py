"""What looks at the arrays that functions take and return while tests run."""

from __future__ import annotations

from collections.abc import Callable
from types import UnionType
from typing import Any, Union, get_args, get_origin

from beartype import beartype
from jaxtyping import AbstractArray


def check_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """Checks shapes and dtypes at every call; other types are for mypy, and some tests give wrong ones on purpose."""
    hints = function.__annotations__
    hints.update({name: Any for name, hint in hints.items() if not _holds_arrays(hint)})
    return beartype(function)


def _holds_arrays(hint: object) -> bool:
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    return get_origin(hint) in (tuple, Union, UnionType) and any(_holds_arrays(part) for part in get_args(hint))

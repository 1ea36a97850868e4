"""Names that a package offers, and imports when they are first used: heavy libraries come with the work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def offer(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The functions ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    Args:
        package: Its name.
        homes: The module of each name that it offers.
    """
    offered = vars(sys.modules[package])

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        offered[name] = value = getattr(import_module(homes[name]), name)
        return value

    return find, lambda: sorted(offered.keys() | homes.keys())

"""Numbers that make sense: one wording for options, keys of study files and arguments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from numbers import Integral, Real
from typing import Any, cast

from ntps.errors import InputError

LARGEST_SEED = 2**32 - 1
"""What every library beneath takes."""
LARGEST = 1e6
"""No rate and no weight of a recipe is larger: beyond it, training only loses its numbers."""


def check_choice(option: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuses what an option does not allow."""
    if value not in allowed:
        raise InputError(f"`{option}` must be one of {', '.join(allowed)}, not {value!r}")


def check_names(option: str, value: object, example: str) -> None:
    """Refuses what is no list of texts; a text alone would be taken for a list of letters."""
    if isinstance(value, str) or not (isinstance(value, Sequence) and all(isinstance(each, str) for each in value)):
        raise InputError(f"`{option}` must be a list of names, such as ['{example}'], not {value!r}")


def check_method(option: str, method: object, known: Mapping[Any, type]) -> None:
    """Refuses what is neither an object of a known class nor the name of one."""
    if type(method) not in known.values() and not (isinstance(method, str) and method in known):
        # Of a kind without options, the name says all.
        objects = ", ".join(f"{each.__name__}()" for each in known.values() if fields(each))
        raise InputError(f"`{option}` must be one of {objects}, or of {', '.join(known)}, not {method!r}")


def check_number(
    name: str,
    value: object,
    *,
    whole: bool = False,
    at_least: float = -math.inf,
    above: float = -math.inf,
    at_most: float = math.inf,
    below: float = math.inf,
    optional: bool = False,
) -> None:
    """Refuses a number out of its range; what is infinite, NaN or a text is out of every range.

    Args:
        name: What the user calls the number, such as ``rank``.
        value: The number.
        whole: Whether it must be a whole number.
        at_least: Smallest value, if it is allowed itself.
        above: What it must exceed.
        at_most: Largest value, if it is allowed itself.
        below: What it must not reach.
        optional: Whether None will do.

    Raises:
        InputError: It is out of its range.
    """
    if value is None and optional:
        return
    if not isinstance(value, bool) and isinstance(value, Real):
        if whole and not isinstance(value, Integral):
            raise InputError(f"`{name}` must be a whole number, not {value}")
        number = cast(float, value)
        if at_least <= number <= at_most and above < number < below:
            return
    bounds = {"at least": at_least, "above": above, "at most": at_most, "below": below}
    words = " and ".join(f"{word} {_shown(bound)}" for word, bound in bounds.items() if math.isfinite(bound))
    raise InputError(f"`{name}` must be {words or 'a finite number'}, not {value}")


def check_seed(name: str, seed: int | None) -> None:
    """Refuses a seed that some library does not take; arguments and errors as for :func:`check_number`."""
    if seed is None:
        raise InputError(f"`{name}` must be a whole number, not None: without one, no result repeats")
    check_number(name, seed, whole=True, at_least=0, at_most=LARGEST_SEED)


def _shown(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"

"""The sums of one layer: their names, shapes and bytes."""

from __future__ import annotations

import math

from ntps.moments.sums_file import SYMMETRIC

FLOAT = 8
"""Bytes of a float64."""


SUMS = (
    "prefix_gram",
    "prefix_next",
    "pooled_gram",
    "pooled_target",
    "pooled_sum",
    "prefix_sum",
    "next_sum",
    "next_energy",
    "pooled_norm4",
    "pooled_norm2_sum",
    "target_gram",
    "target_sum",
)
"""Names of the sums, in the order of their shapes below."""


def statistics_bytes(d: int, c: int) -> int:
    """Memory of the moments of one layer.

    Args:
        d: Width of the hidden states.
        c: Width of the targets.
    """
    return FLOAT * sum(math.prod(shape) for shape in _shapes(d, c).values())


def packed_bytes(d: int, c: int, layers: int) -> int:
    """What the sums of some layers take on disk, without the headers of their files; arguments as above."""
    shapes = _shapes(d, c)
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    sizes |= {name: shape[0] * (shape[0] + 1) // 2 for name, shape in shapes.items() if name in SYMMETRIC}
    shared = sum(sizes[name] for name in ("target_gram", "target_sum"))
    return FLOAT * (layers * (sum(sizes.values()) - shared) + shared)


def _shapes(d: int, c: int) -> dict[str, tuple[int, ...]]:
    shapes = ((d, d), (d, d), (d, d), (d, c), (d,), (d,), (d,), (), (), (d,), (c, c), (c,))
    return dict(zip(SUMS, shapes, strict=True))

"""What a page says of a point when the pointer is over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from numpy.typing import ArrayLike


class HoverPoints(Artist):
    """Points with words, which formats of matplotlib leave out and pages show; see :mod:`ntps.report.svg`.

    Attributes:
        points: ``(n, 2)`` in data coordinates.
        words: ``(n,)``.
    """

    def __init__(self, points: ArrayLike, words: Sequence[str]) -> None:
        super().__init__()
        self.points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        self.words = tuple(words)
        self.set_in_layout(False)

    def draw(self, renderer: Any) -> None:
        """Draws nothing."""


def say_at(axes: Axes, xs: ArrayLike, ys: ArrayLike, words: Sequence[str]) -> None:
    """Gives points their words; those without a value are not drawn.

    Args:
        axes: Where the points are drawn.
        xs: In data coordinates.
        ys: Likewise.
        words: One for each point.
    """
    points = np.column_stack([np.asarray(xs, dtype=np.float64), np.asarray(ys, dtype=np.float64)])
    known = np.flatnonzero(np.isfinite(points).all(axis=1)).tolist()
    axes.add_artist(HoverPoints(points[known], [words[place] for place in known]))

"""Words beside points, without overlaps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ntps.plots.style import INK, PALE

FONT_SIZE = 8.5
POINT = 5.0
"""Half the width of a marker with its margin, in pixels at 100 dpi."""
RINGS = (9.0, 16.0, 26.0, 38.0, 52.0, 68.0, 86.0, 106.0, 128.0)


def place_labels(figure: Figure, axes: Axes, points: NDArray[np.float64], words: Sequence[str]) -> None:
    """Writes each word near its point, the nearest place first that covers no point and no other word.

    A word that had to go far is tied to its point by a thin line. Where no place is free it stands where it covers
    least.

    Args:
        figure: The figure.
        axes: Where the points are; its layout must be final.
        points: ``(n, 2)`` in data coordinates.
        words: ``(n,)``.
    """
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.set_layout_engine("none")
    places = axes.transData.transform(points)
    frame = np.array(axes.get_window_extent(renderer).extents)
    taken = np.hstack([places - POINT, places + POINT])
    for (x, y), word in zip(places, words, strict=True):
        text = axes.annotate(word, (x, y), xycoords="figure pixels", fontsize=FONT_SIZE, annotation_clip=False)
        size = text.get_window_extent(renderer)
        text.remove()
        boxes = _candidates(x, y, size.width, size.height)
        best = boxes[_covered(boxes, taken, frame).argmin()]
        taken = np.vstack([taken, best])
        left, bottom = axes.transData.inverted().transform(best[:2])
        axes.text(left, bottom, word, fontsize=FONT_SIZE, color=INK, va="bottom", ha="left")
        edge = np.clip([x, y], best[:2], best[2:])
        if np.hypot(*(edge - [x, y])) > 2 * RINGS[0]:
            ends = axes.transData.inverted().transform([(x, y), edge])
            axes.plot(ends[:, 0], ends[:, 1], color=PALE, linewidth=0.6, zorder=1)


def _candidates(x: float, y: float, width: float, height: float) -> NDArray[np.float64]:
    """Boxes around a point, nearest first: left, bottom, right and top of each."""
    angles, rings = np.arange(0, 2 * np.pi, np.pi / 8), np.array(RINGS)[:, None]
    dx, dy = np.cos(angles), np.sin(angles)
    # The box touches the ring with the side that looks at the point.
    left = x + rings * dx + (dx - 1) / 2 * width
    bottom = y + rings * dy + (dy - 1) / 2 * height
    return np.stack([left, bottom, left + width, bottom + height], axis=-1).reshape(-1, 4)


def _covered(boxes: NDArray[np.float64], taken: NDArray[np.float64], frame: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area of each box that is covered already, or lies outside."""
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    inside = _overlaps(boxes, frame[None])[:, 0]
    covered: NDArray[np.float64] = width * height - inside + _overlaps(boxes, taken).sum(axis=1)
    return covered


def _overlaps(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area that each of some boxes has in common with each of others."""
    sides = np.minimum(boxes[:, None, 2:], others[:, 2:]) - np.maximum(boxes[:, None, :2], others[:, :2])
    areas: NDArray[np.float64] = np.maximum(sides, 0).prod(axis=-1)
    return areas

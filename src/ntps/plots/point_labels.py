"""Words beside points, without overlaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

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
    frame = axes.get_window_extent(renderer)
    taken = [Bbox.from_extents(x - POINT, y - POINT, x + POINT, y + POINT) for x, y in places]
    for (x, y), word in zip(places, words, strict=True):
        text = axes.annotate(word, (x, y), xycoords="figure pixels", fontsize=FONT_SIZE, annotation_clip=False)
        size = text.get_window_extent(renderer)
        text.remove()
        best = min(_candidates(x, y, size.width, size.height), key=lambda box: _covered(box, taken, frame))
        taken.append(best)
        left, bottom = axes.transData.inverted().transform((best.x0, best.y0))
        axes.text(left, bottom, word, fontsize=FONT_SIZE, color="#222222", va="bottom", ha="left")
        edge = np.clip([x, y], [best.x0, best.y0], [best.x1, best.y1])
        if np.hypot(*(edge - [x, y])) > 2 * RINGS[0]:
            ends = axes.transData.inverted().transform([(x, y), edge])
            axes.plot(ends[:, 0], ends[:, 1], color="#999999", linewidth=0.6, zorder=1)


def _candidates(x: float, y: float, width: float, height: float) -> Iterator[Bbox]:
    """Boxes around a point, nearest first."""
    for ring in RINGS:
        for angle in np.arange(0, 2 * np.pi, np.pi / 8):
            dx, dy = np.cos(angle), np.sin(angle)
            # The box touches the ring with the side that looks at the point.
            left = x + ring * dx + (dx - 1) / 2 * width
            bottom = y + ring * dy + (dy - 1) / 2 * height
            yield Bbox.from_bounds(left, bottom, width, height)


def _covered(box: Bbox, taken: Sequence[Bbox], frame: Bbox) -> float:
    """Area that is covered already, or lies outside."""
    overlaps = (Bbox.intersection(box, other) for other in taken)
    inside = Bbox.intersection(box, frame)
    outside = box.width * box.height - (inside.width * inside.height if inside else 0.0)
    return outside + sum(overlap.width * overlap.height for overlap in overlaps if overlap)

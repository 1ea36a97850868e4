"""A figure as a page shows it: panels that flow, words at points, and colours that follow light and dark.

Matplotlib draws the figure once, as SVG. Each of its axes becomes an image of its own, so that a narrow page sets them
below one another; the legend becomes a list. Points that have words get a circle with a ``<title>``, which browsers
show without any script.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ntps.plots.hover import HoverPoints
from ntps.plots.style import GRID, INK, OKABE_ITO, PALE, QUIET

POINTS_PER_INCH = 72
MARGIN = 2.0
REACH = 6.0
"""Points around an image, and the radius of what answers to the pointer."""
VARIABLES = {
    INK: "--ink",
    "#000000": "--ink",
    QUIET: "--quiet",
    PALE: "--pale",
    GRID: "--line",
    **{colour: f"--c{number}" for number, colour in enumerate(OKABE_ITO) if colour != "#000000"},
}
"""Colours of figures that the page sets, by the names of its style sheet."""
_COLOURS = {colour.lower(): f"var({name})" for colour, name in VARIABLES.items()}
XLINK = "{http://www.w3.org/1999/xlink}"


@dataclass(frozen=True)
class Drawn:
    """A figure for a page.

    Attributes:
        panels: SVG of each of its axes, with its width in points.
        legend: SVG of a mark and its name, one after the other.
    """

    panels: Sequence[tuple[str, float]]
    legend: Sequence[tuple[str, str]]


def drawn(figure: Figure, name: str, title: str) -> Drawn:
    """Draws a figure for a page.

    Args:
        figure: The figure.
        name: Which no other figure of the page has.
        title: What it shows, for whoever does not see it.
    """
    stream, dpi = io.StringIO(), figure.get_dpi()
    none = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    try:
        # A point of the SVG is a pixel of matplotlib.
        figure.set_dpi(POINTS_PER_INCH)
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
            figure.savefig(stream, format="svg", transparent=True, metadata=none)
        root = _plain(ElementTree.fromstring(stream.getvalue()))
        groups = {str(each.get("id")): each for each in root.iter("g")}
        clips = list(root.iter("clipPath"))
        renderer = FigureCanvasAgg(figure).get_renderer()
        panels = []
        for number, axes in enumerate(figure.axes, start=1):
            box = axes.get_tightbbox(renderer)
            if box is None or not axes.get_visible():
                continue
            shown = axes.get_title("left") or axes.get_ylabel()
            image = _image(_flipped(box.extents, figure), f"{title}: {shown}" if shown and number > 1 else title)
            own = {each.get("clip-path", "")[5:-1] for each in groups[f"axes_{number}"].iter()}
            ElementTree.SubElement(image, "defs").extend(each for each in clips if each.get("id") in own)
            image.append(groups[f"axes_{number}"])
            image.extend(_hover(axes, figure))
            panels.append((_text(image), box.width + 2 * MARGIN))
        return Drawn(panels, list(_legend(figure, groups, renderer)))
    finally:
        figure.set_dpi(dpi)


def _plain(root: ElementTree.Element) -> ElementTree.Element:
    """Without namespaces, which HTML knows by itself, and with the page's fonts and colours."""
    for each in root.iter():
        each.tag = each.tag.rpartition("}")[2]
        if (link := each.attrib.pop(f"{XLINK}href", None)) is not None:
            each.set("href", link)
        if style := each.get("style"):
            style = re.sub(r"font-family: [^;]*;? ?", "", style)
            each.set("style", re.sub(r"#[0-9a-f]{6}", lambda found: _COLOURS.get(found[0], found[0]), style))
        if path := each.get("d"):
            each.set("d", re.sub(r"\d+\.\d+", lambda found: f"{float(found[0]):.6g}", " ".join(path.split())))
    return root


def _text(image: ElementTree.Element) -> str:
    """SVG without names that nothing uses, which would be there twice where a page has two figures."""
    used = set()
    for each in image.iter():
        used |= {each.get("href", "")[1:], each.get("clip-path", "")[5:-1]}
    for each in image.iter():
        # Marks are named by what they are, and used by other panels too.
        if each.get("id") and each.tag == "g" and each.get("id") not in used:
            del each.attrib["id"]
        each.text, each.tail = (each.text if each.tag in ("text", "title", "tspan") else None), None
    return ElementTree.tostring(image, encoding="unicode", short_empty_elements=True)


def _flipped(extents: Any, figure: Figure) -> tuple[float, float, float, float]:
    """Left, top, width and height of a box, with margins, as SVG counts them."""
    left, bottom, right, top = (float(each) for each in extents)
    height = figure.get_figheight() * POINTS_PER_INCH
    return left - MARGIN, height - top - MARGIN, right - left + 2 * MARGIN, top - bottom + 2 * MARGIN


def _image(box: tuple[float, float, float, float], title: str | None) -> ElementTree.Element:
    named = {"aria-hidden": "true"} if title is None else {"role": "img", "aria-label": title}
    attributes = {"viewBox": " ".join(f"{each:.2f}" for each in box), **named}
    return ElementTree.Element("svg", attributes)


def _hover(axes: Axes, figure: Figure) -> Iterator[ElementTree.Element]:
    """A circle with its words for each point that has some."""
    height = figure.get_figheight() * POINTS_PER_INCH
    for artist in axes.artists:
        if isinstance(artist, HoverPoints):
            for (x, y), words in zip(axes.transData.transform(artist.points), artist.words, strict=True):
                place = {"cx": f"{x:.1f}", "cy": f"{height - y:.1f}", "r": f"{REACH:g}"}
                circle = ElementTree.Element("circle", {"class": "point", **place})
                ElementTree.SubElement(circle, "title").text = words
                yield circle


def _legend(figure: Figure, groups: dict[str, ElementTree.Element], renderer: Any) -> Iterator[tuple[str, str]]:
    for number, legend in enumerate(figure.legends, start=1):
        marks = [each for each in groups[f"legend_{number}"] if str(each.get("id")).startswith("line2d")]
        for mark, handle, text in zip(marks, legend.legend_handles, legend.get_texts(), strict=True):
            assert handle is not None
            box = _flipped(handle.get_window_extent(renderer).extents, figure)
            image = _image(box, None)
            image.attrib |= {"width": f"{box[2]:.0f}", "height": f"{box[3]:.0f}"}
            image.append(mark)
            yield _text(image), text.get_text()

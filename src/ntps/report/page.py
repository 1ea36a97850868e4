"""One page that holds everything and needs nothing: no network, no other file."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure
from PIL import Image

if TYPE_CHECKING:
    from ntps.report.study_report import StudyReport

LARGEST = 2000
"""Pixels of a figure's longer side: more only makes the page heavy."""
DPI = 130


def render_page(report: StudyReport) -> str:
    """The page as HTML. Names and causes may hold anything: they are escaped.

    Args:
        report: What it shows.
    """
    environment = Environment(
        loader=PackageLoader("ntps.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["png"] = png
    return environment.get_template("report.html.j2").render(report=report)


def png(figure: Figure) -> str:
    """A figure as a data URL, in 256 colours: a third of the bytes, and nobody sees it."""
    drawn, stream = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", dpi=min(DPI, LARGEST / max(figure.get_size_inches())))
    Image.open(drawn).convert("RGB").quantize(256).save(stream, format="png", optimize=True)
    return f"data:image/png;base64,{b64encode(stream.getvalue()).decode()}"

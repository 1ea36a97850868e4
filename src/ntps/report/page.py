"""One page that holds everything and needs nothing: no network, no other file."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from ntps.report.parts import Report, ReportFigure
from ntps.report.svg import Drawn, drawn


def render_page(report: Report) -> str:
    """The page as HTML. Names and causes may hold anything: they are escaped.

    Args:
        report: What it shows.
    """
    environment = Environment(
        loader=PackageLoader("ntps.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["drawn"] = _drawn
    environment.tests["figure"] = lambda part: isinstance(part, ReportFigure)
    return environment.get_template("report.html.j2").render(report=report)


def _drawn(part: ReportFigure) -> Drawn:
    assert part.figure is not None
    return drawn(part.figure, part.name, part.title)

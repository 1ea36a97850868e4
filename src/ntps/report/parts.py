"""What every report consists of: sections of words, figures and tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.figure import Figure

from ntps.report.tabular import ReportTable


@dataclass(frozen=True)
class ReportFigure:
    """A figure with its caption and data.

    Attributes:
        name: Of its files.
        title: Above it.
        caption: What it shows.
        data: What was drawn, for the CSV file.
        figure: The figure; None where there is nothing to draw.
        missing: Why it is missing.
        table: The same as a table, where that is of use.
    """

    name: str
    title: str
    caption: str
    data: pd.DataFrame
    figure: Figure | None = None
    missing: str = ""
    table: ReportTable | None = None


Part = ReportFigure | ReportTable


def has_data(part: Part) -> bool:
    """Whether there is anything to show."""
    return part.figure is not None if isinstance(part, ReportFigure) else not part.frame.empty


@dataclass(frozen=True)
class Section:
    """Parts that answer one question.

    Attributes:
        name: What links to it.
        title: The heading.
        words: Paragraphs before the parts.
        parts: Figures and tables; those without data are not shown.
    """

    name: str
    title: str
    words: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def shown(self) -> list[Part]:
        """The parts that have data."""
        return [part for part in self.parts if has_data(part)]


@dataclass(frozen=True)
class Report:
    """A report, before it is written.

    Attributes:
        title: Its title.
        finding: Paragraphs that say what was found, the first one in one sentence.
        parts: All sections; :attr:`sections` has those that say something.
        facts: What was measured, with what: a name and a value each.
        warnings: What a reader must know.
    """

    title: str
    finding: tuple[str, ...]
    parts: tuple[Section, ...]
    facts: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = field(default=())

    @property
    def sections(self) -> list[Section]:
        """The sections that have data or words."""
        return [section for section in self.parts if section.shown or section.words]

    @property
    def figures(self) -> list[ReportFigure]:
        """All figures, those without data too, which say why."""
        return [part for part in self._all() if isinstance(part, ReportFigure)]

    @property
    def tables(self) -> list[ReportTable]:
        """The tables that have data."""
        return [part for part in self._all() if isinstance(part, ReportTable) and has_data(part)]

    @property
    def failures(self) -> ReportTable | None:
        """Runs without a result, if there are any."""
        return next((table for table in self.tables if table.name == FAILURES), None)

    def _all(self) -> Iterable[Part]:
        return (part for section in self.parts for part in section.parts)


FAILURES = "failures"
"""The table of runs without a result, which every study has."""

"""Results → what people read: tables, words, figures. Reads results only."""

from ntps.report.probe import ProbeResult, probe_table, probe_words, standard_error
from ntps.report.result import Result, ScoreResult
from ntps.report.tables import change_table, layer_table
from ntps.report.words import plain_words

__all__ = [
    "ProbeResult",
    "Result",
    "ScoreResult",
    "change_table",
    "layer_table",
    "plain_words",
    "probe_table",
    "probe_words",
    "standard_error",
]

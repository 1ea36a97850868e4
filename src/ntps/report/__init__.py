"""Results → what people read: tables, words, figures. Reads results only."""

from ntps.report.finetune import FinetuneResult, comparison, finetune_words, read_compared
from ntps.report.probe import ProbeResult, probe_table, probe_words, standard_error
from ntps.report.result import Result, ScoreResult
from ntps.report.tables import change_table, layer_table
from ntps.report.words import plain_words

__all__ = [
    "FinetuneResult",
    "ProbeResult",
    "Result",
    "ScoreResult",
    "change_table",
    "comparison",
    "finetune_words",
    "layer_table",
    "plain_words",
    "probe_table",
    "probe_words",
    "read_compared",
    "standard_error",
]

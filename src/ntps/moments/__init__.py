"""Forward passes for scoring: model × task → moments → scores of layers."""

from ntps.moments.change import change_block, parse_place
from ntps.moments.check import BatchingCheck, check_batching
from ntps.moments.claim import (
    FolderInUse,
    claim_folder,
    clear_folder,
    folder_path,
    left_behind,
    replace_result,
)
from ntps.moments.curves import Curves
from ntps.moments.describe import envelope, versions
from ntps.moments.distributed import World, join_world, process_rank
from ntps.moments.estimate import estimate_score
from ntps.moments.merge import merge_runs
from ntps.moments.moments import Moments
from ntps.moments.pooled import collect_pooled, read_pooled
from ntps.moments.prepared import Prepared, Reporter, gathered
from ntps.moments.record import Record, ScoreRecord
from ntps.moments.rescored import rescore_run
from ntps.moments.rescoring import check_rescoring
from ntps.moments.run import run_score
from ntps.moments.score import LayerScore, score_moments
from ntps.moments.settings import PassSettings, ScoreSettings, check_choice
from ntps.moments.unused import unused_rows
from ntps.moments.words import WordSettings, run_words

__all__ = [
    "BatchingCheck",
    "Curves",
    "FolderInUse",
    "LayerScore",
    "Moments",
    "PassSettings",
    "Prepared",
    "Record",
    "Reporter",
    "ScoreRecord",
    "ScoreSettings",
    "WordSettings",
    "World",
    "change_block",
    "check_batching",
    "check_choice",
    "check_rescoring",
    "claim_folder",
    "clear_folder",
    "collect_pooled",
    "envelope",
    "estimate_score",
    "folder_path",
    "gathered",
    "join_world",
    "left_behind",
    "merge_runs",
    "parse_place",
    "process_rank",
    "read_pooled",
    "replace_result",
    "rescore_run",
    "run_score",
    "run_words",
    "score_moments",
    "unused_rows",
    "versions",
]

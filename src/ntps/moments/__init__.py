"""Forward passes for scoring: model × task → moments → scores of layers."""

from ntps.moments.check import BatchingCheck, check_batching
from ntps.moments.claim import claim_folder, clear_folder
from ntps.moments.curves import Curves
from ntps.moments.describe import versions
from ntps.moments.moments import Moments
from ntps.moments.pooled import collect_pooled, read_pooled
from ntps.moments.record import ScoreRecord
from ntps.moments.rescoring import check_rescoring
from ntps.moments.run import Reporter, run_score
from ntps.moments.score import LayerScore, score_moments
from ntps.moments.settings import ScoreSettings

__all__ = [
    "BatchingCheck",
    "Curves",
    "LayerScore",
    "Moments",
    "Reporter",
    "ScoreRecord",
    "ScoreSettings",
    "check_batching",
    "check_rescoring",
    "claim_folder",
    "clear_folder",
    "collect_pooled",
    "read_pooled",
    "run_score",
    "score_moments",
    "versions",
]

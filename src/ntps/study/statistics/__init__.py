"""Statistics over tasks: does a score go with a measurement? Arrays in, frozen results out."""

from ntps.study.statistics.fixed import FixedScore, bootstrap_interval, fixed_scores
from ntps.study.statistics.held_out import HeldOutSelection, leave_one_out
from ntps.study.statistics.mean_over_models import MeanCoefficient, mean_over_models
from ntps.study.statistics.permutation import single_p_value
from ntps.study.statistics.ranks import Direction, spearman
from ntps.study.statistics.selection import SelectedPair, select_pair

__all__ = [
    "Direction",
    "FixedScore",
    "HeldOutSelection",
    "MeanCoefficient",
    "SelectedPair",
    "bootstrap_interval",
    "fixed_scores",
    "leave_one_out",
    "mean_over_models",
    "select_pair",
    "single_p_value",
    "spearman",
]

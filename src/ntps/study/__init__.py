"""Models × tasks × measurements → a folder of results, on one machine or many → statistics."""

from ntps.study.definition import STUDIES, Study, load_study
from ntps.study.runs import Outcome, Overwrite, Run, State, Status
from ntps.study.study import EngineName, PlannedRun, Studying

__all__ = [
    "STUDIES",
    "EngineName",
    "Outcome",
    "Overwrite",
    "PlannedRun",
    "Run",
    "State",
    "Status",
    "Study",
    "Studying",
    "load_study",
]

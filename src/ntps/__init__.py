"""Next Token Perception Score (NTPS, arXiv 2505.17169).

How well what a language model learned by predicting the next token fits a labelled task, from one forward pass and no
training.
"""

from importlib.metadata import version

from ntps.api import finetune, merge, probe, rescore, run_study, score
from ntps.api.results import FinetuneResult, ProbeResult, ScoreResult
from ntps.errors import InputError, NtpsError, NumericalError
from ntps.models.load import load_model
from ntps.models.model import LanguageModel
from ntps.moments.accumulator import Moments
from ntps.moments.curves import Curves
from ntps.moments.layer_score import LayerScore, score_moments
from ntps.tasks.from_lists import task_from_lists
from ntps.tasks.load import load_task
from ntps.tasks.task import Task

__version__ = version("ntps")

__all__ = [
    "Curves",
    "FinetuneResult",
    "InputError",
    "LanguageModel",
    "LayerScore",
    "Moments",
    "NtpsError",
    "NumericalError",
    "ProbeResult",
    "ScoreResult",
    "Task",
    "finetune",
    "load_model",
    "load_task",
    "merge",
    "probe",
    "rescore",
    "run_study",
    "score",
    "score_moments",
    "task_from_lists",
]

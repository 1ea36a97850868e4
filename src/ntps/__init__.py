"""Next Token Perception Score (NTPS, arXiv 2505.17169).

How well what a language model learned by predicting the next token fits a labelled task, from one forward pass and no
training.
"""

from importlib.metadata import version

from ntps.api import finetune, merge, probe, rescore, run_study, score
from ntps.errors import InputError, NtpsError, NumericalError
from ntps.models import LanguageModel, load_model
from ntps.moments import Curves, LayerScore, Moments, score_moments
from ntps.report import FinetuneResult, ProbeResult, ScoreResult
from ntps.tasks import Task, load_task, task_from_lists

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

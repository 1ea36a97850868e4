"""Next Token Perception Score (NTPS, arXiv 2505.17169).

How well what a language model learned by predicting the next token fits a labelled task, from one forward pass and no
training.
"""

from typing import TYPE_CHECKING

from ntps.errors import InputError, NtpsError, NumericalError
from ntps.lazy import offer

if TYPE_CHECKING:
    from ntps.api.advising import AdviceResult, advise, calibrate
    from ntps.api.finetuning import finetune
    from ntps.api.merging import merge
    from ntps.api.probing import probe
    from ntps.api.ranking import rank
    from ntps.api.reprobing import reprobe
    from ntps.api.rescoring import rescore
    from ntps.api.results import FinetuneResult, ProbeResult, RankResult, ScoreResult
    from ntps.api.scoring import score
    from ntps.api.studying import run_study
    from ntps.models.load import load_model
    from ntps.models.model import LanguageModel
    from ntps.moments.accumulator import Moments
    from ntps.moments.curves import Curves
    from ntps.moments.layer_score import LayerScore, score_moments
    from ntps.options.probing import AdamWProbe, LeastSquares, LogisticProbe, RidgeProbe
    from ntps.options.recipes import FullFineTuning, LoRA
    from ntps.prediction.estimator import NTPSProbe as NTPSProbe
    from ntps.prediction.loading import load_probe
    from ntps.prediction.predictor import Predictor
    from ntps.tasks.from_lists import task_from_lists
    from ntps.tasks.load import load_task
    from ntps.tasks.task import Task
    from ntps.version import __version__ as __version__
else:
    # The same names for whoever runs this: importing them takes seconds.
    __getattr__, __dir__ = offer(
        __name__,
        {
            "AdamWProbe": "ntps.options.probing",
            "AdviceResult": "ntps.api.advising",
            "Curves": "ntps.moments.curves",
            "FinetuneResult": "ntps.api.results",
            "FullFineTuning": "ntps.options.recipes",
            "LanguageModel": "ntps.models.model",
            "LayerScore": "ntps.moments.layer_score",
            "LeastSquares": "ntps.options.probing",
            "LoRA": "ntps.options.recipes",
            "LogisticProbe": "ntps.options.probing",
            "Moments": "ntps.moments.accumulator",
            "NTPSProbe": "ntps.prediction.estimator",
            "Predictor": "ntps.prediction.predictor",
            "ProbeResult": "ntps.api.results",
            "RidgeProbe": "ntps.options.probing",
            "RankResult": "ntps.api.results",
            "ScoreResult": "ntps.api.results",
            "Task": "ntps.tasks.task",
            "__version__": "ntps.version",
            "advise": "ntps.api.advising",
            "calibrate": "ntps.api.advising",
            "finetune": "ntps.api.finetuning",
            "load_model": "ntps.models.load",
            "load_probe": "ntps.prediction.loading",
            "load_task": "ntps.tasks.load",
            "merge": "ntps.api.merging",
            "probe": "ntps.api.probing",
            "rank": "ntps.api.ranking",
            "reprobe": "ntps.api.reprobing",
            "rescore": "ntps.api.rescoring",
            "run_study": "ntps.api.studying",
            "score": "ntps.api.scoring",
            "score_moments": "ntps.moments.layer_score",
            "task_from_lists": "ntps.tasks.from_lists",
        },
    )

__all__ = [
    "AdamWProbe",
    "AdviceResult",
    "Curves",
    "FinetuneResult",
    "FullFineTuning",
    "InputError",
    "LanguageModel",
    "LayerScore",
    "LeastSquares",
    "LoRA",
    "LogisticProbe",
    "Moments",
    "NtpsError",
    "NumericalError",
    "Predictor",
    "ProbeResult",
    "RankResult",
    "RidgeProbe",
    "ScoreResult",
    "Task",
    "advise",
    "calibrate",
    "finetune",
    "load_model",
    "load_probe",
    "load_task",
    "merge",
    "probe",
    "rank",
    "reprobe",
    "rescore",
    "run_study",
    "score",
    "score_moments",
    "task_from_lists",
]

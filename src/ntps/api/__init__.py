"""The functions that ``import ntps`` offers for whole jobs."""

from typing import TYPE_CHECKING

from ntps.lazy import offer

if TYPE_CHECKING:
    from ntps.api.advising import advise, calibrate
    from ntps.api.estimating import estimate
    from ntps.api.finetuning import finetune
    from ntps.api.merging import merge
    from ntps.api.probing import probe
    from ntps.api.ranking import rank
    from ntps.api.reprobing import reprobe
    from ntps.api.rescoring import rescore
    from ntps.api.scoring import score
    from ntps.api.studying import run_study
else:
    __getattr__, __dir__ = offer(
        __name__,
        {
            "advise": "ntps.api.advising",
            "calibrate": "ntps.api.advising",
            "estimate": "ntps.api.estimating",
            "finetune": "ntps.api.finetuning",
            "merge": "ntps.api.merging",
            "probe": "ntps.api.probing",
            "rank": "ntps.api.ranking",
            "reprobe": "ntps.api.reprobing",
            "rescore": "ntps.api.rescoring",
            "run_study": "ntps.api.studying",
            "score": "ntps.api.scoring",
        },
    )

__all__ = [
    "advise",
    "calibrate",
    "estimate",
    "finetune",
    "merge",
    "probe",
    "rank",
    "reprobe",
    "rescore",
    "run_study",
    "score",
]

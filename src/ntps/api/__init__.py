"""The functions that ``import ntps`` offers for whole jobs."""

from ntps.api.estimating import estimate
from ntps.api.finetuning import finetune
from ntps.api.merging import merge
from ntps.api.probing import probe
from ntps.api.rescoring import rescore
from ntps.api.scoring import score
from ntps.api.studying import run_study

__all__ = ["estimate", "finetune", "merge", "probe", "rescore", "run_study", "score"]

"""The functions that ``import ntps`` offers for whole jobs."""

from ntps.api.finetuning import finetune
from ntps.api.probing import probe
from ntps.api.scoring import score

__all__ = ["finetune", "probe", "score"]

"""Transferability scores of others, as pure functions: what they say of the same pooled texts."""

from ntps.theory.rivals.centred import CentredFeatures, ledoit_wolf
from ntps.theory.rivals.discriminant import discriminant_answers
from ntps.theory.rivals.h_score import h_score, shrunk_h_score
from ntps.theory.rivals.leep import leep
from ntps.theory.rivals.logme import logme
from ntps.theory.rivals.neighbours import neighbour_answers
from ntps.theory.rivals.transrate import transrate

__all__ = [
    "CentredFeatures",
    "discriminant_answers",
    "h_score",
    "ledoit_wolf",
    "leep",
    "logme",
    "neighbour_answers",
    "shrunk_h_score",
    "transrate",
]

"""Nearest neighbours: what the texts around each text say of its class."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from ntps.theory.factor import Array
from ntps.theory.ridge import CHUNK, Ids

NEIGHBOURS = 3


def neighbour_answers(
    features: Float64[Array, "texts dims"],
    classes: Int64[Ids, " texts"],
    groups: Int64[Ids, " texts"] | None = None,
    neighbours: int = NEIGHBOURS,
) -> Int64[Ids, " texts"]:
    """The most frequent class among the texts at the least Euclidean distance, each text left out in turn.

    The share of right answers, from 0 to 1, is a transferability score (Renggli et al. 2022, arXiv 2010.06402);
    higher is better. The same for rotated and scaled features.

    Args:
        features: As they are.
        classes: Numbers from 0 on.
        groups: Texts of one group, such as equal ones, are no neighbours of each other; each text is one by default.
        neighbours: How many texts vote; of classes with as many votes, the one with the nearest text wins.
    """
    texts = len(features)
    identity = np.arange(texts) if groups is None else groups
    centred = features - features.mean(axis=0)
    squares = np.einsum("ij,ij->i", centred, centred)
    count = min(neighbours, texts - 1)
    # More than anything that follows, so that votes count first and order decides among equals.
    weights = 1.0 + 0.5 ** np.arange(1, count + 1)
    answers = np.empty(texts, dtype=np.int64)
    step = max(1, CHUNK // texts)
    for start in range(0, texts, step):
        block = slice(start, start + step)
        # But for what is the same for all neighbours of a text.
        distances = squares - 2.0 * centred[block] @ centred.T
        distances[identity[block, None] == identity] = np.inf
        nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
        reached = np.take_along_axis(distances, nearest, axis=1)
        order = np.argsort(reached, axis=1)
        nearest, reached = (np.take_along_axis(each, order, axis=1) for each in (nearest, reached))
        votes = np.zeros((len(nearest), int(classes.max()) + 1))
        rows = np.arange(len(nearest))[:, None]
        np.add.at(votes, (rows, classes[nearest]), np.where(np.isfinite(reached), weights, 0.0))
        answers[block] = votes.argmax(axis=1)
    return answers

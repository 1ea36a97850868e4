"""The closed forms of every layer, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from threadpoolctl import ThreadpoolController

from ntps.moments.moments import Moments
from ntps.moments.score import Convention, LayerScore, score_moments

THREADED_WIDTH = 1024
"""Width above which a second BLAS thread is worth its start; below it, threads cost more than they bring as soon as
another process wants the same cores."""


def score_layers(
    moments: dict[int, Moments], layer_names: Sequence[str], convention: Convention = "paper", centered: bool = False
) -> Iterator[LayerScore]:
    """Scores layers in ascending order and forgets their moments, so that memory falls while results come.

    Layers are not scored side by side: SciPy's routines keep Python's lock while they run, so threads would wait for
    each other, and the BLAS has threads of its own for matrices that are large enough.

    Args:
        moments: Moments by index of the layer; emptied.
        layer_names: Name of every layer of the model.
        convention: See :func:`~ntps.moments.score.score_moments`.
        centered: Likewise.
    """
    pools = ThreadpoolController()
    for layer in sorted(moments):
        means = moments.pop(layer).means()
        threads = 1 if len(means.prefix_gram) <= THREADED_WIDTH else torch.get_num_threads()
        with pools.limit(limits=threads, user_api="blas"):
            score = score_moments(means, convention, centered, layer=layer, name=layer_names[layer])
        yield score

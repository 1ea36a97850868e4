"""Cross-validated ridge of one layer in closed form: seconds of each step.

    python benchmarks/ridge.py [--texts 2000] [--width 4096] [--classes 6] [--repeats 3] [--layers 2] [--rounds 3]

Features are synthetic, with a spectrum that falls as that of pooled states does. The steps: standardize, decompose,
choose the penalty by leaving out each text at every one of the grid, ten folds left out whole, repeated, and the area
with two random subspaces for its chance level. As many layers at once as ``--layers`` says, each in a thread of its own
that the BLAS does not divide further, as `ntps score` does it. Processor seconds of each step, and the wall time over
the number of layers: the least of some rounds, as other processes only add to them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import typer
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from common import Array
from ntps import theory

Result = TypeVar("Result")


class Clock:
    """The least processor seconds of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, step: str, function: Callable[[], Result]) -> Result:
        start = time.thread_time()
        result = function()
        self.seconds[step] = min(self.seconds.get(step, np.inf), time.thread_time() - start)
        return result


def one_round(
    clock: Clock, features: NDArray[np.float32], labels: NDArray[np.int64], repeats: int, share: Array
) -> list[int]:
    """All steps once; the dimensions of the subspaces."""
    texts, width = features.shape
    targets = np.eye(int(labels.max()) + 1)[labels]
    scaling = clock.time("standardize", lambda: theory.standardize(features, 1e-7))
    scaled = clock.time("scale", lambda: scaling.apply(features))
    ridge = clock.time("decompose", lambda: theory.decompose_features(scaled))
    chosen = clock.time("penalty", lambda: theory.choose_penalty(ridge, targets))
    folds = [theory.stratified_folds(labels, seed=seed) for seed in range(repeats)]
    clock.time("leave folds out", lambda: [ridge.left_out(targets, chosen.penalty, each) for each in folds])
    clock.time("probe", lambda: theory.ridge_probe(scaling, scaled, ridge, targets, chosen.penalty))
    grid = theory.share_grid(share, min(texts // 2, 256))
    most = int(grid.dimensions[-1])
    directions = np.random.default_rng(1).standard_normal((width, most))
    bases = [theory.subspace_basis(scaling, directions), *(theory.random_basis(scaling, most, seed) for seed in (0, 1))]
    clock.time("area", lambda: [theory.area_gain(scaled, basis, grid, targets, chosen) for basis in bases])
    return [int(dimension) for dimension in grid.dimensions]


def main(
    texts: int = 2000, width: int = 4096, classes: int = 6, repeats: int = 3, layers: int = 2, rounds: int = 3
) -> None:
    random = np.random.default_rng(0)
    spectrum = np.arange(1, width + 1) ** -0.5
    hidden = random.standard_normal((texts, width)) * spectrum
    features = (hidden @ random.standard_normal((width, width))).astype(np.float32)
    told = hidden[:, :30] @ random.standard_normal((30, classes)) + random.standard_normal((texts, classes))
    share = np.cumsum(spectrum**2) / np.sum(spectrum**2)
    clock = Clock()

    def one_layer(_: int) -> list[int]:
        return one_round(clock, features, told.argmax(axis=1), repeats, share)

    walls = []
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(layers) as pool:
        for _ in range(rounds):
            start = time.perf_counter()
            dimensions, *_others = pool.map(one_layer, range(layers))
            walls.append(time.perf_counter() - start)
    print(f"{texts} texts, {width} features, {classes} classes, {repeats} times ten folds, subspaces of {dimensions}")
    for step, seconds in clock.seconds.items():
        print(f"{step:<16} {seconds:7.3f} s of a processor")
    print(f"{'all':<16} {sum(clock.seconds.values()):7.3f} s of a processor")
    print(f"{layers} layers at once: {min(walls) / layers:.3f} s of wall time a layer")


if __name__ == "__main__":
    typer.run(main)

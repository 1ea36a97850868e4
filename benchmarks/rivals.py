"""Rival scores of one layer: processor seconds of each.

    python benchmarks/rivals.py [--texts 2000] [--width 896] [--classes 6] [--rounds 1]

Features are synthetic, with a spectrum that falls as that of pooled states does. One thread, as `ntps score` gives each
layer: the least of some rounds. The folds of the discriminants are those of `ntps score`, three times ten up to 2,000
texts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import typer
from threadpoolctl import threadpool_limits

from ntps import theory
from ntps.theory import rivals
from ntps.validation.labels import Labels
from ntps.validation.rivals import ENERGY, rival_scores


def main(texts: int = 2000, width: int = 896, classes: int = 6, rounds: int = 1) -> None:
    random = np.random.default_rng(0)
    hidden = random.standard_normal((texts, width)) * np.arange(1, width + 1) ** -0.5
    features = hidden @ random.standard_normal((width, width))
    told = hidden[:, :30] @ random.standard_normal((30, classes)) + random.standard_normal((texts, classes))
    labels = Labels("classes", np.eye(classes)[told.argmax(axis=1)])
    answers, folds = labels.classes, labels.folds
    standardization = theory.standardize(features)
    scaled = standardization.apply(features)
    centred = rivals.CentredFeatures.of(features)
    steps: dict[str, Callable[[], object]] = {
        "svd": lambda: rivals.CentredFeatures.of(features),
        "h_score": lambda: rivals.h_score(centred, answers),
        "h_score_shrunk": lambda: rivals.shrunk_h_score(centred, answers),
        "logme": lambda: rivals.logme(features, labels.targets),
        "discriminants": lambda: [rivals.discriminant_answers(scaled, answers, each) for each in folds],
        "transrate": lambda: rivals.transrate(centred, answers),
        "knn": lambda: rivals.neighbour_answers(features, answers),
        "all, with n_leep": lambda: rival_scores(features, standardization, labels),
    }
    print(
        f"{texts} texts, {width} features, {classes} classes, n_leep on {centred.leading(ENERGY).shape[1]} components"
    )
    with threadpool_limits(1):
        for name, step in steps.items():
            seconds = []
            for _ in range(rounds):
                start = time.thread_time()
                step()
                seconds.append(time.thread_time() - start)
            print(f"{name:<16} {min(seconds):7.3f} s of a processor")


if __name__ == "__main__":
    typer.run(main)

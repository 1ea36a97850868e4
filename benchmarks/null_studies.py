"""Is the permutation test right? Simulated studies without any relation, and with a planted one.

    python benchmarks/null_studies.py [--studies 500] [--figure docs/null_studies.png]

A study is twelve tasks × 30 layers × 19 k. Neighbouring layers and neighbouring k have correlated scores, as those of
real models do; the measurement is independent of all of them. Valid p-values are uniform over such studies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.stats import kstest

from common import show
from ntps.study.statistics import bootstrap_interval, leave_one_out, select_pair

Array = NDArray[np.float64]

TASKS, LAYERS, FRACTIONS = 12, 30, 19
MEMORY = 0.9
"""Correlation of scores at neighbouring layers, and at neighbouring k."""
PLANTED = (14, 9)


def simulated_study(rng: np.random.Generator, relation: float = 0.0) -> tuple[Array, Array]:
    """Scores (tasks, layers, k), and a measurement (tasks,) that correlates with the planted pair by ``relation``."""
    noise = rng.normal(size=(LAYERS, FRACTIONS, TASKS))
    scores = _remember(_remember(noise).swapaxes(0, 1)).T
    own = rng.normal(size=TASKS)
    return scores, relation * scores[:, *PLANTED] + np.sqrt(1 - relation**2) * own


def _remember(noise: Array) -> Array:
    """A stationary autoregressive process along the first axis."""
    states = noise.copy()
    for step in range(1, len(states)):
        states[step] = MEMORY * states[step - 1] + np.sqrt(1 - MEMORY**2) * noise[step]
    return states


def selected(studies: int, permutations: int, relation: float = 0.0, seed: int = 0) -> dict[str, Array]:
    """P-values of the selected pair of simulated studies, naively and with the selection repeated; its coefficients.

    Args:
        studies: How many.
        permutations: Random orders for each.
        relation: Correlation with the planted pair.
        seed: Of the studies.
    """
    rng = np.random.default_rng(seed)
    found = []
    for study in range(studies):
        pair = select_pair(*simulated_study(rng, relation), "positive", permutations=permutations, seed=study)
        found.append((pair.p_value, pair.naive_p_value, pair.coefficient))
    return dict(zip(("selected", "naive", "coefficient"), np.array(found).T, strict=True))


def held_out(studies: int, permutations: int, relation: float = 0.0, seed: int = 0) -> dict[str, Array]:
    """P-values and coefficients of leaving one task out, for the same studies and arguments."""
    rng = np.random.default_rng(seed)
    found = []
    for study in range(studies):
        left = leave_one_out(*simulated_study(rng, relation), "positive", permutations=permutations, seed=study)
        found.append((left.p_value, left.coefficient))
    return dict(zip(("held_out", "held_out_coefficient"), np.array(found).T, strict=True))


def coverage(tasks: int, relation: float, studies: int = 400) -> float:
    """How often the bootstrap interval of one score holds the true coefficient of a Gaussian relation."""
    rng = np.random.default_rng(0)
    truth = 6 / np.pi * np.arcsin(relation / 2)
    hits = 0
    for study in range(studies):
        score, own = rng.normal(size=(2, tasks))
        measurement = relation * score + np.sqrt(1 - relation**2) * own
        low, high = bootstrap_interval(score, measurement, resamples=1000, seed=study)
        hits += low <= truth <= high
    return hits / studies


def main(
    studies: int = 500,
    permutations: int = 999,
    figure: Annotated[Path | None, typer.Option(help="Where to draw the distributions.")] = None,
) -> None:
    """Print how p-values are distributed without a relation, and how often a planted one is found."""
    null, planted = (
        selected(studies, permutations, relation, seed) | held_out(studies, permutations, relation, seed)
        for relation, seed in ((0.0, 0), (0.95, 1))
    )
    tests = ("selected", "naive", "held_out")
    show(
        {
            "studies": studies,
            "permutations": permutations,
            "kolmogorov_smirnov_p": {name: float(kstest(null[name], "uniform").pvalue) for name in tests},
            "below_0.05_without_relation": {name: float(np.mean(null[name] <= 0.05)) for name in tests},
            "below_0.05_with_planted_relation": {name: float(np.mean(planted[name] <= 0.05)) for name in tests},
            "coefficient_without_relation": {
                name: {"mean": float(np.mean(null[name])), "spread": float(np.std(null[name]))}
                for name in ("coefficient", "held_out_coefficient")
            },
            "coverage_of_95_percent_intervals": {
                f"{tasks} tasks, correlation {relation}": coverage(tasks, relation)
                for tasks in (8, 12)
                for relation in (0.0, 0.5, 0.8)
            },
        }
    )
    if figure is not None:
        draw(null, figure)


def draw(null: dict[str, Array], path: Path) -> None:
    """Distribution functions of the p-values; valid ones follow the diagonal."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(5.2, 4.2), layout="constrained")
    axes = canvas.subplots()
    looks = {
        "naive": ("the selected pair, as if it were the only one", "#D55E00", "--"),
        "selected": ("the selection repeated for every order", "#0072B2", "-"),
        "held_out": ("leave one task out", "#009E73", "-."),
    }
    for name, (label, colour, line) in looks.items():
        axes.step(
            np.sort(null[name]),
            np.arange(1, len(null[name]) + 1) / len(null[name]),
            label=label,
            where="post",
            color=colour,
            linestyle=line,
            linewidth=1.8,
        )
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle=":", label="uniform")
    axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel="p-value", ylabel="share of studies without any relation")
    axes.legend(loc="lower right", fontsize="small")
    canvas.savefig(path, dpi=110)


if __name__ == "__main__":
    typer.run(main)

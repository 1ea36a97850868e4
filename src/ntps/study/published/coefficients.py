"""The paper's correlations, recomputed from its points, and what can still be said about their p-values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ntps.study.published.reader import pairs_swept, read_published
from ntps.study.statistics import Direction, MeanCoefficient, mean_over_models, single_p_value, spearman


@dataclass(frozen=True)
class Relation:
    """A score and a measurement that the paper correlates.

    Attributes:
        name: Key of the relation.
        figure: Number of the paper's figure.
        score: Column of the points.
        measurement: Column of the points.
        direction: What the paper claims.
        selected: Whether the score's (layer, k) was chosen to give the strongest coefficient.
        words: As people read it.
    """

    name: str
    figure: int
    score: str
    measurement: str
    direction: Direction
    selected: bool
    words: str


RELATIONS = (
    Relation(
        "ntps_vs_accuracy", 2, "fig2_accuracy_ntps", "logistic_train_accuracy", "positive", True, "NTPS, probe accuracy"
    ),
    Relation("ntps_vs_mse", 2, "fig2_mse_ntps", "ols_train_mse", "negative", True, "NTPS, probe MSE"),
    Relation("ntps_vs_lora_gain", 3, "fig3_ntps", "lora_gain", "negative", True, "NTPS, LoRA gain"),
    Relation(
        "probe_vs_lora_gain", 3, "probe_test_accuracy", "lora_gain", "negative", False, "probe accuracy, LoRA gain"
    ),
)


@dataclass(frozen=True)
class PublishedCoefficient:
    """One of the 32 coefficients.

    The published points hold only the chosen (layer, k) of each model and figure, so the choice cannot be repeated. Its
    p-value lies between two that can be computed: that of the chosen pair alone, and that times the number of pairs.

    Attributes:
        model: Hub id.
        relation: What is correlated.
        coefficient: Spearman's coefficient over the twelve tasks.
        p_at_least: Exact p-value in the claimed direction, as if the pair had been the only one.
        p_at_most: Bonferroni's bound over all pairs that were compared.
        pairs: Their number; 1 where nothing was chosen.
    """

    model: str
    relation: Relation
    coefficient: float
    p_at_least: float
    p_at_most: float
    pairs: int


def published_coefficients() -> tuple[PublishedCoefficient, ...]:
    """All 32, models in the order of the published numbers, relations within them."""
    points = read_published().points
    found = []
    for model in read_published().models:
        own = points.loc[model]
        for relation in RELATIONS:
            score, measurement = own[relation.score].to_numpy(), own[relation.measurement].to_numpy()
            alone = single_p_value(score, measurement, relation.direction)
            pairs = pairs_swept(model) if relation.selected else 1
            coefficient = float(spearman(score, measurement))
            found.append(PublishedCoefficient(model, relation, coefficient, alone, min(1.0, alone * pairs), pairs))
    return tuple(found)


def published_means() -> dict[str, MeanCoefficient]:
    """The mean over the eight models by name of the relation; where pairs were chosen, its p-value is a lower bound."""
    points = read_published().points
    wide = {column: points[column].unstack("model").to_numpy(dtype=np.float64) for column in points}
    return {
        relation.name: mean_over_models(wide[relation.score], wide[relation.measurement], relation.direction)
        for relation in RELATIONS
    }

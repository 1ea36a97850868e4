"""The paper's coefficients and what can be said about them, and where the paper and its data differ."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ntps.report.tabular import Column, ReportTable
from ntps.study.published import RELATIONS, published_coefficients, published_means, short_name

SLIPS = (
    "Table 1 has 99.5 % for the linear probe of OpenELM-450M on imdb; the data behind figure 3 has 93.5 %. All other "
    "entries of the table agree with that data.",
    "The text says that probe accuracy and LoRA gain correlate by 0.30 to 0.60; by the paper's own data it is 0.20 to "
    "0.50 (without the sign).",
    "Figure 3 plots the ranks of the gain in reversed order, so that its r are the negatives of the coefficients here.",
    "NTPS comes from the released sweep, which sorts eigenvectors in ascending order; Algorithm 1 takes the largest.",
)
"""Where the paper and its own data differ."""
REMARKS = (
    "On medical_questions_pairs, two classes of equal size, all sixteen test accuracies are between 13 % and 37 %, far "
    "below a coin's 50 %, and LoRA is below the probe for every model: the lowest gain of all tasks in all eight.",
    "Without that one task, probe accuracy and LoRA gain correlate by −0.47 to −0.85 (mean −0.61, before −0.29), NTPS "
    "at its chosen pairs by −0.42 to −0.86 (mean −0.66, before −0.70): most of the distance between the two is that "
    "task. The gain contains minus the probe's accuracy, so part of the former is arithmetic.",
    "Eight training MSEs are below 1e-8: there the probe has more inputs than texts, and fits anything.",
    "In table 2, LoRA moves NTPS by −14.5 to +228.7 % in Qwen2-7B, OpenELM-3B and Meta-Llama-3-8B, and by −2.3 to +4.3 "
    "% in the other five.",
    "Table 1 has no numbers for Qwen2-7B and Meta-Llama-3-8B, and none for training OpenELM-3B from scratch on imdb.",
)
"""What else a reader of the published numbers should know."""
CAPTION = (
    "ρ: Spearman over the twelve tasks, at the (layer, k) that makes it strongest in that model and figure; probe "
    "accuracy is of the last layer, with no choice. p: exact, in the direction that the paper claims. Only the chosen "
    "pairs were published: the choice among all (layer, k) cannot be repeated, nor its p-value be computed. That "
    "p-value lies between the one of the chosen pair alone (p ≥) and that times the number of pairs, layers 0 … L−1 by "
    "nineteen k (p ≤, Bonferroni). The mean's deals out the tasks in the same way for all models, which share them."
)
LEVEL = 0.05


def verdict() -> str:
    """How many of the selected coefficients the bounds decide."""
    selected = [each for each in published_coefficients() if each.relation.selected]
    beyond = sum(each.p_at_most <= LEVEL for each in selected)
    within = sum(each.p_at_least > LEVEL for each in selected)
    return (
        f"Of the {len(selected)} coefficients whose (layer, k) was selected on the same data, {beyond} are significant "
        f"at p ≤ {LEVEL} for certain, {within} are not for certain, and {len(selected) - beyond - within} cannot be "
        "decided from what was published."
    )


def coefficients_table() -> ReportTable:
    """The 32 coefficients and their means over models, with bounds on their p-values."""
    found = published_coefficients()
    means = published_means()
    rows: list[tuple[str | float, ...]] = []
    for relation in RELATIONS:
        for each in found:
            if each.relation is relation:
                figures = (each.coefficient, each.pairs, each.p_at_least, each.p_at_most)
                rows.append((relation.words, short_name(each.model), *figures))
        mean = means[relation.name]
        at_most = np.nan if relation.selected else mean.p_value
        rows.append((relation.words, "mean", mean.mean, np.nan, mean.p_value, at_most))
    names = ["relation", "model", "coefficient", "pairs", "p_at_least", "p_at_most"]
    return ReportTable(
        "published_coefficients",
        "Published correlations, recomputed",
        CAPTION,
        (
            Column("relation", "relation"),
            Column("model", "model"),
            Column("coefficient", "ρ", "decimal"),
            Column("pairs", "pairs", "count"),
            Column("p_at_least", "p ≥", "p"),
            Column("p_at_most", "p ≤", "p"),
        ),
        pd.DataFrame(rows, columns=names),
    )

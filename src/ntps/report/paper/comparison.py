"""What a study measured beside what the paper published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from ntps.report.tabular import Column, Kind, ReportTable
from ntps.study.analysis.accuracies import accuracies
from ntps.study.analysis.correlations import FIXED, LEFT_OUT, PROBE_ACCURACY, SELECTED, correlate
from ntps.study.analysis.measures import MAIN_RULE
from ntps.study.analysis.reader import StudyResults
from ntps.study.published import RELATIONS, published_coefficients, read_published, short_name


@dataclass(frozen=True)
class Quantity:
    """Something that the paper and a study may both have measured.

    Attributes:
        name: Of the table, and of the study's column.
        title: What it is, with its unit.
        kind: How it is written.
        published: Column of the published points.
        scale: From the published unit to ours.
    """

    name: str
    title: str
    kind: Kind
    published: str
    scale: float = 1.0


QUANTITIES = (
    Quantity("probe", "Linear probe, accuracy on test texts (%)", "percent", "probe_test_accuracy"),
    Quantity("lora", "LoRA, accuracy on test texts (%)", "percent", "lora_test_accuracy"),
    Quantity("gain", "LoRA minus probe (points)", "points", "lora_gain"),
    Quantity("scratch", "From scratch, accuracy on test texts (%)", "percent", "table1_scratch_percent", 0.01),
    Quantity("logistic", "Logistic probe, accuracy on training texts (%)", "percent", "logistic_train_accuracy"),
    Quantity("ols", "Least-squares probe, MSE on training texts", "decimal", "ols_train_mse"),
    Quantity("change", "Change of NTPS after LoRA (%)", "points", "table2_change_percent", 0.01),
)
OWN_MEASURES = {"accuracy": "ntps_vs_accuracy", "mse": "ntps_vs_mse", "gain": "ntps_vs_lora_gain"}
"""The paper's relation by the key of a study's measure."""
CHOICES = {FIXED: "fixed", SELECTED: "selected", LEFT_OUT: "left out"}
CAPTION = (
    "own: measured here, probes in the last layer. paper: the same model, where the paper has it; median, lowest and "
    "highest are over the paper's models. A task of the same name may have other texts, and fewer of them; the layers "
    "of the paper's training figures were not published."
)


def comparison(results: StudyResults) -> Iterator[ReportTable]:
    """The coefficients, then one table for each quantity that both have, with the tasks that both have."""
    coefficients = beside_coefficients(results)
    if not coefficients.frame.empty:
        yield coefficients
    points = read_published().points
    hub_ids = {short_name(model).casefold(): model for model in read_published().models}
    own = measured(results)
    for quantity in QUANTITIES:
        published = points[quantity.published] * quantity.scale
        frame = own[["model", "task", quantity.name]].rename(columns={quantity.name: "own"}).dropna()
        frame = frame[frame["task"].isin(read_published().tasks)]
        if frame.empty:
            continue
        same = [hub_ids.get(_last_part(name), "") for name in frame["model"]]
        frame["paper"] = published.reindex(list(zip(same, frame["task"], strict=True))).to_numpy()
        for name in ("median", "min", "max"):
            frame[name] = published.groupby("task").agg(name).reindex(frame["task"]).to_numpy()
        yield ReportTable(
            f"beside_{quantity.name}",
            quantity.title,
            CAPTION,
            (
                Column("model", "model"),
                Column("task", "task"),
                Column("own", "own", quantity.kind),
                Column("paper", "paper", quantity.kind),
                Column("median", "median", quantity.kind),
                Column("min", "lowest", quantity.kind),
                Column("max", "highest", quantity.kind),
            ),
            frame,
        )


def beside_coefficients(results: StudyResults) -> ReportTable:
    """The study's coefficients of the paper's relations: by the main rule, selected, and chosen without the task."""
    words = {relation.name: relation.words for relation in RELATIONS}
    published = pd.DataFrame(
        [(each.relation.name, _last_part(each.model), each.coefficient) for each in published_coefficients()],
        columns=["relation", "model", "coefficient"],
    ).set_index(["relation", "model"])["coefficient"]
    frame = correlate(results).frame()
    by_probe = frame["predictor"] == PROBE_ACCURACY
    frame["relation"] = frame["measure"].map(OWN_MEASURES).mask(by_probe, "probe_vs_lora_gain")
    wanted = by_probe | (frame["basis"] != FIXED) | (frame["predictor"] == MAIN_RULE.label)
    frame = frame[wanted & frame["relation"].notna() & frame["coefficient"].notna()]
    same = list(zip(frame["relation"], frame["model"].map(_last_part), strict=True))
    frame = frame.assign(
        paper=published.reindex(pd.MultiIndex.from_tuples(same, names=published.index.names)).to_numpy()
    )
    for name in ("median", "min", "max"):
        frame[name] = published.groupby("relation").agg(name).reindex(frame["relation"]).to_numpy()
    return ReportTable(
        "beside_coefficients",
        "Spearman's ρ over tasks",
        "own: measured here over the tasks of the study, by a rule fixed in advance, at the pair selected on the same "
        "data, or at the pair chosen without the task (left out); p counts all rules or pairs that were tried. paper: "
        "at the pair that was selected for the same model; median, lowest and highest over its models.",
        (
            Column("relation", "relation"),
            Column("model", "model"),
            Column("basis", "choice"),
            Column("coefficient", "own", "signed"),
            Column("p_value", "p", "p"),
            Column("paper", "paper", "signed"),
            Column("median", "median", "signed"),
            Column("min", "lowest", "signed"),
            Column("max", "highest", "signed"),
        ),
        frame.assign(relation=frame["relation"].map(words), basis=frame["basis"].map(CHOICES)),
    )


def measured(results: StudyResults) -> pd.DataFrame:
    """What a study measured, one row per model and task: ``model, task`` and a column for each quantity."""
    frame = accuracies(results)
    last = results.probes[results.probes["last"].astype(bool) & (results.probes["split"] == "train")]
    changes = results.changes.sort_values("layer").groupby(["model", "task"]).last()
    columns = {
        "logistic": last[last["kind"] == "logistic"].set_index(["model", "task"])["accuracy"],
        "ols": last[last["kind"] == "ols"].set_index(["model", "task"])["mse"],
        "change": changes["ntps_change_percent"].astype(float) / 100,
    }
    for name, column in columns.items():
        frame = frame.join(column.astype(float).rename(name), on=["model", "task"])
    return frame


def _last_part(model: str) -> str:
    """``qwen2-0.5b`` of ``Qwen/Qwen2-0.5B``, ``Qwen__Qwen2-0.5B`` and ``Qwen2-0.5B@main``."""
    return short_name(model.replace("__", "/")).partition("@")[0].casefold()

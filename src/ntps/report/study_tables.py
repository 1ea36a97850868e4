"""Accuracies, tables 1 and 2, LoRA gains, costs and failures of a study."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ntps.display.finetune import NAMES
from ntps.display.sentences import FIGURES, with_ends
from ntps.report.tabular import Column, ReportTable
from ntps.study.analysis.accuracies import TWO_SIDED, accuracies, gain_probe, side_by_side
from ntps.study.analysis.reader import StudyResults

WHO = (Column("task", "task"), Column("model", "model"))
WAYS = {"score": "ridge probe of the score", "score-after-lora": "ridge probe after LoRA"}
ERRORS = "±: 95 %, as 1.96 binomial standard errors √(a (1 − a) / texts)"


def ways(results: StudyResults) -> dict[str, str]:
    """What reaches something on texts not seen, in the order of the study, with its name for people."""
    measured = set(results.reached["measurement"])
    order = dict.fromkeys(results.runs["measurement"])
    return {name: WAYS.get(name, NAMES.get(name, name)) for name in order if name in measured}


def accuracy_table(results: StudyResults) -> ReportTable:
    """Every measured accuracy of every model on every task."""
    frame, named = side_by_side(results), ways(results)
    for name in named:
        frame[f"{name}_other"] = frame[f"{name}_layer"].where(frame[f"{name}_layer"] != frame["best_layer"])
    other = set(frame["figure"]) != {"accuracy"}
    left_out = set(frame["split"]) != {"test"}
    heads = [Column("figure", "figure")] * other + [Column("split", "texts are")] * left_out
    return ReportTable(
        "accuracies",
        "Every accuracy on texts not seen",
        "In percent, of test texts; where there are none, of training texts left out in turn. ±: half of the 95 % "
        "interval. Majority: of always answering the most frequent class. Best layer: chosen by training texts left "
        "out; a probe of another layer has it in brackets.",
        (
            *WHO,
            *heads,
            Column("texts", "texts", "count"),
            Column("majority", "majority", "percent"),
            *(Column(name, words, "percent", f"{name}_half", f"{name}_other") for name, words in named.items()),
            Column("best_layer", "best layer"),
        ),
        frame.assign(figure=frame["figure"].map(FIGURES)),
    )


def table_1(results: StudyResults) -> ReportTable:
    """Linear probe against training from scratch."""
    frame = accuracies(results)
    frame["difference"] = frame["probe"] - frame["scratch"]
    frame["difference_error"] = np.hypot(frame["probe_error"], frame["scratch_error"])
    return _compared(results, frame, "table_1", "Table 1: linear probe against training from scratch", "scratch")


def lora_table(results: StudyResults) -> ReportTable:
    """LoRA against the linear probe: the gain that figure 3 is about."""
    frame = accuracies(results)
    frame["gain_error"] = np.hypot(frame["probe_error"], frame["lora_error"])
    return _compared(results, frame, "lora_gain", "LoRA against the linear probe", "lora")


def advice_table(results: StudyResults) -> ReportTable:
    """What LoRA is forecast to reach, beside the best probe; nothing of it was trained."""
    frame = results.advice.copy()
    for name, sign in (("best_cv", ""), ("lora", ""), ("gain", "+")):
        figures = frame[[name, f"{name}_low", f"{name}_high"]].astype(float).to_numpy()
        frame[f"{name}_shown"] = [
            "–" if np.isnan(value) else with_ends(value, (low, high), sign).replace("-", "−")
            for value, low, high in figures
        ]
    return ReportTable(
        "advice",
        "Probe or LoRA, without training",
        "Accuracy on new texts in percent: of the best probe, on training texts left out, and of LoRA, a forecast. In "
        "brackets the 95 % interval, which is a prediction interval for LoRA and its gain. Chance: that LoRA gains "
        "what it must to be worth its training.",
        (
            *WHO,
            Column("texts", "texts", "count"),
            Column("majority", "majority", "percent"),
            Column("best", "best probe"),
            Column("best_cv_shown", "probe"),
            Column("lora_shown", "LoRA, forecast"),
            Column("gain_shown", "gain (points)"),
            Column("chance", "chance", "percent"),
            Column("decision", "advice"),
        ),
        frame,
    )


def _compared(results: StudyResults, frame: pd.DataFrame, name: str, title: str, way: str) -> ReportTable:
    """A probe and another way, and the difference; without rows where no pair has one."""
    probe = NAMES[gain_probe(results)]
    difference, says = ("gain", "LoRA − probe") if way == "lora" else ("difference", "probe − scratch")
    for key in ("probe", way, difference):
        frame[f"{key}_half"] = TWO_SIDED * frame[f"{key}_error"]
    return ReportTable(
        name,
        title,
        f"Accuracy on test texts in percent; the probe: {probe}. {ERRORS}; that of the difference treats both as "
        "independent, which overstates it where they err on the same texts.",
        (
            *WHO,
            Column("test_texts", "test texts", "count"),
            Column("majority", "majority (%)", "percent"),
            Column("probe", "probe (%)", "percent", "probe_half"),
            Column(way, f"{NAMES[way]} (%)", "percent", f"{way}_half"),
            Column(difference, f"{says} (points)", "points", f"{difference}_half"),
        ),
        frame if frame[difference].notna().any() else frame.iloc[:0],
    )


def table_2(results: StudyResults) -> ReportTable:
    """How LoRA changes NTPS, area and R² in the last scored layer."""
    pairs = results.runs[["model", "task"]].drop_duplicates()
    changes = results.changes.sort_values("layer").groupby(["model", "task"], sort=False).tail(1)
    frame = pairs.merge(changes, on=["model", "task"], how="left" if len(changes) else "inner")
    # What was left out tells more than what was fitted, where every run knows it.
    known = len(frame) > 0 and frame["r2_cv_before"].notna().equals(frame["r2_before"].notna())
    of, where = ("_cv", "for new texts") if known else ("", "in sample")
    area, r2 = f"area{of}", f"r2{of}"
    for name in (area, r2):
        frame[f"{name}_change"] = frame[f"{name}_after"].astype(float) - frame[f"{name}_before"].astype(float)
    rising = (frame["ntps_change_percent"].astype(float) > 0).sum()
    count = int(frame["ntps_change_percent"].notna().sum())
    return ReportTable(
        "table_2",
        "Table 2: NTPS after LoRA",
        "Last layer. NTPS at the k where the base model's directions carry 95 % of the autoregressive objective, "
        "a rule fixed in advance; its change in percent of the value before. area and R² "
        f"({where}): after minus before. "
        f"NTPS rises in {rising} of {count} runs.",
        (
            *WHO,
            Column("name", "layer"),
            Column("k", "k", "count"),
            Column("ntps_before", "NTPS before", "decimal"),
            Column("ntps_after", "after", "decimal"),
            Column("ntps_change_percent", "change (%)", "signed"),
            Column(f"{area}_before", "area before", "decimal"),
            Column(f"{area}_change", "change", "signed"),
            Column(f"{r2}_before", "R² before", "decimal"),
            Column(f"{r2}_change", "change", "signed"),
        ),
        frame,
    )


def costs(results: StudyResults) -> ReportTable:
    """Seconds of each measurement."""
    done = results.runs[results.runs["status"] == "done"].astype({"seconds": float})
    frame = (
        done.groupby(["model", "measurement"], sort=False)["seconds"]
        .agg(runs="count", median="median", total="sum")
        .reset_index()
    )
    score = frame[frame["measurement"] == "score"].set_index("model")["median"]
    # Without any finished run, the columns have no type of their own.
    frame["times_score"] = frame["median"].astype(float) / frame["model"].map(score).astype(float)
    return ReportTable(
        "costs",
        "What each measurement cost",
        "Wall-clock seconds of finished runs, and the median as a multiple of scoring.",
        (
            Column("model", "model"),
            Column("measurement", "measurement"),
            Column("runs", "runs", "count"),
            Column("median", "median (s)", "seconds"),
            Column("total", "total (s)", "seconds"),
            Column("times_score", "× score", "decimal"),
        ),
        frame,
    )


def failures(results: StudyResults) -> ReportTable:
    """Runs that failed or never ran."""
    frame = results.runs[results.runs["status"] != "done"]
    return ReportTable(
        "failures",
        "Runs without a result",
        "Failed runs with their cause, and runs that were not started. All figures and tables leave them out.",
        (*WHO, Column("measurement", "measurement"), Column("status", "status"), Column("cause", "cause")),
        frame,
    )

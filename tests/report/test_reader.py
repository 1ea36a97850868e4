"""A folder of results as tidy tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ntps.errors import InputError
from ntps.study.analysis.reader import FRACTIONS, at_fractions, read_results
from report.factory import LAYERS, MEASUREMENTS, TASKS, StudyFactory

MODEL = "demo/tiny-lm"


def test_every_run_is_read(tmp_path: Path) -> None:
    results = read_results(StudyFactory(tasks=TASKS[:3]).write(tmp_path))
    assert results.name == "planted" and results.models == ["tiny-lm"] and results.tasks == list(TASKS[:3])
    assert len(results.runs) == 3 * len(MEASUREMENTS) and set(results.runs["status"]) == {"done"}
    assert len(results.layers) == 2 * 3 * LAYERS and len(results.changes) == 3 * LAYERS
    assert len(results.curves) == 3 * LAYERS * len(FRACTIONS)
    # OLS and logistic in every layer, AdamW in the last; two splits each.
    assert len(results.probes) == 3 * 2 * (2 * LAYERS + 1)
    assert set(results.finetunes["method"]) == {"lora", "scratch"} == set(results.losses["method"])


def test_without_a_manifest_results_are_found_where_they_lie(tmp_path: Path) -> None:
    listed = read_results(StudyFactory(tasks=TASKS[:2]).write(tmp_path / "listed"))
    found = read_results(StudyFactory(tasks=TASKS[:2]).write(tmp_path / "found", manifest=False))
    assert found.name == "found" and set(found.runs["measurement"]) == set(MEASUREMENTS)
    for table in ("layers", "probes", "changes"):
        keys = ["task", "layer"]
        first, second = (getattr(results, table).sort_values(keys, kind="stable") for results in (listed, found))
        assert sorted(map(str, first.to_dict("records"))) == sorted(map(str, second.to_dict("records")))


def test_failed_and_missing_runs_have_no_rows(tmp_path: Path) -> None:
    failed, missing = (MODEL, TASKS[0], "lora"), (MODEL, TASKS[1], "score")
    results = read_results(StudyFactory(tasks=TASKS[:2], failed={failed: "boom"}, missing=[missing]).write(tmp_path))
    runs = results.runs.set_index(["task", "measurement"])
    assert runs.loc[failed[1:], "status"] == "failed" and runs.loc[failed[1:], "cause"] == "boom"
    assert runs.loc[missing[1:], "status"] == "missing"
    assert set(results.finetunes.query("method == 'lora'")["task"]) == {TASKS[1]}
    assert set(results.layers.query("measurement == 'score'")["task"]) == {TASKS[0]}


def test_a_damaged_result_counts_as_failed(tmp_path: Path) -> None:
    StudyFactory(tasks=TASKS[:2]).write(tmp_path)
    (tmp_path / "results" / "demo--tiny-lm" / "local" / TASKS[0] / "ols" / "result.json").write_text("{}")
    (run,) = read_results(tmp_path).runs.query("status == 'failed'").to_dict("records")
    assert run["measurement"] == "ols" and "cannot be read" in run["cause"]


def test_models_of_one_name_are_told_apart(tmp_path: Path) -> None:
    results = read_results(StudyFactory(models=["a/m", "b/m", "b__other"], tasks=TASKS[:1]).write(tmp_path))
    assert results.models == ["a/m", "b/m", "other"]


@pytest.mark.parametrize("rank", [1, 7, 19, 100])
def test_curves_are_read_at_the_fractions_of_algorithm_1(rank: int) -> None:
    curve = pd.DataFrame({"k": np.arange(1, rank + 1), "fraction": np.nan, "ntps": np.arange(rank) / rank})
    found = at_fractions(curve)
    assert found["fraction"].tolist() == FRACTIONS.tolist()
    assert found["k"].tolist() == [max(1, int(fraction * rank)) for fraction in FRACTIONS]
    assert at_fractions(found) is found


def test_folders_without_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        read_results(tmp_path / "missing")
    with pytest.raises(InputError, match="no result in"):
        read_results(tmp_path)
    (tmp_path / "study.json").write_text(json.dumps({"schema": 2, "runs": []}))
    with pytest.raises(InputError, match="schema 1"):
        read_results(tmp_path)
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(InputError, match="cannot read"):
        read_results(tmp_path)

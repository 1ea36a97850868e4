"""The published numbers: what they say is what the authors published, and what follows from them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ntps.cli import app
from ntps.models.registry import PAPER_MODELS
from ntps.report.paper.tables import REMARKS, SLIPS, coefficients_table, verdict
from ntps.study.published import RELATIONS, published_coefficients, published_means, read_published
from ntps.study.statistics import mean_over_models, spearman
from ntps.tasks.catalogue import known_tasks

FIGURE_COLUMNS = {
    "fig2_accuracy_ntps": ("fig2_accuracy", "ntps"),
    "logistic_train_accuracy": ("fig2_accuracy", "logistic_train_accuracy"),
    "fig2_mse_ntps": ("fig2_mse", "ntps"),
    "ols_train_mse": ("fig2_mse", "ols_train_mse"),
    "fig3_ntps": ("fig3_gain", "ntps"),
    "lora_test_accuracy": ("fig3_gain", "lora_test_accuracy"),
    "probe_test_accuracy": ("fig3_gain", "probe_test_accuracy"),
}


def authors(shared: Path, name: str) -> Any:
    return json.loads((shared / "paper" / name).read_text(encoding="utf-8"))


def test_the_32_coefficients_are_the_authors(shared: Path) -> None:
    theirs = authors(shared, "spearman.json")
    ours: dict[str, dict[str, float]] = {model: {} for model in theirs}
    for each in published_coefficients():
        ours[each.model][each.relation.name] = round(each.coefficient, 4)
    assert ours == theirs
    assert len(published_coefficients()) == 32


def test_every_published_number_is_there(shared: Path) -> None:
    points = read_published().points
    for row in authors(shared, "figures_2_3.json")["rows"]:
        own = points.loc[(row["model"], row["task"])]
        for column, (figure, key) in FIGURE_COLUMNS.items():
            assert own[column] == pytest.approx(row[figure][key], rel=1e-9)
    for row in authors(shared, "table_1.json")["rows"]:
        own = points.loc[(row["model"], row["task"])]
        expected = [np.nan if row[key] is None else row[key] for key in ("linear_probe", "from_scratch")]
        np.testing.assert_array_equal(own[["table1_probe_percent", "table1_scratch_percent"]].astype(float), expected)
    for row in authors(shared, "table_2.json")["rows"]:
        assert points.loc[(row["model"], row["task"]), "table2_change_percent"] == row["ntps_increase_percent"]
    words = read_published().words
    for letter, lists in authors(shared, "figure_1.json")["projections"].items():
        np.testing.assert_allclose(
            words[[f"{letter.lower()}1", f"{letter.lower()}2"]], np.concatenate(list(lists.values())), rtol=1e-8
        )
    assert dict(words.groupby("list")["word"].apply(list)) == authors(shared, "figure_1.json")["words"]


def test_models_and_tasks_are_those_that_ntps_knows() -> None:
    published = read_published()
    assert set(published.models) == {model.hub_id for model in PAPER_MODELS} and len(published.models) == 8
    assert set(published.tasks) <= {task.name for task in known_tasks(None)} and len(published.tasks) == 12


def test_p_values_are_bounded_from_both_sides() -> None:
    for each in published_coefficients():
        layers = next(model.num_layers for model in PAPER_MODELS if model.hub_id == each.model)
        assert each.pairs == (19 * layers if each.relation.selected else 1)
        assert 0 < each.p_at_least <= each.p_at_most == min(1.0, each.pairs * each.p_at_least)
    assert verdict().startswith("Of the 24 coefficients") and "0 are significant" in verdict()


def test_the_mean_over_models_counts_tasks_once() -> None:
    rng = np.random.default_rng(0)
    scores, measurements = rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
    found = mean_over_models(scores, measurements, "positive")
    each = [float(spearman(scores[:, model], measurements[:, model])) for model in range(3)]
    assert found.mean == pytest.approx(np.mean(each)) and found.models == 3
    # Eight copies of one model are no more evidence than one.
    one = mean_over_models(scores[:, :1], measurements[:, :1], "positive")
    copies = mean_over_models(scores[:, [0] * 8], measurements[:, [0] * 8], "positive")
    assert copies.p_value == one.p_value and copies.mean == pytest.approx(one.mean)
    assert published_means()["probe_vs_lora_gain"].mean == pytest.approx(
        np.mean([c.coefficient for c in published_coefficients() if not c.relation.selected])
    )


def test_what_is_said_about_the_data_is_true_of_them() -> None:
    points = read_published().points
    difference = (points["table1_probe_percent"] - 100 * points["probe_test_accuracy"]).abs()
    # 81.25 is printed as 81.3.
    assert list(difference[difference > 0.051].index) == [("apple/OpenELM-450M", "imdb")]
    assert "99.5 %" in SLIPS[0] and points.loc[("apple/OpenELM-450M", "imdb"), "probe_test_accuracy"] == 0.93532
    probe = sorted(-each.coefficient for each in published_coefficients() if not each.relation.selected)
    assert f"{probe[0]:.2f} to {probe[-1]:.2f}" in SLIPS[1]

    medical = points.xs("medical_questions_pairs", level="task")[["lora_test_accuracy", "probe_test_accuracy"]]
    assert f"between {100 * medical.min().min():.0f} % and {100 * medical.max().max():.0f} %" in REMARKS[0]
    assert (points["lora_gain"].unstack("model").idxmin() == "medical_questions_pairs").all()
    without = points.drop("medical_questions_pairs", level="task")
    for relation in RELATIONS[2:]:
        found = [
            float(spearman(own[relation.score].to_numpy(), own[relation.measurement].to_numpy()))
            for _, own in without.groupby("model")
        ]
        spread = f"by {max(found):.2f} to {min(found):.2f} (mean {np.mean(found):.2f}".replace("-", "−")
        assert spread in REMARKS[1], spread
    assert (points["ols_train_mse"] < 1e-8).sum() == 8 and "Eight" in REMARKS[2]
    change = points["table2_change_percent"].unstack("model")
    large = change.columns[change.mean() > 10]
    assert all(model.split("/")[1] in REMARKS[3] for model in large) and len(large) == 3
    for group in (change[large], change.drop(columns=large)):
        assert f"{group.min().min():+.1f} to {group.max().max():+.1f}".replace("-", "−") in REMARKS[3]


@pytest.mark.slow
def test_the_command_prints_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from report.factory import StudyFactory

    study = StudyFactory(models=("Qwen/Qwen2-0.5B", "demo/tiny-lm")).write(tmp_path / "study")
    monkeypatch.setenv("COLUMNS", "100")
    done = CliRunner().invoke(app, ["paper", "--out", str(tmp_path / "out"), "--with", str(study)])
    assert done.exit_code == 0, done.output
    for words in ("−0.895", "Linear probe, accuracy on test texts", "99.5 %", "cannot be decided"):
        assert words in re.sub(r"\s+", " ", done.output)
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert {f"figure_{number}.{kind}" for number in (1, 2, 3) for kind in ("png", "pdf", "csv", "md")} <= made
    assert {"published_coefficients.csv", "published_coefficients.md", "beside_lora.csv"} <= made

    changes = pd.read_csv(tmp_path / "out" / "beside_change.csv").to_dict("records")
    frame = {(row["model"], row["task"]): row for row in changes}
    assert frame["Qwen2-0.5B", "sst2"]["paper"] == pytest.approx(0.014)
    # A model that the paper does not have stands beside the paper's range.
    other = frame["tiny-lm", "sst2"]
    assert np.isnan(other["paper"]) and other["min"] == pytest.approx(-0.008) and other["max"] == pytest.approx(1.059)
    rows = pd.read_csv(tmp_path / "out" / "beside_coefficients.csv").to_dict("records")
    coefficients = {(row["relation"], row["model"], row["basis"]): row for row in rows}
    assert round(coefficients["NTPS, LoRA gain", "Qwen2-0.5B", "selected"]["paper"], 4) == -0.7692
    probe = coefficients["probe accuracy, LoRA gain", "tiny-lm", "fixed"]
    assert np.isnan(probe["paper"]) and round(probe["min"], 4) == -0.5035 and -1 <= probe["coefficient"] <= 0
    points = pd.read_csv(tmp_path / "out" / "figure_3.csv")
    assert len(points) == 2 * 96 and set(points["score_rank"]) == set(range(1, 13))


def test_a_folder_without_results_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from typer.testing import CliRunner

    done = CliRunner().invoke(app, ["paper", "--with", str(tmp_path / "nowhere")])
    assert done.exit_code != 0 and "there is no folder" in str(done.exception)


def test_the_table_has_every_coefficient_and_the_means() -> None:
    table = coefficients_table()
    assert len(table.frame) == 36 and "| NTPS, LoRA gain | OpenELM-1_1B | −0.895 |" in table.markdown()

"""Tables, correlations and words of a study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

from ntps.errors import InputError
from ntps.report.build import build_report
from ntps.report.parts import Report
from ntps.report.study_report import FIGURES
from ntps.report.study_tables import accuracy_table, costs, lora_table, table_1, table_2
from ntps.report.tabular import Column, ReportTable, written
from ntps.report.writing import write_report
from ntps.scoring.validated import Rivals
from ntps.study.analysis.accuracies import accuracies, side_by_side
from ntps.study.analysis.correlations import FIXED, LEFT_OUT, PROBE_ACCURACY, SELECTED, Correlations, correlate
from ntps.study.analysis.measures import MAIN_RULE, MEASURES, RIVAL_RULES, RULES
from ntps.study.analysis.reader import StudyResults, read_results
from ntps.validation.rivals import RIVALS
from report.factory import LAYERS, MEASUREMENTS, TASKS, TEST_TEXTS, StudyFactory
from slow import slow


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return StudyFactory(tasks=TASKS[:7], noise=0.05).write(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def results(study: Path) -> StudyResults:
    return read_results(study)


@pytest.fixture(scope="module")
def correlations(results: StudyResults) -> Correlations:
    return correlate(results)


def words(report: Report, name: str) -> tuple[str, ...]:
    """The paragraphs of a section."""
    return next(section.words for section in report.sections if section.name == name)


def result_of(study: Path, task: str, measurement: str) -> dict[str, Any]:
    folder = study / "results" / "demo--tiny-lm" / "local" / task / measurement
    content: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return content


# --- tables ----------------------------------------------------------------------------------------------------------


def test_accuracies_are_those_of_the_runs(study: Path, results: StudyResults) -> None:
    for row in accuracies(results).to_dict("records"):
        probe, lora, scratch = (
            result_of(study, row["task"], measurement)["summary"]["test"]["accuracy"]
            for measurement in ("adamw", "lora", "scratch")
        )
        assert (row["probe"], row["lora"], row["scratch"], row["test_texts"]) == (probe, lora, scratch, TEST_TEXTS)
        assert row["gain"] == lora - probe and row["majority"] == 0.51
        assert row["lora_error"] == pytest.approx(np.sqrt(lora * (1 - lora) / TEST_TEXTS))


def test_differences_carry_both_errors(study: Path, results: StudyResults) -> None:
    """From the files, by the formula of the caption: √(a (1 − a) / n + b (1 − b) / n)."""
    tables = {"scratch": (table_1, "difference", -1), "lora": (lora_table, "gain", 1)}
    for other, (table, name, sign) in tables.items():
        rows = table(results).frame.to_dict("records")
        assert len(rows) == len(results.tasks)
        for row in rows:
            a, b = (
                result_of(study, row["task"], measurement)["summary"]["test"]["accuracy"]
                for measurement in ("adamw", other)
            )
            assert row[name] == pytest.approx(sign * (b - a), abs=1e-12)
            variance = (a * (1 - a) + b * (1 - b)) / TEST_TEXTS
            assert row[f"{name}_error"] == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_table_2_shows_the_last_layer(study: Path, results: StudyResults) -> None:
    table = table_2(results)
    assert set(table.frame["layer"]) == {LAYERS - 1}
    for row in table.frame.to_dict("records"):
        change = result_of(study, row["task"], "score-after-lora")["change"]["layers"][-1]
        assert row["ntps_change_percent"] == change["ntps_change_percent"]
        assert row["r2_change"] == pytest.approx(change["r2_after"] - change["r2_before"])
    rising = (table.frame["ntps_change_percent"] > 0).sum()
    assert f"rises in {rising} of 7" in table.caption


def test_costs_are_medians_of_finished_runs(results: StudyResults) -> None:
    frame = costs(results).frame
    assert frame["runs"].tolist() == [7] * len(MEASUREMENTS)
    rows = {row["measurement"]: row for row in frame.to_dict("records")}
    assert rows["lora"]["total"] == pytest.approx(7 * rows["lora"]["median"])
    assert rows["lora"]["times_score"] == rows["lora"]["median"] / rows["score"]["median"]


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "decimal", "–"),
        (float("nan"), "percent", "–"),
        (0.8765, "percent", "87.6"),
        (-0.0123, "points", "−1.2"),
        (0.0123, "points", "+1.2"),
        (0.00001, "p", "<0.001"),
        (0.05, "p", "0.050"),
        (1234, "count", "1,234"),
        (-0.5, "signed", "−0.50"),
    ],
)
def test_values_are_written_for_people(value: float | None, kind: str, text: str) -> None:
    assert written(value, kind) == text  # type: ignore[arg-type]


def test_markdown_survives_what_names_may_hold() -> None:
    import pandas as pd

    frame = pd.DataFrame({"task": ["a|b\nc"], "value": [0.5]})
    table = ReportTable("t", "T", "C.", (Column("task", "task"), Column("value", "value", "percent")), frame)
    assert table.markdown().splitlines()[-1] == "| a\\|b c | 50.0 |"


def test_every_accuracy_of_every_run_is_in_the_table(study: Path, results: StudyResults) -> None:
    table = accuracy_table(results)
    shown = {(row[0][0], row[1][0]): [text for text, _ in row] for row in table.rows()}
    assert set(shown) == {(task, "tiny-lm") for task in results.tasks}
    for (task, _), cells in shown.items():
        for measurement in ("ols", "logistic", "adamw", "lora", "scratch"):
            accuracy = result_of(study, task, measurement)["summary"]["test"]["accuracy"]
            half = 1.96 * np.sqrt(accuracy * (1 - accuracy) / TEST_TEXTS)
            assert f"{100 * accuracy:.1f} ± {100 * half:.1f}" in cells
        assert "51.0" in cells and str(TEST_TEXTS) in cells


def test_what_a_score_reaches_and_the_layer_that_it_chose_are_in_the_table(tmp_path: Path) -> None:
    """As the result says it: on test texts, or else on texts left out, with its own interval."""
    StudyFactory(tasks=TASKS[:2], measurements=("score", "adamw")).write(tmp_path)
    for number, path in enumerate(sorted(tmp_path.rglob("score/result.json"))):
        result = json.loads(path.read_text())
        known = {"criterion": "accuracy", "layer": 1, "name": "block.1", "cv_texts": 900, "majority_accuracy": 0.53}
        known |= {"accuracy_test": 0.8, "accuracy_test_interval": [0.75, 0.83]}
        if number:
            known |= {"accuracy_test": None, "chosen_cv": 0.7, "chosen_cv_interval": [0.6, 0.78]}
        result["summary"] |= known
        path.write_text(json.dumps(result))
    frame = side_by_side(read_results(tmp_path)).set_index("task")
    assert sorted(frame["score"]) == [0.7, 0.8] and sorted(frame["score_half"].round(3)) == [0.04, 0.09]
    assert set(frame["best_layer"]) == {"block.1"}
    for row in accuracy_table(read_results(tmp_path)).rows():
        cells = [text for text, _ in row]
        assert "80.0 ± 4.0" in cells or "70.0 ± 9.0" in cells
        # The AdamW probe is of the last layer, which is not the best one.
        assert any(cell.endswith("(final_norm)") for cell in cells) and cells[-1] == "block.1"


def test_it_begins_with_what_was_reached_and_what_predicts_comes_below(study: Path, results: StudyResults) -> None:
    report = build_report(study, figures=())
    names = ["accuracies", "gains", "prediction", "training", "costs"]
    assert [section.name for section in report.sections] == names
    frame = accuracies(results)
    # Tasks have texts of their own; the models of a task err on the same ones.
    errors = frame.groupby("task")["lora_error"].sum().to_numpy(dtype=float)
    half = 196 * float((errors**2).sum() ** 0.5) / len(frame)
    assert f"{100 * frame['lora'].mean():.1f} % (± {half:.1f}) with LoRA" in report.finding[0]
    assert "the most frequent class alone gives 51.0 %" in report.finding[0]
    assert f"LoRA gains {100 * frame['gain'].mean():+.1f} points over the AdamW probe" in words(report, "gains")[0]
    assert not any("ρ" in paragraph or "p =" in paragraph for paragraph in report.finding)


def test_gains_are_over_whatever_probe_there_is(tmp_path: Path) -> None:
    study = StudyFactory(tasks=TASKS[:3], measurements=("score", "logistic", "lora")).write(tmp_path)
    for row in accuracies(read_results(study)).to_dict("records"):
        logistic, lora = (
            result_of(study, row["task"], name)["summary"]["test"]["accuracy"] for name in ("logistic", "lora")
        )
        assert row["gain"] == lora - logistic
    assert "over the logistic probe" in words(build_report(study, figures=()), "gains")[0]


# --- correlations ----------------------------------------------------------------------------------------------------


def test_coefficients_are_what_scipy_says_of_the_points(correlations: Correlations) -> None:
    # The made-up scores know nothing of new texts, so that one rule is not used.
    assert len(correlations.found) == len(MEASURES) * (len(RULES) + 1) + 1 and not correlations.reasons
    for each in correlations.found:
        expected = scipy.stats.spearmanr(each.points["x"], each.points["y"]).statistic
        assert each.coefficient == pytest.approx(expected, abs=1e-12)
        assert 0 < each.p_value <= 1 and each.tasks == 7
        # Looking at more never makes a p-value smaller.
        assert not each.p_alone > each.p_value + 1e-12


def test_rivals_are_rules_where_every_task_has_them(study: Path, tmp_path: Path) -> None:
    """They count in p; one that a single task lacks is not used, and costs no task."""
    folder = StudyFactory(tasks=TASKS[:7], measurements=("score", "ols"), noise=0.05).write(tmp_path / "study")
    for number, path in enumerate(sorted(folder.rglob("score/result.json"))):
        result = json.loads(path.read_text())
        for row in result["layers"]:
            rivals = {"logme": row["layer"] - row["area"], "h_score": row["area"] if number else None}
            row["rivals"] = {**dict.fromkeys(RIVALS), **rivals, "warnings": []}
        path.write_text(json.dumps(result))
    results = read_results(folder)
    assert results.layers["logme"].notna().all() and results.layers["transrate"].isna().all()
    found = correlate(results).found
    predictors = [each.predictor for each in found if (each.measure, each.basis) == ("mse", FIXED)]
    assert predictors == [*(rule.label for rule in RULES if rule.column != "area_cv"), "LogME of the last layer"]
    area, logme = (
        next(each for each in found if each.measure == "mse" and each.predictor == name)
        for name in ("area of the last layer", "LogME of the last layer")
    )
    assert logme.coefficient == pytest.approx(-area.coefficient) and logme.tasks == 7 and logme.layer == "final_norm"
    plain = correlate(read_results(study)).one("tiny-lm", "mse", predictor=area.predictor)
    assert plain is not None and area.p_value >= plain.p_value


def test_every_rival_has_a_rule() -> None:
    assert [rule.column for rule in RIVAL_RULES] == [*Rivals.model_fields][:-1]
    assert {rule.column for rule in RIVAL_RULES} == {*RIVALS}


def test_rules_that_choose_a_layer_take_it_task_by_task(tmp_path: Path) -> None:
    """Where scores know what holds for new texts; without that, the rule is not used."""
    StudyFactory().write(tmp_path)
    chosen = {}
    for index, path in enumerate(sorted(tmp_path.rglob("score/result.json"))):
        result = json.loads(path.read_text())
        chosen[result["task"]["id"]] = layer = index % 2 + 1
        for row in result["layers"]:
            row |= {"area_cv": 0.1 * index + row["layer"], "r2_adjusted": 0.1 * (row["layer"] == 3)}
        result["summary"] |= {"criterion": "accuracy", "layer": layer}
        path.write_text(json.dumps(result))
    by_probe, adjusted = RULES[:2]
    results = read_results(tmp_path)
    found = correlate(results)
    one = found.one("tiny-lm", "mse", predictor=by_probe.label)
    assert one is not None and one.layer == "by task"
    names = list(chosen)
    for task, x, y in one.points.itertuples(index=False):
        (name,) = (each for each in names if each.rsplit("/", 1)[-1] == task)
        assert x == pytest.approx(0.1 * names.index(name) + chosen[name])
        assert y == result_of(tmp_path, task, "ols")["layers"][chosen[name]]["train"]["mse"]
    old = found.one("tiny-lm", "mse", predictor=adjusted.label)
    assert old is not None and old.layer == "final_norm"
    results.layers.loc[0, "area_cv"] = np.nan
    results.layers.loc[results.layers["task"] == results.layers.loc[0, "task"], "area_cv"] = np.nan
    assert correlate(results).one("tiny-lm", "mse", predictor=by_probe.label) is None


def test_a_selected_pair_is_the_strongest_of_the_surface(correlations: Correlations) -> None:
    for measure in MEASURES:
        surface = correlations.surfaces["tiny-lm", measure.key]
        one = correlations.one("tiny-lm", measure.key, basis=SELECTED)
        assert one is not None and surface.selected is not None
        sign = 1 if measure.direction == "positive" else -1
        assert sign * one.coefficient == pytest.approx(np.nanmax(sign * surface.coefficients))
        assert surface.coefficients[surface.selected] == one.coefficient
        assert surface.names[surface.selected[0]] == one.layer


def test_the_probe_is_that_of_the_scores_layer_or_of_the_last(study: Path, results: StudyResults) -> None:
    middle = next(rule for rule in RULES if rule.key == "area_middle")
    for option in ("same", "last"):
        one = correlate(results, option).one("tiny-lm", "mse", predictor=middle.label)
        assert one is not None and one.layer == "block.2"
        for task, y in zip(one.points["task"], one.points["y"], strict=True):
            layers = result_of(study, task, "ols")["layers"]
            assert y == layers[2 if option == "same" else -1]["train"]["mse"]


def test_gain_is_lora_minus_probe_in_points(results: StudyResults, correlations: Correlations) -> None:
    gains = accuracies(results).set_index("task")["gain"]
    for name in (MAIN_RULE.label, PROBE_ACCURACY):
        one = correlations.one("tiny-lm", "gain", predictor=name, basis=FIXED)
        assert one is not None
        assert np.allclose(one.points["y"], 100 * gains[one.points["task"]])


def test_a_planted_relation_is_found_and_said(results: StudyResults, tmp_path: Path) -> None:
    report = build_report(StudyFactory(noise=0.001).write(tmp_path), figures=())
    headline, meaning, *rest = words(report, "prediction")
    assert headline.startswith("Over 8 tasks") and headline.count(" goes with the ") == 3
    assert meaning.startswith("ρ compares")
    assert "selected on the same data" in rest[0] and "8 tasks are few" in rest[3]


def test_what_is_chance_is_called_chance(tmp_path: Path) -> None:
    StudyFactory().write(tmp_path)
    rng = np.random.default_rng(0)
    for path in tmp_path.rglob("result.json"):
        result = json.loads(path.read_text())
        if result["kind"] == "finetune":
            result["summary"]["test"]["accuracy"] = rng.uniform(0.5, 0.9)
        if result["kind"] == "score":
            for row in result["layers"]:
                row["ntps_share95"], row["area"] = rng.uniform(size=2)
        path.write_text(json.dumps(result))
    headline = words(build_report(tmp_path, figures=()), "prediction")[0]
    assert "nothing that was fixed in advance goes with the gain from LoRA over the probe beyond chance" in headline


def test_tasks_without_a_measurement_are_left_out_of_it(tmp_path: Path) -> None:
    missing = [("demo/tiny-lm", TASKS[0], "lora"), ("demo/tiny-lm", TASKS[1], "score")]
    found = correlate(read_results(StudyFactory(tasks=TASKS[:7], missing=missing).write(tmp_path)))
    tasks = {each.measure: set(each.points["task"]) for each in found.found}
    assert tasks["gain"] == set(TASKS[2:7]) and tasks["mse"] == {TASKS[0], *TASKS[2:7]}


def test_left_out_needs_five_tasks(tmp_path: Path) -> None:
    found = correlate(read_results(StudyFactory(tasks=TASKS[:4]).write(tmp_path)))
    assert {each.basis for each in found.found} == {FIXED, SELECTED} and LEFT_OUT not in set(found.frame()["basis"])


# --- figures and files -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(study: Path) -> Report:
    return build_report(study)


def test_every_figure_and_table_becomes_files(report: Report, tmp_path: Path) -> None:
    page = write_report(report, tmp_path / "out")
    assert page == tmp_path / "out" / "report.html"
    names = (
        "accuracies_picture",
        "figure_2",
        "figure_2_selected",
        "figure_3",
        "figure_3_selected",
        "surface",
        "figure_s1",
    )
    for name in names:
        assert (tmp_path / f"out/figures/{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (tmp_path / f"out/figures/{name}.png").read_bytes().startswith(b"\x89PNG")
        assert len((tmp_path / f"out/figures/{name}.csv").read_text().splitlines()) > 7
    for name in ("accuracies", "correlations", "table_1", "table_2", "lora_gain", "costs", "figure_s1_end"):
        assert (tmp_path / f"out/tables/{name}.md").read_text().startswith("# ")
        assert (tmp_path / f"out/tables/{name}.csv").is_file()


def test_points_stand_where_the_data_says(report: Report) -> None:
    for part in report.figures:
        if part.name in ("figure_2", "figure_3"):
            assert part.figure is not None
            drawn = sorted(
                np.asarray(line.get_xydata())[0].tolist() for axes in part.figure.axes for line in axes.lines
            )
            assert np.allclose(drawn, sorted(part.data[["x", "y"]].to_numpy().tolist()))
            assert all(axes.get_xlabel() and axes.get_ylabel() for axes in part.figure.axes)


@pytest.mark.parametrize(("models", "tasks"), [(1, 3), slow(2, 12), slow(8, 4)])
def test_any_size_of_study_is_drawn_without_overlaps(models: int, tasks: int, tmp_path: Path) -> None:
    names = [f"owner/a-model-with-a-long-name-{number}" for number in range(models)]
    report = build_report(StudyFactory(models=names, tasks=TASKS[:tasks]).write(tmp_path))
    for part in report.figures:
        if part.figure is None:
            continue
        part.figure.draw_without_rendering()
        found = [axes.get_tightbbox() for axes in part.figure.axes]
        boxes = [box for box in found if box is not None]
        assert len(boxes) == len(found)
        boxes += [legend.get_window_extent() for legend in part.figure.legends]
        for index, box in enumerate(boxes):
            assert box.x0 >= -1 and box.x1 <= part.figure.bbox.x1 + 1, part.name
            for other in boxes[:index]:
                width = min(box.x1, other.x1) - max(box.x0, other.x0)
                height = min(box.y1, other.y1) - max(box.y0, other.y0)
                assert width <= 2 or height <= 2, part.name


def test_missing_figures_say_why(tmp_path: Path) -> None:
    report = build_report(StudyFactory(tasks=TASKS[:2], measurements=("score", "ols")).write(tmp_path))
    missing = {part.name: part.missing for part in report.figures if part.figure is None}
    assert "at least 3 tasks" in missing["figure_2"] and "ntps words" in missing["figure_1"]
    assert "nothing was fine-tuned" in missing["figure_s1"]
    text = write_report(report, tmp_path / "out").read_text()
    assert "Missing" not in text and "Figure" not in text
    assert [section.name for section in report.sections] == ["accuracies", "costs"]


def test_figures_may_be_chosen(study: Path) -> None:
    assert [part.name for part in build_report(study, figures=["s1"]).figures] == ["accuracies_picture", "figure_s1"]
    with pytest.raises(InputError, match=f"'7'.*{', '.join(FIGURES)}"):
        build_report(study, figures=["7"])

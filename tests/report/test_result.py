"""A result as a person uses it: load what was saved, look at it, draw it, read it in plain words."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.table import Table

from ntps import InputError, Moments, ScoreResult, load_task, score, score_moments
from ntps.cli.console import Printer
from ntps.display.sentences import percent, plain_words
from ntps.display.tables import in_sample_table, layer_table
from ntps.models.load import load_model
from ntps.scoring.record import ScoreFile, ScoreRecord
from tiny import DEPTH, random_task, save_model

CURVES = ("ntps", "ntps_full", "excess_loss", "retained", "retained_centered", "next_token_share")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ScoreResult:
    model = load_model(save_model(tmp_path_factory.mktemp("qwen2")))
    return score(model, random_task(120, 3, test=30))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> ScoreResult:
    """A result without a single row of curves: every text is one word."""
    model = load_model(save_model(tmp_path_factory.mktemp("llama"), "llama"))
    return score(model, random_task(60, 3, longest=1))


def changed(result: ScoreResult, **summary: Any) -> ScoreFile:
    content = result.record.result
    return content.model_copy(update={"summary": content.summary.model_copy(update=summary)})


def rendered(content: ScoreFile, width: int = 80, table: Callable[[ScoreFile], Table] = layer_table) -> list[str]:
    stream = io.StringIO()
    Printer(file=stream, width=width, force_terminal=True, color_system=None).table(table(content))
    return stream.getvalue().splitlines()


# --- load, save, look ------------------------------------------------------------------------------------------------


def test_a_round_trip_changes_nothing(result: ScoreResult, tmp_path: Path) -> None:
    folder = result.save(tmp_path / "run")
    again = ScoreResult.load(str(folder))
    assert again.to_dict() == result.to_dict()
    found, expected = again.to_frame(), result.to_frame()
    assert found.columns.tolist() == expected.columns.tolist()
    for name in found.columns:
        np.testing.assert_array_equal(found[name].to_numpy(), expected[name].to_numpy(), err_msg=name)
    assert repr(again) == repr(result)


def test_saving_over_a_result_must_be_asked_for(result: ScoreResult, tmp_path: Path) -> None:
    result.save(tmp_path)
    with pytest.raises(InputError, match="overwrite"):
        result.save(tmp_path)
    assert result.save(tmp_path, overwrite=True) == tmp_path


@pytest.mark.parametrize("where", [".", "missing"])
def test_a_folder_without_a_result(where: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        ScoreResult.load(tmp_path / where)


def test_what_is_handed_out_is_a_copy(result: ScoreResult) -> None:
    own = ScoreResult(copy.deepcopy(result.record))
    frame = own.to_frame()
    frame.loc[:, "ntps"] = 7.0
    own.summary["layer"] = 99
    own.to_dict()["summary"]["layer"] = 99
    own.to_dict()["layers"].clear()
    assert own.to_dict() == result.to_dict()
    assert own.to_frame()["ntps"].max() <= 1


def test_layers_are_a_frame(result: ScoreResult) -> None:
    layers = result.layers
    assert layers["layer"].tolist() == list(range(DEPTH + 1))
    assert layers["name"].tolist() == ["embed", "block.1", "block.2", "final_norm"]
    assert layers["r2"].tolist() == [row["r2"] for row in result.to_dict()["layers"]]


def test_the_representation_says_what_was_scored(result: ScoreResult) -> None:
    head, *words = repr(result).splitlines()
    assert head.startswith(f"ScoreResult({Path(result.to_dict()['model']['id']).name} on ") and "4 layers" in head
    assert "/" not in head
    assert words == plain_words(result.record.result)


def test_a_notebook_shows_the_words_and_every_layer(result: ScoreResult, empty: ScoreResult) -> None:
    shown = result._repr_html_()
    for line in repr(result).splitlines():
        assert escape(line) in shown
    for row in result.to_dict()["layers"]:
        assert f"<th>{row['name']}</th>" in shown and f"<td>{row['accuracy_cv']:.3f}</td>" in shown
    assert empty._repr_html_().count("<tr") < 10


def test_no_representation_is_longer_than_a_screen() -> None:
    """Whatever is public, and however much it holds."""
    model, task = load_model(), load_task()
    moments = Moments(hidden_size=8, targets=2)
    mask = torch.ones(100, 5, dtype=torch.bool)
    moments.update(torch.randn(100, 5, 8), mask, torch.eye(2)[torch.arange(100) % 2])
    scored = score_moments(moments)
    for each in (model, task, moments, scored, scored.curves):
        assert repr(each).startswith(type(each).__name__) and len(repr(each)) < 300
    assert "2,100 training texts" in repr(task) and "128 dimensions" in repr(model) and "100 texts" in repr(moments)
    assert "8 values of k, 1 to 8" in repr(scored.curves)


# --- draw ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "magic"), [("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<?xml")])
def test_plots_are_written_as_their_ending_says(name: str, magic: bytes, result: ScoreResult, tmp_path: Path) -> None:
    result.plot(tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(magic)


@pytest.mark.parametrize("value", CURVES)
def test_every_curve_can_be_drawn(value: str, result: ScoreResult) -> None:
    heat_map, curves, *_ = result.plot(value=value).axes
    (mesh,) = heat_map.collections
    frame = result.to_frame()
    np.testing.assert_allclose(np.asarray(mesh.get_array())[2], frame.loc[frame["layer"] == 2, value])
    assert [tick.get_text() for tick in heat_map.get_yticklabels()] == ["embed", "block.1", "block.2", "final_norm"]
    lines = [line for line in curves.lines if line.get_label() != "random directions"]
    assert len(lines) == DEPTH + 1
    for layer, line in enumerate(lines):
        np.testing.assert_array_equal(line.get_ydata(), frame.loc[frame["layer"] == layer, value])
    summary = result.summary["layer"]
    assert [layer for layer, line in enumerate(lines) if "summary" in str(line.get_label())] == [summary]


def test_drawing_uses_no_display_and_no_global_state(result: ScoreResult) -> None:
    import matplotlib.pyplot as plt

    before = plt.get_fignums(), dict(plt.rcParams)
    result.plot()
    assert (plt.get_fignums(), dict(plt.rcParams)) == before


@pytest.mark.parametrize("value", ["median", "layer", "fraction"])
def test_a_curve_that_does_not_exist(value: str, result: ScoreResult) -> None:
    with pytest.raises(InputError, match=f"{value}.*retained_centered"):
        result.plot(value=value)


@pytest.mark.parametrize("name", ["missing/a.png", "a.nonsense"])
def test_a_figure_that_cannot_be_written(name: str, result: ScoreResult, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="figure"):
        result.plot(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_result_without_curves_is_one_clear_error_or_an_empty_figure(empty: ScoreResult, tmp_path: Path) -> None:
    assert len(empty.to_frame()) == 0
    with pytest.raises(InputError, match="curves"):
        empty.plot(tmp_path / "a.png")


def test_undefined_curves_can_be_drawn(result: ScoreResult) -> None:
    frame = result.to_frame()
    frame["retained_centered"] = np.nan
    ScoreResult(ScoreRecord(result.record.result, frame)).plot()


def test_released_curves_can_be_drawn(tmp_path: Path) -> None:
    released = score(save_model(tmp_path), random_task(120, 3), convention="released")
    heat_map = released.plot(value="ntps").axes[0]
    assert np.asarray(heat_map.collections[0].get_array()).shape[0] == DEPTH + 1


# --- the table -------------------------------------------------------------------------------------------------------


def test_the_table_has_a_row_per_layer_and_one_of_all_and_marks_the_summary(result: ScoreResult) -> None:
    lines = rendered(result.record.result)
    content = result.to_dict()
    for row in content["layers"]:
        (line,) = (line for line in lines if line.strip().startswith(row["name"]))
        low, high = row["accuracy_cv_interval"]
        assert f"{100 * row['accuracy_cv']:.1f} ± {50 * (high - low):.1f}" in line
        assert f"{100 * row['accuracy_test']:.1f} ±" in line and f"{row['ntps_share95']:.3f}" in line
        assert ("←" in line) is (row["layer"] == result.summary["layer"])
    (together,) = (line for line in lines if line.strip().startswith("all layers"))
    assert f"{100 * content['all_layers']['accuracy_cv']:.1f} ±" in together
    caption = " ".join(" ".join(lines).split())
    assert "30 test texts" in caption and f"always '{result.summary['majority']}'" in caption


def test_what_was_fitted_is_shown_apart(result: ScoreResult) -> None:
    shown = "\n".join(rendered(result.record.result, table=in_sample_table))
    for row in result.to_dict()["layers"]:
        for name in ("r2", "r2_adjusted", "r2_test_ols", "accuracy_test_ols", "area", "chance_area", "ntps_share95"):
            assert f"{row[name]:.3f}" in shown


@pytest.mark.parametrize("table", [layer_table, in_sample_table])
def test_the_table_fits_a_terminal(table: Callable[[ScoreFile], Table], result: ScoreResult) -> None:
    """Eighty columns, for long names, two-digit layers and the worst of held-out figures too."""
    content, last = changed(result, layer=23), result.record.result.layers[-1]
    rows = tuple(last.model_copy(update={"layer": layer, "r2_test_ols": -123.456}) for layer in range(24))
    lines = rendered(content.model_copy(update={"layers": rows}), table=table)
    assert max(map(len, lines)) <= 80
    assert any("final_norm ←" in line for line in lines) and not any("…" in line for line in lines)


def test_columns_without_a_value_are_left_out_and_gaps_are_dashes(result: ScoreResult) -> None:
    content = result.record.result
    rows = [row.model_copy(update={"accuracy_test": None}) for row in content.layers]
    rows[1] = rows[1].model_copy(update={"area_cv": None})
    lines = rendered(content.model_copy(update={"layers": tuple(rows)}))
    header = next(line for line in lines if "layer" in line)
    assert "test" not in header and "area" in header
    assert "–" in next(line for line in lines if line.strip().startswith("block.1"))


def test_a_table_of_undefined_values(empty: ScoreResult) -> None:
    assert max(map(len, rendered(empty.record.result))) <= 80


def test_a_score_that_left_nothing_out_shows_what_it_has(result: ScoreResult) -> None:
    content = changed(result, criterion=None, chosen_cv=None)
    assert rendered(content) == rendered(content, table=in_sample_table)


# --- plain words -----------------------------------------------------------------------------------------------------


def said(result: ScoreResult, **summary: Any) -> str:
    known = {
        **{"name": "block.2", "layer": 2, "criterion": "accuracy", "chosen_cv": 0.875, "equals": ("block.2",)},
        **{"chosen_cv_interval": (0.851, 0.902), "accuracy_test": 0.861, "accuracy_test_interval": (0.83, 0.89)},
        **{"majority": "joy", "majority_accuracy": 0.335, "cv_texts": 1000},
        **{"area_cv": 0.71, "area_cv_interval": (0.6, 0.8), "chance_area_cv": 0.35},
    }
    return "\n".join(plain_words(changed(result, **{**known, **summary})))


def test_the_words_say_how_well_a_probe_does_on_new_texts_and_what_no_probe_would_reach(result: ScoreResult) -> None:
    words = said(result)
    for part in (
        "block.2 reaches accuracy 87.5 % (85.1 to 90.2 %) on new texts",
        "86.1 % (83.0 to 89.0 %) on the 30 test texts",
        "always answering 'joy' gives 33.5 % on the training texts",
        "One probe of all layers together reaches",
        "keep 71.0 % (60.0 to 80.0 %)",
        "random directions keep 35.0 %, less than they do",
    ):
        assert part in words
    assert "LoRA" not in words and "cannot be told" not in words and "too few" not in words


def test_layers_that_cannot_be_told_apart_are_said(result: ScoreResult) -> None:
    assert "block.1 and final_norm cannot be told from block.2" in said(
        result, equals=("block.1", "block.2", "final_norm")
    )
    words = said(result, equals=("embed", "block.1", "block.2", "final_norm"))
    assert "embed, block.1 and final_norm cannot be told" in words and "the words alone may carry it" in words
    first = said(result, name="embed", layer=0, equals=("embed", "block.1"))
    assert "No single layer is better than the embedding" in first and "block.1 cannot be told from embed" in first


def test_too_few_texts_are_said_with_how_many_would_do(result: ScoreResult) -> None:
    """An interval shrinks with the root of the number of texts: four times the texts halve it."""
    words = said(result, chosen_cv=0.4, chosen_cv_interval=(0.3, 0.5), majority_accuracy=0.35)
    assert "1,000 texts are too few to tell that from the most frequent class: about 4,000 would do" in words
    assert "no better than the most frequent class" in said(
        result, chosen_cv=0.3, chosen_cv_interval=(0.2, 0.4), majority_accuracy=0.35
    )


@pytest.mark.parametrize(
    ("interval", "words"),
    [((0.4, 0.9), "less than they do"), ((0.3, 0.9), "about as much"), ((0.1, 0.2), "more than they do")],
)
def test_the_area_stands_beside_chance(interval: tuple[float, float], words: str, result: ScoreResult) -> None:
    assert words in said(result, area_cv=0.5, area_cv_interval=interval, chance_area_cv=0.35)


def test_what_is_not_known_is_not_said(result: ScoreResult, empty: ScoreResult) -> None:
    for words in (
        said(result, area_cv=None, chance_area_cv=None, chosen_cv_interval=None, accuracy_test=None),
        said(result, criterion=None, r2=None, accuracy_test=None, r2_test=None),
        "\n".join(plain_words(empty.record.result)),
    ):
        assert "None" not in words and "nan" not in words
    assert "Nothing here holds for new texts" in said(result, criterion=None)


def test_without_an_interval_nothing_is_said_of_other_texts(result: ScoreResult) -> None:
    words = said(result, chosen_cv_interval=None, cv_texts=3, equals=("embed", "block.2"))
    assert "accuracy 87.5 % on new texts" in words and "  " not in words
    assert "3 texts, or those of a label, are too few for an interval" in words and "carry it" not in words


def test_the_figure_of_a_layer_that_was_not_chosen_here_is_its_own(result: ScoreResult) -> None:
    own = {"accuracy_cv": 0.9, "accuracy_cv_interval": (0.85, 0.95)}
    words = said(result, chosen_cv=None, chosen_cv_interval=None, **own)
    assert "90.0 % (85.0 to 95.0 %) on new texts (as the best of several layers, which flatters it)" in words


def test_a_share_of_an_r2_that_may_be_nought_is_not_said(result: ScoreResult) -> None:
    assert "explains too little of new texts" in said(result, area_cv=-9.05, area_cv_interval=None)


def test_label_sets_stand_beside_labels_in_a_fixed_order(result: ScoreResult) -> None:
    sets = {"criterion": "mean_average_precision", "majority": None, "majority_accuracy": None, "baseline_cv": 0.3}
    unsure = said(result, **sets, chosen_cv=0.35, chosen_cv_interval=(0.25, 0.45))
    assert "too few to tell that from labels in a fixed order: about 4,000 would do" in unsure
    assert "; labels in a fixed order give 30.0 %" in unsure
    assert "too few" not in said(result, **sets, chosen_cv=0.4, chosen_cv_interval=(0.35, 0.45))


def test_no_share_is_minus_nought() -> None:
    assert percent(-1e-12) == "0.0 %" and percent(-0.5) == "-50.0 %" and percent(-9e7) == "-9e+09 %"


def test_a_huge_number_squeezes_no_column(result: ScoreResult) -> None:
    content = result.record.result
    usual = max(len(line.rstrip()) for line in rendered(content, table=in_sample_table))
    first, second, *others = content.layers
    huge = second.model_copy(update={"r2_test_ols": -9.956e30, "r2": -3e15})
    lines = rendered(content.model_copy(update={"layers": (first, huge, *others)}), table=in_sample_table)
    (row,) = (line for line in lines if "block.1" in line)
    assert "-1e+31" in row and "-3e+15" in row
    assert max(map(len, map(str.rstrip, lines))) <= usual + 4
    assert not any("…" in line for line in lines)

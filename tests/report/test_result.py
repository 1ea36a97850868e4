"""A result as a person uses it: load what was saved, look at it, draw it, read it in plain words."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from ntps import InputError, ScoreResult, score
from ntps.display.sentences import plain_words
from ntps.display.tables import layer_table
from ntps.models.load import load_model
from ntps.scoring.record import ScoreFile, ScoreRecord, Summary
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


def changed(result: ScoreResult, **summary: Any) -> Summary:
    return result.record.result.summary.model_copy(update=summary)


def rendered(content: ScoreFile, width: int = 80) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(layer_table(content))
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
    assert result.to_dict()["model"]["id"] in head and "4 layers" in head
    assert words == plain_words(result.record.result.summary)


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


def test_the_table_has_a_row_per_layer_and_marks_the_summary(result: ScoreResult) -> None:
    lines = rendered(result.record.result)
    rows = {row["layer"]: row for row in result.to_dict()["layers"]}
    found = {int(line.split()[0]): line for line in lines if line.split() and line.split()[0].isdigit()}
    assert found.keys() == rows.keys()
    for layer, line in found.items():
        assert rows[layer]["name"] in line
        for name in ("r2", "r2_adjusted", "r2_test", "accuracy_test", "area", "chance_area", "ntps_share95"):
            assert f"{rows[layer][name]:.3f}" in line
        assert ("←" in line) is (layer == result.summary["layer"])


def test_the_table_fits_a_terminal(result: ScoreResult) -> None:
    """Eighty columns, for long names, two-digit layers and the worst of held-out figures too."""
    content = result.record.result
    last, summary = content.layers[-1], changed(result, layer=23)
    rows = tuple(last.model_copy(update={"layer": layer, "r2_test": -123.456}) for layer in range(24))
    content = content.model_copy(update={"layers": rows, "summary": summary})
    lines = rendered(content)
    assert max(map(len, lines)) <= 80
    assert any("-123.456" in line for line in lines) and any("23 final_norm ←" in line for line in lines)
    assert not any("…" in line for line in lines)


def test_columns_without_a_value_are_left_out_and_gaps_are_dashes(result: ScoreResult) -> None:
    content = result.record.result
    rows = [row.model_copy(update={"r2_test": None, "accuracy_test": None}) for row in content.layers]
    rows[1] = rows[1].model_copy(update={"area": None})
    lines = rendered(content.model_copy(update={"layers": tuple(rows)}))
    header = next(line for line in lines if "layer" in line)
    assert "acc." not in header and "test" not in header and "area" in header
    assert "–" in next(line for line in lines if line.strip().startswith("1 block.1"))


def test_a_table_of_undefined_values(empty: ScoreResult) -> None:
    assert max(map(len, rendered(empty.record.result))) <= 80


# --- plain words -----------------------------------------------------------------------------------------------------


def test_three_lines_say_which_layer_how_much_and_what_next(result: ScoreResult) -> None:
    summary = {
        **{"layer": 2, "name": "block.2", "r2": 0.4321, "r2_adjusted": 0.41, "r2_test": 0.389, "accuracy_test": 0.875},
        **{"area": 0.9, "chance_area": 0.2, "few_texts": False},
    }
    which, much, advice = plain_words(changed(result, **summary))
    for words in ("Layer 2 (block.2)", "43.2 %", "adjusted 41.0 %", "held out: R² 38.9 %, accuracy 87.5 %"):
        assert words in which
    for words in ("90.0 %", "20.0 %", "4.5 times chance"):
        assert words in much
    assert "linear probe first" in advice and "not a promise" in advice


@pytest.mark.parametrize(
    ("area", "chance", "words"),
    [
        (0.81, 0.2, "linear probe first"),
        (0.79, 0.2, "Neither a linear probe nor LoRA"),
        (0.41, 0.2, "Neither a linear probe nor LoRA"),
        (0.39, 0.2, "LoRA has more to gain"),
        (0.1, 0.2, "LoRA has more to gain"),
        (None, 0.2, "suggests nothing"),
        (None, None, "suggests nothing"),
    ],
)
def test_advice_follows_times_chance(area: float | None, chance: float | None, words: str, result: ScoreResult) -> None:
    lines = plain_words(changed(result, area=area, chance_area=chance, few_texts=False, r2_test=0.5))
    assert len(lines) == 3 and words in lines[2]
    assert ("undefined" in lines[1]) is (area is None)


@pytest.mark.parametrize("chance", [0.5, 0.9, 1.0])
def test_what_keeps_everything_never_argues_for_lora(chance: float, result: ScoreResult) -> None:
    """A narrow model leaves little room above chance: 100 % against 50 % is all that there can be."""
    advice = plain_words(changed(result, area=1.0, chance_area=chance, few_texts=False, r2_test=0.5))[2]
    assert "LoRA has more to gain" not in advice


@pytest.mark.parametrize("r2_test", [0.0, -0.4])
def test_a_probe_that_fails_on_held_out_texts_gives_no_advice(r2_test: float, result: ScoreResult) -> None:
    advice = plain_words(changed(result, area=0.9, chance_area=0.1, few_texts=False, r2_test=r2_test))[2]
    assert "nothing on held-out texts" in advice and "LoRA" not in advice


def test_few_texts_give_no_advice(result: ScoreResult) -> None:
    lines = plain_words(changed(result, area=0.95, chance_area=0.1, few_texts=True))
    assert "No advice" in lines[2] and "LoRA" not in lines[2]


def test_what_is_not_known_is_not_said(result: ScoreResult) -> None:
    summary = dict.fromkeys(("r2", "r2_adjusted", "r2_test", "accuracy_test", "area", "chance_area"))
    lines = plain_words(changed(result, **summary))
    assert "no held-out texts" in lines[0] and "None" not in " ".join(lines) and "nan" not in " ".join(lines)


def test_words_for_a_result_without_curves(empty: ScoreResult) -> None:
    lines = plain_words(empty.record.result.summary)
    assert "undefined" in lines[1] and "nothing" in lines[2]


def test_a_huge_number_squeezes_no_column(result: ScoreResult) -> None:
    content = result.record.result
    usual = max(len(line.rstrip()) for line in rendered(content))
    first, second, *others = content.layers
    huge = second.model_copy(update={"r2_test": -9.956e30, "r2": -3e15})
    lines = rendered(content.model_copy(update={"layers": (first, huge, *others)}))
    (row,) = (line for line in lines if "block.1" in line)
    assert "-1e+31" in row and "-3e+15" in row
    assert max(map(len, map(str.rstrip, lines))) <= usual + 4
    assert not any("…" in line for line in lines)

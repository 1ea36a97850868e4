"""Pages of each kind of result, and how figures become parts of a page."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ntps import AdamWProbe, LoRA, advise, finetune, probe, rank, score
from ntps.errors import InputError
from ntps.plots.hover import say_at
from ntps.plots.layers import name_layers
from ntps.report.build import build_report
from ntps.report.parts import Report
from ntps.report.svg import drawn
from ntps.report.writing import write_report
from tiny import random_task, save_model

TASK = random_task(60, 3, test=30)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of results of every kind."""
    out = tmp_path_factory.mktemp("results")
    models = [save_model(out / name) for name in ("one", "two")]
    for number, model in enumerate(models):
        score(model, TASK, out=out / f"score{number}", test=not number)
    probe(models[0], TASK, out=out / "ridge")
    probe(models[0], TASK, AdamWProbe(epochs=2), out=out / "adamw")
    finetune(models[0], TASK, LoRA(steps=4, rank=2, batch_size=8), out=out / "lora")
    rank(models=[out / "score0", out / "score1"]).save(out / "ranking")
    advise(models[0], TASK, out=out / "advice")
    return out


@pytest.mark.parametrize(
    ("name", "sections", "title"),
    [
        ("score0", ["layers", "kept", "tables"], "NTPS of one on"),
        ("ridge", ["layers", "figures"], "Ridge probe of one on"),
        ("adamw", ["epochs", "figures"], "AdamW probe of one on"),
        ("lora", ["training", "figures"], "LoRA of one on"),
        ("ranking", ["models"], "Models ranked on"),
        ("advice", ["ways", "texts"], "Probe or LoRA: one on"),
    ],
)
def test_each_kind_has_a_page_of_its_own(
    name: str, sections: list[str], title: str, results: Path, tmp_path: Path
) -> None:
    """It begins with a sentence and a number, shows nothing without data, needs nothing, and says how it was made."""
    report = build_report(results / name)
    assert [section.name for section in report.sections] == sections and report.title.startswith(title)
    assert re.search(r"\d\.\d %", report.finding[0])
    assert all(part.figure is not None for part in report.figures)
    page = write_report(report, tmp_path / "out").read_text()
    assert len(page.encode()) < 2_000_000
    assert not re.search(r"https?://|@import|url\((?!#)|study|<img", page) and 'class="point"' in page
    assert page.index('id="finding"') < page.index("<svg") < page.index("<table") < page.index('id="facts"')
    facts = dict(report.facts)
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", facts["made"]) and "texts" in facts
    assert str(results) not in report.title


def test_the_page_of_a_probe_says_what_the_result_says(results: Path) -> None:
    rows = probe_table_rows(build_report(results / "ridge"))
    layers = probe(results / "one", TASK).layers
    for row, (_, layer) in zip(rows, layers.iterrows(), strict=False):
        assert row[0] == layer["name"]
        assert row[1].startswith(f"{100 * layer['accuracy_cv']:.1f} ±")
        assert any(cell.startswith(f"{100 * layer['test_accuracy']:.1f} ±") for cell in row)
    assert rows[-1][0] == "all layers"


def probe_table_rows(report: Report) -> list[list[str]]:
    (table,) = report.tables
    return [[text for text, _ in row] for row in table.rows()]


def test_a_ranking_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "ranking.json").write_text("{}")
    with pytest.raises(InputError, match="ntps rank --out"):
        build_report(tmp_path)


@pytest.mark.parametrize("layers", [6, 24, 60])
def test_names_of_layers_never_overlap(layers: int) -> None:
    figure = Figure(figsize=(4.4, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(layers), range(layers))
    name_layers(axes, ["embed", *(f"block.{number}" for number in range(1, layers - 1)), "final_norm"])
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    # Turned by 45°, two words touch where the distance of their lines is below the height of a line.
    ends = [text.get_transform().transform(text.get_position()) for text in axes.get_xticklabels()]
    height = axes.get_xticklabels()[0].get_window_extent(renderer).height
    size = float(axes.get_xticklabels()[0].get_fontsize()) * figure.dpi / 72
    assert len(ends) >= min(layers, 6) and height > 0
    assert (np.diff([end[0] for end in ends]) / np.sqrt(2) > size).all()


def test_panels_and_words_of_a_figure_become_parts_of_a_page() -> None:
    figure = Figure(figsize=(6, 3), layout="constrained")
    for axes in figure.subplots(1, 2):
        (line,) = axes.plot([0.0, 1.0], [2.0, 3.0], color="#0072B2", label='a <b> & "c"')
        say_at(axes, [0.0, np.nan, 1.0], [2.0, 2.5, 3.0], ["low & <left>", "nowhere", "high"])
    figure.legend(handles=[line], loc="outside lower center")
    shown = drawn(figure, "name", "What it shows")
    assert len(shown.panels) == 2 and [name for _, name in shown.legend] == ['a <b> & "c"']
    for text, width in shown.panels:
        image = ElementTree.fromstring(text)
        left, top, wide, high = (float(each) for each in str(image.get("viewBox")).split())
        assert wide == pytest.approx(width, abs=0.1) and wide < 0.6 * 6 * 72
        assert str(image.get("aria-label")).startswith("What it shows") and "var(--c0)" in text
        points = {str(each[0].text): each for each in image.iter("circle")}
        assert [*points] == ["low & <left>", "high"]
        # Where the line ends, as the path says it.
        (path,) = (each for each in image.iter("path") if "var(--c0)" in str(each.get("style")))
        ends = [float(each) for each in re.findall(r"[\d.]+", str(path.get("d")))]
        for end, point in zip((ends[:2], ends[2:]), points.values(), strict=True):
            assert [float(str(point.get("cx"))), float(str(point.get("cy")))] == pytest.approx(end, abs=0.1)
            assert left <= end[0] <= left + wide and top <= end[1] <= top + high
    assert drawn(figure, "name", "What it shows") == shown

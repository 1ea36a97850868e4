"""The page of a report, as a browser shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ntps.report.build import build_report
from ntps.report.writing import write_report
from report.browser import CHROMIUM, DRIVER, ENTER, Browser, browser
from report.factory import TASKS, StudyFactory

EVIL = '<img src=x onerror="document.title=1"><b>gone</b> & "quoted"'
KEY = ("demo/tiny-lm", TASKS[0], "score-after-lora")
needs_browser = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = StudyFactory(failed={KEY: EVIL}).write(tmp_path_factory.mktemp("study"))
    return write_report(build_report(folder), folder / "report")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


def test_the_page_needs_nothing_else(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text.encode()) < 2_000_000
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert sources and all(source.startswith(("data:", "#")) for source in sources)
    assert not re.search(r"https?://|@import|url\((?!#)", text)


def test_names_and_causes_are_text(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<b>gone</b>" not in text and "&lt;b&gt;gone&lt;/b&gt;" in text


def test_every_link_leads_to_a_part(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    parts = re.findall(r'id="([^"]+)"', text)
    assert len(parts) == len(set(parts))
    assert {link[1:] for link in re.findall(r'href="(#[^"]+)"', text)} <= set(parts)


def test_it_opens_with_the_finding(page: Path) -> None:
    body = page.read_text(encoding="utf-8").split("<body>")[1]
    first = re.findall(r"<p>([^<]+)</p>", body)[0]
    assert first.startswith("On texts not seen, 1 model on 8 tasks reach")
    order = (
        "finding",
        "accuracies",
        "accuracies_picture",
        "lora_gain",
        "figure_2",
        "correlations",
        "figure_s1",
        "costs",
    )
    places = [body.index(f'id="{name}"') for name in order]
    assert places == sorted(places)


def test_points_say_what_they_are_without_a_script(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    titles = re.findall(r'<circle class="point"[^>]*><title>([^<]+)</title>', text)
    assert sum("tiny-lm on imdb" in title and "LoRA: " in title for title in titles) == 1
    assert sum(title.startswith("imdb") for title in titles) >= 4


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(400, False), (400, True), (1200, False)])
def test_it_fits_its_window_without_a_word_on_the_console(
    page: Path, width: int, dark: bool, chromium: Browser
) -> None:
    chromium.log()
    chromium.open(page, width, dark)
    assert chromium.run("return innerWidth") == width
    assert chromium.run("return document.documentElement.scrollWidth") <= width
    assert chromium.log() == []
    assert chromium.run("return document.title") == "NTPS study: planted"
    images = chromium.run(
        "return [...document.querySelectorAll('svg[role=img]')].map(i => [i.clientWidth, i.getAttribute('aria-label')])"
    )
    assert len(images) >= 6 and all(100 < pixels < width and text for pixels, text in images)
    assert (
        chromium.run("return performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:'))") == []
    )
    ink, paper = chromium.run("const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]")
    assert (_light(ink) > _light(paper)) is dark and abs(_light(ink) - _light(paper)) > 400


@needs_browser
def test_tables_sort_by_click_and_by_key(page: Path, chromium: Browser) -> None:
    chromium.open(page, 1200)
    table = "#table_1 "
    heading = table + "th:nth-child(5)"
    cells = f"return [...document.querySelectorAll('{table}td:nth-child(5)')].map(cell => Number(cell.dataset.key))"
    order = f"return document.querySelector('{heading}').getAttribute('aria-sort')"
    before = chromium.run(cells)
    assert before != sorted(before) and chromium.run(order) == "none"
    chromium.click(heading + " button")
    assert chromium.run(cells) == sorted(before) and chromium.run(order) == "ascending"
    chromium.press(heading + " button", ENTER)
    assert chromium.run(cells) == sorted(before, reverse=True) and chromium.run(order) == "descending"
    chromium.click(table + "th:nth-child(1) button")
    names = chromium.run(f"return [...document.querySelectorAll('{table}td:nth-child(1)')].map(cell => cell.innerText)")
    assert names == sorted(names) and chromium.run(order) == "none"
    assert chromium.log() == []


@needs_browser
def test_cells_without_a_value_stay_last(page: Path, chromium: Browser) -> None:
    chromium.open(page, 1200)
    heading = "#table_2 th:nth-child(7) button"
    cells = "return [...document.querySelectorAll('#table_2 td:nth-child(7)')].map(cell => cell.innerText)"
    for _ in range(2):
        chromium.click(heading)
        assert chromium.run(cells)[-1] == "–"


def _light(colour: str) -> int:
    return sum(int(number) for number in re.findall(r"\d+", colour)[:3])

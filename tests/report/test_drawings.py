"""Figures that are drawn from tables alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ntps.plots.loss_curves import draw_losses, last_losses
from ntps.plots.style import marks, running_mean
from ntps.plots.word_planes import draw_words


def words(spread: float, seed: int, columns: tuple[str, ...] = ("u1", "u2", "v1", "v2")) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    names = [(name, f"{name}-word-{number}") for name in ("Joy", "Sad", "Be") for number in range(5)]
    frame = pd.DataFrame(names, columns=["list", "word"])
    for column in columns:
        frame[column] = frame["list"].map({"Joy": 1.0, "Sad": -1.0, "Be": 0.0}) + spread * rng.normal(size=len(frame))
    return frame


@pytest.mark.parametrize("spread", [1.0, 0.1])
@pytest.mark.parametrize("columns", [("u1", "u2", "v1", "v2"), ("u1", "v1", "v2")])
def test_every_word_is_written_once_and_covers_no_other(spread: float, columns: tuple[str, ...]) -> None:
    frame = words(spread, seed=1, columns=columns)
    figure = draw_words(frame, "title", {"u": [0.5, 0.2], "v": [300.0, 20.0]})
    renderer = FigureCanvasAgg(figure).get_renderer()
    for axes in figure.axes:
        texts = [text for text in axes.texts if text.get_text() in set(frame["word"])]
        assert sorted(text.get_text() for text in texts) == sorted(frame["word"])
        boxes = [text.get_window_extent(renderer).shrunk(0.98, 0.9) for text in texts]
        assert not any(one.overlaps(other) for index, one in enumerate(boxes) for other in boxes[:index])


def test_a_plane_with_one_direction_has_a_line_for_each_list() -> None:
    left, right = draw_words(words(0.5, 0, ("u1", "v1", "v2")), "title").axes
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["Joy", "Sad", "Be"]
    assert right.get_ylabel().startswith("v")
    left, _ = draw_words(words(0.5, 0, ("v1", "v2")), "title").axes
    assert "no direction" in left.texts[0].get_text()


def test_marks_are_told_apart_without_colour() -> None:
    chosen = marks([f"task {number}" for number in range(24)])
    assert len({mark.marker for mark in list(chosen.values())[:12]}) == 12
    assert len({(mark.colour, mark.marker) for mark in chosen.values()}) == 24


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40), st.integers(1, 50))
@settings(max_examples=50)
def test_running_means(values: list[float], window: int) -> None:
    expected = [np.mean(values[max(0, end - window) : end]) for end in range(1, len(values) + 1)]
    np.testing.assert_allclose(running_mean(values, window), expected, atol=1e-9)


def test_losses_are_drawn_by_task_and_method() -> None:
    steps = np.arange(100)
    frames = [
        pd.DataFrame(
            {"model": "m", "task": task, "method": method, "split": split, "step": steps, "cross_entropy": 1.0}
        )
        for task in ("a", "b")
        for method in ("lora", "scratch")
        for split in ("train", "test")
    ]
    losses = pd.concat(frames, ignore_index=True)
    figure = draw_losses(losses)
    assert [axes.get_title("left") for axes in figure.axes] == ["a", "b"]
    assert all(len(axes.lines) == 4 for axes in figure.axes)
    assert last_losses(losses)[["train", "test"]].eq(1.0).all(axis=None) and len(last_losses(losses)) == 4

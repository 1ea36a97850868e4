"""The numbers that the paper's authors published, as tables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import pandas as pd

from ntps.models.registry import PAPER_MODELS

FRACTIONS = 19
"""Values of k that the authors' sweep visits in each layer."""


@dataclass(frozen=True)
class Published:
    """The published numbers.

    Attributes:
        points: One row per ``model`` and ``task`` (the index); accuracies as shares, ``table1_…`` and ``table2_…`` in
            percent as printed, ``lora_gain`` the difference of two accuracies. NaN where nothing was published.
        words: Figure 1: ``list, word, u1, u2, v1, v2``.
        words_of: Model, task and layer of figure 1.
        paper: Its number on arXiv.
        source: Where the numbers come from.
        note: What they are.
    """

    points: pd.DataFrame
    words: pd.DataFrame
    words_of: str
    paper: str
    source: str
    note: str

    @property
    def models(self) -> list[str]:
        """Hub ids."""
        return list(self.points.index.unique("model"))

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks, in the order of the paper's tables."""
        return list(self.points.index.unique("task"))


@cache
def read_published() -> Published:
    """Reads the published numbers, which come with the package."""
    content = json.loads((files("ntps.study.published") / "published.json").read_text(encoding="utf-8"))
    places = pd.MultiIndex.from_product([content["models"], content["tasks"]], names=["model", "task"])
    points = pd.DataFrame(index=places)
    for name, rows in content["measures"].items():
        points[name] = pd.DataFrame.from_dict(rows, orient="index", columns=content["tasks"], dtype=float).stack()
    points["lora_gain"] = points["lora_test_accuracy"] - points["probe_test_accuracy"]
    figure = content["figure_1"]
    words = [
        (group["name"], word, *u, *v)
        for group in figure["lists"]
        for word, u, v in zip(group["words"], group["u"], group["v"], strict=True)
    ]
    return Published(
        points=points,
        words=pd.DataFrame(words, columns=["list", "word", "u1", "u2", "v1", "v2"]),
        words_of=f"{short_name(figure['model'])}, {figure['task']}, layer {figure['layer']}",
        paper=content["paper"],
        source=content["source"],
        note=content["note"],
    )


def short_name(model: str) -> str:
    """A hub id without its owner."""
    return model.rpartition("/")[2]


def pairs_swept(model: str) -> int:
    """How many (layer, k) the authors compared: layers 0 … L−1 and nineteen k in each."""
    return FRACTIONS * next(known.num_layers for known in PAPER_MODELS if known.hub_id == model)

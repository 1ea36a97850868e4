"""``ntps rank --until``: samples that grow no further than it takes; what all of them decide holds at 95 %."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

import ntps
from grid import stamps
from ntps import theory
from ntps.cli import main
from ntps.study.ranking import looks as looking
from ntps.study.ranking.looks import Look, sample_sizes, standing
from ntps.theory.factor import Array
from ntps.validation.labels import Labels
from tiny import WORDS, save_model, save_rows

SMALL = 25


def test_samples_are_halves_of_all_texts_and_no_more_than_twice_as_many_together() -> None:
    assert sample_sizes(499) == [499] and sample_sizes(500) == [250, 500]
    assert sample_sizes(5952) == [372, 744, 1488, 2976, 5952]
    for texts in (10, 499, 1001, 123_457):
        sizes = sample_sizes(texts)
        assert sizes[-1] == texts and sum(sizes) <= 2 * texts and sizes == sorted(set(sizes))
        assert len(sizes) == 1 or sizes[0] >= 250


def test_a_nested_sample_is_part_of_every_larger_one() -> None:
    whole = ntps.load_task().train.texts
    samples = [ntps.load_task(limit=limit, nested=True, seed=3).train.texts for limit in (40, 300, 900, 2100)]
    for smaller, larger in pairwise(samples):
        assert set(smaller) <= set(larger)
    assert [len(each) for each in samples] == [40, 300, 900, 2100] and samples[-1] == whole
    assert sorted(samples[0], key=whole.index) == list(samples[0])
    assert samples[0] != ntps.load_task(limit=40, nested=True, seed=4).train.texts


def seen(names: str, values: Sequence[float], half: float) -> Look:
    """A look at models that are called by a letter each."""
    value = np.array(values)
    difference = value[:, None] - value
    width = half * (1 - np.eye(len(value)))
    places = np.arange(len(value))
    found = theory.Comparison(value, difference, width, places, places)
    return Look(dict.fromkeys(names, Path()), {}, 100, found, found)


def test_what_a_look_decides_stays_decided() -> None:
    # c is certainly worse than a; then a and b change places, and are told apart.
    first, second = seen("abc", [0.8, 0.75, 0.6], 0.18), seen("ab", [0.78, 0.83], 0.03)
    alone = standing([first])
    assert alone.left("best") == ["a", "b"] and alone.left("order") == ["a", "b", "c"]
    assert (alone.found.first.tolist(), alone.found.last.tolist()) == ([1, 1, 2], [2, 3, 3])
    both = standing([first, second])
    assert both.left("best") == ["b"] and both.left("order") == []
    # b is better than a, and a than c: so b is better than c, whom it has never met in a look that decided.
    assert (both.found.first.tolist(), both.found.last.tolist()) == ([2, 1, 3], [2, 1, 3])
    assert [list(both.last)[index] for index in both.order] == ["b", "a", "c"]
    assert both.found.difference[0, 2] == pytest.approx(0.2) and both.found.half[0, 1] == 0.03
    # A decision is not taken back by more texts: all looks hold together.
    again = standing([seen("abc", [0.8, 0.75, 0.6], 0.06), seen("abc", [0.7, 0.74, 0.65], 0.06)])
    assert again.better.tolist() == [[False, False, True], [False, False, True], [False, False, False]]
    assert again.left("best") == ["a", "b"] and again.left("order") == ["a", "b"]


def test_looks_that_contradict_one_another_decide_nothing() -> None:
    circle = standing([seen("abc", [0.8, 0.7, 0.6], 0.15), seen("bca", [0.8, 0.85, 0.9], 0.08)])
    assert circle.better.any() and not (circle.better & circle.better.T).any()
    assert (circle.found.first <= circle.found.last).all()


def hits_of_equal_models(random: np.random.Generator, texts: int) -> list[Array]:
    """Hits of three models: what is hard for one is likely to be hard for the others, as it is in practice."""
    hard = random.random(texts)
    return [np.where(random.random(texts) < 0.5 + 0.4 * (hard - 0.5), 1.0, 0.0) for _ in range(3)]


@pytest.mark.slow
def test_equal_models_are_hardly_ever_told_apart() -> None:
    """At 95 % without what intervals are wider for probes that share their texts: the looks alone must hold it."""
    random, sizes, wrong = np.random.default_rng(1), (50, 100, 200, 400), 0
    for _ in range(300):
        right, looks = hits_of_equal_models(random, sizes[-1]), []
        for size in sizes:
            labels = Labels("regression", np.zeros((size, 1)))
            figures = [theory.ratio(each[:size, None], np.ones((size, 1))) for each in right]
            found = theory.compare(figures, labels.draws[:400], size, 1 - 0.05 / len(sizes))
            found = replace(found, half=found.half / theory.WIDENING)
            looks.append(Look(dict.fromkeys("abc", Path()), {}, size, found, found))
        wrong += len(standing(looks).left("order")) < 3
    assert wrong <= 15


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, short_check: None) -> Path:
    """A task that a model knows something of; a copy of that model, and two that tell nothing; one that is broken."""
    folder = tmp_path_factory.mktemp("until")
    random, labels = np.random.default_rng(0), [index % 2 for index in range(4 * SMALL)]
    texts = [" ".join(random.choice(WORDS[label::2], 6)) for label in labels]
    save_rows(folder / "task.jsonl", texts, labels)
    save_model(folder / "seeing")
    shutil.copytree(folder / "seeing", folder / "copy")
    for seed, name in enumerate(("blind", "dark"), start=1):
        weights = save_model(folder / name, seed=seed) / "model.safetensors"
        arrays = load_file(weights)
        save_file(
            {key: 0 * value if "embed" in key else value for key, value in arrays.items()}, weights, {"format": "pt"}
        )
    shutil.copytree(folder / "seeing", folder / "broken", ignore=shutil.ignore_patterns("*.safetensors"))
    return folder


def run(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(looking, "SMALLEST", SMALL)
        patch.setattr(sys, "argv", ["ntps", "rank", *map(str, arguments)])
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("until", ["best", "order"])
def test_a_ranking_ends_when_it_is_decided(
    until: str, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [inputs / name for name in ("broken", "blind", "seeing", "dark")]
    command = [inputs / "task.jsonl", *models, "--until", until, "--layers", "0", "--out", tmp_path / "out"]
    assert run(*command) == 3
    said = " ".join(capsys.readouterr().out.split())
    content = json.loads((tmp_path / "out" / "ranking.json").read_text())
    assert content["samples"] == [25, 50, 100] and content["until"] == until
    top, *rest = content["models"]
    assert top["model"] == "seeing" and (top["first"], top["last"]) == (1, 1)
    assert "broken has no score:" in said
    if until == "best":
        assert content["texts"] < 100
        assert f"Stopped after {content['texts']} of 100 texts: which model is the best is certain" in said
        assert {row["texts"] for row in content["models"]} == {content["texts"]}
    else:
        # The other two are alike, and go on without the first.
        assert content["texts"] == 100 and "All 100 texts do not tell the order of all models." in said
        assert top["texts"] < 100 and [row["texts"] for row in rest] == [100, 100]
        assert [row["first"] for row in rest] == [2, 2]
        return
    before = stamps(tmp_path / "out" / "results")
    assert run(*command, "-q") == 3
    again = json.loads((tmp_path / "out" / "ranking.json").read_text())
    assert again | {"created": "", "command": ""} == content | {"created": "", "command": ""}
    done = {name: stamp for name, stamp in before.items() if "broken" not in name}
    assert stamps(tmp_path / "out" / "results").items() >= done.items()


def test_models_that_are_the_same_take_all_texts(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "SMALLEST", SMALL)
    models = [inputs / "seeing", inputs / "copy"]
    ranking = ntps.rank(inputs / "task.jsonl", models, until="best", limit=60, layers=[0]).ranking
    assert ranking.texts == 60 and not ranking.decided and ranking.samples == (30, 60)
    assert [row.place for row in ranking.models] == ["1–2", "1–2"]

"""``ntps rank``: places that hold together, from folders of scores or from models, of which some may fail."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ntps
from grid import stamps
from ntps.cli import main
from ntps.display.ranking import ranking_words
from ntps.display.sentences import plain_words
from ntps.errors import InputError
from ntps.report.build import build_report
from ntps.report.finding import forecasts, lead
from ntps.report.study_tables import advice_table
from ntps.scoring.record import ScoreFile
from ntps.study.analysis.reader import read_results
from ntps.study.ranking.compare import rank_folders
from ntps.study.ranking.looks import look_at
from ntps.study.ranking.record import Ranking
from ntps.tasks.task import TargetKind
from ntps.theory.bootstrap import OUTSIDE, WIDENING
from ntps.theory.factor import Array
from ntps.validation.judged import Judged
from ntps.validation.labels import Labels
from ntps.validation.left_out_texts import LeftOutTexts
from tiny import save_model, save_rows, save_task
from unwrapped import unwrapped

MODELS = {"first": "qwen2", "second": "llama", "third": "gpt2"}


def run(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["ntps", "rank", *map(str, arguments)])
        main()
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, short_check: None) -> Path:
    """A task, of whose rows one has no label, three models, and one without weights."""
    folder = tmp_path_factory.mktemp("inputs")
    task = save_task(folder / "task.jsonl", 60)
    task.write_text(task.read_text() + '{"text": "without a label", "label": null}\n')
    for name, kind in MODELS.items():
        save_model(folder / name, kind)
    shutil.copytree(folder / "first", folder / "broken", ignore=shutil.ignore_patterns("*.safetensors"))
    return folder


@pytest.fixture(scope="module")
def ranked(inputs: Path) -> Path:
    """The ranking of all four."""
    paths = [inputs / name for name in ("broken", *MODELS)]
    assert run(inputs / "task.jsonl", *paths, "--out", inputs / "out", "-q") == 3
    return inputs / "out"


def scores(out: Path) -> list[Path]:
    return [out / "results" / name / "local" / "task" / "score" for name in MODELS]


def made_up(folder: Path, score: Path, judged: Sequence[Sequence[Judged]], labels: Labels) -> list[Path]:
    """Folders of scores that say, text by text, what is made up."""
    found = []
    for number, layers in enumerate(judged):
        out = folder / str(number)
        out.mkdir()
        shutil.copy(score / "result.json", out)
        LeftOutTexts(labels, tuple(range(len(layers))), tuple(layers), layers[0]).write(out / "left_out.safetensors")
        found.append(out)
    return found


def chosen_outside(values: Array, drawn: Array, kind: TargetKind) -> float:
    """What the layer that is best in a draw reaches on the texts that are not in it."""

    def figure(weights: Array) -> Array:
        whole = weights.sum() if kind == "classes" else weights @ np.full(len(weights), 2.0)
        return np.array([weights @ layer / whole for layer in values])

    return float(figure((drawn == 0).astype(float))[figure(drawn).argmax()])


@pytest.mark.parametrize("kind", ["classes", "regression"])
def test_places_are_those_of_differences_that_hold_together(kind: TargetKind, ranked: Path, tmp_path: Path) -> None:
    """Against loops over draws: the layer is chosen inside each, and all pairs are judged by the widest of them."""
    rng, texts = np.random.default_rng(5), 120
    hard = rng.random(texts)
    right: list[list[Array]] = [
        [np.where(hard < share + 0.1 * rng.normal(size=texts), 1.0, 0.0) for _ in range(3)]
        for share in (0.2, 0.55, 0.6, 0.9)
    ]
    targets = np.eye(2)[rng.integers(2, size=texts)] if kind == "classes" else rng.normal(size=(texts, 1))
    base = np.full(texts, 2.0)
    judged = [
        [Judged(base - layer, base, hits=layer if kind == "classes" else None) for layer in layers] for layers in right
    ]
    labels = Labels(kind, targets)
    folders = made_up(tmp_path, scores(ranked)[0], judged, labels)
    ranking = rank_folders(folders)
    assert {row.model for row in ranking.models} == {folder.name for folder in folders}

    reached = np.array([[chosen_outside(np.array(m), drawn, kind) for drawn in labels.draws] for m in right])
    total = 1.0 if kind == "classes" else 2.0
    whole = np.array(right).mean(axis=2) / total
    best = whole.argmax(axis=1)
    own = np.array([[m[b][d == 0].mean() / total for d in labels.draws] for m, b in zip(right, best, strict=True)])
    values = whole.max(axis=1) - np.maximum(0, (own - reached).mean(axis=1))
    pairs = [(i, j) for i in range(4) for j in range(i)]
    apart = np.array([reached[i] - reached[j] for i, j in pairs])
    spread = apart.std(axis=1)
    widest = np.quantile((np.abs(apart - apart.mean(axis=1, keepdims=True)).T / spread).max(axis=1), 0.95)
    half = {pair: widest * width * WIDENING / OUTSIDE for pair, width in zip(pairs, spread, strict=True)}
    half |= {(j, i): width for (i, j), width in half.items()}
    order = np.argsort(-values)
    assert [Path(str(row.folder)).name for row in ranking.models] == [str(model) for model in order]
    for row, model in zip(ranking.models, order, strict=True):
        others = [other for other in range(4) if other != model]
        assert row.first == 1 + sum(values[other] - values[model] > half[model, other] for other in others)
        assert row.last == 4 - sum(values[model] - values[other] > half[model, other] for other in others)
        if model != order[0]:
            gap, width = values[model] - values[order[0]], half[model, int(order[0])]
            assert row.behind == pytest.approx(gap, abs=1e-6)
            assert row.behind_interval == pytest.approx((gap - width, gap + width), abs=1e-6)
    # One of five looks takes a fifth of what may go wrong.
    wider = np.quantile((np.abs(apart - apart.mean(axis=1, keepdims=True)).T / spread).max(axis=1), 0.99)
    looked = look_at({str(number): folder for number, folder in enumerate(folders)}, 5).found
    for pair, width in half.items():
        assert looked.half[pair] == pytest.approx(width * wider / widest, abs=1e-6)
    # The probe of all layers, here the first layer, has nothing to choose; its pairs hold together too.
    outside = np.array([[m[0][drawn == 0].mean() / total for drawn in labels.draws] for m in right])
    steps = np.array([outside[i] - outside[j] for i, j in pairs])
    spread = steps.std(axis=1)
    critical = np.quantile((np.abs(steps - steps.mean(axis=1, keepdims=True)).T / spread).max(axis=1), 0.95)
    widths = {frozenset(pair): critical * width * WIDENING / OUTSIDE for pair, width in zip(pairs, spread, strict=True)}
    assert ranking.models[0].all_layers_step is None and ranking.models[0].all_layers_step_interval is None
    for row, model, above in zip(ranking.models[1:], order[1:], order, strict=False):
        gap, width = (right[model][0].mean() - right[above][0].mean()) / total, widths[frozenset((model, above))]
        assert row.all_layers_step == pytest.approx(gap, abs=1e-6)
        assert row.all_layers_step_interval == pytest.approx((gap - width, gap + width), abs=1e-6)
    # There is something to see.
    assert len({row.place for row in ranking.models}) > 2 and any(row.equals for row in ranking.models)


def test_a_ranking_says_what_each_score_says_and_what_is_missing(ranked: Path) -> None:
    content: dict[str, Any] = json.loads((ranked / "ranking.json").read_text())
    assert (content["schema"], content["kind"], content["criterion"]) == (1, "ranking", "accuracy")
    (missing,) = content["missing"]
    assert missing["model"] == "broken" and "no weights" in missing["cause"]
    assert {row["model"] for row in content["models"]} == {*MODELS}
    (unused,) = content["unused"]
    assert unused.startswith("1 of 61 rows") and f"{unused}." in ranking_words(Ranking.model_validate(content))
    values = [row["value"] for row in content["models"]]
    assert values == sorted(values, reverse=True)
    for row in content["models"]:
        result = json.loads(Path(row["folder"], "result.json").read_text())
        assert (row["value"], row["layer"]) == (result["summary"]["chosen_cv"], result["summary"]["name"])
        assert row["all_layers"] == result["all_layers"]["accuracy_cv"]
        assert row["parameters"] == result["model"]["parameters"]
        assert (row["source"], row["weights"]) == (result["model"]["id"], result["model"]["weights"])
        assert row["first"] <= row["last"] and (row["behind"] is None) == (row is content["models"][0])


def test_neighbours_are_compared_by_all_their_layers_wherever_a_ranking_shows(
    ranked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ranking = Ranking.model_validate(json.loads((ranked / "ranking.json").read_text()))
    first, *others = ranking.models
    by_name = {row.model: row for row in ranking.models}
    for above, row in pairwise(ranking.models):
        assert row.all_layers_step == pytest.approx(float(row.all_layers or 0) - float(above.all_layers or 0), abs=1e-6)
        low, high = row.all_layers_step_interval or (None, None)
        assert low is not None and high is not None and low < float(row.all_layers_step or 0) < high
    assert run(*scores(ranked)) == 0
    (said,) = (
        line for line in unwrapped(capsys.readouterr().out).splitlines() if line.startswith("One probe of all layers")
    )
    for row in others:
        assert f"{row.model} {100 * float(row.all_layers_step or 0):+z.1f} (" in said
    assert first.model not in said
    (table,) = build_report(ranked).tables
    shown = table.frame.set_index("model")["all_layers_step"].dropna()
    assert shown.to_dict() == {name: row.all_layers_step for name, row in by_name.items() if name != first.model}


@pytest.mark.parametrize(
    ("low", "name", "equals", "verdict"),
    [
        (0.8, "embed", ("embed", "block.1"), "best"),
        (0.8, "block.1", ("embed", "block.1"), "equal"),
        (0.8, "block.1", ("block.1",), None),
        (0.0, "embed", ("embed",), None),
    ],
)
def test_a_ranking_warns_as_a_score_does_where_the_embedding_does_as_well(
    low: float, name: str, equals: tuple[str, ...], verdict: str | None, ranked: Path, tmp_path: Path
) -> None:
    one, other = scores(ranked)[:2]
    shutil.copytree(one, tmp_path / "first")
    content = json.loads((one / "result.json").read_text())
    content["summary"] |= {"name": name, "equals": equals, "chosen_cv": 0.9, "chosen_cv_interval": (low, 1.0)}
    (tmp_path / "first" / "result.json").write_text(json.dumps(content))
    ranking = rank_folders([tmp_path / "first", other])
    (row,) = (row for row in ranking.models if row.folder == str(tmp_path / "first"))
    assert row.embedding == verdict
    (short, *more) = [line for line in ranking_words(ranking) if line.startswith(f"{row.model}: ")] or [""]
    assert not more and ("embedding" in short) == (verdict is not None)
    words = plain_words(ScoreFile.model_validate(content))
    assert any(short.removeprefix(f"{row.model}: ").capitalize() == line for line in words) == (verdict is not None)


@pytest.mark.parametrize("above", [(True, True), (True, False), (False, False)])
def test_models_that_are_no_better_than_a_blind_answer_are_named(
    above: tuple[bool, bool], ranked: Path, tmp_path: Path
) -> None:
    for place, (good, path) in enumerate(zip(above, scores(ranked), strict=False)):
        shutil.copytree(path, tmp_path / str(place))
        content = json.loads((path / "result.json").read_text())
        low = content["summary"]["baseline_cv"] + (0.01 if good else 0.0)
        content["summary"] |= {"chosen_cv": 0.95, "chosen_cv_interval": (low, 1.0)}
        (tmp_path / str(place) / "result.json").write_text(json.dumps(content))
    ranking = rank_folders([tmp_path / "0", tmp_path / "1"])
    found = [line for line in ranking_words(ranking) if "certainly better" in line]
    names = {row.folder: row.model for row in ranking.models}
    if all(above):
        assert found == []
    elif any(above):
        assert found == [f"Not certainly better than that: {names[str(tmp_path / '1')]}."]
    else:
        assert found[0].startswith("Nothing here is certainly better than that") and len(found) == 1


def test_what_is_done_is_not_done_again_and_folders_do_without_models(
    ranked: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = stamps(ranked)
    assert run(inputs / "task.jsonl", *(inputs / name for name in MODELS), "--out", ranked, "--json", "-q") == 0
    again = json.loads(capsys.readouterr().out)
    assert stamps(ranked) == before and again["missing"] == []
    assert run(*scores(ranked), "--json") == 0
    alone = json.loads(capsys.readouterr().out)
    assert [row | {"folder": ""} for row in alone["models"]] == [row | {"folder": ""} for row in again["models"]]
    assert run(*scores(ranked), "--csv") == 0
    frame = pd.read_csv(StringIO(capsys.readouterr().out))
    assert list(frame["model"]) == [row["model"] for row in again["models"]]
    assert run(*scores(ranked), "--markdown") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| place | model | accuracy % |") and len([x for x in lines if x[:1] == "|"]) == 5
    # Every figure stands below its own title.
    head, _, *rows = [[cell.strip() for cell in line.split("|")] for line in lines[:5]]
    for cells, row in zip(rows, alone["models"], strict=True):
        assert len(cells) == len(head)
        named = dict(zip(head, cells, strict=True))
        assert named["area / random"] == f"{row['area_cv']:z.2f} / {row['chance_area_cv']:z.2f}"
        assert named["layer"] == row["layer"] and named["time"].endswith(" s")
    assert run(*scores(ranked), "--csv", "--json") == 2


def test_models_may_stand_in_a_file_and_nothing_needs_to_be_kept(inputs: Path, tmp_path: Path) -> None:
    listed = tmp_path / "models.txt"
    listed.write_text(f"# two\n{inputs / 'second'}  # small\n\n{inputs / 'third'}\n")
    result = ntps.rank(inputs / "task.jsonl", models_file=listed, limit=40, layers=[0, 1])
    assert {*result.to_frame()["model"]} == {"second", "third"} and result.ranking.texts == 40
    assert {row.folder for row in result.ranking.models} == {None}
    assert "on new texts" in repr(result)
    result.save(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "ranking.json").read_text()) == result.to_dict()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing is named"),
        (("task.jsonl", "first"), "two models or more"),
        (("task.jsonl", "first", "first"), "given twice"),
        (("task.jsonl", "first", "nowhere"), "nowhere"),
        (("nowhere.csv", "first", "second"), "nowhere.csv does not exist"),
        (("two.jsonl", "first", "second"), "2 texts that stand for themselves"),
        (("task.jsonl", "first", "second", "--cv-texts", "0"), "--cv-texts must be above 0"),
        (("task.jsonl", "first", "second", "--engine", "ray"), "--engine ray needs --out"),
        (("task.jsonl", "--models-file", "nowhere"), "cannot read nowhere"),
        (("other", "out/results/first/local/task/score"), "their texts or labels differ"),
        (("other", "other"), "given 2 times"),
        (("other",), "two folders of results or more"),
        (("other", "other", "--until", "best"), "--until has no effect on folders of results"),
        (("other", "other", "--limit", "5"), "--limit has no effect on folders of results"),
        (("task.jsonl", "first", "second", "--out", "taken"), "taken holds ranking.json"),
    ],
)
def test_nonsense_is_one_sentence_before_anything_runs(
    arguments: tuple[str, ...],
    words: str,
    ranked: Path,
    inputs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(inputs)
    save_rows(inputs / "two.jsonl", ["ba be", "bi bo"], [0, 1])
    if not (inputs / "other").exists():
        save_task(inputs / "other.jsonl", 40, seed=3)
        ntps.score("second", "other.jsonl", layers=[0], out="other")
        (inputs / "taken").mkdir()
        (inputs / "taken" / "ranking.json").write_text("mine")
    assert run(*arguments) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert words in said and said.count("Error:") == 1 and "score:" not in said


def test_a_score_without_its_texts_is_not_ranked(ranked: Path, tmp_path: Path) -> None:
    shutil.copytree(scores(ranked)[0], tmp_path / "old", ignore=shutil.ignore_patterns("left_out*"))
    with pytest.raises(InputError, match=r"there is no .*left_out\.safetensors.*score the model again"):
        ntps.rank(models=[tmp_path / "old", scores(ranked)[1]])
    with pytest.raises(InputError, match="models` must be a list"):
        ntps.rank("docstrings", "demo")


def test_a_forecast_of_lora_stands_beside_each_model(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [inputs / name for name in ("first", "third")]
    assert run(inputs / "task.jsonl", *paths, "--lora", "--out", tmp_path / "out", "-q") == 0
    printed = unwrapped(capsys.readouterr().out)
    assert "LoRA: a forecast" in printed and "random" not in printed
    rows = json.loads((tmp_path / "out" / "ranking.json").read_text())["models"]
    for row in rows:
        advice = ntps.AdviceResult.load(Path(row["folder"]).parent / "advice").to_dict()
        assert row["lora"] == advice["lora"]["accuracy"] and row["lora_interval"] == advice["lora"]["accuracy_interval"]
        assert f"{100 * row['lora']:z.1f} (" in printed
    # The page of the ranking shows it, and so does that of a study.
    (table,) = build_report(tmp_path / "out").tables
    assert "LoRA, forecast (%)" in [column.heading for column in table.columns]
    results = read_results(tmp_path / "out")
    shown = advice_table(results).frame.set_index("model")["lora"].to_dict()
    assert shown == {row["model"]: row["lora"] for row in rows}
    assert lead(results)[0].startswith("On texts not seen, 2 models") and "forecast to gain" in forecasts(results)[0]
    before = stamps(tmp_path / "out")
    assert run(inputs / "task.jsonl", *paths, "--lora", "--out", tmp_path / "out", "-q") == 0
    again = stamps(tmp_path / "out")
    assert all(again[path] == before[path] for path in before if "results" in str(path))


def test_a_model_that_lora_cannot_adapt_is_ranked_all_the_same(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ntps.models.adapters.lora.TARGETS", (("c_attn",),))
    paths = [inputs / name for name in ("first", "third")]
    assert run(inputs / "task.jsonl", *paths, "--lora", "--out", tmp_path / "out", "-q") == 0
    rows = {row["model"]: row for row in json.loads((tmp_path / "out" / "ranking.json").read_text())["models"]}
    assert rows["third"]["lora"] is not None and "unknown names" in rows["first"]["lora_missing"]
    assert "LoRA is not forecast for first" in " ".join(capsys.readouterr().out.split())


def test_a_forecast_needs_all_texts(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [inputs / name for name in ("first", "third")]
    assert run(inputs / "task.jsonl", *paths, "--lora", "--until", "best") == 2
    assert "--lora" in capsys.readouterr().err

"""Definitions: what they mean, and one sentence with the place for whatever is wrong in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ntps.errors import InputError
from ntps.options.scoring import ScoreSettings
from ntps.study.definition import load_study, parse_study, ranking_study
from ntps.study.measurements import MEASUREMENTS
from ntps.study.names import STUDIES
from ntps.study.plan import plan_runs
from ntps.study.specs import ModelSpec, TaskSpec
from ntps.study.yaml_document import Document
from tiny import save_model, save_task

GOOD: dict[str, Any] = {
    "name": "small grid",
    "models": ["demo"],
    "tasks": ["docstrings"],
    "measurements": {"score": {"layers": "0,-1"}},
}


def define(**changes: Any) -> str:
    text: str = yaml.safe_dump({**GOOD, **changes}, sort_keys=False)
    return text


def refusal(text: str) -> str:
    with pytest.raises(InputError) as error:
        parse_study(text, "grid.yaml")
    return str(error.value)


def test_a_definition_says_models_tasks_and_settings() -> None:
    text = define(
        models=["demo", {"id": "Qwen/Qwen2-0.5B@abc", "dtype": "bfloat16"}],
        tasks=["emotion", {"id": "imdb", "train_texts": 10, "name": "films"}],
        train_texts=100,
        test_texts=50,
    )
    study = parse_study(text, "grid.yaml")
    assert [(model.name, model.revision, model.dtype) for model in study.models] == [
        ("demo", "local", "float32"),
        ("Qwen__Qwen2-0.5B", "abc", "bfloat16"),
    ]
    assert [(task.name, task.train_texts, task.test_texts) for task in study.tasks] == [
        ("emotion", 100, 50),
        ("films", 10, 50),
    ]
    assert study.measurements["score"].layers == "0,-1"


def test_a_task_is_loaded_with_all_that_its_definition_says() -> None:
    entry = {"id": "a/b", "text_columns": ["x"], "label_column": "y", "group_column": "z", "config": "c", "seed": 3}
    (task,) = parse_study(define(tasks=[{**entry, "train_texts": 5, "test_texts": 2}]), "g").tasks
    del entry["id"]
    rest = {"text_columns": ("x",), "split": "train", "limit_first": False, "nested": False}
    assert task.loading == {**entry, **rest, "limit": 5, "limit_test": 2}


def test_short_and_long_names_of_a_model_share_a_folder() -> None:
    names = [parse_study(define(models=[name]), "g").models[0].name for name in ("Qwen2-0.5B", "Qwen/Qwen2-0.5B")]
    assert names[0] == names[1]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("name: a\nmodel: [demo]\n", 2, ("model", "perhaps you mean models")),
        (define(measurements={"scor": None}), 7, ("scor", "perhaps you mean score")),
        (define(measurements={"score": {"layer": "0"}}), 8, ("measurements.score.layer", "perhaps you mean layers")),
        (define(measurements={"score": {"pooling": "median"}}), 8, ("pooling", "mean, sum, last")),
        (define(measurements={"score": {"max_length": "ten"}}), 8, ("max_length", "'ten'", "a whole number")),
        (define(measurements={"score": {"max_length": True}}), 8, ("max_length", "True")),
        (define(measurements={"score": {"tokens_per_batch": 0}}), 8, ("measurements.score", "at least 1")),
        (define(measurements={"score": {"layers": "zz"}}), 8, ("score.layers", "cannot be read")),
        (define(measurements={"scratch": {"rank": 3}}), 8, ("scratch.rank", "no such key")),
        (define(measurements={"lora": {"decay_rate": ".nan"}}), 8, ("lora.decay_rate",)),
        (define(measurements={"lora": {"weight_decay": -5}}), 8, ("lora.weight_decay", "at least 0", "-5")),
        (define(measurements={"lora": {"alpha": 10**400}}), 8, ("lora.alpha", "a number")),
        (define(measurements={"logistic": {"seed": 10**23}}), 8, ("logistic.seed", "4294967295")),
        (define(train_texts=0), 9, ("train_texts", "at least 1")),
        (define(tasks=[{"id": "imdb", "test_texts": -5}]), 6, ("tasks.1.test_texts", "at least 1")),
        (define(tasks=[{"id": "imdb", "seed": -1}]), 6, ("tasks.1.seed", "at least 0")),
        (define(resources={"cpus": 0}), 10, ("resources.cpus", "at least 1")),
        (define(resources={"gpus": float("nan")}), 10, ("resources.gpus", "at least 0")),
        (define(resources={"memory_gb": float("inf")}), 10, ("resources.memory_gb", "above 0")),
        (define(models=[{"id": "demo", "dtype": "float7"}]), 4, ("models.1.dtype", "float32, bfloat16")),
        (define(models=[{"id": "demo", "device": "nope"}]), 4, ("models.1", "no device")),
        (define(models=[{"id": "demo", "device": "meta:9"}]), 4, ("models.1", "no device")),
        (define(measurements={"score": [1]}), 7, ("a mapping",)),
        (define(measurements={"score-after-lora": None}), 7, ("continues score", "listed too")),
        (define(measurements={"score": None, "lora": None, "score-after-lora": {"layers": "0"}}), 10, ("of score",)),
        (define(measurements={"ols": {"epochs": 3}}), 8, ("measurements.ols", "no such key")),
        (define(measurements={"ols": {"kind": "adamw"}}), 8, ("no such key",)),
        (define(measurements={"lora": {"learning_rate": "fast"}}), 8, ("'fast' is not a number",)),
        (define(measurements={"lora": {"epsilons": [1]}}), 8, ("a list of 2, each entry a number",)),
        (define(measurements={"score": {"tasks": ["imdb"]}}), 9, ("tasks.1", "no task is called imdb", "docstrings")),
        (define(measurements={"score": {"tasks": []}}), 8, ("score.tasks", "no task is named")),
        (define(measurements={"score": {"tasks": "docstrings"}}), 8, ("score.tasks", "a list")),
        (define(measurements={"words": {"lists": {"a": ["b"]}}}), 7, ("continues score", "listed too")),
        (define(measurements={"score": None, "words": None}), 8, ("words", "the key lists is missing")),
        (define(measurements={"score": None, "words": {"lists": {"a": []}}}), 8, ("the word list 'a' is empty",)),
        (define(measurements={"score": None, "words": {"lists": {}}}), 8, ("no list of words",)),
        (define(measurements={"score": None, "words": {"lists": ["a"]}}), 9, ("a mapping of names, each to a list",)),
        (define(measurements={"score": None, "words": {"lists": {"a": [True]}}}), 9, ("each entry a text",)),
        (define(measurements=None), 6, ("no measurement", "score")),
        (define(models=[]), 2, ("`model`",)),
        (define(models="demo"), 2, ("a list",)),
        (define(models=["demo", "demo"]), 4, ("two models are called demo", "name")),
        (define(models=[{"name": "x"}]), 3, ("the key id is missing",)),
        (define(models=[{"id": "demo", "trust_remote_code": "yes"}]), 4, ("true or false",)),
        (define(tasks=[]), 4, ("no task",)),
        (define(tasks=[{"id": "imdb", "text_columns": "a"}]), 6, ("a list, each entry a text",)),
        (define(name=3), 1, ("name", "3 is not a text")),
        (define(moments="some"), 9, ("moments", "one of keep, drop")),
        (define(resources={"cpu": 3}), 10, ("perhaps you mean cpus",)),
        ("name: a\nname: b\n", 2, ("second time",)),
        ("name: [a\n", 2, ("not YAML",)),
        ("- a\n", 1, ("a mapping",)),
    ],
)
def test_whatever_is_wrong_is_one_sentence_with_its_line(text: str, line: int, words: tuple[str, ...]) -> None:
    sentence = refusal(text)
    assert sentence.startswith(f"grid.yaml, line {line}")
    for word in words:
        assert word in sentence
    assert "\n" not in sentence


def bomb(levels: int) -> str:
    """Nine aliases of what stands above, level for level."""
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("name: a\nmodels: &a [*a]\n", 2, "contains itself"),
        ("&a {b: *a}\n", 1, "contains itself"),
        ("&a [b, [c, {d: *a}]]\n", 1, "contains itself"),
        ("name: a\nmodels: " + "[" * 3000, 2, "levels deep"),
        ("a: " * 3000, 1, "not YAML"),
        ("{a: " * 3000, 1, "levels deep"),
        (bomb(9), 1, "more than 100,000 values"),
        ("name: a\n? [a]\n: b\n", 2, "a key must be a single word"),
        ("name: a\n? {a: b}\n: b\n", 2, "a key must be a single word"),
        ("models: [demo]\nname: 2020-13-45\n", 2, "as timestamp, which it is not"),
        ("name: !!int abc\n", 1, "as int, which it is not"),
        ("name: !!float abc\n", 1, "as float"),
        ("name: !!bool abc\n", 1, "as bool"),
        ("name: !!timestamp abc\n", 1, "as timestamp"),
        ('name: !!binary "\\u00e9"\n', 1, "cannot be read"),
        ("name: 0x" + "f" * 9000, 1, "as int"),
        ("name: " + "9" * 9000, 1, "as int"),
        ("name: !!set [a]\n", 1, "cannot be read"),
        ("name: !!python/name:os.system\n", 1, "cannot be read"),
        ("<<: 3\n", 1, "cannot be read"),
    ],
)
def test_what_no_value_can_be_made_of_is_refused_with_its_line(text: str, line: int, words: str) -> None:
    sentence = refusal(text)
    assert sentence.startswith(f"grid.yaml, line {line}") and words in sentence and "\n" not in sentence


def test_aliases_that_say_something_once_are_fine() -> None:
    text = "name: a\nmodels: [demo]\ntasks: [docstrings]\nmeasurements: {ols: &same {layers: '0'}, logistic: *same}\n"
    study = parse_study(text, "grid.yaml")
    assert study.measurements["ols"].layers == study.measurements["logistic"].layers == "0"


@pytest.mark.parametrize("name", ["~nobody-here/m", "x" * 5000, "a\0b"])
def test_names_that_no_file_can_have_are_names(name: str) -> None:
    """They are looked for when the run begins, and not found."""
    assert parse_study(define(models=[{"id": name, "name": "m"}]), "grid.yaml").models[0].id == name


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_yaml_is_a_study_or_an_input_error(content: Any) -> None:
    with pytest.raises(InputError):
        parse_study(yaml.safe_dump(content), "grid.yaml")


def test_numbers_with_an_exponent_are_numbers() -> None:
    """YAML 1.1 reads 1e-4 as a text."""
    assert Document("x: 1e-4", "g").data == {"x": "1e-4"}
    study = parse_study(define(measurements={"lora": {"learning_rate": "2e-3", "alpha": 8}}), "g")
    assert study.measurements["lora"].recipe.learning_rate == 2e-3
    assert study.measurements["lora"].recipe.alpha == 8.0


def test_a_measurement_that_compares_takes_over_the_settings() -> None:
    study = parse_study(define(measurements={"score-after-lora": None, "lora": None, "score": {"layers": "1"}}), "g")
    assert list(study.measurements) == ["score", "lora", "score-after-lora"]
    assert study.measurements["score-after-lora"] == study.measurements["score"]


def test_a_measurement_of_some_tasks_takes_along_what_continues_it(tmp_path: Path) -> None:
    text = define(
        tasks=["emotion", "imdb", "sst2"],
        measurements={
            "score": {"tasks": ["emotion", "imdb"]},
            "words": {"tasks": ["imdb", "sst2"], "lists": {"Be": ["am", "is"]}},
            "ols": None,
        },
        moments="drop",
    )
    runs = plan_runs(parse_study(text, "g"), tmp_path)
    made = {name: [run.task.name for run in runs if run.measurement == name] for name in ("score", "words", "ols")}
    assert made == {"score": ["emotion", "imdb"], "words": ["imdb"], "ols": ["emotion", "imdb", "sst2"]}
    # Words are placed with the statistics of their score, which would else be dropped.
    assert [run.task.name for run in runs if run.keep_moments] == ["imdb"]


def test_anchors_and_merges_may_repeat_a_key() -> None:
    text = define() + "resources: &r {cpus: 2}\n"
    assert parse_study(text, "g").resources.cpus == 2


@pytest.mark.parametrize("name", STUDIES)
def test_the_studies_that_come_along_are_sound(name: str) -> None:
    study = load_study(name, ["demo"] if name in ("small", "calibration") else [])
    assert study.name == name and study.models and study.tasks and study.measurements
    recipes = {
        study.measurements[method].recipe.recipe for method in ("lora", "scratch") if method in study.measurements
    }
    # Forecasts are of LoRA that is trained to its end.
    assert recipes == ({"standard"} if name == "calibration" else {"paper"})


def test_the_plan_counts_what_a_recipe_does_at_most() -> None:
    """Steps, texts a step, and texts held back, a fifth of a thousand, that are evaluated twenty times."""
    settings = parse_study(define(measurements={"lora": None, "scratch": {"recipe": "paper"}}), "g").measurements
    counted = {name: MEASUREMENTS[name].training(settings[name], 1000) for name in settings}
    assert counted == {"lora": (1000, 16, 20 * 200), "scratch": (10_000, 1, 0)}


def test_a_study_without_a_model_asks_for_one() -> None:
    with pytest.raises(InputError, match="`model`"):
        load_study("small")


def test_no_such_study_names_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="demo, small, paper, calibration"):
        load_study(tmp_path / "missing.yaml")


@pytest.mark.parametrize("layers", [[0, -1], "0,-1"])
def test_layers_may_be_a_list(layers: object) -> None:
    study = parse_study(define(measurements={"score": {"layers": layers}}), "g")
    assert study.measurements["score"].layers == "0,-1"


def identities(model: Path, task: Path, **changes: Any) -> list[str]:
    study = parse_study(define(models=[str(model)], tasks=[str(task)], **changes), "g")
    return [run.digest for run in plan_runs(study, task.parent / "results")]


def test_a_runs_identity_is_what_changes_its_numbers(tmp_path: Path) -> None:
    """It stays the same where files lie elsewhere, and changes with their content and with every setting."""
    model, task = save_model(tmp_path / "model"), save_task(tmp_path / "task.jsonl")
    first = identities(model, task)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    assert identities(model.rename(moved / "model"), task.rename(moved / "task.jsonl")) == first
    model, task = moved / "model", moved / "task.jsonl"
    assert identities(model, task, train_texts=10) != first
    assert identities(model, task, measurements={"score": {"layers": "0"}}) != first
    assert identities(model, task, resources={"cpus": 7}) == first
    assert (
        identities(model, task, measurements={"score": {**GOOD["measurements"]["score"], "tokens_per_batch": 9}})
        == first
    )
    grouped = parse_study(define(models=[str(model)], tasks=[{"id": str(task), "group_column": "author"}]), "g")
    for study, known in ((grouped, True), (parse_study(define(models=[str(model)], tasks=[str(task)]), "g"), False)):
        # Without groups it is that of earlier versions, which knew of none.
        (run,) = plan_runs(study, tmp_path)
        assert ("group_column" in run.identity["task"]) == known and (run.digest == first[0]) != known
        of_first = {"name", "text_columns", "label_column", "config", "train_texts", "test_texts", "seed", "texts"}
        assert run.identity["task"].keys() - {"group_column"} == of_first
    cells = tmp_path / "cells.json"
    advice = {}
    for content in ("one", "one", "other"):
        cells.write_text(content)
        (advice[content],) = identities(model, task, measurements={"advice": {"calibration": str(cells)}})
    assert advice["one"] != advice["other"]
    cells.rename(moved / "cells.json")
    (found,) = identities(model, task, measurements={"advice": {"calibration": str(moved / "cells.json")}})
    assert found == advice["other"]
    task.write_text(task.read_text() + task.read_text().splitlines()[0] + "\n")
    changed = identities(model, task)
    assert changed != first
    save_model(model, seed=1)
    assert identities(model, task) != changed


def ranked(*models: object) -> list[str]:
    """The names of the models of a ranking."""
    study = ranking_study([ModelSpec(str(each)) for each in models], TaskSpec("docstrings"), {"score": ScoreSettings()})
    return [model.name for model in study.models]


def test_checkpoints_of_several_runs_are_called_by_their_folders(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a/last", "b/last", "c/d/step/8", "e/d/step/8", "other")]
    for path in paths:
        path.mkdir(parents=True)
    assert ranked(*paths) == ["a_last", "b_last", "c_d_step_8", "e_d_step_8", "other"]
    assert ranked("x/m", "y/m", "y/m@old", "z") == ["x__m", "y_m", "y_m@old", "z"]


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (["demo"], "two models or more"),
        (["demo", "demo"], "demo is given twice"),
        (["Qwen2-0.5B", "Qwen/Qwen2-0.5B"], "is given twice"),
        (["{here}", "{here}/../{name}/"], "is given twice"),
    ],
)
def test_a_ranking_has_several_models_and_each_once(models: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        ranked(*(each.format(here=tmp_path, name=tmp_path.name) for each in models))

"""Numbers and devices that make no sense are refused before anything is loaded, whoever asks."""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import torch

import ntps
import ntps.api
from ntps.errors import InputError
from ntps.models.devices import check_device_name, find_device
from ntps.options.finetuning import FinetuneSettings
from ntps.options.keywords import method_of
from ntps.options.limits import check_number
from ntps.options.passes import PassSettings
from ntps.options.probing import AdamWProbe, LeastSquares, ProbeSettings
from ntps.options.recipes import METHODS, FullFineTuning, LoRA
from ntps.tasks.load import load_task
from ntps.training.finetuning.finetune_run import _device

BAD = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("value", [*BAD, 0, 3, 2.5])
def test_what_is_out_of_range_is_told_with_the_range(value: float) -> None:
    with pytest.raises(InputError, match=r"^`x` must be above 0 and at most 2, not"):
        check_number("x", value, above=0, at_most=2)


def test_what_is_in_range_is_nothing_to_speak_of() -> None:
    for value in (None, 1e-300, 1, 2):
        check_number("x", value, above=0, at_most=2, optional=True)
    check_number("x", 0, at_least=0, below=1)
    with pytest.raises(InputError, match=r"^`x` must be a finite number, not nan$"):
        check_number("x", math.nan)
    with pytest.raises(InputError, match=r"^`x` must be at least 1, not auto$"):
        check_number("x", "auto", at_least=1)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *((name, [0, -1]) for name in ("steps", "batch_size", "patience", "rank")),
        *((name, [0, -1]) for name in ("accumulate", "eval_every", "save_every")),
        *((name, [1, -0.1, *BAD]) for name in ("warmup", "lora_dropout", "head_dropout")),
        *((name, [0, -1, 1e308, *BAD]) for name in ("learning_rate", "alpha", "clip_threshold")),
        ("weight_decay", [-5, 1e308, *BAD]),
        ("decay_rate", [5, 0.1, *BAD]),
        ("epsilons", [(0, 1e-3), (1e-30, -1), (math.nan, 1e-3), (1e-30, math.inf)]),
        ("start_layer", [-1]),
        ("seed", [-1, 2**32, 10**23]),
        ("max_length", [0, -5]),
        ("tokens_per_batch", [0]),
    ],
)
def test_recipes_of_fine_tuning(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(InputError, match=f"^`{name}` must be"):
            FinetuneSettings(**{name: value}) if hasattr(FinetuneSettings, name) else LoRA(**{name: value})


@pytest.mark.parametrize("name", ["rank", "alpha", "lora_dropout", "start_layer"])
def test_what_full_fine_tuning_would_ignore_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"^`{name}` means nothing to `method` full: it is an option of lora$"):
        method_of("method", "full", METHODS, {name: 0.1})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("epochs", [0, -1]),
        ("batch_size", [0]),
        ("learning_rate", [0, -1, 1e308, *BAD]),
        ("weight_decay", [-1, 1e308, *BAD]),
        ("dropout", [1, -0.1, *BAD]),
        ("seed", [-1, 10**23]),
    ],
)
def test_recipes_of_probes(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(InputError, match=f"^`{name}` must be"):
            ProbeSettings(seed=value) if name == "seed" else AdamWProbe(**{name: value})


@pytest.mark.parametrize("layers", ["zz", "", "1,,2", "1:2:3", "1.5", "0-3"])
def test_layers_are_read_before_the_model(layers: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        PassSettings(layers=layers)


@pytest.mark.parametrize("layers", [[0, 3, -1], (0, 3, -1), np.array([0, 3, -1]), "0,3,-1"])
def test_layers_may_be_numbers(layers: Any) -> None:
    settings = PassSettings(layers=layers)
    assert settings == PassSettings(layers="0,3,-1")
    assert settings.layer_indices(5) == (0, 3, 5)
    assert PassSettings(layers=3).layer_indices(5) == (3,)


@pytest.mark.parametrize("layers", [True, [], [0, 1.5], 2.0, ["0", "3"], [True]])
def test_what_is_no_layer(layers: Any) -> None:
    with pytest.raises(InputError, match=r"^`layers` .* cannot be read: give whole numbers such as \[0, 3, -1\]$"):
        ntps.score(layers=layers)


@pytest.mark.parametrize("function", [ntps.score, ntps.api.estimate, ntps.probe, ntps.finetune, ntps.load_task])
def test_every_keyword_is_explained_and_no_other_is_taken(function: Any) -> None:
    arguments = function.__doc__.partition("Args:\n")[2].partition("\n\n")[0]
    assert re.findall(r"^    (\w+): ", arguments, re.MULTILINE) == list(inspect.signature(function).parameters)
    with pytest.raises(TypeError, match=rf"^{function.__name__}\(\) got an unexpected keyword argument 'layer'$"):
        function(layer=1)


def test_what_is_loaded_takes_no_options_of_loading() -> None:
    model, task = ntps.load_model(), ntps.load_task(limit=20)
    of_tasks: dict[str, Any] = {"limit": 0, "split": "test", "text_columns": ["a"], "config": "b"}
    for name, value in of_tasks.items():
        with pytest.raises(InputError, match=f"^`{name}` has no effect on a task that is loaded already"):
            ntps.score(task=task, **{name: value})
    of_models: dict[str, Any] = {"device": "cpu", "dtype": "float64", "adapter": "a", "trust_remote_code": True}
    for name, value in of_models.items():
        with pytest.raises(InputError, match=f"^`{name}` has no effect on a model that is loaded already"):
            ntps.score(model, **{name: value})
    with pytest.raises(InputError, match=r"^`model` is loaded already, and fine-tuning would change it"):
        ntps.finetune(model)  # the type allows it, as for all jobs


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    plain = ntps.score(limit=30, layers=[1], max_length=9, test=False)
    numbers: Any = {"limit": np.int64(30), "layers": np.int64(1), "max_length": np.int32(9), "test": np.bool_(False)}
    given = ntps.score(**numbers, out=tmp_path / "scored")
    assert given.to_dict()["settings_hash"] == plain.to_dict()["settings_hash"]
    assert ntps.ScoreResult.load(tmp_path / "scored").summary == plain.summary


def test_numbers_of_numpy_are_numbers_of_methods_too() -> None:
    given: Any = {"epochs": np.int64(2), "learning_rate": np.float32(0.5)}
    settings = ntps.probe(kind=ntps.AdamWProbe(**given), limit=30).to_dict()["settings"]
    assert (settings["epochs"], settings["learning_rate"]) == (2, 0.5)
    assert isinstance(settings["epochs"], int)
    switch: Any = "no"
    with pytest.raises(InputError, match=r"^`intercept` must be True or False, not 'no'$"):
        ntps.probe(kind=ntps.LeastSquares(intercept=switch))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "^`limit` must be at least 1, not 0$"),
        ({"kind": ["ols"]}, r"^`kind` must be one of LeastSquares\(\)"),
        ({"limit": 30.5}, "^`limit` must be a whole number, not 30.5$"),
        ({"limit": "30"}, "^`limit` must be at least 1, not 30$"),
        ({"seed": None}, "must be a whole number, not None"),
        ({"seed": 1.5}, "must be a whole number, not 1.5$"),
        ({"max_length": 5.5}, "^`max_length` must be a whole number, not 5.5$"),
        ({"max_length": [5]}, r"^`max_length` must be at least 1, not \[5\]$"),
        ({"tokens_per_batch": True}, "^`tokens_per_batch` must be at least 1, not True$"),
        ({"test": "no"}, "^`test` must be True or False, not 'no'$"),
        ({"text_columns": "text"}, r"^`text_columns` must be a list of names, such as \['text'\], not 'text'$"),
        ({"text_columns": [4]}, r"^`text_columns` must be a list of names, such as \['text'\], not \[4\]$"),
    ],
)
def test_values_of_the_wrong_type_are_one_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ntps.probe(**options)


@pytest.mark.parametrize("wrong", [4, "tensorboard", [4], None])
def test_trackers_are_names(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"^`report_to` must be a list of names, such as \['tensorboard'\], not "):
        ntps.finetune(report_to=wrong)


def test_a_place_is_a_text() -> None:
    place: Any = 4
    with pytest.raises(InputError, match=r"^`at` must be a layer and a k, such as '4:100', not 4$"):
        ntps.score(adapter="adapter", at=place)


@pytest.mark.parametrize("function", [ntps.score, ntps.api.estimate, ntps.probe, ntps.finetune, ntps.load_task])
def test_annotations_are_those_of_the_keywords(function: Any) -> None:
    assert get_type_hints(function).keys() == {*inspect.signature(function).parameters, "return"}


def test_seeds_of_samples() -> None:
    for seed in (-1, 10**23):
        with pytest.raises(InputError, match="`seed` must be at least 0 and at most 4294967295"):
            load_task(seed=seed)


@pytest.mark.parametrize("name", ["nope", "", "meta", "meta:9", "cuda:x", "cpu cpu"])
def test_what_is_no_device(name: str) -> None:
    for use in (check_device_name, find_device, lambda name: _device(name, FinetuneSettings())):
        with pytest.raises(InputError, match="is no device"):
            use(name)


def test_devices() -> None:
    assert find_device("cpu") == torch.device("cpu")
    for name in (None, "auto", "cpu", "cuda:3"):
        check_device_name(name)
    with pytest.raises(InputError, match="is for scoring"):
        _device("mps", FinetuneSettings())


@pytest.mark.parametrize(
    ("settings", "begin"),
    [
        (FinetuneSettings(method=LoRA(recipe="paper")), "8b387b57ac23da3a"),
        (FinetuneSettings(method=LoRA(recipe="paper", rank=8, steps=5), seed=2, eval_every=7), "24204dbfde3a6398"),
        (FinetuneSettings(method=FullFineTuning(recipe="paper", from_scratch=True)), "ab1cd16a7f5b2ba6"),
        (ProbeSettings(kind="ols"), "811f572b96032cbd"),
        (ProbeSettings(kind="logistic"), "48777f749f3caab6"),
        (ProbeSettings(kind=AdamWProbe(epochs=3), seed=1), "a050f2e38a9e504a"),
    ],
)
def test_results_of_earlier_versions_are_of_the_same_settings(settings: PassSettings, begin: str) -> None:
    assert settings.settings_hash((1, 2), a=1).startswith(begin)


def test_runs_of_earlier_studies_are_of_the_same_settings() -> None:
    nones = dict.fromkeys(("solver", "epochs", "batch_size", "learning_rate", "weight_decay", "dropout"))
    of_pass = {"layers": None, "pooling": "mean", "max_length": None, "tokens_per_batch": None, "test": True}
    assert ProbeSettings(kind="ols").identity() == {"kind": "ols", "seed": 0, **of_pass, "intercept": None, **nones}
    given = ProbeSettings(kind=AdamWProbe(epochs=3), seed=1).identity()
    assert given == {"kind": "adamw", "seed": 1, **of_pass, "intercept": None, **nones, "epochs": 3}


def test_nothing_is_no_number_of_a_method() -> None:
    nothing: Any = None
    for name in ("rank", "recipe", "warmup", "alpha"):
        with pytest.raises(InputError, match=f"^`{name}` must be .*not None"):
            LoRA(**{name: nothing})
    with pytest.raises(InputError, match=r"^`epochs` must be at least 1, not None"):
        AdamWProbe(epochs=nothing)


def test_equal_methods_are_equal_settings() -> None:
    assert FinetuneSettings(method=LoRA(alpha=32.0)).to_dict() == FinetuneSettings().to_dict()
    hashes = {FinetuneSettings(method=LoRA(alpha=alpha)).settings_hash(()) for alpha in (32, 32.0)}
    assert len(hashes) == 1


def test_a_method_of_ones_own_is_none_of_ours() -> None:
    class Own(LeastSquares):
        """What ntps could not name in a result."""

    with pytest.raises(InputError, match=r"^`kind` must be one of"):
        ProbeSettings(kind=Own())

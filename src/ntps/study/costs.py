"""What a study costs, from simple counts, before anything runs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ntps.errors import InputError
from ntps.forward.tangents import DIRECTIONS
from ntps.models.embedded import embedded_model_folder
from ntps.models.registry import EMBEDDED, known_model
from ntps.options.advising import AdviseSettings
from ntps.options.finetuning import FinetuneSettings
from ntps.options.probing import ProbeSettings, TangentProbe
from ntps.options.recipes import FullFineTuning
from ntps.options.scoring import ScoreSettings
from ntps.study.measurements import MEASUREMENTS
from ntps.study.plan import local_task
from ntps.study.runs import Run
from ntps.study.specs import ModelSpec, Resources, TaskSpec
from ntps.tasks.load import load_task
from ntps.tasks.registry import EMBEDDED as EMBEDDED_TASK
from ntps.tasks.registry import REGISTRY

CHARACTERS_PER_TOKEN = 4.0
TOKENS_PER_TEXT = 40
"""Of a task whose texts are not on this machine."""
UNKNOWN_TEXTS = 10_000
"""Training texts of a task that is not known at all."""
EFFICIENCY = 0.3
"""Share of a large matrix product's speed that small batches of a transformer reach."""
RUNTIME_GB = 1.0
"""What Python and its libraries take."""
BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


@dataclass(frozen=True)
class Size:
    """Counts of a model: parameters of the base transformer, width d and number L of blocks."""

    parameters: int
    hidden_size: int
    num_layers: int


@dataclass(frozen=True)
class Texts:
    """Counts of a task: texts and estimated tokens of both splits."""

    train: int
    test: int
    tokens_per_text: float


@dataclass(frozen=True)
class Cost:
    """What one run costs, roughly; None where nothing is known.

    Attributes:
        tokens: Tokens that go through the model, each time counted.
        steps: Training steps.
        seconds: Time on this machine's processor.
        memory_gb: Main memory in units of 10⁹ bytes.
    """

    tokens: int | None = None
    steps: int = 0
    seconds: float | None = None
    memory_gb: float | None = None


def estimate(runs: Sequence[Run], data_dir: str | None = None) -> dict[str, Cost]:
    """The cost of each run, by digest.

    Models are counted by their files, texts by their characters; what only the hub has, by what the registry knows.
    """
    speed = operations_per_second()
    return {run.digest: _cost(run, _size(run.model), _texts(run.task, data_dir), speed) for run in runs}


def needed(cost: Cost, resources: Resources) -> Resources:
    """What a run needs of a machine: what the study says, and for memory the estimate where it says nothing."""
    return resources if resources.memory_gb is not None else replace(resources, memory_gb=cost.memory_gb)


def _cost(run: Run, size: Size | None, texts: Texts | None, speed: float) -> Cost:
    measurement = MEASUREMENTS[run.measurement]
    steps, batch, evaluated = measurement.training(run.settings, UNKNOWN_TEXTS if texts is None else texts.train)
    if size is None or texts is None:
        return Cost(steps=steps)
    passed = 0 if measurement.on_moments else texts.train * (steps == 0) + texts.test + evaluated
    seen = texts.tokens_per_text * passed
    trained = steps * batch * texts.tokens_per_text
    width, layers = size.hidden_size, size.num_layers + 1
    of_tangents = isinstance(run.settings, ProbeSettings) and isinstance(run.settings.probe, TangentProbe)
    if of_tangents or isinstance(run.settings, AdviseSettings):
        # A way back without gradients of weights costs about what the way there does.
        seen *= 1 + DIRECTIONS
    # Two operations a parameter and token forwards, four more backwards.
    operations = 2.0 * size.parameters * (seen + 3 * trained)
    weights = size.parameters * BYTES[run.model.dtype]
    if isinstance(run.settings, ScoreSettings):
        # Sums of float64 products, and factorizations of each layer.
        operations += 6.0 * width**2 * seen * layers + 60.0 * width**3 * layers
        weights += 8 * 4 * width**2 * layers
    elif isinstance(run.settings, FinetuneSettings) and isinstance(run.settings.recipe, FullFineTuning):
        # With gradients and the optimizer's state.
        weights *= 3
    return Cost(round(seen + trained), steps, operations / speed, weights / 1e9 + RUNTIME_GB)


@cache
def operations_per_second() -> float:
    """Floating-point operations that a transformer's forward pass does in a second here, from a short measurement."""
    matrix = torch.randn(512, 512)
    torch.mm(matrix, matrix)
    began, products = time.perf_counter(), 0
    while (spent := time.perf_counter() - began) < 0.1:
        torch.mm(matrix, matrix)
        products += 1
    return EFFICIENCY * products * 2.0 * 512**3 / spent


@cache
def _size(model: ModelSpec) -> Size | None:
    folder = embedded_model_folder() if model.id == EMBEDDED else Path(model.id)
    if folder.is_dir():
        return _counted(folder)
    known = known_model(model.id.partition("@")[0])
    return Size(known.parameters * 1_000_000, known.hidden_size, known.num_layers) if known else None


def _counted(folder: Path) -> Size | None:
    """From the configuration and the headers of the weights."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config = config.get("text_config", config)
        width = _first(config, "hidden_size", "n_embd", "model_dim")
        layers = _first(config, "num_hidden_layers", "n_layer", "num_transformer_layers")
        shapes = [shape for path in folder.glob("*.safetensors") for shape in _shapes(path)]
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        return None
    return Size(sum(map(_product, shapes)), width, layers) if shapes else None


def _first(config: Mapping[str, Any], *names: str) -> int:
    return int(next(config[name] for name in names if name in config))


def _shapes(path: Path) -> list[list[int]]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118  # not a mapping


def _product(shape: Sequence[int]) -> int:
    return torch.Size(shape).numel()


@cache
def _texts(task: TaskSpec, data_dir: str | None) -> Texts | None:
    entry = REGISTRY.get(task.id)
    if local_task(task, data_dir) is None and task.id != EMBEDDED_TASK:
        if entry is None or entry.hub_rows is None:
            return None
        train, test = entry.hub_rows
        return Texts(min(train, task.train_texts or train), min(test, task.test_texts or test), TOKENS_PER_TEXT)
    try:
        loaded = load_task(task.id, **task.loading, data_dir=data_dir)
    except InputError:
        # The run will say it, and be recorded as failed.
        return None
    characters = sum(map(len, loaded.train.texts))
    return Texts(
        len(loaded.train),
        len(loaded.test) if loaded.test else 0,
        characters / CHARACTERS_PER_TOKEN / len(loaded.train),
    )

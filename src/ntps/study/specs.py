"""What a study consists of: models, tasks, resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from ntps.files import existing
from ntps.models.devices import check_device_name
from ntps.models.load import DTYPES
from ntps.models.registry import EMBEDDED
from ntps.options.limits import check_choice, check_number, check_seed
from ntps.options.shared import TaskOptions
from ntps.study.measurements import MEASUREMENTS
from ntps.study.names import file_name

TASKS = "tasks"
"""Key of a measurement that is made on some tasks only."""


LOCAL = "local"
"""The revision of what lies in a folder."""


@dataclass(frozen=True)
class ModelSpec:
    """A model of a study.

    Attributes:
        id: Hub id, ``id@revision``, short name or folder.
        name: What its folder of results is called; from the id by default.
        dtype: Dtype of the forward pass.
        device: Where it runs; CUDA if there is one by default.
        tokenizer: Tokenizer to use instead of the model's own.
        trust_remote_code: Whether code from the hub may run.
    """

    id: str
    name: str = ""
    dtype: str = "float32"
    device: str | None = None
    tokenizer: str | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        check_choice("dtype", self.dtype, tuple(DTYPES))
        check_device_name(self.device)

    @property
    def local(self) -> bool:
        """Whether it lies in a folder, or in the package."""
        path = existing(self.id)
        return self.id == EMBEDDED or (path is not None and path.is_dir())

    @property
    def revision(self) -> str:
        """The revision that was asked for; ``main`` for a hub model without one."""
        return LOCAL if self.local else self.id.partition("@")[2] or "main"

    @property
    def folder(self) -> Path:
        """Its part of the path of a run: name and revision."""
        return Path(self.name, file_name(self.revision))


@dataclass(frozen=True)
class TaskSpec:
    """A task of a study.

    Attributes:
        id: Name, hub id, file or folder.
        name: What its folder of results is called; from the id by default.
        text_columns: Columns that hold the text; detected by default.
        label_column: Column that holds the label; detected by default.
        group_column: Column that says which texts belong together, such as their author or document.
        config: Configuration of a hub dataset.
        split: Split to take for training texts.
        limit_first: Whether limits take the first texts instead of a seeded sample.
        train_texts: Largest number of training texts.
        test_texts: Largest number of test texts.
        seed: Seed of the sample that these limits take.
        nested: Whether that sample is part of that of every larger limit.
    """

    id: str
    name: str = ""
    text_columns: tuple[str, ...] = ()
    label_column: str | None = None
    group_column: str | None = None
    config: str | None = None
    train_texts: int | None = None
    test_texts: int | None = None
    seed: int = 0
    split: str = "train"
    limit_first: bool = False
    nested: bool = False

    def __post_init__(self) -> None:
        check_number("train_texts", self.train_texts, at_least=1, optional=True)
        check_number("test_texts", self.test_texts, at_least=1, optional=True)
        check_seed("seed", self.seed)

    @property
    def loading(self) -> dict[str, Any]:
        """What :func:`ntps.load_task` is given besides ``id``: the fields that it knows, and both limits."""
        known = {each.name for each in fields(TaskOptions)}
        chosen = {each.name: getattr(self, each.name) for each in fields(self) if each.name in known}
        return {**chosen, "limit": self.train_texts, "limit_test": self.test_texts, "nested": self.nested}


@dataclass(frozen=True)
class Resources:
    """What one run needs, for engines that place runs on machines.

    Attributes:
        cpus: Processor cores.
        gpus: GPUs.
        memory_gb: Main memory in units of 10⁹ bytes; by the plan's estimate if None.
    """

    cpus: int = 1
    gpus: float = 0.0
    memory_gb: float | None = None

    def __post_init__(self) -> None:
        check_number("cpus", self.cpus, at_least=1)
        check_number("gpus", self.gpus, at_least=0)
        check_number("memory_gb", self.memory_gb, above=0, optional=True)


@dataclass(frozen=True)
class Study:
    """A study.

    Attributes:
        name: Its name.
        models: Models, with names that differ.
        tasks: Tasks, with names that differ.
        measurements: The settings of each measurement, in the order in which they run.
        only: The tasks of each measurement that is not made on all.
        resources: What one run needs.
        moments: Whether the statistics of a score stay in its folder.
    """

    name: str
    models: tuple[ModelSpec, ...]
    tasks: tuple[TaskSpec, ...]
    measurements: Mapping[str, Any]
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    resources: Resources = Resources()
    moments: Literal["keep", "drop"] = "keep"

    def measured(self, task: TaskSpec) -> dict[str, Any]:
        """The settings of each measurement that is made on a task, and so is all that it continues."""
        found: dict[str, Any] = {}
        for name, settings in self.measurements.items():
            if task.name in self.only.get(name, (task.name,)) and found.keys() >= set(MEASUREMENTS[name].after):
                found[name] = settings
        return found

    def to_dict(self) -> dict[str, Any]:
        """The definition in JSON types, with every default spelled out."""
        return {
            "name": self.name,
            "models": [asdict(model) for model in self.models],
            "tasks": [asdict(task) for task in self.tasks],
            "measurements": {name: asdict(settings) for name, settings in self.measurements.items()},
            "only": {name: list(tasks) for name, tasks in self.only.items()},
            "resources": asdict(self.resources),
            "moments": self.moments,
        }


S = TypeVar("S", ModelSpec, TaskSpec)

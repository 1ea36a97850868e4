"""What a study is: models × tasks × measurements, as a YAML file says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar

from ntps.errors import InputError
from ntps.limits import check_number, check_seed
from ntps.models import DTYPES
from ntps.models.devices import check_device_name
from ntps.models.files import EMBEDDED
from ntps.moments import check_choice
from ntps.paths import existing
from ntps.study.measure import MEASUREMENTS
from ntps.study.names import file_name, short_name
from ntps.study.reading import Document

STUDIES = ("demo", "small", "paper")
"""Studies that come with the package."""
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
        config: Configuration of a hub dataset.
        train_texts: Largest number of training texts.
        test_texts: Largest number of test texts.
        seed: Seed of the sample that these limits take.
    """

    id: str
    name: str = ""
    text_columns: tuple[str, ...] = ()
    label_column: str | None = None
    config: str | None = None
    train_texts: int | None = None
    test_texts: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_number("train_texts", self.train_texts, at_least=1)
        check_number("test_texts", self.test_texts, at_least=1)
        check_seed("seed", self.seed)


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
        check_number("memory_gb", self.memory_gb, above=0)


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


def load_study(study: str | Path, models: Sequence[str] = ()) -> Study:
    """Reads the definition of a study.

    Args:
        study: A file, or the name of a study that comes with the package; an existing file wins.
        models: Models to take instead of those that the definition names.

    Raises:
        InputError: There is no such study, or its definition is wrong; the message says where.
    """
    path = Path(study)
    if str(study) in STUDIES and not path.is_file():
        text = (files("ntps.study") / "studies" / f"{study}.yaml").read_text(encoding="utf-8")
        return parse_study(text, f"the study {study}", models)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InputError(
            f"cannot read the study {study} ({reason}): give a YAML file, or one of {', '.join(STUDIES)}"
        ) from error
    return parse_study(text, str(path), models)


@dataclass(frozen=True)
class _File:
    """The top of a file, before its parts are looked at."""

    name: str = ""
    models: Any = None
    tasks: Any = None
    measurements: Any = None
    resources: Any = None
    train_texts: int | None = None
    test_texts: int | None = None
    moments: Literal["keep", "drop"] = "keep"

    def __post_init__(self) -> None:
        check_number("train_texts", self.train_texts, at_least=1)
        check_number("test_texts", self.test_texts, at_least=1)


def parse_study(text: str, name: str, models: Sequence[str] = ()) -> Study:
    """Reads a definition; arguments as for :func:`load_study`, ``name`` being what errors call it."""
    document = Document(text, name)
    top = document.build(_File, document.data, ())
    listed = [ModelSpec(each) for each in models] or _specs(document, ModelSpec, top.models, "models", {})
    if not listed:
        raise document.error(("models",), "no model is named: list models there, or give one with --model")
    limits = {"train_texts": top.train_texts, "test_texts": top.test_texts}
    tasks = _specs(document, TaskSpec, top.tasks, "tasks", limits)
    if not tasks:
        raise document.error(("tasks",), "no task is named: list at least one")
    named = _named(document, tasks, "tasks")
    measurements, only = _measurements(document, top.measurements, [task.name for task in named])
    return Study(
        name=top.name or Path(name).stem,
        models=_named(document, listed, "models"),
        tasks=named,
        measurements=measurements,
        only=only,
        resources=document.build(Resources, top.resources, ("resources",)),
        moments=top.moments,
    )


def _specs(document: Document, kind: type[S], entries: Any, key: str, defaults: Mapping[str, Any]) -> list[S]:
    """Entries of a list, each an id or a mapping."""
    found = []
    for index, entry in enumerate(document.sequence(entries, (key,))):
        content = {"id": entry} if isinstance(entry, str) else document.mapping(entry, (key, index))
        found.append(document.build(kind, {**defaults, **content}, (key, index)))
    return found


def _absolute(spec: S) -> S:
    """Paths must mean the same in every process and on every machine."""
    here: dict[str, Any] = {"id": _resolved(spec.id)}
    if isinstance(spec, ModelSpec) and spec.tokenizer:
        here["tokenizer"] = _resolved(spec.tokenizer)
    return replace(spec, **here)


def _resolved(name: str) -> str:
    path = None if name == EMBEDDED else existing(name)
    return name if path is None else str(path.resolve())


def _named(document: Document, specs: Sequence[S], key: str) -> tuple[S, ...]:
    named: dict[str, S] = {}
    for index, spec in enumerate(map(_absolute, specs)):
        try:
            name = file_name(spec.name or short_name(spec.id, key == "models"))
            if isinstance(spec, ModelSpec):
                file_name(spec.revision)
        except InputError as error:
            raise document.error((key, index), str(error)) from error
        if name in named:
            raise document.error((key, index), f"two {key} are called {name}: give one of them another `name`")
        named[name] = replace(spec, name=name)
    return tuple(named.values())


def _measurements(
    document: Document, entries: Any, tasks: Sequence[str]
) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
    """The settings of each measurement, and the tasks of those that name some."""
    asked = document.mapping(entries, ("measurements",))
    if not asked:
        raise document.error(("measurements",), f"no measurement is named: take some of {', '.join(MEASUREMENTS)}")
    for name in asked:
        document.known(name, MEASUREMENTS, ("measurements",))
    found: dict[str, Any] = {}
    only: dict[str, tuple[str, ...]] = {}
    for name, measurement in MEASUREMENTS.items():
        if name not in asked:
            continue
        place = ("measurements", name)
        settings = dict(document.mapping(asked[name], place))
        if TASKS in settings:
            only[name] = _some_of(document, settings.pop(TASKS), tasks, (*place, TASKS))
        for needed in measurement.after:
            if needed not in asked:
                raise document.error(place, f"{name} continues {needed}, which must be listed too")
        if measurement.like is None:
            found[name] = document.build(measurement.settings, settings, place, measurement.fixed)
            continue
        for key in settings:
            raise document.error(
                (*place, key), f"{name} takes over the settings of {measurement.like}: set {key} there"
            )
        found[name] = found[measurement.like]
    return found, only


def _some_of(document: Document, chosen: Any, tasks: Sequence[str], place: tuple[str, ...]) -> tuple[str, ...]:
    """The names of tasks that a list holds, which must be among those of the study."""
    names = document.sequence(chosen, place)
    if not names:
        raise document.error(place, "no task is named: list some, or remove the key to measure all")
    for index, name in enumerate(names):
        if name not in tasks:
            raise document.error((*place, index), f"no task is called {name}; the tasks here are {', '.join(tasks)}")
    return tuple(names)

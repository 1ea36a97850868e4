"""What a study is: models × tasks × measurements, as a YAML file says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from ntps.errors import InputError
from ntps.files import existing
from ntps.models.registry import EMBEDDED, known_model
from ntps.options.limits import check_number
from ntps.study.measurements import MEASUREMENTS, Measurement
from ntps.study.names import STUDIES, file_name, short_name
from ntps.study.specs import TASKS, ModelSpec, Resources, S, Study, TaskSpec
from ntps.study.yaml_document import Document

RANKING = "ranking"
"""What the study of a ranking is called."""


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


def ranking_study(models: Sequence[ModelSpec], task: TaskSpec, measurements: Mapping[str, Any]) -> Study:
    """A study of some models on one task.

    Models of one name, such as checkpoints of several runs, are called by their folders too.

    Raises:
        InputError: It has fewer than two models, or one of them twice.
    """
    if len(models) < 2:
        raise InputError("a ranking needs two models or more: name others, or see `ntps score` for one")
    found: dict[str, ModelSpec] = {}
    for model in map(_absolute, models):
        known = known_model(model.id)
        key = known.hub_id if known else model.id
        if key in found:
            raise InputError(f"{model.id} is given twice: a ranking has every model once")
        found[key] = model
    names = _distinct_names(list(found))
    named = [replace(model, name=names[key]) for key, model in found.items()]

    def wrong(_index: int, sentence: str) -> InputError:
        return InputError(sentence)

    return Study(
        name=RANKING,
        models=_with_names(named, "models", wrong),
        tasks=_with_names([task], "tasks", wrong),
        measurements=measurements,
        moments="drop",
    )


def _distinct_names(ids: Sequence[str]) -> dict[str, str]:
    """Short names of models; of those that share one, as much of the path as tells them apart."""
    names = {each: short_name(each, model=True) for each in ids}
    for parts in range(2, 1 + max(len(Path(each).parts) for each in ids)):
        counts = Counter(names.values())
        names |= {each: "_".join(Path(each).parts[-parts:]) for each in ids if counts[names[each]] > 1}
    return names


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
        check_number("train_texts", self.train_texts, at_least=1, optional=True)
        check_number("test_texts", self.test_texts, at_least=1, optional=True)


def parse_study(text: str, name: str, models: Sequence[str] = ()) -> Study:
    """Reads a definition; arguments as for :func:`load_study`, ``name`` being what errors call it."""
    document = Document(text, name)
    top = document.build(_File, document.data, ())
    listed = [ModelSpec(each) for each in models] or _specs(document, ModelSpec, top.models, "models", {})
    if not listed:
        raise document.error(("models",), "no model is named: list models there, or give one with `model`")
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
    return _with_names(specs, key, lambda index, sentence: document.error((key, index), sentence))


def _with_names(specs: Sequence[S], key: str, wrong: Callable[[int, str], InputError]) -> tuple[S, ...]:
    """Specifications that mean the same everywhere, by names of folders, which differ."""
    named: dict[str, S] = {}
    for index, spec in enumerate(map(_absolute, specs)):
        try:
            name = file_name(spec.name or short_name(spec.id, key == "models"))
            if isinstance(spec, ModelSpec):
                file_name(spec.revision)
        except InputError as error:
            raise wrong(index, str(error)) from error
        if name in named:
            raise wrong(index, f"two {key} are called {name}: give one of them another `name`")
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
            found[name] = _settings(document, measurement, settings, place)
            continue
        for key in settings:
            raise document.error(
                (*place, key), f"{name} takes over the settings of {measurement.like}: set {key} there"
            )
        found[name] = found[measurement.like]
    return found, only


def _settings(document: Document, measurement: Measurement, given: Mapping[str, Any], place: tuple[str, ...]) -> Any:
    """Settings from one mapping, of which some keys may be those of a method."""
    if measurement.method is None:
        return document.build(measurement.settings, given, place)
    option, method = measurement.method
    own = {each.name for each in fields(method)}
    every = [
        each.name for each in (*fields(method), *fields(measurement.settings)) if each.init and each.name != option
    ]
    for key in given:
        document.known(key, every, place)
    built = document.build(method, {k: v for k, v in given.items() if k in own}, place, measurement.fixed)
    rest = {key: value for key, value in given.items() if key not in own}
    return document.build(measurement.settings, rest, place, {option: built})


def _some_of(document: Document, chosen: Any, tasks: Sequence[str], place: tuple[str, ...]) -> tuple[str, ...]:
    """The names of tasks that a list holds, which must be among those of the study."""
    names = document.sequence(chosen, place)
    if not names:
        raise document.error(place, "no task is named: list some, or remove the key to measure all")
    for index, name in enumerate(names):
        if name not in tasks:
            raise document.error((*place, index), f"no task is called {name}; the tasks here are {', '.join(tasks)}")
    return tuple(names)

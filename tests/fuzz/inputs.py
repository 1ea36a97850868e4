"""Sound inputs that all cases begin with, and ways to damage them."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ntps
from report.factory import TASKS, StudyFactory
from tiny import random_texts, save_model, save_rows

STRANGE: tuple[Any, ...] = (None, "x", -1, 0, 1e300, [], {}, [[]], True, "", {"a": {"b": []}})
"""What may stand in the place of a value."""


@dataclass(frozen=True)
class Inputs:
    """Where the sound inputs are."""

    model: Path
    task: Path
    scored: Path
    other: Path
    study: Path

    @classmethod
    def make(cls, folder: Path) -> Inputs:
        """A model, a task, two scores of parts, and a study."""
        texts = random_texts(40, 3)
        labels = [len(text) // 3 % 3 for text in texts]
        model = save_model(folder / "model", "llama")
        for name, part in (("task", slice(0, 24)), ("other", slice(24, 40))):
            task = save_rows(folder / f"{name}.jsonl", texts[part], labels[part])
            ntps.score(model, task, out=folder / f"scored-{name}", keep_pooled=True)
        study = StudyFactory(tasks=TASKS[:2]).write(folder / "study")
        return cls(model, folder / "task.jsonl", folder / "scored-task", folder / "scored-other", study)


def damage_json(text: str, rng: random.Random) -> str:
    """Removes or retypes one value somewhere inside, or cuts the text."""
    kind = rng.choice(("remove", "retype", "retype", "cut", "nest"))
    if kind == "cut":
        return text[: rng.randrange(len(text) - 2)]
    if kind == "nest":
        return "[" * 20000
    content = json.loads(text)
    parent, key = rng.choice(list(_places(content)))
    if kind == "remove":
        del parent[key]
    else:
        parent[key] = rng.choice(STRANGE)
    return json.dumps(content)


def _places(content: Any) -> Any:
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in list(items):
        yield content, key
        if isinstance(value, dict | list):
            yield from _places(value)


def flip(folder: Path, name: str, seed: int) -> None:
    """Changes one bit of a file."""
    path, rng = folder / name, random.Random(seed)
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(content))


def cut(folder: Path, name: str, seed: int) -> None:
    """Keeps the beginning of a file only."""
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: random.Random(seed).randrange(len(content))])


def copied(source: Path, name: str, then: Callable[[Path], object]) -> Callable[[Path], object]:
    """Puts a copy of a folder into the case's own one, and changes it."""

    def prepare(here: Path) -> None:
        shutil.copytree(source, here / name)
        then(here / name)

    return prepare

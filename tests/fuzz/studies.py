"""Study files that are no YAML, or say what makes no sense."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from fuzz.cases import Case
from fuzz.inputs import Inputs, damage_json

NONSENSE = (
    "&a [*a]",
    "{models: &a [*a]}",
    "[" * 3000,
    "{a: " * 3000,
    "? [a]\n: b",
    "? {a: b}\n: b",
    "name: 2020-13-45",
    "name: !!int abc",
    "name: !!float abc",
    "name: !!python/object/apply:os.getcwd []",
    "name: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
    + "".join(f"{c}: &{c} [{', '.join([f'*{p}'] * 9)}]\n" for p, c in zip("bcdefgh", "cdefghi", strict=True)),
    "\x00",
    "name: a\nname: b",
    "\t- a",
    "%",
    "--- a\n--- b",
)
VALUES: tuple[tuple[str, Any], ...] = (
    ("train_texts", 0),
    ("test_texts", -5),
    ("resources", {"cpus": 0}),
    ("resources", {"cpus": -1}),
    ("resources", {"gpus": float("nan")}),
    ("resources", {"memory_gb": -1}),
    ("models", [{"id": "demo", "device": "nope"}]),
    ("models", [{"id": "demo", "dtype": "float7"}]),
    ("models", ["demo", "demo"]),
    ("tasks", []),
    ("measurements", {"score": {"layers": "zz"}}),
    ("measurements", {"score": {"max_length": 0}}),
    ("measurements", {"ols": {"seed": 10**23}}),
    ("measurements", {"adamw": {"learning_rate": float("inf")}}),
    ("measurements", {"lora": {"decay_rate": 5}}),
    ("measurements", {"scratch": {"rank": 3}}),
    ("measurements", {"score": None, "words": {"lists": {}}}),
    ("moments", "some"),
)


WHOLE = {
    "models": ["demo"],
    "tasks": [{"id": "docstrings", "train_texts": 40}],
    "measurements": {"score": {"layers": "0"}, "lora": {"steps": 3, "epsilons": [1e-30, 1e-3]}},
    "resources": {"cpus": 1},
}


def _write(here: Path, text: str) -> None:
    (here / "s.yaml").write_text(text)


def _write_bytes(here: Path, content: bytes) -> None:
    (here / "s.yaml").write_bytes(content)


def cases(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    """Endless."""
    good = {
        "models": [str(inputs.model)],
        "tasks": [str(inputs.task)],
        "measurements": {"score": {"layers": "0"}, "ols": {}},
    }
    call = ("study", "{here}/s.yaml", "--out", "{here}/out", "--dry-run")
    while True:
        for text in rng.sample(NONSENSE, len(NONSENSE)):
            yield Case(f"study {text[:20]!r}", call, True, partial(_write, text=text))
            key, value = rng.choice(VALUES)
            text = yaml.safe_dump({**good, key: value})
            yield Case(f"study {key}: {value!r}"[:60], call, True, partial(_write, text=text))
            whole = json.dumps(WHOLE)
            yield Case("study damaged", call, False, partial(_write, text=damage_json(whole, rng)))
            raw = bytearray(yaml.safe_dump(good), "utf-8")
            raw[rng.randrange(len(raw))] = rng.choice(b"\x00\xff[]{}:&*!%@`'\"\t\n")
            yield Case("study with another byte", call, False, partial(_write_bytes, content=bytes(raw)))

"""Folders of results that are damaged, foreign or of another run."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fuzz.cases import Case
from fuzz.inputs import Inputs, copied, cut, damage_json, flip

FILES = ("layer.000.safetensors", "layer.002.safetensors", "targets.safetensors")


def _json(folder: Path, name: str, seed: int) -> None:
    path = folder / name
    path.write_text(damage_json(path.read_text(), random.Random(seed)))


def _swap(folder: Path, first: str, second: str) -> None:
    kept = (folder / first).read_bytes()
    shutil.copy(folder / second, folder / first)
    (folder / second).write_bytes(kept)


def _foreign(folder: Path, name: str, source: Path) -> None:
    shutil.copy(source / name, folder / name)


def _empty(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"")


def _bare(here: Path, content: object) -> None:
    (here / "d").mkdir()
    (here / "d" / "result.json").write_text(json.dumps(content))


def cases(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    """Endless."""
    uses = {
        "--from": ("score", "--from", "{here}/d"),
        "merge": ("merge", "{here}/d", str(inputs.other), "--out", "{here}/out"),
        "other labels": ("score", "--from", "{here}/d", str(inputs.task)),
    }
    while True:
        seed = rng.randrange(10**9)
        name, use = rng.choice(list(uses.items()))
        file = f"moments/{rng.choice(FILES)}"
        change = rng.choice((flip, cut))
        yield Case(
            f"{name}: {change.__name__} {file}",
            use,
            True,
            copied(inputs.scored, "d", partial(change, name=file, seed=seed)),
        )
        file = rng.choice(("moments/index.json", "result.json", "pooled/train/index.json"))
        yield Case(
            f"{name}: damaged {file}", use, False, copied(inputs.scored, "d", partial(_json, name=file, seed=seed))
        )
        first, second = "moments/layer.001.safetensors", "moments/layer.002.safetensors"
        swap = partial(_swap, first=first, second=second)
        yield Case(f"{name}: layers swapped", use, True, copied(inputs.scored, "d", swap))
        yield Case(
            f"{name}: foreign {FILES[0]}",
            use,
            True,
            copied(inputs.scored, "d", partial(_foreign, name=f"moments/{rng.choice(FILES)}", source=inputs.other)),
        )
        pooled = f"pooled/train/layer.00{rng.randrange(4)}.npy"
        spoil = rng.choice(
            (
                partial(_empty, name=pooled),
                partial(flip, name=pooled, seed=seed),
                partial(_swap, first="pooled/train/layer.001.npy", second="pooled/train/layer.002.npy"),
            )
        )
        yield Case(f"other labels: spoilt {pooled}", uses["other labels"], True, copied(inputs.scored, "d", spoil))
        place = rng.choice([str(path.relative_to(inputs.study)) for path in sorted(inputs.study.rglob("*.json"))])
        for command in (("report", "{here}/d", "--out", "{here}/out"), ("paper", "--with", "{here}/d")):
            yield Case(
                f"{command[0]}: damaged {place}",
                command,
                False,
                copied(inputs.study, "d", partial(_json, name=place, seed=seed)),
            )
        curves = rng.choice([str(path.relative_to(inputs.study)) for path in sorted(inputs.study.rglob("*.parquet"))])
        yield Case(
            f"report: {change.__name__} {curves}",
            ("report", "{here}/d", "--out", "{here}/out", "--figures", "2"),
            False,
            copied(inputs.study, "d", partial(change, name=curves, seed=seed)),
        )
        yield Case(
            "words: damaged result",
            ("words", "{here}/d", "--list", "A=ba,be", "--out", "{here}/out"),
            False,
            copied(inputs.scored, "d", partial(_json, name="result.json", seed=seed)),
        )
        contents: tuple[object, ...] = (
            {"kind": "score"},
            {"kind": "probe", "model": 3},
            [],
            3,
            {"kind": ["score"]},
            {"kind": "words"},
            {"kind": "finetune", "task": {}},
        )
        content = rng.choice(contents)
        commands: tuple[tuple[str, ...], ...] = (
            ("report", "{here}/d"),
            ("paper", "--with", "{here}/d"),
            ("words", "{here}/d", "--list", "A=ba"),
            ("finetune", str(inputs.model), str(inputs.task), "--steps", "1", "--compare", "{here}/d"),
        )
        for arguments in commands:
            yield Case(f"{arguments[0]}: {content}", arguments, True, partial(_bare, content=content))

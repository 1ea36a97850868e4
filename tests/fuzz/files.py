"""Task files and model folders that are damaged, and folders that are not ours."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fuzz.cases import Case
from fuzz.inputs import Inputs, copied, cut, damage_json, flip

ROWS = [{"text": f"ba be bi {word}", "label": word} for word in ("bo", "bu") * 6]
GOOD = "\n".join(json.dumps(row) for row in ROWS).encode()
CSV = b"text,label\n" + b"\n".join(f"{row['text']},{row['label']}".encode() for row in ROWS)
NO_TASK: dict[str, bytes] = {
    "empty.jsonl": b"",
    "blank.csv": b"\n\n \n",
    "header.csv": b"text,label\n",
    "one.csv": b"text\nba be\nbi bo\n",
    "single.jsonl": b'{"text": "ba be", "label": "a"}\n' * 5,
    "unlabelled.jsonl": b'{"text": "ba be"}\n' * 5,
    "nolabel.jsonl": b'{"text": "ba be", "label": null}\n' * 5,
    "nested.jsonl": b"[" * 20000,
    "deep.jsonl": b'{"text": ' + b"[" * 20000 + b"\n",
    "scalar.jsonl": b"3\n4\n",
    "list.json": b"[1, 2, 3]",
    "object.json": b"{}",
    "cut.jsonl": GOOD[:-5],
    "bytes.csv": b"\xff\xfe\x00\x01" * 30,
    "latin.csv": b"text,label\n" + b"ba b\xe9,a\nbo b\xe8,b\n" * 5,
    "not.parquet": b"PAR1 no parquet PAR1",
    "empty.parquet": b"",
    "twice.jsonl": b'{"text": "a", "text": "b", "label": 1}\n' * 4,
    "texts.jsonl": b'{"text": 3, "label": {"a": 1}}\n' * 4,
}
UNKNOWN = ("task.xyz", "task", "task.csv.bz2")


def _write(here: Path, name: str, content: bytes) -> None:
    (here / name).write_bytes(content)


def _damaged_text(here: Path, name: str, content: bytes, seed: int) -> None:
    rng = random.Random(seed)
    found = bytearray(content)
    for _ in range(rng.randrange(1, 4)):
        found[rng.randrange(len(found))] = rng.choice(b'\x00\xff"\n,[{\\ \r\t')
    (here / name).write_bytes(bytes(found))


def _damaged_config(folder: Path, name: str, seed: int) -> None:
    (folder / name).write_text(damage_json((folder / name).read_text(), random.Random(seed)))


def _remove(folder: Path, name: str) -> None:
    (folder / name).unlink()


def _occupied(here: Path, name: str) -> None:
    (here / "kept" / name).mkdir(parents=True)
    (here / "kept" / name / "diary.txt").write_text("mine")


def cases(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    """Endless."""
    model, task = str(inputs.model), str(inputs.task)
    while True:
        for name, content in NO_TASK.items():
            command = rng.choice(("score", "probe", "doctor"))
            yield Case(
                f"{command} of {name}",
                (command, model, f"{{here}}/{name}"),
                True,
                partial(_write, name=name, content=content),
            )
            seed = rng.randrange(10**9)
            for damaged, whole in (("damaged.jsonl", GOOD), ("damaged.csv", CSV)):
                yield Case(
                    f"score of {damaged}",
                    ("score", model, f"{{here}}/{damaged}"),
                    False,
                    partial(_damaged_text, name=damaged, content=whole, seed=seed),
                )
            weights = rng.choice(("cut", "empty", "gone", "pointer"))
            yield Case(
                f"weights {weights}",
                ("score", "{here}/m", task),
                True,
                copied(inputs.model, "m", partial(_weights, kind=weights, seed=seed)),
            )
            config = rng.choice(("config.json", "tokenizer.json", "tokenizer_config.json"))
            yield Case(
                f"damaged {config}",
                ("score", "{here}/m", task),
                False,
                copied(inputs.model, "m", partial(_damaged_config, name=config, seed=seed)),
            )
            gone = rng.choice(("config.json", "tokenizer.json"))
            yield Case(
                f"without {gone}",
                ("probe", "{here}/m", task),
                True,
                copied(inputs.model, "m", partial(_remove, name=gone)),
            )
            yield Case(
                "a flipped bit of weights",
                ("score", "{here}/m", task),
                False,
                copied(inputs.model, "m", partial(flip, name="model.safetensors", seed=seed)),
            )
            place = rng.choice(("moments", "pooled", "result.json", "curves.parquet"))
            yield Case(
                f"--out with {place}/ of a stranger",
                ("score", model, task, "--out", "{here}/kept"),
                True,
                partial(_occupied, name=place),
            )
            yield Case(
                f"--out with {place}/ of a stranger",
                ("probe", model, task, "--out", "{here}/kept"),
                True,
                partial(_occupied, name=place),
            )
            yield Case(
                "--out below a file",
                ("score", model, task, "--out", "{here}/f/out"),
                True,
                partial(_write, name="f", content=b"mine"),
            )
            yield Case(
                "--out is a loop",
                ("score", model, task, "--out", "{here}/loop"),
                True,
                lambda here: (here / "loop").symlink_to(here / "loop"),
            )
        for name in UNKNOWN:
            yield Case(
                f"score of {name}",
                ("score", model, f"{{here}}/{name}"),
                True,
                partial(_write, name=name, content=GOOD[:40]),
            )


def _weights(folder: Path, kind: str, seed: int) -> None:
    path = folder / "model.safetensors"
    match kind:
        case "cut":
            cut(folder, path.name, seed)
        case "empty":
            path.write_bytes(b"")
        case "gone":
            path.unlink()
        case "pointer":
            path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4\n")

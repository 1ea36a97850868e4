"""Do two checkouts give the same numbers? Record a set of runs with each, then compare.

    python scripts/same_numbers.py record FOLDER    # with the interpreter of each checkout, into a folder each
    python scripts/same_numbers.py compare FOLDER OTHER

Sums, pooled texts, curves and results must agree to the last bit; times, dates, versions and paths are left out.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

WORDS = ["red", "blue", "old", "new", "river", "stone", "paper", "glass", "wind", "sun", "house", "tree", "slow"]
NOTHING_MEASURED = {"created", "timing", "versions", "version", "path", "from", "parts", "baseline", "source", "ntps"}
"""Keys of ``result.json`` that say when, where and with what."""
STUDY = """
models: [{id: demo}]
tasks: [{id: first.jsonl, name: first, label_column: label, train_texts: 60}]
measurements:
  score:
  ols:
  adamw: {epochs: 2}
"""
RUNS: dict[str, str] = {
    "paper": "score demo first.jsonl --keep-pooled --out paper",
    "released": "score demo first.jsonl --convention released --out released",
    "centered": "score demo first.jsonl --centered --pooling last --out centered",
    "rescored": "score --from paper --centered --out rescored",
    "second": "score demo second.jsonl --out second",
    "merged": "merge paper second --out merged",
    "ols": "probe demo first.jsonl --kind ols --out ols",
    "logistic": "probe demo first.jsonl --kind logistic --out logistic",
    "adamw": "probe demo first.jsonl --kind adamw --epochs 3 --out adamw",
    "lora": "finetune demo first.jsonl --steps 6 --out lora",
    "study": "study study.yaml --out study",
    "report": "report study --out page",
}


def record(folder: Path) -> None:
    """Runs every command in a folder, after writing its inputs there."""
    folder.mkdir(parents=True)
    chance = random.Random(0)
    for name in ("first", "second"):
        rows = [
            {"text": " ".join(chance.choices(WORDS, k=chance.randint(3, 30))), "label": chance.choice(["a", "b", "c"])}
            for _ in range(150)
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    for command in RUNS.values():
        subprocess.run([sys.executable, "-m", "ntps", *command.split(), "-q"], cwd=folder, check=True)
    two = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "ntps", "score", "demo", "first.jsonl"]
    subprocess.run([sys.executable, *two, "--out", "two", "-q"], cwd=folder, check=True)


def differences(folder: Path, other: Path) -> Iterator[str]:
    """Every file whose numbers differ, or that only one of two folders holds."""
    kinds = {".safetensors", ".npy", ".parquet", ".json", ".csv"}
    names = {
        str(path.relative_to(root)) for root in (folder, other) for path in root.rglob("*") if path.suffix in kinds
    }
    for name in sorted(name for name in names if not Path(name).name.startswith(".")):
        if not ((folder / name).is_file() and (other / name).is_file()):
            yield f"{name}: in one folder only"
        elif _content(folder / name) != _content(other / name):
            yield f"{name}: other numbers"


def _content(path: Path) -> object:
    if path.suffix == ".safetensors":
        return {name: (value.dtype.str, value.tobytes()) for name, value in load_file(path).items()}
    if path.suffix == ".npy":
        return np.load(path).tobytes()
    if path.suffix == ".parquet":
        return pd.read_parquet(path).to_csv(index=False, float_format="%.17g")
    return _measured(json.loads(path.read_text(encoding="utf-8"))) if path.suffix == ".json" else path.read_bytes()


def _measured(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _measured(item) for key, item in value.items() if key not in NOTHING_MEASURED}
    return [_measured(item) for item in value] if isinstance(value, list) else value


def main() -> None:
    """Records, or compares and ends with status 1 where something differs."""
    match sys.argv[1:]:
        case ["record", folder]:
            record(Path(folder))
        case ["compare", folder, other]:
            found = list(differences(Path(folder), Path(other)))
            print("\n".join(found) or "the same numbers")
            sys.exit(bool(found))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()

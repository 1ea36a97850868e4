"""Whether two runs left the same, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd


def assert_same(out: Path, expected: Path) -> None:
    """The same files with the same content, but for times and dates."""
    names = [sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) for folder in (out, expected)]
    assert names[0] == names[1]
    for name in names[0]:
        if name.endswith((".safetensors", ".npy")):
            assert (out / name).read_bytes() == (expected / name).read_bytes(), name
    first, second = (pd.read_parquet(folder / "curves.parquet") for folder in (out, expected))
    assert first.dtypes.equals(second.dtypes)
    for column in first:
        if first[column].dtype == "float64":
            assert first[column].to_numpy().tobytes() == second[column].to_numpy().tobytes(), column
        else:
            assert first[column].equals(second[column]), column
    assert _result(out) == _result(expected)


def _result(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    del result["created"], result["command"], result["timing"]
    # What advice says things cost is what they took.
    result.pop("costs", None)
    return result

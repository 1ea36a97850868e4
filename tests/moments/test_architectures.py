"""Whatever the architecture, the command is the same, and so is the shape of its answer."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from ntps.cli import app
from openelm import LAYERS, save_openelm
from tiny import DEPTH, save_model, save_task, tokenizer_of

UNDEFINED = {
    "accuracy_test",
    "r2_test",
    "accuracy_test_ols",
    "r2_test_ols",
    "area_cv",
    "area_cv_interval",
    "chance_area_cv",
}
"""What only a task with a test split has."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("architectures")


@pytest.fixture(scope="module")
def task(folder: Path) -> Path:
    return save_task(folder / "task.jsonl", count=200)


def model_folder(kind: str, folder: Path, request: pytest.FixtureRequest) -> Path:
    if kind.startswith("english"):
        shared: Path = request.getfixturevalue("shared")
        return shared / "models" / kind
    if kind == "openelm":
        return save_openelm(folder / kind, tokenizer_of("llama"))
    return save_model(folder / kind, kind)


@pytest.mark.parametrize(
    ("kind", "architecture", "depth"),
    [
        ("openelm", "OpenELMForCausalLM", LAYERS),
        ("llama", "LlamaModel", DEPTH),
        ("qwen2", "Qwen2Model", DEPTH),
        ("gpt2", "GPT2Model", DEPTH),
        ("english-lm", None, None),
        ("english-gpt2", None, None),
    ],
)
def test_every_model_is_scored_by_the_same_command(
    kind: str, architecture: str | None, depth: int | None, folder: Path, task: Path, request: pytest.FixtureRequest
) -> None:
    model = model_folder(kind, folder, request)
    out = folder / f"{kind}-result"
    ran = CliRunner().invoke(app, ["score", str(model), str(task), "--out", str(out)], catch_exceptions=False)
    assert ran.exit_code == 0
    result = json.loads((out / "result.json").read_text())
    layers = result["layers"]
    if architecture and depth:
        assert (result["model"]["architecture"], result["model"]["num_layers"]) == (architecture, depth)
    depth = result["model"]["num_layers"]
    assert [layer["layer"] for layer in layers] == list(range(depth + 1))
    assert [layer["name"] for layer in layers] == ["embed", *(f"block.{i}" for i in range(1, depth)), "final_norm"]
    assert result["settings"]["attention_mask"] == "omitted"
    for layer in layers:
        for name, value in layer.items():
            assert name in UNDEFINED or value is not None, name
            if isinstance(value, float):
                assert math.isfinite(value), name
        assert 0 <= layer["area"] <= 1 and 0 <= layer["r2"] <= 1
    curves = pd.read_parquet(out / "curves.parquet")
    assert set(curves["layer"]) == set(range(depth + 1))
    shares = curves[["ntps", "ntps_full", "retained", "retained_centered", "next_token_share"]]
    assert shares.notna().all(axis=None) and shares.ge(0).all(axis=None) and shares.le(1).all(axis=None)
    assert all(name in ran.stdout for name in ("embed", "final_norm"))

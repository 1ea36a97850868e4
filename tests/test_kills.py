"""SIGKILL at named points of every command: the same call goes on, and ends as if nothing had happened."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import ntps
from ntps.checkpoint import checkpoint, row_chunks, tangent_rows
from ntps.errors import InputError
from ntps.forward import pooled_texts as pooled
from ntps.forward.pooled_texts import PooledTexts
from ntps.forward.tangents import TangentPass
from ntps.jobs import record
from ntps.moments import sums_folder
from ntps.moments.accumulator import Moments
from ntps.training.finetuning import finetune_run as finetune
from ntps.training.finetuning import tuner
from ntps.training.probes import saved
from same import assert_same
from slow import slow
from tiny import save_model, save_task

pytestmark = pytest.mark.usefixtures("short_check")
Call = Callable[[Path], object]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    save_model(folder / "model")
    for seed, name in enumerate(("first", "second")):
        save_task(folder / f"{name}.jsonl", 40, seed=seed)
        ntps.score(folder / "model", folder / f"{name}.jsonl", out=folder / name)
    return folder


def calls(inputs: Path) -> dict[str, Call]:
    model, task = inputs / "model", inputs / "first.jsonl"
    small: dict[str, Any] = {"tokens_per_batch": 40}
    return {
        "score": lambda out: ntps.score(model, task, out=out, **small),
        "pooled": lambda out: ntps.score(model, task, out=out, keep_pooled=True, **small),
        "from": lambda out: ntps.rescore(inputs / "first", out=out, centered=True),
        "merge": lambda out: ntps.merge([inputs / "first", inputs / "second"], out),
        "probe": lambda out: ntps.probe(model, task, out=out),
        "tangent": lambda out: ntps.probe(model, task, "tangent", out=out, **small),
        "advise": lambda out: ntps.advise(model, task, out=out, **small),
        "lora": lambda out: ntps.finetune(model, task, ntps.LoRA(steps=4), save_every=2, out=out),
    }


@pytest.fixture(scope="module")
def wholes(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("wholes")
    for name, call in calls(inputs).items():
        call(folder / name)
    return {name: folder / name for name in calls(inputs)}


WRITTEN = (record.Record, "write", 1, "after")
# Command, what dies when it is called for the n-th time, before or after it did its work, and what then stands there.
POINTS: list[Any] = [
    ("score", (Moments, "add", 5, "before"), ["progress"]),
    ("score", (checkpoint, "write_moments", 2, "before"), ["progress"]),
    ("score", (checkpoint, "write_manifest", 2, "before"), ["progress"]),
    ("score", (checkpoint, "write_manifest", 1, "after"), ["progress"]),
    ("score", (record.Record, "write", 1, "before"), ["left_out.safetensors", "moments", "progress"]),
    ("score", (pd.DataFrame, "to_parquet", 1, "after"), ["left_out.safetensors", "moments", "progress"]),
    ("score", WRITTEN, ["curves.parquet", "left_out.safetensors", "moments", "progress", "result.json"]),
    (
        "score",
        (checkpoint.Checkpoint, "remove", 2, "after"),
        ["curves.parquet", "left_out.safetensors", "moments", "result.json"],
    ),
    ("pooled", (Moments, "add", 5, "before"), ["pooled"]),
    ("pooled", (pooled, "write_json", 1, "before"), ["moments", "pooled", "progress"]),
    ("pooled", (PooledTexts, "finish", 1, "after"), ["moments", "pooled", "progress"]),
    ("pooled", WRITTEN, ["curves.parquet", "left_out.safetensors", "moments", "pooled", "progress", "result.json"]),
    ("from", (record, "write_whole", 1, "after"), ["curves.parquet"]),
    ("from", WRITTEN, ["curves.parquet", "result.json"]),
    ("merge", (sums_folder, "write_sums", 1, "after"), ["moments"]),
    ("merge", (record, "write_whole", 1, "after"), ["curves.parquet", "moments"]),
    ("merge", WRITTEN, ["curves.parquet", "moments", "result.json"]),
    ("probe", (saved, "write_whole", 1, "after"), ["probe.safetensors"]),
    ("probe", (record, "write_whole", 1, "after"), ["curves.parquet", "probe.safetensors"]),
    ("probe", WRITTEN, ["curves.parquet", "probe.safetensors", "result.json"]),
    ("tangent", (TangentPass, "_run_batch", 3, "before"), ["progress"]),
    ("tangent", (tangent_rows, "write_manifest", 1, "after"), ["progress"]),
    ("tangent", (row_chunks, "save_file", 2, "after"), ["progress"]),
    ("tangent", (record, "write_whole", 1, "after"), ["curves.parquet", "probe.safetensors", "progress"]),
    ("tangent", WRITTEN, ["curves.parquet", "probe.safetensors", "progress", "result.json"]),
    ("tangent", (tangent_rows, "_clear", 1, "after"), ["curves.parquet", "probe.safetensors", "result.json"]),
    ("advise", (TangentPass, "_run_batch", 3, "before"), ["progress"]),
    slow("advise", WRITTEN, ["curves.parquet", "progress", "result.json"]),
    slow("lora", (tuner.Tuner, "save_model", 1, "after"), ["progress"]),
    slow("lora", (finetune, "save_classifier", 1, "before"), ["progress"]),
    ("lora", (finetune, "save_classifier", 1, "after"), ["adapter", "progress"]),
    ("lora", (record, "write_whole", 1, "after"), ["adapter", "curves.parquet", "progress"]),
    ("lora", WRITTEN, ["adapter", "curves.parquet", "progress", "result.json"]),
]


def killed(call: Callable[[], object], owner: Any, name: str, count: int, when: str) -> None:
    """Makes a call in a process that is killed at a point; nothing is tidied up there."""
    if child := os.fork():
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        return
    original, seen = getattr(owner, name), 0

    def deadly(*arguments: Any, **options: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == count and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if seen == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    try:
        setattr(owner, name, deadly)
        checkpoint.INTERVAL = 1e9 if owner is Moments else 0.0
        checkpoint.SHARE = float("inf")
        call()
    finally:
        os._exit(1)


@pytest.mark.parametrize(
    ("command", "point", "there"), POINTS, ids=lambda value: "-".join(map(str, value[1:])) if len(value) == 4 else None
)
def test_a_kill_leaves_no_trace(
    command: str,
    point: tuple[Any, str, int, str],
    there: list[str],
    inputs: Path,
    wholes: dict[str, Path],
    tmp_path: Path,
) -> None:
    out, call = tmp_path / "out", calls(inputs)[command]
    for _ in range(2):
        # A second kill at the same point comes upon what the first one left.
        killed(lambda: call(out), *point)
        if "result.json" in there:
            break
    assert sorted(path.name for path in out.glob("[!.]*")) == there
    call(out)
    assert_same(out, wholes[command])
    with pytest.raises(InputError, match="already holds a result"):
        call(out)


@pytest.mark.slow
def test_another_run_does_not_replace_what_a_kill_left_finished(inputs: Path, tmp_path: Path) -> None:
    for name, call in calls(inputs).items():
        out = tmp_path / name
        killed(lambda call=call, out=out: call(out), *WRITTEN)  # type: ignore[misc]
        before = (out / "result.json").read_bytes()
        others = {key: other for key, other in calls(inputs).items() if key != name}
        for other in others.values():
            with pytest.raises(InputError, match="holds a result"):
                other(out)
            assert (out / "result.json").read_bytes() == before
        call(out)
        shutil.rmtree(out)

"""SIGKILL at random moments: the same command goes on, and ends as if nothing had happened."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from same import assert_same
from tiny import random_texts, save_model, save_rows

KILLS = 20
# What `python -m ntps` does, with a checkpoint after every batch.
COMMAND = """
import runpy
from ntps.moments import checkpoint
checkpoint.INTERVAL, checkpoint.SHARE = 0.0, float("inf")
runpy.run_module("ntps", run_name="__main__", alter_sys=True)
"""


def start(model: Path, task: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", COMMAND, "score", model, task, "--tokens-per-batch", "100", "-q", "--keep-pooled"]
    command += ["--out", out]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> None:
    _output, errors = process.communicate()
    assert process.returncode == 0, errors


def begun(process: subprocess.Popen[str], out: Path, known: bytes) -> bool:
    """Waits until this process has written a checkpoint of its own; false if it ends before."""
    path = out / "progress" / "ledger.json"
    while process.poll() is None:
        if path.exists() and path.read_bytes() != known:
            return True
        time.sleep(0.001)
    return False


def state(out: Path) -> str:
    """What the kill came upon."""
    if (out / "result.json").exists():
        return "cleaning up"
    whole = json.loads((out / "progress" / "ledger.json").read_text())
    ledger = json.loads(whole["ledger"])
    if ledger["whole"]:
        return "after the pass"
    slots = [path.name for path in (out / "progress").iterdir() if path.is_dir()]
    if (out / "moments").exists():
        return "writing moments"
    return "writing a checkpoint" if len(slots) != 1 or list(out.rglob("*.tmp")) else "in a batch"


@pytest.mark.slow
def test_twenty_kills_leave_no_trace(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model")
    folder = tmp_path / "task"
    folder.mkdir()
    for name, size in (("train", 1500), ("test", 300)):
        texts = random_texts(size, size)
        save_rows(folder / f"{name}.jsonl", texts, [len(text) // 3 % 3 for text in texts])
    finish(start(model, folder, tmp_path / "whole"))
    chance = random.Random(0)
    out, kills, runs = tmp_path / "run", 0, 0
    found: Counter[str] = Counter()
    while kills < KILLS:
        ledger = out / "progress" / "ledger.json"
        process = start(model, folder, out)
        if begun(process, out, ledger.read_bytes() if ledger.exists() else b""):
            time.sleep(chance.uniform(0, 1.0))
            process.send_signal(signal.SIGKILL)
        _output, errors = process.communicate()
        if process.returncode == -signal.SIGKILL:
            kills += 1
            found[state(out)] += 1
        else:
            assert process.returncode == 0, errors
        if (out / "result.json").exists():
            runs += 1
            # All is there; a kill may have come upon the clearing up.
            shutil.rmtree(out / "progress", ignore_errors=True)
            (out / ".lock").unlink(missing_ok=True)
            assert_same(out, tmp_path / "whole")
            shutil.rmtree(out)
    if out.exists():
        finish(start(model, folder, out))
        runs += 1
        assert_same(out, tmp_path / "whole")
        assert not (out / "progress").exists()
    print(f"{kills} kills: {dict(found)}; {runs} results compared")

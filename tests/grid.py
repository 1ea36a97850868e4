"""A small study to run: one random model, two tasks in files and one that must fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ntps.study.definition import load_study
from ntps.study.runs import Outcome, Run
from ntps.study.session import StudySession
from ntps.study.status import Overwrite
from tiny import random_texts, save_model, save_rows

MEASUREMENTS: dict[str, Any] = {"score": None}


def save_grid(
    folder: Path,
    *,
    texts: int = 60,
    planted: bool = False,
    measurements: Mapping[str, Any] | None = None,
    name: str = "grid",
    model: str = "model",
) -> Path:
    """Writes a model, tasks ``first`` and ``second`` (and ``planted``, all of one class) and a study of them."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / model).exists():
        save_model(folder / model)
    names = ["first", "second", *(["planted"] if planted else [])]
    for seed, task in enumerate(names):
        (folder / task).mkdir(exist_ok=True)
        for split, size in (("train", texts), ("test", max(20, texts // 4))):
            rows = random_texts(size, 2 * seed + (split == "test"))
            save_rows(
                folder / task / f"{split}.jsonl", rows, [0 if task == "planted" else len(row) // 3 % 3 for row in rows]
            )
    content = {
        "name": name,
        "models": [str(folder / model)],
        "tasks": [str(folder / task) for task in names],
        "measurements": dict(measurements or MEASUREMENTS),
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def begin(path: Path, out: Path, **options: Any) -> StudySession:
    return StudySession.begin(load_study(path), out, **options)


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.begun: list[Run] = []
        self.waits: list[str] = []
        self.ended: list[Outcome] = []

    def started(self, run: Run) -> None:
        self.begun.append(run)

    def waiting(self, run: Run, why: str) -> None:
        self.waits.append(why)

    def finished(self, outcome: Outcome) -> None:
        self.ended.append(outcome)


def run_grid(path: Path, out: Path, overwrite: str = "only-missing", **options: Any) -> dict[str, Outcome]:
    """Runs a study; outcomes by task and measurement."""
    outcomes = begin(path, out, overwrite=Overwrite(overwrite)).run(Heard(), **options)
    return {f"{outcome.run.task.name}/{outcome.run.measurement}": outcome for outcome in outcomes}


def stamps(out: Path) -> dict[str, int]:
    """When each result was written."""
    return {os.path.relpath(path, out): path.stat().st_mtime_ns for path in sorted(out.rglob("result.json"))}


def start(*arguments: object) -> subprocess.Popen[bytes]:
    """A command of ntps in a process of its own."""
    # A shell starts what runs in the background with interrupts ignored, and children inherit that.
    return subprocess.Popen(
        [sys.executable, "-m", "ntps", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    while not path.exists():
        assert process.poll() is None, f"ended before {path} was there"
        time.sleep(0.002)

"""Kills every command at random moments, gives it again until it is done, and compares with an undisturbed run.

Processes are forked from one that has loaded the libraries: kills come upon the work, not upon imports. The moments are
drawn from a seed over the time that the undisturbed run takes. Whatever differs but times and dates makes it fail.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
import yaml
from rich.console import Console
from rich.table import Table

import ntps.report.build
import ntps.training.finetuning.tuner  # noqa: F401  # loaded before anything is forked
from ntps.checkpoint import checkpoint
from ntps.cli import main

KILLS = {
    "score": 20,
    "score --keep-pooled": 5,
    "merge": 5,
    "probe": 5,
    "probe --kind tangent": 20,
    "advise": 10,
    "finetune": 5,
    "study": 5,
}
OFTEN = ("score", "probe --kind tangent", "advise")
"""What writes its progress after every batch: kills come between checkpoints, and upon them."""
PATIENCE = 200
"""Attempts for each kill that is wanted, before the campaign gives up."""
ASIDE = ("created", "timing", "seconds", "when", "costs")
WORDS = ("red", "blue", "green", "round", "square", "fast", "slow", "one", "two", "three", "good", "bad", "old", "new")


@dataclass
class Tally:
    """What the kills of a command came upon, and what became of it."""

    seconds: float
    kills: int = 0
    compared: int = 0
    wrong: list[str] = field(default_factory=list)
    phases: Counter[str] = field(default_factory=Counter)


def prepare(folder: Path) -> dict[str, list[str]]:
    """Writes tasks, two scores to merge and a study; the arguments of each command."""
    chance = random.Random(0)
    for name, texts in (("task", 600), ("first", 300), ("second", 300)):
        (folder / name).mkdir()
        for split, size in (("train", texts), ("test", 100)):
            rows = [" ".join(chance.choices(WORDS, k=chance.randint(5, 40))) for _ in range(size)]
            lines = [json.dumps({"text": row, "label": row.split()[0]}) for row in rows]
            (folder / name / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    for name in ("first", "second"):
        attempt(["score", "demo", str(folder / name), "--out", str(folder / f"{name}-score"), "-q"], None)
    study = {
        "models": ["demo"],
        "tasks": [{"id": str(folder / "first"), "name": "first"}],
        "measurements": {"score": None, "ols": None, "lora": {"steps": 10, "save_every": 3}},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    task, batches = str(folder / "task"), ["--tokens-per-batch", "500"]
    return {
        "score": ["score", "demo", task, *batches],
        "score --keep-pooled": ["score", "demo", task, "--keep-pooled", *batches],
        "merge": ["merge", str(folder / "first-score"), str(folder / "second-score")],
        "probe": ["probe", "demo", task, "--kind", "adamw", "--epochs", "5"],
        "probe --kind tangent": ["probe", "demo", task, "--kind", "tangent", "--limit", "100", *batches],
        "advise": ["advise", "demo", task, "--limit", "100", *batches],
        "finetune": ["finetune", "demo", task, "--steps", "30", "--save-every", "5", "--eval-every", "10"],
        "study": ["study", str(folder / "study.yaml")],
    }


def attempt(arguments: Sequence[str], delay: float | None, *, checkpoints: bool = False) -> tuple[bool, float]:
    """Runs a command in a process of its own.

    Args:
        arguments: What follows ``ntps``.
        delay: Seconds until it is killed; never by default.
        checkpoints: Whether progress is written after every batch, instead of every minute.

    Returns:
        Whether it came to its end, and after how many seconds.
    """
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        if not (child := os.fork()):
            _run(arguments, said.fileno(), checkpoints)
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if delay is not None and time.perf_counter() - began >= delay:
                os.kill(child, signal.SIGKILL)
                ended = os.waitpid(child, 0)
                break
            time.sleep(0.001)
        status = os.waitstatus_to_exitcode(ended[1])
        if status not in (0, -signal.SIGKILL):
            said.seek(0)
            raise SystemExit(f"ntps {' '.join(arguments)} ended with {status}:\n{said.read().decode()}")
    return status == 0, time.perf_counter() - began


def _run(arguments: Sequence[str], said: int, checkpoints: bool) -> None:
    status = 1
    try:
        os.dup2(said, 1)
        os.dup2(said, 2)
        if checkpoints:
            checkpoint.INTERVAL, checkpoint.SHARE = 0.0, float("inf")
        sys.argv = ["ntps", *arguments]
        main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdout.flush()
        os._exit(status)


def phase(out: Path) -> str:
    """What a kill came upon, by what it left."""
    if (out / "study.json").exists():
        runs = sorted((out / "results").glob("*/*/*/*"))
        return f"run {len(runs)}: {phase(runs[-1])}" if runs else "before the first run"
    if (out / "result.json").exists():
        return "after the result"
    if not (out / ".ntps.json").exists():
        return "before the folder"
    if (out / "curves.parquet").exists():
        return "writing the result"
    if any((out / name).exists() for name in ("moments", "adapter")):
        return "after the pass" if (out / "progress").exists() else "writing moments"
    if (out / "progress").exists():
        written = any(any((out / "progress").glob(pattern)) for pattern in ("*/*", "rows.*"))
        return "after a checkpoint" if written else "before a checkpoint"
    return "in the pass, pooled texts begun" if (out / "pooled").exists() else "before the first file"


def differences(out: Path, whole: Path) -> list[str]:
    """Files that differ between two folders, but for times and dates."""
    names = {str(path.relative_to(folder)) for folder in (out, whole) for path in folder.rglob("*")}
    return sorted(name for name in names if _content(out / name, out) != _content(whole / name, whole))


def _content(path: Path, folder: Path) -> Any:
    if path.is_dir() or not path.exists():
        return path.is_dir()
    if path.suffix == ".json":
        return json.dumps(_timeless(json.loads(path.read_text())), sort_keys=True).replace(str(folder), "")
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
        return [(name, str(frame[name].dtype), frame[name].to_numpy().tolist().__repr__()) for name in frame]
    return path.read_bytes()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key not in ASIDE}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def campaign(name: str, arguments: Sequence[str], kills: int, folder: Path, chance: random.Random) -> Tally:
    """Kills one command again and again, and compares whatever it ends with."""
    # The one that keeps pooled texts is killed before its first checkpoint, the other between checkpoints.
    options: dict[str, Any] = {"checkpoints": name in OFTEN}
    whole, out = folder / "whole", folder / "out"
    attempt([*arguments, "--out", str(whole), "-q"], None, **options)
    shutil.rmtree(whole)
    # The second is no longer slowed by files that are read for the first time.
    _ended, seconds = attempt([*arguments, "--out", str(whole), "-q"], None, **options)
    tally = Tally(seconds)
    for _ in range(PATIENCE * kills):
        wanted = tally.kills < kills
        delay = chance.uniform(0, seconds) if wanted else None
        ended, _seconds = attempt([*arguments, "--out", str(out), "-q"], delay, **options)
        if not ended:
            tally.kills += 1
            tally.phases[phase(out)] += 1
            continue
        tally.compared += 1
        tally.wrong += differences(out, whole)
        shutil.rmtree(out)
        if not wanted:
            break
    shutil.rmtree(whole)
    return tally


def kills(
    seed: Annotated[int, typer.Option(help="Seed of the moments.")] = 0,
    only: Annotated[list[str] | None, typer.Option(help="Commands; all by default.")] = None,
) -> None:
    """Prints a row a command; exit status 1 if anything differs."""
    table = Table("command", "kills", "seconds undisturbed", "results compared", "files that differ", "came upon")
    wrong = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for command, arguments in prepare(folder).items():
            if only and command not in only:
                continue
            tally = campaign(command, arguments, KILLS[command], folder, random.Random(f"{seed} {command}"))
            upon = ", ".join(f"{what} {count}" for what, count in tally.phases.most_common())
            differ = ", ".join(sorted(set(tally.wrong))) or "none"
            table.add_row(
                command, str(tally.kills), f"{tally.seconds:.1f}", str(tally.compared), differ, upon or "nothing"
            )
            wrong |= bool(tally.wrong) or tally.kills < KILLS[command]
    Console(width=160).print(table)
    if wrong:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(kills)

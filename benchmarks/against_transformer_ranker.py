"""``ntps score`` against transformer-ranker's H-score, on the same model folder and texts, as whole processes.

    make transformer-ranker-env
    python benchmarks/against_transformer_ranker.py TASK [--model FOLDER] [--limit 300] [--rounds 3]

The first command creates an environment of its own for transformer-ranker 0.2.0, with the same torch as ours. Each run
is a process that loads the model, reads the texts and prints a score: wall time and peak resident memory of both are
printed as JSON. Without ``--model`` the model is Qwen2-0.5B-shaped with random weights; weights should be stored in
float32, because transformer-ranker computes in the dtype that it finds. If it cannot be run, the JSON says why.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from common import medians, random_model_folder, ratio, show, write_texts
from ntps import load_task

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parent / ".venv-transformer-ranker"


def measure(command: Sequence[str | Path], folder: Path) -> dict[str, Any]:
    """Runs a command on its own, off the network: status, seconds, peak bytes and what it said."""
    report = folder / "report.json"
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
    said = subprocess.run(
        [sys.executable, HERE / "measured.py", report, *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    measured: dict[str, Any] = json.loads(report.read_text())
    return {**measured, "output": said.stdout, "errors": said.stderr}


def main(
    task_name: Annotated[str, typer.Argument(metavar="TASK")],
    model: Annotated[Path | None, typer.Option(help="Model folder; random weights by default.")] = None,
    limit: int = 300,
    rounds: int = 3,
    batch_size: Annotated[int, typer.Option(help="Texts a batch of transformer-ranker; its own default is 32.")] = 32,
    aggregator: Annotated[str, typer.Option(help="layermean (its default), lastlayer or bestlayer.")] = "layermean",
    environment: Annotated[Path, typer.Option(help="Where transformer-ranker is installed.")] = ENVIRONMENT,
) -> None:
    """Run both in turn."""
    python = environment / "bin" / "python"
    if not python.exists():
        show({"transformer_ranker": f"could not be run: no {python}; create it with `make transformer-ranker-env`"})
        return
    with TemporaryDirectory() as name:
        folder = Path(name)
        train = load_task(task_name, limit=limit).train
        texts = write_texts(train.texts, train.labels.tolist(), folder / "texts.jsonl")
        saved = model or random_model_folder(folder / "model")
        worker = HERE / "transformer_ranker_worker.py"
        commands: dict[str, list[str | Path]] = {
            "transformer_ranker": [python, worker, texts, "hscore", aggregator, str(batch_size), saved],
            "ntps": [sys.executable, "-m", "ntps", "score", saved, texts, "--no-test", "--json", "-q"],
        }
        runs: dict[str, list[dict[str, Any]]] = {who: [] for who in commands}
        for index in range(rounds + 1):
            for who, command in commands.items():
                run = measure(command, folder)
                if run["status"]:
                    reason = run["errors"].strip().splitlines()[-5:]
                    show({who: f"could not be run (exit status {run['status']})", "reason": reason})
                    return
                if index:  # the first round brings the files into memory
                    runs[who].append(run)
    scored = json.loads(runs["ntps"][-1]["output"])
    values = {name: {who: [run[name] for run in of] for who, of in runs.items()} for name in ("seconds", "peak_bytes")}
    show(
        {
            "task": task_name,
            "texts": scored["task"]["texts"],
            "aggregator": aggregator,
            "h_score": next(iter(json.loads(runs["transformer_ranker"][-1]["output"].splitlines()[-1]).values())),
            "ntps_layers": len(scored["layers"]),
            **{name: medians(by_program) for name, by_program in values.items()},
            "transformer_ranker_over_ntps": {
                name: ratio(by_program["transformer_ranker"], by_program["ntps"]) for name, by_program in values.items()
            },
        }
    )


if __name__ == "__main__":
    typer.run(main)

"""What a score, an AdamW probe and a LoRA run cost, on the same model and task.

    python benchmarks/cost_of_methods.py TASK [--model FOLDER] [--limit 1000] [--steps 100] [--rounds 3]

Each method runs as in the paper (score: every layer, all k; probe: 50 epochs on texts pooled once; LoRA: rank 32, one
text a step), begins with loading the model and leaves the test texts aside. LoRA is run for ``--steps`` steps, and its
training scaled to the paper's 5,000. Without ``--model`` the model is Qwen2-0.5B-shaped with random weights.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

import ntps
from common import interleaved, medians, random_model_folder, ratio, show
from ntps.options.recipes import PAPER_STEPS


def main(
    task_name: Annotated[str, typer.Argument(metavar="TASK")],
    model: Annotated[Path | None, typer.Option(help="Model folder; random weights by default.")] = None,
    limit: int = 1000,
    steps: Annotated[int, typer.Option(help="Steps of LoRA that are run.")] = 100,
    rounds: int = 3,
) -> None:
    """Run all methods in turn."""
    task = ntps.load_task(task_name, limit=limit)
    with TemporaryDirectory() as name:
        folder = model or random_model_folder(Path(name) / "model")
        seconds, results = interleaved(
            {
                "score": lambda: ntps.score(folder, task, test=False),
                "adamw_probe": lambda: ntps.probe(folder, task, "adamw", test=False),
                "lora": lambda: ntps.finetune(folder, task, ntps.LoRA(recipe="paper", steps=steps), test=False),
            },
            rounds,
        )
    timing = {method: result.to_dict()["timing"] for method, result in results.items()}
    rest = timing["lora"]["training"] * (PAPER_STEPS / steps - 1)
    seconds[f"lora_{PAPER_STEPS}_steps"] = [each + rest for each in seconds["lora"]]
    show(
        {
            "task": task_name,
            "texts": len(task.train),
            "lora_steps_run": steps,
            "seconds": medians(seconds),
            "over_score": {method: ratio(runs, seconds["score"])["median"] for method, runs in seconds.items()},
            "phases_of_the_last_round": timing,
        }
    )


if __name__ == "__main__":
    typer.run(main)

"""The whole pass against the bare forward pass of the same base model over the same length-sorted batches.

    python benchmarks/pass_against_forward.py TASK [--limit 300] [--blocks 24] [--rounds 5] [--device cuda]

The model is Qwen2-0.5B-shaped (d = 896, by default 24 blocks) with random weights, in float32 unless `--dtype` says
otherwise. The bare pass produces all hidden states and drops them; it runs as PyTorch runs it, and once more with the
host's memory of tensors kept, as our pass keeps it. All run in turn; the medians and the ratios of each round are
printed as JSON.
"""

from __future__ import annotations

import statistics
from typing import Annotated

import torch
import typer

from common import batch_budget, interleaved, medians, random_model, ratio, show, whole_pass
from ntps import load_task
from ntps.forward.batch_plan import plan_batches
from ntps.forward.malloc import retained_memory
from ntps.models.load import DTYPES
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokens import TokenizedTexts, tokenize


@torch.no_grad()
def bare_forward(model: LanguageModel, tokens: TokenizedTexts, tokens_per_batch: int) -> None:
    """Every batch through the model, hidden states produced and dropped."""
    for batch in plan_batches(tokens.lengths, tokens_per_batch):
        ids = torch.as_tensor(tokens.padded(batch, model.pad_id), device=model.device)
        model.base(input_ids=ids, use_cache=False, output_hidden_states=True)


def main(
    task_name: Annotated[str, typer.Argument(metavar="TASK")],
    limit: int = 300,
    blocks: int = 24,
    rounds: int = 5,
    tokens_per_batch: int | None = None,
    device: str = "cpu",
    dtype: str = "float32",
) -> None:
    """Time all in turn."""
    place = torch.device(device)
    budget = tokens_per_batch or batch_budget(place)
    model = random_model(blocks=blocks, device=place, dtype=DTYPES[dtype])
    task = load_task(task_name, limit=limit)
    tokens, targets = tokenize(model, task.train.texts), task.targets(task.train.labels)
    inside: list[float] = []

    def bare_with_memory_kept() -> None:
        with retained_memory():
            bare_forward(model, tokens, budget)

    seconds, _ = interleaved(
        {
            "bare": lambda: bare_forward(model, tokens, budget),
            "bare, memory kept": bare_with_memory_kept,
            "pass": lambda: inside.append(whole_pass(model, tokens, targets, budget)[1]),
        },
        rounds,
        place,
    )
    show(
        {
            "task": task_name,
            "texts": len(tokens),
            "tokens": int(tokens.lengths.sum()),
            "dtype": dtype,
            "tokens_per_batch": budget,
            "seconds": {**medians(seconds), "statistics": statistics.median(inside)},
            "pass_over_bare": ratio(seconds["pass"], seconds["bare"]),
            "pass_over_bare_with_memory_kept": ratio(seconds["pass"], seconds["bare, memory kept"]),
        },
        place,
    )


if __name__ == "__main__":
    typer.run(main)

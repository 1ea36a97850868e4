"""How cost grows: with the number of texts, their length, the layers and the width d, and how it falls with workers.

    python benchmarks/scaling.py [--rounds 3] [--steps 4] [--texts 64] [--length 32] [--layers 2] [--width 256]
        [--device cuda]

Each quantity is doubled ``steps - 1`` times from the value given, the others stay where they are. Texts, length and
layers are measured on the whole pass of a Qwen2-shaped model with random weights over random token ids; the width on
the statistics of one batch and on the closed forms of one layer. Workers are processes of ``torchrun`` that share the
pass of the longest row of texts, each with the same number of threads however many there are. The exponent is the slope
of the logarithm of the median seconds over the logarithm of the quantity. Closed forms and workers, which processors
compute, are left out on other devices.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import typer
from transformers import AutoTokenizer

from closed_forms import synthetic_means
from common import (
    Seconds,
    batch_budget,
    interleaved,
    medians,
    random_model,
    random_model_folder,
    show,
    whole_pass,
    write_texts,
)
from ntps import Moments, score_moments
from ntps.forward.stream import HOST
from ntps.models.tokenizing.tokens import TokenizedTexts
from ntps.moments.buffers import Workspace
from ntps.moments.kernels import ragged_batch
from ntps.moments.packed_layout import Layout

CLASSES = 6


def growth(
    sizes: Sequence[int], job: Callable[[int], Callable[[], object]], rounds: int, device: torch.device = HOST
) -> dict[str, Any]:
    """Seconds at every size, sizes in turn, and the fitted exponent."""
    seconds, _ = interleaved({str(size): job(size) for size in sizes}, rounds, device)
    middle = list(medians(seconds).values())
    return {"sizes": list(sizes), "seconds": middle, "exponent": exponent(sizes, middle)}


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Slope of log seconds over log size."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def pass_job(texts: int, length: int, layers: int, width: int, device: torch.device) -> Callable[[], object]:
    """The whole pass over random texts of one length."""
    model = random_model(width, layers, device=device)
    random = np.random.default_rng(0)
    ids = random.integers(0, model.vocabulary, texts * length, dtype=np.int32)
    tokens = TokenizedTexts(ids, np.arange(texts + 1) * length, truncated=0)
    targets = np.eye(CLASSES)[random.integers(0, CLASSES, texts)]
    return lambda: whole_pass(model, tokens, targets, batch_budget(device))


def statistics_job(width: int, length: int, device: torch.device) -> Callable[[], object]:
    """The statistics of one batch of one layer."""
    texts = max(1, batch_budget(device) // length)
    hidden = torch.randn(texts, length, width, device=device)
    layout = Layout.of_lengths(np.full(texts, length), length).to(device)
    targets = torch.eye(CLASSES, dtype=torch.float64, device=device)[torch.arange(texts) % CLASSES]
    moments, workspace = Moments(width, CLASSES, device=device), Workspace()
    return lambda: moments.add(ragged_batch(hidden, layout, "mean", workspace), targets)


def closed_forms_job(width: int) -> Callable[[], object]:
    """All curves of one layer."""
    means = synthetic_means(width, CLASSES)
    return lambda: score_moments(means)


def worker_pass(count: int, threads: int, model: Path, texts: Path, out: Path) -> float:
    """Seconds of the pass that ``count`` processes share."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count), "-m", "ntps"]
    done = subprocess.run(
        [*launcher, "score", model, texts, "--no-test", "--json", "-q", "--out", out, "--overwrite"],
        env=os.environ | {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    timing: dict[str, float] = json.loads(done.stdout)["timing"]
    return timing["forward"] + timing["statistics"]


def worker_growth(most: int, texts: int, length: int, layers: int, width: int, rounds: int) -> dict[str, Any]:
    """Seconds of the same pass with 1, 2, 4 … workers, each with one ``most``-th of the machine's cores."""
    counts = [1 << power for power in range(most.bit_length())]
    threads = max(1, (os.cpu_count() or 1) // most)
    with TemporaryDirectory() as name:
        folder = Path(name)
        model = random_model_folder(folder / "model", width, layers)
        tokenizer = AutoTokenizer.from_pretrained(model)
        ids = np.random.default_rng(0).integers(0, len(tokenizer), (texts, length))
        labels = [index % CLASSES for index in range(texts)]
        written = write_texts(tokenizer.batch_decode(ids, skip_special_tokens=True), labels, folder / "texts.jsonl")
        seconds: Seconds = {str(count): [] for count in counts}
        for _ in range(rounds):
            for count in counts:
                seconds[str(count)].append(worker_pass(count, threads, model, written, folder / f"result-{count}"))
    middle = list(medians(seconds).values())
    return {"sizes": counts, "threads_each": threads, "seconds": middle, "exponent": exponent(counts, middle)}


def main(
    rounds: int = 3,
    steps: int = 4,
    texts: int = 64,
    length: int = 32,
    layers: int = 2,
    width: int = 256,
    workers: int = os.cpu_count() or 1,
    device: str = "cpu",
) -> None:
    """Measure every growth and print sizes, seconds and exponents."""
    place = torch.device(device)

    def doubled(first: int) -> list[int]:
        return [first << step for step in range(steps)]

    def grown(first: int, job: Callable[[int], Callable[[], object]]) -> dict[str, Any]:
        return growth(doubled(first), job, rounds, place)

    figures = {
        "fixed": {"texts": texts, "length": length, "layers": layers, "width": width},
        "texts": grown(texts, lambda size: pass_job(size, length, layers, width, place)),
        "length": grown(length, lambda size: pass_job(texts, size, layers, width, place)),
        "layers": grown(layers, lambda size: pass_job(texts, length, size, width, place)),
        "width_statistics": grown(width, lambda size: statistics_job(size, length, place)),
    }
    if place == HOST:
        figures["width_closed_forms"] = growth(doubled(width), closed_forms_job, rounds)
        figures["workers"] = worker_growth(workers, doubled(texts)[-1], length, layers, width, rounds)
    show(figures, place)


if __name__ == "__main__":
    typer.run(main)

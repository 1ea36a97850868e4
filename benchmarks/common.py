"""What the benchmarks share: a model of any shape, the pass that is timed, interleaved runs and their JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, Qwen2Config, Qwen2Model

from ntps import Moments
from ntps.forward.stream import Pass
from ntps.jobs.provenance import versions
from ntps.models.architecture import find_blocks, layer_names
from ntps.models.embedded import embedded_model_folder
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokens import TokenizedTexts
from ntps.moments.products import products_library
from ntps.scoring.reductions import collect_moments

Array = NDArray[np.float64]
Seconds = dict[str, list[float]]
"""Seconds of every round, by job."""

CONTEXT = 2048


def random_model(width: int = 896, blocks: int = 24, vocabulary: int | None = None) -> LanguageModel:
    """A model with the proportions of Qwen2-0.5B, by default of its size too, in float32 with random weights.

    Args:
        width: Width d of the hidden states; above 128 a multiple of 64, the width of a head.
        blocks: Number of blocks.
        vocabulary: Rows of the embedding; by default as many as the tokenizer, the embedded model's, has tokens.
    """
    tokenizer = AutoTokenizer.from_pretrained(embedded_model_folder())
    tokenizer.model_max_length = CONTEXT
    heads = max(2, width // 64)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=vocabulary or len(tokenizer),
        hidden_size=width,
        intermediate_size=width * 38 // 7,
        num_hidden_layers=blocks,
        num_attention_heads=heads,
        num_key_value_heads=2 if heads % 2 == 0 else 1,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
    )
    base = Qwen2Model(config)
    base.train(False)
    return LanguageModel(
        id="random Qwen2",
        revision=None,
        architecture="Qwen2Model",
        tokenizer=tokenizer,
        base=base,
        blocks=find_blocks(base, config),
        layer_names=layer_names(blocks, final_norm=True),
        hidden_size=width,
        parameters=sum(parameter.numel() for parameter in base.parameters()),
        context=CONTEXT,
        dtype=torch.float32,
    )


def random_model_folder(folder: Path, width: int = 896, blocks: int = 24) -> Path:
    """Saves a :func:`random_model` and its tokenizer."""
    model: Any = random_model(width, blocks)
    model.base.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


def write_texts(texts: Sequence[str], labels: Sequence[int], path: Path) -> Path:
    """Labelled texts as JSON lines, which any program reads."""
    rows = zip(texts, labels, strict=True)
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    return path


def whole_pass(
    model: LanguageModel, tokens: TokenizedTexts, targets: Array, tokens_per_batch: int
) -> tuple[dict[int, Moments], float]:
    """The pass that ``ntps score`` runs: moments by layer, and the seconds that went into statistics."""
    work = Pass(
        model=model,
        tokens=tokens,
        targets=lambda batch: targets[batch],
        layers=range(model.num_layers + 1),
        pooling="mean",
        masked=False,
        tokens_per_batch=tokens_per_batch,
        progress=lambda _done: None,
    )
    moments, (_, inside) = collect_moments(work, targets.shape[1])
    return moments, inside


def interleaved(jobs: Mapping[str, Callable[[], Any]], rounds: int) -> tuple[Seconds, dict[str, Any]]:
    """Runs all jobs in turn, round after round; the first round warms up, and medians of three or more pass it over.

    Returns:
        Seconds of every round, and the last result of each job.
    """
    seconds: Seconds = {name: [] for name in jobs}
    results: dict[str, Any] = {}
    for _ in range(rounds):
        for name, job in jobs.items():
            results.pop(name, None)  # the memory of the last round is free before this one is timed
            start = time.perf_counter()
            results[name] = job()
            seconds[name].append(time.perf_counter() - start)
    return seconds, results


def medians(seconds: Seconds) -> dict[str, float]:
    """Median of each job."""
    return {name: statistics.median(runs) for name, runs in seconds.items()}


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, Any]:
    """Ratios of runs of the same round, and their median."""
    ratios = [one / other for one, other in zip(above, below, strict=True)]
    return {"median": statistics.median(ratios), "rounds": ratios}


def show(figures: Mapping[str, Any]) -> None:
    """Prints figures as JSON, with the machine that they are true of."""
    print(json.dumps({**figures, "machine": machine()}, indent=1))


def machine() -> dict[str, Any]:
    """Processor, cores, threads, the library of float64 products, and versions."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "products": products_library(torch.device("cpu")),
        "versions": versions(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())

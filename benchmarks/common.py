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
from transformers import AutoModel, AutoTokenizer, PreTrainedConfig, Qwen2Config

from ntps import Moments
from ntps.forward.stopwatch import await_devices
from ntps.forward.stream import HOST, Pass
from ntps.jobs.provenance import versions
from ntps.jobs.session import DEFAULT_TOKENS_PER_BATCH
from ntps.models.architecture import find_blocks, layer_names, probe
from ntps.models.embedded import embedded_model_folder
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokens import TokenizedTexts
from ntps.moments.products import products_library
from ntps.scoring.reductions import collect_moments

Array = NDArray[np.float64]
Seconds = dict[str, list[float]]
"""Seconds of every round, by job."""

CONTEXT = 2048


def random_model(
    width: int = 896,
    blocks: int = 24,
    vocabulary: int | None = None,
    device: torch.device = HOST,
    dtype: torch.dtype = torch.float32,
) -> LanguageModel:
    """A model with the proportions of Qwen2-0.5B, by default of its size too, with random weights.

    Args:
        width: Width d of the hidden states; above 128 a multiple of 64, the width of a head.
        blocks: Number of blocks.
        vocabulary: Rows of the embedding; by default as many as the tokenizer, the embedded model's, has tokens.
        device: Where it computes.
        dtype: In what.
    """
    heads = max(2, width // 64)
    config = Qwen2Config(
        vocab_size=vocabulary or len(_tokenizer()),
        hidden_size=width,
        intermediate_size=width * 38 // 7,
        num_hidden_layers=blocks,
        num_attention_heads=heads,
        num_key_value_heads=2 if heads % 2 == 0 else 1,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
    )
    return random_weights(config, device, dtype)


def random_weights(
    config: PreTrainedConfig, device: torch.device = HOST, dtype: torch.dtype = torch.float32
) -> LanguageModel:
    """A model of a configuration with random weights, and the embedded model's tokenizer."""
    torch.manual_seed(0)
    with device:
        base: Any = AutoModel.from_config(config).to(dtype).train(False)
    described: Any = config
    blocks = find_blocks(base, config)
    name = f"random {described.model_type}"
    return LanguageModel(
        id=name,
        revision=None,
        architecture=type(base).__name__,
        tokenizer=_tokenizer(),
        base=base,
        blocks=blocks,
        layer_names=layer_names(len(blocks), probe(base, blocks, name)),
        hidden_size=described.hidden_size,
        parameters=sum(parameter.numel() for parameter in base.parameters()),
        context=described.max_position_embeddings,
        dtype=dtype,
    )


def _tokenizer() -> Any:
    tokenizer = AutoTokenizer.from_pretrained(embedded_model_folder())
    tokenizer.model_max_length = CONTEXT
    return tokenizer


def batch_budget(device: torch.device) -> int:
    """Tokens of a batch, as ``ntps score`` takes them on a device."""
    return DEFAULT_TOKENS_PER_BATCH[device.type]


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


def interleaved(
    jobs: Mapping[str, Callable[[], Any]], rounds: int, device: torch.device = HOST
) -> tuple[Seconds, dict[str, Any]]:
    """Runs all jobs in turn, round after round; the first round warms up, and medians of three or more pass it over.

    Args:
        jobs: What to run, by name.
        rounds: How often.
        device: Where; a job ends when its work there is done, not when it is queued.

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
            await_devices([device])
            seconds[name].append(time.perf_counter() - start)
    return seconds, results


def medians(seconds: Seconds) -> dict[str, float]:
    """Median of each job."""
    return {name: statistics.median(runs) for name, runs in seconds.items()}


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, Any]:
    """Ratios of runs of the same round, and their median."""
    ratios = [one / other for one, other in zip(above, below, strict=True)]
    return {"median": statistics.median(ratios), "rounds": ratios}


def show(figures: Mapping[str, Any], device: torch.device = HOST) -> None:
    """Prints figures as JSON, with the machine that they are true of."""
    print(json.dumps({**figures, "machine": machine(device)}, indent=1))


def machine(device: torch.device = HOST) -> dict[str, Any]:
    """Device, processor, cores, threads, the library of float64 products, and versions."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "products": products_library(device),
        "versions": versions(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())

"""What a scoring run would take: tokens, memory, disk and time, before it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ntps.forward.batch_plan import Batch
from ntps.forward.batch_timer import BatchTimer
from ntps.forward.sampled_rates import Rates, probed_rates
from ntps.forward.stream import Pass
from ntps.jobs.progress import Reporter
from ntps.jobs.session import RunSession
from ntps.jobs.unused_rows import unused_rows
from ntps.models.model import LanguageModel
from ntps.moments.layer_score import score_moments
from ntps.moments.means import Means
from ntps.moments.sums import FLOAT, packed_bytes, statistics_bytes
from ntps.options.scoring import ScoreSettings
from ntps.tasks.task import Task

SMALL = 256
"""Width at which the closed forms are timed; their time grows with its cube."""


def estimate_score(
    model: LanguageModel,
    task: Task,
    settings: ScoreSettings,
    *,
    processes: int = 1,
    runs: int = 1,
    keep_moments: bool = True,
    keep_pooled: bool = False,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Tries parts of a few batches, and says what a scoring run would take; nothing is written.

    Args:
        model: The model.
        task: The task.
        settings: The options.
        processes: Processes that would share the run.
        runs: How often the model would run over the texts: twice to compare before and after fine-tuning.
        keep_moments: Whether statistics would stay on disk.
        keep_pooled: Whether pooled texts would.
        reporter: Learns about progress.

    Returns:
        Blocks of JSON types: ``texts``, ``memory_bytes`` (of each process; ``largest_batch`` is by what the process
        grew when its largest trial ran, in proportion to padded tokens, None where the system does not tell),
        ``disk_bytes``, ``seconds`` (``least`` and ``most`` if every token cost what the cheapest and the dearest did),
        and what they are about.

    Raises:
        InputError: An option does not fit the model or the task, or a batch does not fit the memory.
    """
    run = RunSession(model, task, settings, reporter)
    c, layers = task.outputs, len(run.layers)
    passes = {"train": run.work(task.train, run.tokens, None)}
    if run.test is not None and run.test_tokens is not None:
        passes["test"] = run.work(run.test, run.test_tokens, None)
    first = passes["train"]
    found: list[Rates] = []
    lengths = first.tokens.lengths
    grown = peak_memory(
        lambda: found.append(probed_rates(first.plan, lengths, BatchTimer(first, c).seconds)), model.device
    )
    rates = found[0]
    largest = None if grown is None else grown * _padded(first.plan[0], lengths) // rates.padded
    wholes = {name: rates.whole(work.plan, work.tokens.lengths) for name, work in passes.items()}
    seconds = {name: runs / processes * expected for name, (expected, _, _) in wholes.items()}
    seconds["closed_forms"] = runs * layers * _closed_forms_seconds(model.hidden_size, c)
    seconds["total"] = sum(seconds.values())
    for bound, place in (("least", 1), ("most", 2)):
        seconds[bound] = seconds["closed_forms"] + runs / processes * sum(whole[place] for whole in wholes.values())
    sums = packed_bytes(model.hidden_size, c, layers)
    left_out = min(len(task.train), settings.cv_texts)
    rows = layers * model.hidden_size * sum(len(work.tokens) for work in passes.values())
    return {
        **{name: value for name, value in run.provenance().to_dict().items() if name != "settings_hash"},
        "processes": processes,
        "texts": {name: _counted(work) for name, work in passes.items()},
        "memory_bytes": {
            "weights": weights_bytes(model),
            "statistics": layers * statistics_bytes(model.hidden_size, c),
            "largest_batch": largest,
        },
        "disk_bytes": {
            "moments": sums * keep_moments,
            "pooled": FLOAT * rows * keep_pooled,
            # While a checkpoint is written, the one before is still there; and so are the texts to be left out.
            "progress": 2 * sums + (0 if keep_pooled else FLOAT // 2 * layers * model.hidden_size * left_out),
        },
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "warnings": [*unused_rows(run.described_task, unusable=True), *run.warnings()],
    }


def weights_bytes(model: LanguageModel) -> int:
    """Memory of the weights."""
    tensors = [*model.base.parameters(), *model.base.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def peak_memory(action: Callable[[], object], device: torch.device) -> int | None:
    """Bytes by which the memory in use was larger at most, while something ran; None where the system does not tell."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        action()
        return torch.cuda.max_memory_allocated(device) - before
    try:
        # 5 resets the largest size that the system remembers of this process.
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        # Another system, or one that does not permit it.
        action()
        return None
    before = _resident("VmRSS")
    action()
    return max(_resident("VmHWM") - before, 0)


def _resident(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def _counted(work: Pass) -> dict[str, int]:
    lengths = work.tokens.lengths
    padded = sum(_padded(batch, lengths) for batch in work.plan)
    return {
        "texts": len(work.tokens),
        "tokens": int(lengths.sum()),
        "padded_tokens": padded,
        "longest": int(lengths.max()),
        "truncated": work.tokens.truncated,
        "batches": len(work.plan),
    }


def _padded(batch: Batch, lengths: NDArray[np.int64]) -> int:
    return len(batch) * int(lengths[batch].max())


def _closed_forms_seconds(d: int, c: int) -> float:
    """Seconds of one layer, from random moments of a small width."""
    small, c = min(d, SMALL), min(c, SMALL)
    random = np.random.default_rng(0)
    first, second = random.standard_normal((2, 4 * small, small))
    targets = random.standard_normal((4 * small, c))
    count = len(first)
    means = Means(
        texts=count,
        prefix_gram=first.T @ first / count,
        prefix_next=first.T @ second / count,
        next_energy=float(small),
        pooled_gram=second.T @ second / count,
        pooled_target=second.T @ targets / count,
        target_gram=targets.T @ targets / count,
        pooled_mean=second.mean(axis=0),
        target_mean=targets.mean(axis=0),
        prefixes=1.0,
        prefix_sum=first.mean(axis=0),
        next_sum=second.mean(axis=0),
    )
    score_moments(means)
    began = time.perf_counter()
    score_moments(means)
    return (time.perf_counter() - began) * (d / small) ** 3

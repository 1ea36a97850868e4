"""Memory does not grow with the number of texts, beyond the texts themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from common import random_model, whole_pass
from ntps.forward.batch_plan import plan_batches
from ntps.models.tokenizing.tokens import TokenizedTexts
from tiny import random_texts, save_model, save_rows

MEASURE = """
import json, resource, sys
import ntps
result = ntps.score(sys.argv[1], sys.argv[2], out=sys.argv[3])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps([result.to_dict()["task"]["texts"], peak]))
"""


def peak(model: Path, task: Path, out: Path) -> tuple[int, int]:
    """Texts scored, and the largest resident set in bytes of a process of its own."""
    command = [sys.executable, "-c", MEASURE, str(model), str(task), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    texts, size = json.loads(done.stdout.splitlines()[-1])
    return texts, size


@pytest.mark.slow
def test_ten_times_the_texts_take_no_more_memory(tmp_path: Path) -> None:
    """20,000 against 200,000 texts of one task: less than 5 % apart, plus the size of the texts."""
    model = save_model(tmp_path / "model")
    texts = random_texts(200_000, longest=24)
    few = save_rows(tmp_path / "few.jsonl", texts[:20_000], [len(text) % 4 for text in texts[:20_000]])
    many = save_rows(tmp_path / "many.jsonl", texts, [len(text) % 4 for text in texts])
    (few_texts, small), (many_texts, large) = (peak(model, task, tmp_path / task.stem) for task in (few, many))
    assert (few_texts, many_texts) == (20_000, 200_000)
    assert large - small < 0.05 * small + many.stat().st_size


def peak_of_tensors(action: Callable[[], object]) -> int:
    """Bytes that live tensors took at most while something ran, by what PyTorch allocates and frees."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        action()
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = np.cumsum([event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())])
    return int(live.max())


@pytest.mark.parametrize("library", ["torch", "numpy"])
def test_statistics_take_their_own_size_and_a_fifth(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the weights and what one batch needs anyway: three d × d sums of thirteen layers each."""
    monkeypatch.setattr("ntps.moments.products._fastest", lambda: library)
    width, layers, budget = 256, 13, 256
    model = random_model(width=width, blocks=layers - 1)
    lengths = np.random.default_rng(0).integers(8, 64, 12)
    ids = np.random.default_rng(1).integers(0, model.vocabulary, lengths.sum(), dtype=np.int32)
    tokens = TokenizedTexts(ids, np.concatenate([[0], np.cumsum(lengths)]), truncated=0)

    def forward() -> None:
        for batch in plan_batches(tokens.lengths, budget):
            model.visit_layers(torch.as_tensor(tokens.padded(batch, 0)), None, range(layers), lambda *_: None)

    statistics = layers * 3 * width**2 * 8
    taken = peak_of_tensors(lambda: whole_pass(model, tokens, np.eye(4)[np.arange(12) % 4], budget))
    assert statistics < taken - peak_of_tensors(forward) <= 1.2 * statistics

"""Memory does not grow with the number of texts, beyond the texts themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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


BATCH = 1024
MEASURE_PASS = """
import resource, sys
import numpy as np
from common import random_model, whole_pass
from ntps.models import TokenizedTexts
from ntps.moments.plan import plan_batches
from ntps.moments.workspace import retained_memory
model = random_model(width=768, blocks=12)
lengths = np.random.default_rng(0).integers(8, 64, 120)
ids = np.random.default_rng(1).integers(0, model.vocabulary, lengths.sum(), dtype=np.int32)
tokens = TokenizedTexts(ids, np.concatenate([[0], np.cumsum(lengths)]), truncated=0)
if sys.argv[1] == "pass":
    whole_pass(model, tokens, np.eye(4)[np.arange(120) % 4], BATCH)
else:
    import torch
    with retained_memory():
        for batch in plan_batches(tokens.lengths, BATCH):
            model.visit_layers(torch.as_tensor(tokens.padded(batch, 0)), None, range(13), lambda layer, hidden: None)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
""".replace("BATCH", str(BATCH))


@pytest.mark.slow
def test_statistics_take_their_own_size_and_a_fifth() -> None:
    """Beyond the weights and what one batch needs anyway: three d × d sums of thirteen layers each."""

    def peak_of(what: str) -> int:
        """The middle one of three: how a heap falls into pieces is a matter of chance."""
        return sorted(once(what) for _ in range(3))[1]

    def once(what: str) -> int:
        command = [sys.executable, "-c", MEASURE_PASS, what]
        path = os.pathsep.join(sys.path)
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return int(done.stdout.splitlines()[-1])

    statistics = 13 * 3 * 768**2 * 8
    assert peak_of("pass") - peak_of("forward") <= 1.2 * statistics

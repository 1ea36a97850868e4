"""A batch that does not fit the memory is cut, and no text is counted half or twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntps import InputError, ScoreResult, Task, score
from ntps.checkpoint import checkpoint
from ntps.forward.batch_plan import Shard, cut, plan_batches
from ntps.models.load import load_model
from ntps.models.model import LanguageModel
from ntps.moments.accumulator import Moments
from ntps.moments.sums_folder import read_moments
from tiny import random_task, save_model

BUDGET = 160
ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    MemoryError("Unable to allocate 2.00 GiB for an array"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError(
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other API call"
    ),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(save_model(tmp_path_factory.mktemp("model"), "llama"), dtype="float64")


@pytest.fixture(scope="module")
def task() -> Task:
    return random_task(120, 3, test=60)


@pytest.fixture(scope="module")
def whole(model: LanguageModel, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run leaves whose batches all fit."""
    out = tmp_path_factory.mktemp("whole")
    score(model, task, tokens_per_batch=BUDGET, out=out)
    return out


@pytest.fixture(scope="module")
def expected(whole: Path) -> ScoreResult:
    return ScoreResult.load(whole)


class SmallMemory:
    """Lets no forward pass go on over more tokens than fit, from some pass on; some layers have been seen by then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fits: int, error: Exception, first: int = 0, layers: int = 2):
        self.sizes: list[int] = []
        visit = LanguageModel.visit_layers

        def limited(model: LanguageModel, ids: Any, mask: Any, wanted: Any, sink: Callable[..., None]) -> None:
            self.sizes.append(ids.numel())
            seen = 0

            def tight(layer: int, hidden: Any) -> None:
                nonlocal seen
                if ids.numel() > fits and len(self.sizes) > first and seen == layers:
                    raise error
                seen += 1
                sink(layer, hidden)

            visit(model, ids, mask, wanted, tight)

        monkeypatch.setattr(LanguageModel, "visit_layers", limited)


def assert_near(found: ScoreResult, expected: ScoreResult) -> None:
    for name in ("area", "r2", "r2_test", "accuracy_test", "best_loss", "next_token_loss"):
        np.testing.assert_allclose(found.layers[name], expected.layers[name], rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_batches_are_cut_until_they_fit(
    error: Exception, model: LanguageModel, task: Task, expected: ScoreResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = SmallMemory(monkeypatch, 60, error)
    found = score(model, task, tokens_per_batch=BUDGET)
    assert_near(found, expected)
    told = [warning for warning in found.warnings if "did not fit the memory" in warning]
    assert len(told) == 1 and "cut to 36 padded tokens" in told[0]
    # Twice by the check at the start, which goes on without such batches; then found out once, not batch by batch.
    assert sum(size > 60 for size in memory.sizes) == 2 + 2
    assert found.to_dict()["settings_hash"] == expected.to_dict()["settings_hash"]


@pytest.mark.parametrize("interval", [0.0, 1e9])
@pytest.mark.parametrize("layers", [0, 1, 3])
def test_late_in_the_run_the_last_checkpoint_counts(
    interval: float,
    layers: int,
    model: LanguageModel,
    task: Task,
    whole: Path,
    expected: ScoreResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoint, "INTERVAL", interval)
    monkeypatch.setattr(checkpoint, "SHARE", float("inf"))
    done: dict[str, int] = {}

    class Counter:
        def start(self, phase: str, total: int | None, unit: str) -> Callable[[int], None]:
            done[phase] = -(total or 0)

            def advance(tokens: int) -> None:
                done[phase] += tokens

            return advance

    SmallMemory(monkeypatch, 90, ERRORS[0], first=14, layers=layers)
    assert_near(score(model, task, tokens_per_batch=BUDGET, out=tmp_path / "run", reporter=Counter()), expected)
    assert set(done.values()) == {0}
    first, second = (read_moments(out / "moments") for out in (whole, tmp_path / "run"))
    for layer, moments in first.items():
        assert (moments.texts, moments.tokens) == (second[layer].texts, second[layer].tokens)
        for name, total in moments.sums.items():
            assert (total - second[layer].sums[name]).norm() <= 1e-12 * total.norm(), name


def test_half_of_the_statistics_of_a_layer(
    model: LanguageModel, task: Task, expected: ScoreResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error comes from between two of its sums."""
    add, calls = Moments.add, 0

    def half(moments: Moments, *arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 10:
            moments.sums["prefix_gram"] += 1.0
            raise ERRORS[2]
        add(moments, *arguments)

    monkeypatch.setattr(Moments, "add", half)
    assert_near(score(model, task, tokens_per_batch=BUDGET), expected)


def test_a_resumed_run_knows_what_fits(
    model: LanguageModel, task: Task, expected: ScoreResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", float("inf"))
    SmallMemory(monkeypatch, 90, ERRORS[0])
    save = checkpoint.Checkpoint.save

    def stop(self: checkpoint.Checkpoint, *arguments: Any, **options: Any) -> None:
        save(self, *arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoint.Checkpoint, "save", stop)
        score(model, task, tokens_per_batch=BUDGET, out=tmp_path)
    memory = SmallMemory(monkeypatch, 10**9, ERRORS[0])
    found = score(model, task, tokens_per_batch=BUDGET, out=tmp_path)
    # Only the check at the start, which belongs to no run, tries larger ones.
    assert sum(size > 80 for size in memory.sizes) == 2
    assert any("did not fit the memory" in warning for warning in found.warnings)
    assert_near(found, expected)


def test_one_text_that_does_not_fit_is_one_sentence(
    model: LanguageModel, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    SmallMemory(monkeypatch, 5, ERRORS[0], first=14)
    with pytest.raises(InputError, match=r"out of memory in a batch of 1 texts and \d+ tokens: lower `max_length`"):
        score(model, task, tokens_per_batch=BUDGET)


def test_other_errors_are_not_taken_for_it(model: LanguageModel, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    SmallMemory(monkeypatch, 90, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes cannot"):
        score(model, task, tokens_per_batch=BUDGET)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit of the address space")
def test_an_allocator_that_really_fails(tmp_path: Path) -> None:
    """No stand-in: the address space is as small as the run needs it not to be."""
    folder = save_model(tmp_path / "model", "llama", intermediate_size=20_000)
    code = """
import json, resource, sys
import ntps
from tiny import random_task
model, task = ntps.load_model(sys.argv[1]), random_task(400)
expected = ntps.score(model, task, tokens_per_batch=200, layers="-1").summary["area"]
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 150_000_000,) * 2)
result = ntps.score(model, task, tokens_per_batch=2_400, layers="-1")
print(json.dumps([expected, result.summary["area"], result.warnings]))
"""
    paths = [str(Path(__file__).parents[1]), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{code}", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected, area, warnings = json.loads(done.stdout.splitlines()[-1])
    assert area == pytest.approx(expected, abs=1e-4)
    assert any("did not fit the memory" in warning for warning in warnings)


# --- plans ------------------------------------------------------------------------------------------------------------


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=60),
    budget=st.integers(1, 100),
    largest=st.one_of(st.none(), st.integers(1, 100)),
)
def test_cut_batches_hold_each_text_once(lengths: list[int], budget: int, largest: int | None) -> None:
    sizes = np.array(lengths)
    for batch in plan_batches(sizes, budget):
        parts = cut(batch, sizes, largest)
        assert sorted(np.concatenate(parts).tolist()) == sorted(batch.tolist())
        for part in parts:
            assert largest is None or len(part) == 1 or len(part) * sizes[part].max() <= largest


@given(batches=st.integers(0, 50), world=st.integers(1, 7), data=st.data())
def test_every_batch_is_dealt_once(batches: int, world: int, data: st.DataObject) -> None:
    earlier = tuple(sorted(data.draw(st.sets(st.integers(0, max(batches - 1, 0)), max_size=batches))))
    hands = [Shard(rank, world, earlier).numbers(batches).tolist() for rank in range(world)]
    assert sorted([*earlier, *(number for hand in hands for number in hand)]) == list(range(batches))
    assert max(map(len, hands)) - min(map(len, hands)) <= 1

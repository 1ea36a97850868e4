"""The passes of tangent features go on where they were interrupted, whoever computed the rows that are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import ntps
from ntps import InputError, Task
from ntps.checkpoint import checkpoint, row_chunks, tangent_rows
from ntps.forward.tangents import TangentPass
from ntps.models.load import load_model
from ntps.models.model import LanguageModel
from same import assert_same
from slow import slow
from tiny import random_task, save_model

pytestmark = pytest.mark.usefixtures("short_check")
SMALL: dict[str, Any] = {"tokens_per_batch": 80}


class Interrupted(Exception):
    """Stands for whatever ends a process."""


class After:
    """A reporter that ends the run after some batches."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def start(self, phase: str, _total: int | None, _unit: str) -> Callable[[int], None]:
        def advance(_done: int) -> None:
            self.left -= phase in ("train texts", "test texts")
            if self.left < 0:
                raise Interrupted

        return advance


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"), "llama")


@pytest.fixture(scope="module")
def model(folder: Path) -> LanguageModel:
    return load_model(folder)


@pytest.fixture(scope="module")
def task() -> Task:
    return random_task(60, 2, test=20)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows are written after every batch; here is noted which texts are run."""
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    run_batch, seen = TangentPass._run_batch, list[int]()

    def counted(self: TangentPass, batch: Any, *others: Any) -> None:
        run_batch(self, batch, *others)
        seen.extend(batch.tolist())

    monkeypatch.setattr(TangentPass, "_run_batch", counted)
    return seen


def probe(model: LanguageModel, task: Task, **options: Any) -> ntps.ProbeResult:
    return ntps.probe(model, task, "tangent", **{**SMALL, **options})


def interrupt(model: LanguageModel, task: Task, out: Path, after: int = 3, **options: Any) -> None:
    with pytest.raises(Interrupted):
        probe(model, task, out=out, reporter=After(after), **options)


def files(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("call", "dtype"),
    [(probe, "float32"), slow(probe, "bfloat16"), slow(ntps.advise, "float32")],
    ids=["probe", "probe in bfloat16", "advise"],
)
def test_a_run_may_be_interrupted_after_every_batch(
    call: Callable[..., object], dtype: Any, folder: Path, task: Task, tmp_path: Path, batches: list[int]
) -> None:
    model = load_model(folder, dtype=dtype)
    call(model, task, out=tmp_path / "whole", **SMALL)
    every = sorted(batches)
    batches.clear()
    interruptions = 0
    while True:
        try:
            call(model, task, out=tmp_path / "run", reporter=After(0), **SMALL)
        except Interrupted:
            interruptions += 1
        else:
            break
    assert interruptions > 5 and sorted(batches) == every
    assert_same(tmp_path / "run", tmp_path / "whole")


def test_rows_that_are_there_are_not_computed_again(
    model: LanguageModel, task: Task, tmp_path: Path, batches: list[int]
) -> None:
    interrupt(model, task, tmp_path / "run", 4)
    # The plan of the beginning is followed where nobody insists on another one.
    done = len(batches)
    probe(model, task, out=tmp_path / "run", tokens_per_batch=None)
    assert len(batches) == 80 > done
    batches.clear()
    probe(model, task, out=tmp_path / "whole")
    assert_same(tmp_path / "run", tmp_path / "whole")
    with pytest.raises(InputError, match="already holds a result"):
        probe(model, task, out=tmp_path / "run")


@pytest.mark.slow
def test_other_conditions_are_told(model: LanguageModel, task: Task, tmp_path: Path, batches: list[int]) -> None:
    threads = torch.get_num_threads()
    interrupt(model, task, tmp_path)
    try:
        torch.set_num_threads(threads + 1)
        told = [each for each in probe(model, task, out=tmp_path).warnings if "interrupted" in each]
    finally:
        torch.set_num_threads(threads)
    assert len(told) == 1 and f"threads {threads + 1}" in told[0] and batches


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": 1}, r"seed \(0 then, 1 now\)"),
        ({"max_length": 5}, "max_length"),
        ({"tokens_per_batch": 81}, r"tokens_per_batch \(80 then, 81 now\)"),
        ({"test": False}, "test"),
        ({"task": random_task(61, 2, test=20)}, "texts"),
        ({"dtype": "bfloat16"}, r"dtype \(float32 then, bfloat16 now\)"),
        ({"GAMMA": 3.0}, "tangents"),
        ({"WIDTH": 64}, "tangents"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@pytest.mark.usefixtures("batches")
def test_the_progress_of_another_run_is_refused(
    options: dict[str, Any],
    words: str,
    folder: Path,
    model: LanguageModel,
    task: Task,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupt(model, task, tmp_path)
    before = files(tmp_path)
    for name in options.keys() & {"GAMMA", "WIDTH"}:
        monkeypatch.setattr(tangent_rows, name, options.pop(name))
    other = load_model(folder, dtype=options.pop("dtype", "float32"))
    arguments = {"task": task, **options}
    for resume in (True, False):
        with pytest.raises(InputError, match=words) as caught:
            probe(other, out=tmp_path, resume=resume, **arguments)
        assert "`overwrite`" in str(caught.value)
    assert files(tmp_path) == before


@pytest.mark.usefixtures("batches")
def test_overwrite_discards_the_progress_of_another_run(model: LanguageModel, task: Task, tmp_path: Path) -> None:
    interrupt(model, task, tmp_path / "run", seed=1)
    probe(model, task, out=tmp_path / "run", overwrite=True)
    probe(model, task, out=tmp_path / "whole")
    assert_same(tmp_path / "run", tmp_path / "whole")


@pytest.mark.usefixtures("batches")
def test_other_weights_and_other_jobs_are_refused(folder: Path, task: Task, tmp_path: Path) -> None:
    model = load_model(folder)
    interrupt(model, task, tmp_path)
    for job in (ntps.advise, ntps.score, ntps.probe):
        with pytest.raises(InputError, match="progress of another run"):
            job(model, task, out=tmp_path, **SMALL)
    with torch.no_grad():
        model.blocks[1].get_parameter("mlp.down_proj.weight").add_(1e-3)
    with pytest.raises(InputError, match="model weights"):
        probe(replace(model), task, out=tmp_path)
    for job in (ntps.score, ntps.probe):
        job(model, task, out=tmp_path, overwrite=True, **SMALL)
        assert not (tmp_path / "progress").exists()
        interrupt(model, task, tmp_path, overwrite=True)


def test_no_resume_and_rows_without_a_manifest_begin_again(
    model: LanguageModel, task: Task, tmp_path: Path, batches: list[int]
) -> None:
    for name in ("no resume", "no manifest"):
        interrupt(model, task, tmp_path / name)
        if name == "no manifest":
            # A kill came into the clearing away of what another run had left.
            (tmp_path / name / "progress" / "ledger.json").unlink()
        batches.clear()
        probe(model, task, out=tmp_path / name, resume=name == "no manifest")
        assert len(batches) == 80
    assert_same(tmp_path / "no resume", tmp_path / "no manifest")


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_damaged_rows_are_refused(how: str, model: LanguageModel, task: Task, tmp_path: Path) -> None:
    interrupt(model, task, tmp_path)
    path = sorted((tmp_path / "progress").glob("rows.*"))[1]
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content) if how == "flipped" else bytes(content[:-5]))
    with pytest.raises(InputError, match=rf"{path.name} is damaged.*`overwrite`"):
        probe(model, task, out=tmp_path)
    probe(model, task, out=tmp_path, overwrite=True)
    assert not (tmp_path / "progress").exists()


@pytest.mark.usefixtures("batches")
def test_a_full_disk_is_one_sentence_and_keeps_the_rows(
    model: LanguageModel, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(model, task, tmp_path)
    before = files(tmp_path)

    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(row_chunks, "save_file", full)
    with pytest.raises(InputError, match="No space left on device; free the space"):
        probe(model, task, out=tmp_path)
    assert {**before, **files(tmp_path)} == files(tmp_path)

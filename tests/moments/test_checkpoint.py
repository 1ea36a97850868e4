"""A run that was interrupted goes on where it was, and ends as if nothing had happened."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from ntps import InputError, Task, score
from ntps.checkpoint import checkpoint
from ntps.checkpoint.lock import claim_folder
from ntps.checkpoint.manifest import Manifest, read_manifest, write_manifest
from ntps.models.load import load_model
from ntps.models.model import LanguageModel
from ntps.moments.accumulator import Moments
from same import assert_same
from slow import slow
from tiny import random_task, save_model

pytestmark = pytest.mark.usefixtures("short_check")
BUDGET = 40


class Interrupted(Exception):
    """Stands for whatever ends a process."""


class Interrupter:
    """A reporter that ends the run in a phase, after some calls."""

    def __init__(self, phase: str = "", after: int = 0) -> None:
        self.phase, self.after = phase, after
        self.calls: dict[str, int] = {}

    def start(self, phase: str, total: int | None, unit: str) -> Callable[[int], None]:
        self.calls[phase] = 0

        def advance(done: int) -> None:
            self.calls[phase] += 1
            if phase == self.phase and self.calls[phase] > self.after:
                raise Interrupted

        return advance


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(save_model(tmp_path_factory.mktemp("model"), "llama"))


@pytest.fixture(scope="module")
def task() -> Task:
    return random_task(80, 3, test=20)


@pytest.fixture(scope="module")
def whole(model: LanguageModel, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run without interruption leaves."""
    out = tmp_path_factory.mktemp("whole")
    score(model, task, out=out, tokens_per_batch=BUDGET)
    return out


@pytest.fixture(autouse=True)
def every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", float("inf"))


def interrupt(model: LanguageModel, task: Task, out: Path, phase: str, after: int, **options: Any) -> None:
    with pytest.raises(Interrupted):
        score(model, task, out=out, reporter=Interrupter(phase, after), **{"tokens_per_batch": BUDGET, **options})


def manifest(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.loads((out / "progress" / "ledger.json").read_text())["ledger"])
    return content


def files(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def sums(out: Path) -> dict[str, bytes]:
    """Rows of pooled texts may be ahead of the sums: they are written again."""
    return {name: content for name, content in files(out).items() if not name.endswith(".part")}


# --- resuming --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 1, 4, 7])
def test_a_resumed_run_ends_like_a_whole_one(
    after: int, model: LanguageModel, task: Task, whole: Path, tmp_path: Path
) -> None:
    interrupt(model, task, tmp_path, "train texts", after)
    assert manifest(tmp_path)["done"] == after + 1
    assert manifest(tmp_path)["tokens_per_batch"] == BUDGET
    score(model, task, out=tmp_path, tokens_per_batch=BUDGET)
    assert_same(tmp_path, whole)


def test_a_run_may_be_interrupted_after_every_batch(
    model: LanguageModel, task: Task, whole: Path, tmp_path: Path
) -> None:
    batches = 0
    while True:
        try:
            score(model, task, out=tmp_path, tokens_per_batch=BUDGET, reporter=Interrupter("train texts", batches))
        except Interrupted:
            batches += 1
            assert len(list((tmp_path / "progress").iterdir())) == 3
        else:
            break
    assert batches > 10
    assert_same(tmp_path, whole)


@pytest.mark.parametrize(("phase", "after"), [("closed forms", 0), ("closed forms", 2), ("test texts", 1)])
@pytest.mark.parametrize("moments", ["keep", "drop"])
def test_the_pass_is_not_run_again_once_it_is_over(
    phase: str,
    after: int,
    moments: Literal["keep", "drop"],
    model: LanguageModel,
    task: Task,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Without a checkpoint at intervals: the end of the pass is one in any case.
    monkeypatch.setattr(checkpoint, "INTERVAL", 1e9)
    interrupt(model, task, tmp_path / "run", phase, after, moments=moments)
    added: list[int] = []
    monkeypatch.setattr(Moments, "add", lambda *_: added.append(1))
    score(model, task, out=tmp_path / "run", tokens_per_batch=BUDGET, moments=moments)
    assert not added
    monkeypatch.undo()
    if moments == "drop":
        score(model, task, out=tmp_path / "dropped", tokens_per_batch=BUDGET, moments="drop")
    assert_same(tmp_path / "run", whole if moments == "keep" else tmp_path / "dropped")


def test_the_recorded_plan_is_followed(model: LanguageModel, task: Task, whole: Path, tmp_path: Path) -> None:
    """Without a wish of the user's, the batch budget is that of the run's beginning."""
    interrupt(model, task, tmp_path, "train texts", 3)
    score(model, task, out=tmp_path)
    assert_same(tmp_path, whole)


def test_no_resume_begins_again(model: LanguageModel, task: Task, whole: Path, tmp_path: Path) -> None:
    interrupt(model, task, tmp_path, "train texts", 3)
    steps = Interrupter()
    visits = model.num_layers + 1
    added = 0
    add = Moments.add

    def count(*arguments: Any) -> None:
        nonlocal added
        added += 1
        add(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Moments, "add", count)
        score(model, task, out=tmp_path, tokens_per_batch=BUDGET, resume=False, reporter=steps)
    assert added == visits * steps.calls["train texts"]
    assert_same(tmp_path, whole)


def test_the_file_of_a_manifest_keeps_its_keys(tmp_path: Path) -> None:
    """Progress of earlier versions is continued, whatever the attributes are called now."""
    run, files = {"model": "m"}, {"index.json": "ab"}
    written = Manifest(run, {}, 40, 1, 3, (0, 2), 9, 4, True, "moments", files, 20, ("note",))
    plain = {"run": run, "conditions": {}, "tokens_per_batch": 40, "rank": 1, "world": 3, "earlier": [0, 2]}
    plain |= {"batches": 9, "done": 4, "whole": True, "place": "moments", "files": files, "largest": 20}
    text = json.dumps({**plain, "notes": ["note"]})
    (tmp_path / "old").write_text(json.dumps({"sha256": sha256(text.encode()).hexdigest(), "ledger": text}) + "\n")
    assert read_manifest(tmp_path / "old") == written
    write_manifest(tmp_path / "new", written)
    assert (tmp_path / "new").read_bytes() == (tmp_path / "old").read_bytes()


def test_intervals_are_kept(model: LanguageModel, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "INTERVAL", 1e9)
    interrupt(model, task, tmp_path, "train texts", 5)
    assert list(tmp_path.iterdir()) == []


def test_writing_takes_a_small_share_of_the_time(
    model: LanguageModel, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SHARE", 1e-9)
    interrupt(model, task, tmp_path, "train texts", 5)
    assert manifest(tmp_path)["done"] == 1


def test_other_conditions_are_told(model: LanguageModel, task: Task, tmp_path: Path) -> None:
    """Another number of threads moves the last bits; the result says so, however often the run is interrupted."""
    threads = torch.get_num_threads()
    interrupt(model, task, tmp_path, "train texts", 3)
    try:
        torch.set_num_threads(threads + 1)
        interrupt(model, task, tmp_path, "train texts", 6)
        result = score(model, task, out=tmp_path, tokens_per_batch=BUDGET)
    finally:
        torch.set_num_threads(threads)
    told = [warning for warning in result.warnings if "interrupted" in warning]
    assert len(told) == 1 and f"threads {threads + 1}" in told[0]


# --- progress that cannot be used ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pooling": "last"}, r"pooling \(mean then, last now\)"),
        ({"layers": "1"}, "layers"),
        ({"max_length": 5}, "max_length"),
        ({"convention": "released"}, r"convention \(paper then, released now\)"),
        ({"tokens_per_batch": 41}, r"tokens_per_batch \(40 then, 41 now\)"),
        ({"moments": "drop"}, r"moments \(keep then, drop now\)"),
        ({"test": False}, "test"),
        ({"task": random_task(81, 3, test=20)}, "texts"),
    ],
)
def test_the_progress_of_another_run_is_refused(
    options: dict[str, Any], words: str, model: LanguageModel, task: Task, tmp_path: Path
) -> None:
    interrupt(model, task, tmp_path, "train texts", 3)
    before = files(tmp_path)
    arguments = {"task": task, "tokens_per_batch": BUDGET, **options}
    for resume in (True, False):
        with pytest.raises(InputError, match=words) as caught:
            score(model, out=tmp_path, resume=resume, **arguments)
        assert "`overwrite`" in str(caught.value) and "settings_hash" not in str(caught.value)
    assert files(tmp_path) == before
    score(model, out=tmp_path, overwrite=True, **arguments)
    assert not (tmp_path / "progress").exists()


def test_a_model_that_was_trained_on_is_another_one(task: Task, tmp_path: Path) -> None:
    """One folder, other weights: sums of both would be sums of nothing."""
    folder = save_model(tmp_path / "model", "llama")
    interrupt(load_model(folder), task, tmp_path / "run", "train texts", 3)
    trained = load_model(folder)
    with torch.no_grad():
        trained.blocks[1].get_parameter("mlp.down_proj.weight").add_(1e-3)
    with pytest.raises(InputError, match="model weights"):
        score(trained, task, out=tmp_path / "run", tokens_per_batch=BUDGET)


@pytest.mark.parametrize("name", ["layer.001.safetensors", "targets.safetensors", "index.json", "../ledger.json"])
@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_damaged_progress_is_refused(name: str, how: str, model: LanguageModel, task: Task, tmp_path: Path) -> None:
    if name == "../ledger.json" and how == "gone":
        pytest.skip("no manifest, no progress")
    interrupt(model, task, tmp_path, "train texts", 3)
    path = (tmp_path / manifest(tmp_path)["place"] / name).resolve()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"flipped": bytes(content), "cut": bytes(content[: len(content) // 2]), "gone": b""}[how])
    if how == "gone":
        path.unlink()
    before = files(tmp_path)
    with pytest.raises(InputError, match=r"damaged.*`overwrite`") as caught:
        score(model, task, out=tmp_path, tokens_per_batch=BUDGET)
    assert path.name in str(caught.value)
    assert files(tmp_path) == before
    score(model, task, out=tmp_path, tokens_per_batch=BUDGET, overwrite=True)
    assert not (tmp_path / "progress").exists()


def test_a_finished_result_is_refused_as_ever(model: LanguageModel, task: Task, whole: Path) -> None:
    before = files(whole)
    with pytest.raises(InputError, match="already holds a result"):
        score(model, task, out=whole, tokens_per_batch=BUDGET)
    assert files(whole) == before


def test_an_old_result_stays_until_the_new_pass_is_over(model: LanguageModel, task: Task, tmp_path: Path) -> None:
    score(model, task, out=tmp_path, layers="1")
    before = files(tmp_path)
    interrupt(model, task, tmp_path, "train texts", 3, overwrite=True)
    kept = {name: content for name, content in files(tmp_path).items() if not name.startswith("progress/")}
    assert {**kept, ".ntps.json": before[".ntps.json"]} == before
    interrupt(model, task, tmp_path, "closed forms", 1, overwrite=True)
    assert not (tmp_path / "result.json").exists()
    assert len(score(model, task, out=tmp_path, tokens_per_batch=BUDGET).to_dict()["layers"]) > 1


# --- death while writing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["write_moments", "write_manifest", "_digest", "_sweep"])
@pytest.mark.parametrize("count", [0, slow(1), 3])
def test_death_at_any_step_of_a_checkpoint(
    step: str,
    count: int,
    model: LanguageModel,
    task: Task,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The step is done, or half done, and nothing after it."""
    owner: Any = checkpoint.Checkpoint if step == "_sweep" else checkpoint
    original, calls = getattr(owner, step), 0

    def die(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > count:
            if calls % 2:
                original(*arguments)
            raise Interrupted
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, die)
        with pytest.raises(Interrupted):
            score(model, task, out=tmp_path, tokens_per_batch=BUDGET)
    (tmp_path / ".result.json.1.tmp").write_text("half")
    score(model, task, out=tmp_path, tokens_per_batch=BUDGET)
    assert_same(tmp_path, whole)


@pytest.mark.parametrize("failing", ["layer.002.safetensors", "index.json", "ledger.json"])
def test_a_full_disk_is_one_sentence_and_keeps_the_last_checkpoint(
    failing: str,
    model: LanguageModel,
    task: Task,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupt(model, task, tmp_path, "train texts", 3)
    before = sums(tmp_path)
    replace = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if target.name == failing:
            raise OSError(28, "No space left on device")
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(InputError, match="No space left on device; free the space"):
            score(model, task, out=tmp_path, tokens_per_batch=BUDGET)
    assert before.items() <= sums(tmp_path).items()
    assert failing == "ledger.json" or sums(tmp_path) == before
    score(model, task, out=tmp_path, tokens_per_batch=BUDGET)
    assert_same(tmp_path, whole)


# --- two at a time ---------------------------------------------------------------------------------------------------


def test_two_runs_into_one_folder(model: LanguageModel, task: Task, tmp_path: Path) -> None:
    scored = score(model, task)
    with claim_folder(tmp_path / "run", overwrite=False):
        for overwrite in (False, True):
            with pytest.raises(InputError, match="another run is writing"):
                score(model, task, out=tmp_path / "run", overwrite=overwrite)
        with pytest.raises(InputError, match="another run is writing"):
            scored.save(tmp_path / "run")
        assert [path.name for path in (tmp_path / "run").glob("*.lock")] == [".ntps.lock"]
    score(model, task, out=tmp_path / "run")


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    hold = (
        "import os, sys; from pathlib import Path; from ntps.checkpoint.lock import claim_folder\n"
        "with claim_folder(Path(sys.argv[1]), False): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="another run is writing"), claim_folder(tmp_path, overwrite=False):
            pass
        process.kill()
    assert (tmp_path / ".ntps.lock").exists()
    with claim_folder(tmp_path, overwrite=False):
        pass
    assert not (tmp_path / ".ntps.lock").exists()

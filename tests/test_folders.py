"""What ntps did not write, it does not touch: whatever command, whatever folder, also with --overwrite."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import ntps
from grid import run_grid, save_grid
from ntps.cli import main
from ntps.errors import InputError
from ntps.study.definition import parse_study
from ntps.study.names import file_name
from ntps.study.status import Status
from tiny import save_model, save_task

Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, two tasks, and the score of each with all that can be kept."""
    folder = tmp_path_factory.mktemp("inputs")
    save_model(folder / "model")
    for seed, name in enumerate(("first", "second")):
        save_task(folder / f"{name}.jsonl", 40, seed=seed)
        ntps.score(folder / "model", folder / f"{name}.jsonl", out=folder / name, keep_pooled=True)
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs ``ntps`` in the folder of the test; exit status and what it said."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["ntps", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), " ".join(capsys.readouterr().err.split())

    return command


def snapshot(folder: Path) -> dict[str, Any]:
    """Names, bytes and targets of links."""
    found = {}
    for path in sorted(folder.rglob("*")):
        content = path.readlink() if path.is_symlink() else None if path.is_dir() else path.read_bytes()
        found[str(path.relative_to(folder))] = content
    return found


def commands(inputs: Path) -> dict[str, tuple[object, ...]]:
    model, task = inputs / "model", inputs / "first.jsonl"
    return {
        "score": ("score", model, task),
        "pooled": ("score", model, task, "--keep-pooled", "--moments", "drop"),
        "from": ("score", "--from", inputs / "first"),
        "merge": ("merge", inputs / "first", inputs / "second"),
        "probe": ("probe", model, task),
        "lora": ("finetune", model, task, "--steps", 1),
        "full": ("finetune", model, task, "--steps", 1, "--method", "full"),
        "words": ("words", inputs / "first", "--list", "A=ba,be"),
        "report": ("report", inputs / "first"),
        "paper": ("paper",),
    }


PLACES = ("../precious", "/precious", "", "**")
DAMAGED = ("{", "[]", '{"wrote": "moments", "run": null}', *(f'{{"wrote": ["{p}"], "run": null}}' for p in PLACES))
RESULTS = ("result.json", "curves.parquet", "moments/diary.md", "pooled/train/diary.md")
IN_THE_WAY = [
    *((name, thing) for name in ("score", "pooled", "from", "merge", "probe", "lora", "full") for thing in RESULTS),
    *((name, "progress/diary.md") for name in ("score", "lora", "full")),
    ("lora", "adapter/diary.md"),
    ("full", "model/diary.md"),
    ("words", "result.json"),
    ("report", "report.html"),
    ("report", "tables/diary.md"),
    ("report", "figures/diary.md"),
    ("paper", "figure_1.png"),
]


@pytest.mark.parametrize(("name", "thing"), IN_THE_WAY)
def test_what_is_in_the_way_is_left_alone(name: str, thing: str, inputs: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / thing).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / thing).write_text("mine")
    before, more = snapshot(tmp_path), () if name in ("words", "report", "paper") else ((), ("--overwrite",))
    for options in more or ((),):
        status, said = run(*commands(inputs)[name], "--out", ".", *options)
        assert status == 2 and f"holds {thing.partition('/')[0]}" in said and "choose another --out" in said
        assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["score", "merge", "probe", "lora", "report"])
def test_what_is_not_in_the_way_stays_and_is_written_beside(name: str, inputs: Path, run: Run, tmp_path: Path) -> None:
    for thing in ("notes.md", ".lock", "model/config.json", "data/train.csv"):
        (tmp_path / thing).parent.mkdir(exist_ok=True)
        (tmp_path / thing).write_text("mine")
    before = snapshot(tmp_path)
    for options in ((), () if name == "report" else ("--overwrite",)):
        assert run(*commands(inputs)[name], "--out", ".", *options)[0] == 0
        after = snapshot(tmp_path)
        assert {thing: after.get(thing) for thing in before} == before and len(after) > len(before)


@pytest.mark.parametrize("thing", ["moments", "progress", "curves.parquet"])
def test_links_are_not_followed(thing: str, inputs: Path, run: Run, tmp_path: Path) -> None:
    shutil.copytree(inputs / "first", tmp_path / "precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / thing).symlink_to(tmp_path / "precious" / ("moments" if thing == "moments" else thing))
    before = snapshot(tmp_path)
    for options in ((), ("--overwrite",)):
        status, said = run(*commands(inputs)["score"], "--out", "out", *options)
        assert status == 2 and f"holds {thing}" in said
        assert snapshot(tmp_path) == before


def test_a_file_in_a_folder_of_ours_stays(inputs: Path, run: Run, tmp_path: Path) -> None:
    assert run(*commands(inputs)["full"], "--out", "out")[0] == 0
    (tmp_path / "out" / "model" / "NOTES.md").write_text("mine")
    before = snapshot(tmp_path)
    status, said = run(*commands(inputs)["full"], "--out", "out", "--overwrite")
    assert status == 2 and "NOTES.md was not written by ntps" in said
    assert snapshot(tmp_path) == before
    (tmp_path / "out" / "model" / "NOTES.md").unlink()
    assert run(*commands(inputs)["full"], "--out", "out", "--overwrite")[0] == 0


def test_what_is_read_is_never_replaced(inputs: Path, run: Run, tmp_path: Path) -> None:
    assert run(*commands(inputs)["full"], "--out", ".")[0] == 0
    assert run(*commands(inputs)["score"], "--out", "scored")[0] == 0
    before, task = snapshot(tmp_path), inputs / "first.jsonl"
    shutil.copy(task, tmp_path / "scored" / "moments" / "task.jsonl")
    for command in (
        ("finetune", "./model", task, "--method", "full", "--steps", 1, "--out", "."),
        ("finetune", tmp_path / "model", task, "--steps", 1, "--out", "."),
        ("score", inputs / "model", "scored/moments/task.jsonl", "--out", "scored"),
    ):
        status, said = run(*command, "--overwrite")
        assert status == 2 and "is read, and would be replaced" in said
    (tmp_path / "scored" / "moments" / "task.jsonl").unlink()
    for reads in (("score", "--from", "scored"), ("merge", "scored", str(inputs / "second")), ("words", "scored")):
        more = ("--list", "A=ba") if reads[0] == "words" else ("--overwrite",)
        assert run(*reads, "--out", "scored", *more)[0] == 2
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["score", "from", "merge", "probe", "lora", "words", "report", "paper"])
def test_an_empty_out_is_no_folder(name: str, inputs: Path, run: Run, tmp_path: Path) -> None:
    status, said = run(*commands(inputs)[name], "--out", "")
    assert status == 2 and "--out is empty" in said
    assert not snapshot(tmp_path)


def test_an_empty_out_is_no_folder_in_python_either(inputs: Path) -> None:
    for call in (
        lambda: ntps.score(inputs / "model", inputs / "first.jsonl", out=""),
        lambda: ntps.merge([inputs / "first", inputs / "second"], ""),
        lambda: ntps.rescore(inputs / "first", out=""),
        lambda: ntps.run_study("demo", ""),
    ):
        with pytest.raises(InputError, match="`out` is empty"):
            call()


@pytest.mark.parametrize("account", DAMAGED)
def test_a_damaged_account_stops_everything(account: str, inputs: Path, run: Run, tmp_path: Path) -> None:
    shutil.copytree(inputs / "first", tmp_path / "out")
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "out" / ".ntps.json").write_text(account)
    before = snapshot(tmp_path)
    status, said = run(*commands(inputs)["score"], "--out", "out", "--overwrite")
    assert status == 2 and "nothing says what in out ntps wrote" in said
    assert snapshot(tmp_path) == before


def test_an_account_that_is_a_link_is_nobodys(inputs: Path, run: Run, tmp_path: Path) -> None:
    shutil.copytree(inputs / "first", tmp_path / "out")
    (tmp_path / "out" / ".ntps.json").rename(tmp_path / "precious")
    (tmp_path / "out" / ".ntps.json").symlink_to("../precious")
    before = snapshot(tmp_path)
    status, said = run(*commands(inputs)["score"], "--out", "out", "--overwrite")
    assert status == 2 and ".ntps.json is not what ntps writes" in said
    assert snapshot(tmp_path) == before


def test_what_somebody_puts_beside_checkpoints_stays(inputs: Path, tmp_path: Path) -> None:
    """Also where older checkpoints make room for newer ones."""
    mine = ("checkpoint-1/diary.md", "checkpoint-2/sub/diary.md", "runs/diary.md")

    class Guest:
        """A reporter that leaves files."""

        steps = 0

        def start(self, phase: str, _total: int | None, _unit: str) -> Callable[[int], None]:
            return self.step if phase == "training" else lambda _count: None

        def step(self, count: int) -> None:
            self.steps += count
            if self.steps == 3:
                for name in mine:
                    (tmp_path / "progress" / name).parent.mkdir(parents=True, exist_ok=True)
                    (tmp_path / "progress" / name).write_text("mine")

    ntps.finetune(
        inputs / "model", inputs / "first.jsonl", ntps.LoRA(steps=6), save_every=1, out=tmp_path, reporter=Guest()
    )
    assert (tmp_path / "result.json").exists()
    assert sorted(snapshot(tmp_path / "progress")) == sorted(
        {*mine, *(str(parent) for name in mine for parent in Path(name).parents if parent.name)}
    )


# --- studies ---------------------------------------------------------------------------------------------------------


def study_of(tmp_path: Path, inputs: Path, **model: str) -> Path:
    content = {
        "models": [{"id": str(inputs / "model"), **model}],
        "tasks": [{"id": str(inputs / "first.jsonl"), "name": "task"}],
        "measurements": {"score": None},
    }
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_no_name_and_no_revision_leads_elsewhere(inputs: Path, run: Run, tmp_path: Path) -> None:
    victim = tmp_path / "victim" / "task" / "score"
    victim.mkdir(parents=True)
    (victim / "precious.txt").write_text("mine")
    here = tmp_path / "here"
    here.mkdir()
    climb = "../" * 20 + str(tmp_path / "victim").lstrip("/")
    path = study_of(here, inputs, id=f"a/b@{climb}", name="n")
    before = snapshot(tmp_path / "victim")
    assert run("study", path, "--out", here / "out")[0] == 3
    assert snapshot(tmp_path / "victim") == before
    assert all("results/n/" in str(each) for each in (here / "out" / "results").rglob("*.json"))
    for more in ({"name": ".."}, {"name": "."}, {"id": "a/b@..", "name": "n"}, {"id": "a/b@.", "name": "n"}):
        status, said = run("study", study_of(here, inputs, **more), "--out", here / "other")
        assert status == 2 and "cannot be the name of a folder" in said and "models.1" in said
    assert not (here / "other").exists()


def test_the_name_of_a_study_is_no_path(inputs: Path, run: Run, tmp_path: Path) -> None:
    path = study_of(tmp_path, inputs)
    path.write_text("name: ../../evil\n" + path.read_text())
    assert run("study", path)[0] == 0
    assert {each.name for each in tmp_path.iterdir()} == {"study.yaml", "study-.._.._evil"}


def test_names_are_made_for_one_folder() -> None:
    assert file_name("refs/pr/1") == "refs_pr_1"
    model = parse_study("models: [{id: 'a/b@refs/pr/1', name: n}]\ntasks: [x]\nmeasurements: {score: }", "s").models[0]
    assert model.folder == Path("n/refs_pr_1")


@pytest.mark.parametrize("how", ["file", "nested", "link"])
@pytest.mark.parametrize("overwrite", ["only-missing", "always", "failed"])
def test_a_study_empties_no_folder_of_others(how: str, overwrite: str, tmp_path: Path) -> None:
    grid, folder = save_grid(tmp_path / "grid"), tmp_path / "out" / "results" / "model" / "local" / "first" / "score"
    precious = tmp_path / "precious" if how == "link" else folder
    precious.mkdir(parents=True)
    if how == "link":
        folder.parent.mkdir(parents=True)
        folder.symlink_to(precious)
    (precious / "sub").mkdir()
    (precious / ("sub/diary.md" if how == "nested" else "diary.md")).write_text("mine")
    before = snapshot(precious)
    outcomes = run_grid(grid, tmp_path / "out", overwrite)
    assert outcomes["first/score"].state.status is Status.failed
    cause = str(outcomes["first/score"].state.cause)
    assert ("leads to" if how == "link" else "something that no study wrote") in cause
    assert outcomes["second/score"].state.status is Status.done
    assert snapshot(precious) == before


def test_what_somebody_put_into_a_finished_run_stays(tmp_path: Path) -> None:
    grid, folder = save_grid(tmp_path / "grid"), tmp_path / "out" / "results" / "model" / "local" / "first" / "score"
    run_grid(grid, tmp_path / "out")
    (folder / "diary.md").write_text("mine")
    before = snapshot(folder)
    outcome = run_grid(grid, tmp_path / "out", "always")["first/score"]
    assert outcome.state.status is Status.failed and "no study wrote" in str(outcome.state.cause)
    assert snapshot(folder) == before


def test_a_file_that_is_no_study_is_not_replaced(inputs: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "study.json").write_text("[1]")
    status, said = run("study", study_of(tmp_path, inputs), "--out", "out")
    assert status == 2 and "holds study.json" in said
    assert (tmp_path / "out" / "study.json").read_text() == "[1]"


def test_each_result_is_read_a_fixed_number_of_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ntps.study import runs

    grid, read = save_grid(tmp_path / "grid"), runs._read
    times: list[Path] = []

    def counted(path: Path) -> Any:
        times.append(path)
        return read(path)

    monkeypatch.setattr(runs, "_read", counted)
    run_grid(grid, tmp_path / "out")
    folder = tmp_path / "out" / "results" / "model" / "local" / "first" / "score"
    assert times.count(folder / "result.json") == 1
    times.clear()
    run_grid(grid, tmp_path / "out")
    # Before anything is made, and when its turn comes.
    assert times.count(folder / "result.json") == 2

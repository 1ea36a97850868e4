"""The command line: results on stdout, one sentence on stderr for whatever goes wrong, and the right exit status."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from ntps import InputError, ProbeResult, ScoreResult, api, probe
from ntps.api import loading, scoring
from ntps.checkpoint.lock import claim_folder
from ntps.cli import main
from ntps.models.files import is_cached
from ntps.moments.accumulator import Moments
from ntps.scoring.record import ScoreRecord
from tiny import DEPTH, random_texts, save_model, save_rows, save_task
from unwrapped import unwrapped


@dataclass(frozen=True)
class Done:
    """What a command left."""

    status: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The error: exactly one sentence, and nothing else on stderr."""
        found = re.fullmatch(r"Error: (.+)\.\n", unwrapped(self.err))
        assert found, self.err
        assert not re.search(r"[.!?] [A-Z]|Traceback", found[1]), self.err
        return found[1]


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``ntps`` in this process."""

    def command(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["ntps", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return Done(code if isinstance(code, int) else int(code is not None), *capsys.readouterr())

    return command


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_task(tmp_path_factory.mktemp("tasks") / "words.jsonl", 100)


# --- the main job ----------------------------------------------------------------------------------------------------


def test_score_ends_with_a_table_and_three_lines(model: Path, task: Path, tmp_path: Path, run: Run) -> None:
    done = run("score", model, task, "--out", tmp_path / "run")
    assert done.status == 0
    assert "100 texts" in done.out and "3 classes" in done.out
    assert all(name in done.out.lower() for name in ("embed", "block.1", "block.2", "final_norm", "next-token"))
    assert str(tmp_path / "run") in done.out.replace("\n", "")
    assert {file.name for file in (tmp_path / "run").iterdir()} == {
        ".ntps.json",
        "result.json",
        "curves.parquet",
        "left_out.safetensors",
        "moments",
    }
    assert "Text column" in done.err and "\r" not in done.err


def test_json_alone_is_on_stdout(model: Path, task: Path, tmp_path: Path, run: Run) -> None:
    done = run("score", model, task, "--json", "--out", tmp_path / "run")
    assert done.status == 0
    assert json.loads(done.out) == ScoreResult.load(tmp_path / "run").to_dict()


def test_a_result_says_what_made_it(model: Path, task: Path, tmp_path: Path, run: Run) -> None:
    arguments = ["probe", str(model), str(task), "--layers=-1", "--no-test", "--out", str(tmp_path / "a folder")]
    assert run(*arguments).status == 0
    assert ProbeResult.load(tmp_path / "a folder").to_dict()["command"] == shlex.join(["ntps", *arguments])
    assert run("report", tmp_path / "a folder").status == 0
    assert shlex.join(arguments) in unescape((tmp_path / "a folder" / "report" / "report.html").read_text())
    assert probe(str(model), str(task), layers="-1", test=False).to_dict()["command"] is None


def test_quiet_says_the_result_only(model: Path, tmp_path: Path, run: Run) -> None:
    task = save_task(tmp_path / "many.jsonl", 200)
    done = run("score", model, task, "-q")
    assert (done.status, done.err) == (0, "")
    assert "final_norm" in done.out


def test_options_reach_the_result(model: Path, tmp_path: Path, run: Run) -> None:
    rows = [{"words": text, "other": "x y", "mood": number % 2} for number, text in enumerate(random_texts(80))]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    chosen = "--text-column words --text-column other --label-column mood --limit 60 --limit-first --layers 1,-1"
    computed = "--pooling last --convention released --dtype float64 --max-length 6 --tokens-per-batch 50 --no-test"
    written = f"--moments drop --json -q --device cpu --tokenizer {model} --seed 3 --out {tmp_path / 'run'}"
    done = run("score", model, tmp_path / "rows.jsonl", *chosen.split(), *computed.split(), *written.split())
    assert done.status == 0, done.err
    result = json.loads(done.out)
    assert result["task"]["texts"] == 60 and result["task"]["classes"] == 2
    expected: dict[str, Any] = {"pooling": "last", "convention": "released", "dtype": "float64", "max_length": 6}
    expected |= {"tokens_per_batch": 50, "test": False, "layers": [1, DEPTH]}
    assert expected.items() <= result["settings"].items()
    assert not (tmp_path / "run" / "moments").exists()


def test_a_dry_run_says_what_the_run_takes_and_writes_nothing(
    model: Path, task: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "run_score", lambda *_a, **_o: pytest.fail("it ran"))
    done = run("score", model, task, "--dry-run", "--out", tmp_path / "run", "--keep-pooled", "-q")
    assert done.status == 0 and done.err == "", done.err
    for word in ("train texts", "100,", "memory", "weights", "pooled", "time", "torchrun"):
        assert word in done.out, word
    as_json = run("score", model, task, "--dry-run", "--json", "--tokens-per-batch", 50, "--out", tmp_path / "run")
    said = json.loads(as_json.out)
    assert said["texts"]["train"]["texts"] == 100 and said["settings"]["tokens_per_batch"] == 50
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["score", "probe", "finetune"])
@pytest.mark.parametrize("wrong", ["auto", "many", "-5", "0"])
def test_a_budget_is_a_positive_number(model: Path, task: Path, run: Run, command: str, wrong: str) -> None:
    done = run(command, model, task, "--tokens-per-batch", wrong, "-q")
    assert done.status == 2
    assert "--tokens-per-batch" in done.err


def test_from_scores_again_without_the_model(model: Path, task: Path, tmp_path: Path, run: Run) -> None:
    assert run("score", model, task, "-q", "--keep-pooled", "--out", tmp_path / "run").status == 0
    rows = [json.loads(line) for line in task.read_text().splitlines()]
    other = save_rows(tmp_path / "other.jsonl", [row["text"] for row in rows], [row["label"] % 2 for row in rows])
    same = run("score", "--from", tmp_path / "run", "--json", "--centered", "--layers", "1")
    assert same.status == 0, same.err
    assert json.loads(same.out)["settings"]["layers"] == [1]
    done = run("score", "--from", tmp_path / "run", other, "--json", "--out", tmp_path / "again")
    assert done.status == 0, done.err
    result = json.loads(done.out)
    assert result["task"]["classes"] == 2 and result == ScoreResult.load(tmp_path / "again").to_dict()
    assert result["rescored"] == {**result["rescored"], "from": str(tmp_path / "run"), "used": ["moments", "pooled"]}


@pytest.mark.parametrize(
    ("options", "named"),
    [("--dtype float64", "--dtype"), ("--limit 5", "--limit"), ("--keep-pooled", "--keep-pooled"), ("a b", "no model")],
)
def test_from_refuses_what_has_no_effect(options: str, named: str, tmp_path: Path, run: Run) -> None:
    done = run("score", "--from", tmp_path, *options.split(), "-q")
    assert done.status == 2 and named in done.sentence


def test_overwriting_must_be_asked_for(model: Path, task: Path, tmp_path: Path, run: Run) -> None:
    arguments = ("score", model, task, "-q", "--no-test", "--out", tmp_path)
    assert run(*arguments).status == 0
    before = (tmp_path / "result.json").read_bytes()
    refused = run(*arguments)
    assert refused.status == 2 and "--overwrite" in refused.sentence
    assert (tmp_path / "result.json").read_bytes() == before
    assert run(*arguments, "--overwrite").status == 0


def test_a_wrong_model_is_noticed_before_the_task_is_read(
    task: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_task", lambda *_given, **_options: pytest.fail("the task was read"))
    for arguments in ((tmp_path / "no-model", task), ("demo", task, "--tokenizer", tmp_path / "no-tokenizer")):
        done = run("score", *arguments, "-q")
        assert done.status == 2 and "there is no folder" in done.sentence


# --- probes ----------------------------------------------------------------------------------------------------------


def test_probe_ends_with_a_table_and_sentences(model: Path, task: Path, tmp_path: Path, run: Run) -> None:
    done = run("probe", model, task, "--out", tmp_path / "run")
    assert done.status == 0
    assert all(part in done.out for part in ("100 texts", "3 classes", f"{DEPTH} final_norm", "all layers"))
    said = unwrapped(done.out)
    assert re.search(r"accuracy \d+\.\d % \(.* to .*\) on training texts left out; the most frequent class", said)
    assert "is the layer where a ridge probe has the highest accuracy on training texts left out" in said
    files = {".ntps.json", "result.json", "curves.parquet", "probe.safetensors"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == files


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (("--kind", "ols", "--no-intercept"), {"kind": "ols", "intercept": False}),
        (("--kind", "logistic", "--solver", "saga"), {"kind": "logistic", "solver": "saga"}),
        (
            ("--kind", "adamw", "--epochs", 2, "--batch-size", 8, "--learning-rate", 0.1, "--weight-decay", 0),
            {"kind": "adamw", "epochs": 2, "batch_size": 8, "learning_rate": 0.1, "weight_decay": 0.0, "dropout": 0.05},
        ),
        (("--kind", "adamw", "--epochs", 1, "--dropout", 0.5, "--seed", 3), {"dropout": 0.5, "seed": 3}),
    ],
)
def test_every_option_of_a_probe_arrives(
    options: tuple[object, ...], settings: dict[str, Any], model: Path, task: Path, run: Run
) -> None:
    done = run("probe", model, task, *options, "--layers", "1,-1", "--json", "-q")
    assert done.status == 0
    record = json.loads(done.out)
    assert record["kind"] == "probe" and [row["layer"] for row in record["layers"]] == [1, DEPTH]
    assert settings.items() <= record["settings"].items()


def test_probes_share_the_rules_of_folders(model: Path, task: Path, tmp_path: Path, run: Run) -> None:
    assert run("probe", model, task, "--out", tmp_path).status == 0
    assert "--overwrite" in run("probe", model, task, "--out", tmp_path, "-q").sentence
    assert run("probe", model, task, "--out", tmp_path, "--overwrite").status == 0


def test_an_option_of_another_kind_of_probe_is_refused(model: Path, task: Path, run: Run) -> None:
    done = run("probe", model, task, "--kind", "ols", "--epochs", 3, "-q")
    assert done.status == 2 and "--epochs" in done.sentence and "adamw" in done.sentence


# --- bad input -------------------------------------------------------------------------------------------------------


def _one_class(place: Path) -> Path:
    return save_rows(place / "one.jsonl", random_texts(20), [1] * 20)


def _empty(place: Path) -> Path:
    return save_rows(place / "empty.jsonl", [], [])


def _blank(place: Path) -> Path:
    return save_rows(place / "blank.jsonl", [" ", ""], [0, 1])


@pytest.mark.parametrize(
    ("make", "words"), [(_one_class, "one class"), (_empty, "empty.jsonl"), (_blank, "--text-column")]
)
def test_tasks_that_cannot_be_scored(
    make: Callable[[Path], Path], words: str, model: Path, tmp_path: Path, run: Run
) -> None:
    done = run("score", model, make(tmp_path), "-q", "--out", tmp_path / "run")
    assert done.status == 2 and words in done.sentence
    assert not (tmp_path / "run").exists() and done.out == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--text-column", "nothing"], "nothing"),
        (["--label-column", "nothing"], "nothing"),
        (["--split", "night"], "night"),
        (["--layers", "9"], "layer 9"),
        (["--layers", "first"], "--layers"),
        (["--max-length", "1000"], "--max-length"),
        (["--max-length", "0"], "--max-length"),
        (["--tokens-per-batch", "0"], "--tokens-per-batch"),
        (["--device", "gpu"], "--device gpu"),
        (["--tokenizer", "./missing"], "./missing"),
    ],
)
def test_options_that_cannot_be(options: list[str], words: str, model: Path, task: Path, run: Run) -> None:
    done = run("score", model, task, *options, "-q")
    assert done.status == 2 and words in done.sentence


def test_a_data_folder_that_does_not_exist(model: Path, run: Run) -> None:
    done = run("score", model, "emotion", "--data-dir", "./nowhere", "-q")
    assert done.status == 2 and "nowhere" in done.sentence


def test_a_missing_file(model: Path, run: Run) -> None:
    done = run("score", model, "missing.jsonl", "-q")
    assert done.status == 2 and "missing.jsonl does not exist" in done.sentence


def test_a_task_that_is_nothing(model: Path, run: Run) -> None:
    done = run("score", model, "emotoin", "-q")
    assert done.status == 2 and "emotion" in done.sentence


def test_a_folder_without_a_model(task: Path, tmp_path: Path, run: Run) -> None:
    done = run("score", tmp_path, task, "-q")
    assert done.status == 2 and str(tmp_path) in done.sentence


@pytest.mark.parametrize("command", ["score", "doctor"])
def test_a_task_in_the_place_of_the_model(command: str, task: Path, run: Run) -> None:
    for name in ("emotion", task):
        done = run(command, name)
        assert done.status == 2 and "the first argument is the model" in done.sentence
        assert f"{command} demo {name}" in done.sentence


def test_a_hub_model_without_its_owner(task: Path, run: Run) -> None:
    done = run("score", "gpt2", task, "-q")
    assert done.status == 2 and "owner/name, such as openai-community/gpt2" in done.sentence


def test_signs_that_standard_output_lacks_do_no_harm(model: Path, task: Path) -> None:
    command: list[str | Path] = [sys.executable, "-m", "ntps", "score", model, task, "--layers=-1"]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "final_norm" in done.stdout.decode("cp1252")


def test_models_are_cached_once_their_weights_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    commit = "1" * 40
    repository = tmp_path / "models--some--model"
    snapshot = repository / "snapshots" / commit
    for folder in (snapshot, repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    assert not is_cached("some/model")
    (snapshot / "config.json").write_text("{}")
    (snapshot / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}'
    )
    (snapshot / "1.safetensors").touch()
    assert not is_cached("some/model")
    (snapshot / "2.safetensors").touch()
    assert is_cached("some/model")


def test_a_model_folder_that_does_not_exist(task: Path, run: Run) -> None:
    done = run("score", "./missing", task, "-q")
    assert done.status == 2 and "./missing" in done.sentence


@pytest.mark.parametrize("out", ["file", "file/run", "/proc/nowhere"])
def test_an_output_folder_that_cannot_be_written(out: str, model: Path, task: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "file").touch()
    done = run("score", model, task, "-q", "--out", tmp_path / out)
    assert done.status == 2 and "--out" in done.sentence
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_another_run_writes_to(model: Path, task: Path, tmp_path: Path, run: Run) -> None:
    with claim_folder(tmp_path, overwrite=False):
        done = run("score", model, task, "-q", "--out", tmp_path)
    assert done.status == 2 and "another run" in done.sentence


def test_an_interrupted_run_is_continued_by_the_same_command(
    model: Path, task: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    arguments = ("score", model, task, "-q", "--no-test", "--out", tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(ScoreRecord, "write", interrupt)
        assert run(*arguments).status == 130
    with monkeypatch.context() as patch:
        patch.setattr(Moments, "add", interrupt)
        for other in ("--pooling=last", "--dtype=float64", "--tokens-per-batch=7", "--limit=70"):
            refused = run(*arguments, other)
            assert refused.status == 2 and "progress of another run" in refused.sentence
        assert run(*arguments, "--no-resume").status == 130
    assert run(*arguments).status == 0
    assert {file.name for file in tmp_path.iterdir()} == {
        ".ntps.json",
        "result.json",
        "curves.parquet",
        "left_out.safetensors",
        "moments",
    }


def test_weights_that_are_not_finite(model: Path, task: Path, tmp_path: Path) -> None:
    """As a process of its own: no traceback may come from anywhere."""
    spoiled = shutil.copytree(model, tmp_path / "spoiled")
    weights = load_file(spoiled / "model.safetensors")
    weights["layers.1.mlp.down_proj.weight"].fill_(float("nan"))
    save_file(weights, spoiled / "model.safetensors", {"format": "pt"})
    options = ["-q", "--out", str(tmp_path / "run")]
    command = [sys.executable, "-m", "ntps", "score", str(spoiled), str(task), *options]
    process = subprocess.run(command, capture_output=True, text=True)
    done = Done(process.returncode, process.stdout, process.stderr)
    assert done.status == 1 and done.out == ""
    assert "finite" in done.sentence
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [("score --dtype float31", "float31"), ("score --limit 0", "--limit"), ("score --nope", "nope"), ("nope", "nope")],
)
def test_usage_errors_have_status_2(arguments: str, words: str, run: Run) -> None:
    done = run(*arguments.split())
    assert done.status == 2 and done.out == "" and words in done.err and "Traceback" not in done.err


@pytest.mark.parametrize("name", ["a[b]c", "[red]x", ":car:", "a\\[b]"])
def test_names_are_said_as_they_are(name: str, model: Path, tmp_path: Path, run: Run) -> None:
    """Square brackets and colons are markup to rich, and file names and labels to people."""
    missing = run("score", model, tmp_path / name / "missing.jsonl", "-q")
    assert missing.status == 2 and name in missing.sentence
    folder = tmp_path / name
    folder.mkdir()
    task = save_rows(folder / f"{name}.jsonl", random_texts(200), [f"[/{number % 2}]" for number in range(200)])
    done = run("score", model, task, "--out", folder / "run")
    assert done.status == 0, done.err
    assert str(folder / "run") in done.out.replace("\n", "")
    assert f" on {task.name}\n" in done.err


def test_markup_in_an_error_is_no_markup(monkeypatch: pytest.MonkeyPatch, model: Path, task: Path, run: Run) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise InputError("the label [/bold] of [link=x]row 3[/link] is :car: odd")

    monkeypatch.setattr(api, "score", refuse)
    assert run("score", model, task, "-q").sentence == "the label [/bold] of [link=x]row 3[/link] is :car: odd"


# --- the rest --------------------------------------------------------------------------------------------------------


def test_an_interrupt_has_status_130(monkeypatch: pytest.MonkeyPatch, model: Path, task: Path, run: Run) -> None:
    def interrupt(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "score", interrupt)
    done = run("score", model, task, "-q")
    assert done.status == 130 and "Traceback" not in done.err


def test_a_defect_is_one_sentence_and_a_traceback_on_demand(
    monkeypatch: pytest.MonkeyPatch, model: Path, task: Path, run: Run
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(api, "score", fail)
    done = run("score", model, task, "-q")
    assert done.status == 1 and "ZeroDivisionError: by zero" in done.sentence
    verbose = run("score", model, task, "-v")
    assert verbose.status == 1 and "Traceback" in verbose.err


def test_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version") == Done(0, f"ntps {version('ntps')}\n", "")


@pytest.mark.parametrize("arguments", ["tasks -v --data-dir ./missing", "doctor -v ./missing", "score -v ./missing"])
def test_every_command_shows_where_an_error_comes_from(arguments: str, run: Run) -> None:
    done = run(*arguments.split())
    assert done.status == 2 and "Traceback" in done.err and "InputError" in done.err


def test_models_accepts_v_too(run: Run) -> None:
    assert run("models", "-v").status == 0


@pytest.mark.parametrize("command", [[], ["score"], ["probe"], ["finetune"], ["tasks"], ["models"], ["doctor"]])
def test_every_command_has_help(command: list[str], run: Run) -> None:
    done = run(*command, "--help")
    assert done.status == 0 and "Usage" in done.out and done.err == ""
    assert "Python" not in done.out


def test_tasks_lists_the_papers_twelve_and_our_own(run: Run) -> None:
    done = run("tasks")
    assert done.status == 0
    for name in ("emotion", "imdb", "banking77", "docstrings"):
        assert name in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    whole = " ".join(done.out.split())
    for words in ("CC BY-NC-SA 4.0", "dair-ai/emotion", "test may repeat train"):
        assert words in whole


def test_doctor_measures_what_batching_changes(model: Path, task: Path, run: Run) -> None:
    done = run("doctor", model, task, "--limit", "50")
    assert done.status == 0
    for words in ("torch", "transformers", "threads", "CUDA", "hidden states", "r2", "area", "Batching is sound"):
        assert words in done.out


def test_doctor_takes_the_options_that_choose_texts(model: Path, tmp_path: Path, run: Run) -> None:
    rows = [{"words": text, "other": "x y", "mood": number % 2} for number, text in enumerate(random_texts(40))]
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    chosen = "--text-column words --text-column other --label-column mood --split test --limit 30"
    done = run("doctor", model, tmp_path, *chosen.split())
    assert done.status == 0, done.err
    assert "Scoring 30 texts" in done.err


def test_doctor_tells_when_batching_is_unsound(
    model: Path, task: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    from ntps.forward import causality as check

    monkeypatch.setitem(check.TOLERANCE, torch.float32, 0.0)
    done = run("doctor", model, task, "--limit", "50")
    assert done.status == 1 and "Batching is sound" not in done.out and "more than rounding" in done.err


def test_doctor_takes_bad_input_as_score_does(model: Path, run: Run) -> None:
    done = run("doctor", model, "missing.jsonl")
    assert done.status == 2 and "missing.jsonl" in unwrapped(done.err).splitlines()[-1]

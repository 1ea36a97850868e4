"""The genuine hub clients download models from a stand-in hub on the loopback interface, through the command line."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub import HubClient, HubServer
from openelm import LAYERS, save_openelm
from tiny import save_model, save_task, tokenizer_of
from unwrapped import unwrapped

# The hub's clients ask a failing server again after seconds, for which no test needs to wait.
NTPS = """
import contextlib, io, sys, time
from ntps.cli import main
time.sleep = lambda seconds: None
def answer(arguments):
    sys.argv = ["ntps", *arguments]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            return [end.code or 0, out.getvalue(), err.getvalue()]
    return [0, out.getvalue(), err.getvalue()]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def hub(folder: Path) -> Iterator[HubServer]:
    with HubServer(folder / "repositories") as server:
        save_model(server.folder("models", "some/model"))
        save_model(server.folder("models", "some/model", "v2"), seed=1)
        save_openelm(server.folder("models", "apple/OpenELM-270M"))
        yield server


@pytest.fixture(scope="module")
def ntps(hub: HubServer, folder: Path) -> Iterator[HubClient]:
    with HubClient(hub, folder, NTPS) as client:
        yield client


@pytest.fixture(scope="module")
def task(folder: Path) -> str:
    return str(save_task(folder / "task.jsonl"))


@pytest.fixture
def repository(hub: HubServer, request: pytest.FixtureRequest) -> str:
    """A model of the test's own, to spoil."""
    name = f"own/{re.sub('[^a-z0-9]+', '-', request.node.name).strip('-')}"
    shutil.copytree(hub.folder("models", "some/model"), hub.folder("models", name))
    return name


def scored(client: HubClient, model: str, task: str, *options: str) -> dict[str, Any]:
    status, out, err = client.ask(["score", model, task, "--json", *options])[0]
    assert status == 0, err
    result: dict[str, Any] = json.loads(out)
    return result


def refusal(client: HubClient, model: str, task: str, *options: str) -> str:
    """What a refusal says, without the attempts that the hub's client reports before it."""
    status: int
    out: str
    err: str
    status, out, err = client.ask(["score", model, task, "-q", *options])[0]
    assert (status, out) == (2, ""), err
    *attempts, sentence = unwrapped(err).splitlines()
    assert all("HTTP Error" in line or line.startswith("Retrying") for line in attempts)
    assert sentence.startswith("Error: ") and sentence.endswith(".")
    assert "Traceback" not in err
    return sentence


def test_a_revision_chooses_the_weights_and_is_recorded_as_a_commit(
    hub: HubServer, ntps: HubClient, task: str, folder: Path
) -> None:
    found = {}
    for revision in ("main", "v2"):
        place = hub.folder("models", "some/model", revision)
        name = "some/model" if revision == "main" else f"some/model@{revision}"
        result = scored(ntps, name, task, "--out", str(folder / revision))
        assert json.loads((folder / revision / "result.json").read_text()) == result
        assert (result["model"]["id"], result["model"]["revision"]) == (name, hub.commit(place))
        local = scored(ntps, str(place), task)
        assert (local["layers"], local["model"]["revision"]) == (result["layers"], None)
        found[revision] = result
    assert found["main"]["layers"] != found["v2"]["layers"]
    pinned = scored(ntps, f"some/model@{hub.commit(hub.folder('models', 'some/model', 'v2'))}", task)
    assert pinned["layers"] == found["v2"]["layers"]
    assert pinned["model"]["revision"] == found["v2"]["model"]["revision"]


def test_only_what_is_needed_is_downloaded(hub: HubServer, ntps: HubClient, task: str, repository: str) -> None:
    place = hub.folder("models", repository)
    for name in ("pytorch_model.bin", "consolidated.safetensors", "model.fp16.safetensors", "onnx/model.onnx"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(b"not weights")
    before = len(hub.requests)
    scored(ntps, repository, task)
    asked = {request.rsplit("/", 1)[-1] for request in hub.requests[before:] if "/resolve/" in request}
    assert asked == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}


def test_weights_in_several_files(hub: HubServer, ntps: HubClient, task: str) -> None:
    from transformers import AutoModel

    whole, place = hub.folder("models", "some/model"), hub.folder("models", "some/shards")
    shutil.copytree(whole, place, ignore=shutil.ignore_patterns("*.safetensors"))
    AutoModel.from_pretrained(whole).save_pretrained(place, max_shard_size="20KB")
    shards = sorted(place.glob("model-*.safetensors"))
    assert len(shards) > 1
    assert scored(ntps, "some/shards", task)["layers"] == scored(ntps, str(whole), task)["layers"]
    shards[-1].unlink()
    assert f"some/shards lacks {shards[-1].name}" in refusal(ntps, "some/shards", task)


@pytest.mark.parametrize("name", ["apple/OpenELM-270M", "OpenELM-270M", "openelm-270m"])
def test_a_model_of_the_paper_by_name(
    name: str, hub: HubServer, ntps: HubClient, task: str, folder: Path, tmp_path: Path
) -> None:
    """OpenELM comes without a tokenizer and with code that does not run; Llama's has to be named."""
    message = refusal(ntps, name, task)
    assert name in message and "--tokenizer" in message and "meta-llama/Llama-2-7b-hf" in message
    tokenizer_of("llama").save_pretrained(tmp_path)
    result = scored(ntps, name, task, "--tokenizer", str(tmp_path))
    assert result["model"]["architecture"] == "OpenELMForCausalLM"
    assert result["model"]["revision"] == hub.commit(hub.folder("models", "apple/OpenELM-270M"))
    assert len(result["layers"]) == LAYERS + 1


def test_a_tokenizer_of_another_repository(hub: HubServer, ntps: HubClient, task: str) -> None:
    tokenizer_of("llama").save_pretrained(hub.folder("models", "some/words", "v1"))
    before = len(hub.requests)
    result = scored(ntps, "OpenELM-270M", task, "--tokenizer", "some/words@v1")
    assert len(result["layers"]) == LAYERS + 1
    assert any("some/words" in request for request in hub.requests[before:])
    assert "no tokenizer some/nothing" in refusal(ntps, "OpenELM-270M", task, "--tokenizer", "some/nothing")
    assert "no revision 'v2'" in refusal(ntps, "OpenELM-270M", task, "--tokenizer", "some/words@v2")
    assert "--tokenizer" in refusal(ntps, "some/model", task, "--tokenizer", "apple/OpenELM-270M")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("some/model@wrong", "model some/model has no revision 'wrong': correct"),
        ("some/nothing", "no model some/nothing that you may read: check the id"),
        ("some/mo del", "'some/mo del' is not a valid hub id: write owner/name"),
    ],
)
def test_a_name_that_leads_nowhere(name: str, part: str, ntps: HubClient, task: str) -> None:
    assert part in refusal(ntps, name, task)


@pytest.mark.parametrize(
    ("missing", "part"),
    [
        ("model.safetensors", "has no weights (model.safetensors or pytorch_model.bin): complete the model"),
        ("config.json", "has no config.json; give one"),
        ("tokenizer*", "comes without a tokenizer: name a folder or hub id with --tokenizer"),
        ("*", "holds no model: check the id"),
    ],
)
def test_a_missing_file(missing: str, part: str, hub: HubServer, ntps: HubClient, task: str) -> None:
    name = f"own/lacks-{'all' if missing == '*' else missing.rstrip('*')}"
    place = hub.folder("models", name)
    shutil.copytree(hub.folder("models", "some/model"), place)
    for file in place.glob(missing):
        file.unlink()
    (place / ".gitattributes").touch()
    message = refusal(ntps, name, task)
    assert name in message and part in message


def test_a_gated_repository(hub: HubServer, ntps: HubClient, task: str, repository: str) -> None:
    hub.gated.add(repository)
    message = refusal(ntps, repository, task)
    assert f"model {repository}" in message and "is gated: accept its conditions" in message
    hub.gated.clear()


@pytest.mark.parametrize(("status", "part"), [(401, "login"), (403, "login"), (429, "later"), (500, "later")])
@pytest.mark.parametrize("where", ["/api/models", "config.json", "model.safetensors", "tokenizer.json"])
def test_a_server_error(
    where: str,
    status: int,
    part: str,
    hub: HubServer,
    ntps: HubClient,
    task: str,
    repository: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub, "broken", where if "." in where else f"{where}/{repository}")
    monkeypatch.setattr(hub, "status", status)
    message = refusal(ntps, repository, task)
    assert f"model {repository}" in message and f"error {status}" in message and part in message
    monkeypatch.setattr(hub, "broken", None)
    scored(ntps, repository, task)


@pytest.mark.slow
def test_without_a_network_the_cache_serves_and_the_result_says_so(
    hub: HubServer, ntps: HubClient, task: str, folder: Path
) -> None:
    online = scored(ntps, "some/model@v2", task)
    commit = online["model"]["revision"]
    for environment in ({"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}):
        with HubClient(hub, folder, NTPS, **environment) as alone:
            branch, pinned = (scored(alone, f"some/model@{revision}", task) for revision in ("v2", commit))
            for result in (branch, pinned):
                assert result["layers"] == online["layers"]
                assert result["model"]["revision"] == commit
            assert (
                f"the hub could not be reached, so some/model@v2 is commit {commit} of the cache" in branch["warnings"]
            )
            assert pinned["warnings"] == online["warnings"]
            for name in ("some/model@v3", f"some/model@{'8' * 40}", "some/other"):
                message = refusal(alone, name, task)
                assert f"cannot be reached for the model {name.partition('@')[0]}" in message

"""The Ray engine on a cluster of two node processes: what the local engine leaves, also when a worker is killed."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ntps
from grid import Heard, begin, run_grid, save_grid
from ntps.errors import InputError
from ntps.study.status import Status
from same import assert_same
from tiny import save_model, save_task

pytestmark = pytest.mark.slow
ray = pytest.importorskip("ray")
# Others may run this very test, and only our own workers are to be killed.
MODEL = f"model{os.getpid()}"
FOLDERS = tuple(f"results/{MODEL}/local/{task}/{name}" for task in ("first", "second") for name in ("score", "adamw"))
MEASUREMENTS = {"score": None, "adamw": {"epochs": 2}}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a cluster."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    node: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(**{**node, "dashboard_port": None})
    cluster.wait_for_nodes()
    yield str(cluster.address)
    cluster.shutdown()


def test_a_cluster_of_two_nodes_leaves_what_one_process_leaves(tmp_path: Path, address: str) -> None:
    grid = save_grid(tmp_path / "grid", planted=True, model=MODEL, measurements=MEASUREMENTS)
    here = run_grid(grid, tmp_path / "here")
    there = run_grid(grid, tmp_path / "there", engine="ray", address=address)
    assert {name: outcome.state.status for name, outcome in there.items()} == {
        name: outcome.state.status for name, outcome in here.items()
    }
    for folder in FOLDERS:
        assert_same(tmp_path / "there" / folder, tmp_path / "here" / folder)


def test_models_are_ranked_on_a_cluster_as_in_one_process(tmp_path: Path, address: str) -> None:
    models = [save_model(tmp_path / name, seed=seed) for seed, name in enumerate(("first", "second", "third"))]
    shutil.copytree(models[0], tmp_path / "broken", ignore=shutil.ignore_patterns("*.safetensors"))
    task = save_task(tmp_path / "task.jsonl", 80)
    ways: dict[str, dict[str, Any]] = {"here": {}, "there": {"engine": "ray", "address": address}}
    here, there = (
        ntps.rank(task, [*models, tmp_path / "broken"], out=tmp_path / out, **options).ranking
        for out, options in ways.items()
    )
    changing = {"seconds": None, "folder": None}
    found = [[row.model_copy(update=changing) for row in ranking.models] for ranking in (here, there)]
    assert found[0] == found[1]
    assert [row.model for row in there.missing] == ["broken"] == [row.model for row in here.missing]


def test_a_killed_worker_loses_nothing(tmp_path: Path, address: str) -> None:
    grid, out = save_grid(tmp_path / "grid", texts=3000, model=MODEL, measurements=MEASUREMENTS), tmp_path / "out"
    run_grid(grid, tmp_path / "here")
    killed = threading.Event()

    def kill() -> None:
        while not (out / FOLDERS[0] / "run.json").exists():
            time.sleep(0.002)
        for pid in workers():
            os.kill(pid, signal.SIGKILL)
            killed.set()

    threading.Thread(target=kill, daemon=True).start()
    outcomes = run_grid(grid, out, engine="ray", address=address)
    assert killed.is_set()
    assert all(outcome.state.status is Status.done for outcome in outcomes.values())
    for folder in FOLDERS:
        assert_same(out / folder, tmp_path / "here" / folder)


def workers() -> list[int]:
    """Processes of Ray that are at a task of this study, as they name themselves."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if title.startswith(f"ray::{MODEL} · first"):
            found.append(int(folder.name))
    return found


def test_a_run_that_no_machine_can_take_is_a_failure(tmp_path: Path, address: str) -> None:
    grid = save_grid(tmp_path / "grid")
    grid.write_text(grid.read_text() + "resources: {cpus: 99}\n")
    outcome = run_grid(grid, tmp_path / "out", engine="ray", address=address)["first/score"]
    assert outcome.state.status is Status.failed and "99 CPUs" in str(outcome.state.cause)


def test_a_cluster_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no Ray cluster answers at 127\.0\.0\.1:1"):
        begin(save_grid(tmp_path / "grid"), tmp_path / "out").run(Heard(), engine="ray", address="127.0.0.1:1")

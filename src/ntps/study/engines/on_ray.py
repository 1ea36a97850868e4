"""The engine for a Ray cluster: one task a run, placed by what the run needs, tried again where a machine is lost."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any

from ntps.errors import InputError
from ntps.study.engines.queue import TRIES, Job, Listener, Queue
from ntps.study.measurements import ModelTaskCache
from ntps.study.runs import Outcome, Run, give_up, perform
from ntps.study.specs import Resources
from ntps.study.status import Overwrite

OBJECT_STORE = 100_000_000
"""Bytes for what tasks send one another, which is next to nothing: results lie in the shared folder."""


def run_on_ray(job: Job, listener: Listener, needs: Mapping[str, Resources], address: str | None = None) -> None:
    """Makes the runs on a Ray cluster whose machines share the folder of results and the paths of models and tasks.

    Args:
        job: What to do.
        listener: Learns what becomes of each run.
        needs: What each run needs, by digest.
        address: Of the cluster; by default the one that the environment names, else this machine alone.

    Raises:
        InputError: Ray is not installed, or the cluster cannot be reached.
    """
    with _cluster(address) as ray:
        queue, pending = Queue(job.runs), dict[Any, Run]()
        # Ray starts a task again when its worker or its machine is lost, on whatever machine is left.
        remote = ray.remote(max_retries=TRIES - 1)(_perform)
        while True:
            while (run := queue.take()) is not None:
                resources = needs[run.digest]
                refusal = _refusal(ray, resources)
                if refusal:
                    queue.settle(give_up(run, refusal), listener)
                    continue
                task = remote.options(
                    name=str(run),
                    num_cpus=resources.cpus,
                    num_gpus=resources.gpus,
                    memory=int((resources.memory_gb or 0) * 1e9),
                )
                pending[task.remote(run, job.overwrite, job.data_dir)] = run
            if not pending:
                return
            for reference in ray.wait(list(pending))[0]:
                run = pending.pop(reference)
                try:
                    outcome = ray.get(reference)
                except ray.exceptions.RayError as error:
                    reason = " ".join(str(error).split())
                    outcome = give_up(run, f"Ray gave up after {TRIES} tries: {reason[:300]}")
                queue.settle(outcome, listener)


def _perform(run: Run, overwrite: Overwrite, data_dir: str | None) -> Outcome:
    """Runs in a worker of the cluster."""
    return perform(run, _bench(data_dir), overwrite)


@cache
def _bench(data_dir: str | None) -> ModelTaskCache:
    """Ray's workers stay: the next run of the same model finds it loaded."""
    return ModelTaskCache(data_dir)


@contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    if find_spec("ray") is None:
        raise InputError("`engine` ray needs Ray, which is not installed: run `pip install ntps[ray]`")
    # Nothing is sent to anybody unless the user says so.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    address = address or os.environ.get("RAY_ADDRESS") or None
    alone = address in (None, "local")
    _require_answer(address)
    options: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECT_STORE} if alone else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"the Ray cluster at {address or 'this machine'} cannot be used: {reason}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _require_answer(address: str | None) -> None:
    """Ray itself tries an address for many minutes, in silence."""
    host, colon, port = (address or "").rpartition("://")[2].rpartition(":")
    if colon and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except OSError as error:
            raise InputError(f"no Ray cluster answers at {address} ({error}): correct `address`") from error


def _refusal(ray: Any, needs: Resources) -> str | None:
    """Why no machine of the cluster can ever take a run: Ray would wait for such a machine for ever."""
    asked = {"CPU": needs.cpus, "GPU": needs.gpus, "memory": (needs.memory_gb or 0) * 1e9}
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(all(machine.get(name, 0) >= amount for name, amount in asked.items()) for machine in machines):
        return None
    most = {name: max((machine.get(name, 0) for machine in machines), default=0) for name in asked}
    return (
        f"no machine of the cluster has {asked['CPU']:g} CPUs, {asked['GPU']:g} GPUs and {asked['memory'] / 1e9:.1f} "
        f"GB at once (at most {most['CPU']:g}, {most['GPU']:g} and {most['memory'] / 1e9:.1f} GB): correct `resources` "
        "in the study, or add a machine"
    )

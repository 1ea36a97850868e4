"""Runs that an earlier version made are those of now where only the way of writing them down has changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grid import begin, save_grid
from ntps.files import write_json
from ntps.study.runs import run_state
from ntps.study.status import Status


@pytest.mark.parametrize(
    ("then", "status"), [({"epochs": 50, "dropout": 0.05}, Status.done), ({"epochs": 49}, Status.other)]
)
def test_defaults_that_an_earlier_version_kept_are_those_of_now(
    then: dict[str, Any], status: Status, tmp_path: Path
) -> None:
    """It wrote what a study spelled out of a probe, where None stands now."""
    measurements = {"adamw": {"epochs": 50, "dropout": 0.05}}
    run = begin(save_grid(tmp_path / "grid", measurements=measurements), tmp_path / "out").runs[0]
    identity = {**run.identity, "settings": {**run.identity["settings"], **then}}
    digest = replace(run, identity=identity).digest
    assert digest != run.digest
    run.folder.mkdir(parents=True)
    write_json(run.folder / "run.json", {"schema": 1, "digest": digest, "identity": identity})
    for of_failure in (digest, run.digest):
        # That of a failure is of the version that failed.
        write_json(run.folder / "failure.json", {"schema": 1, "digest": of_failure, "sentence": "so"})
        assert run_state(run).status is (Status.failed if status is Status.done else Status.missing)
    write_json(run.folder / "result.json", {"schema": 1, "kind": "probe"})
    assert run_state(run).status is status

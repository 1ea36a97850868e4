"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Two test processes on two cores: threads of their own would only get in each other's way. Before NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

import shape_check

# From here on, every call of theirs has its arrays checked against the annotations.
shape_check.install(["ntps.theory", "ntps.moments", "ntps.forward", "ntps.training"])

# How long an example takes says something about the machine only.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, those of whole runs at the top of the folder among them: no process ends with them alone."""
    items.sort(key=lambda item: ("slow" not in item.keywords, len(item.path.parts)))


@pytest.fixture(scope="module")
def short_check() -> Iterator[None]:
    """Two texts of a batch instead of dozens are run alone before each run: for runs whose batches are sound."""
    from ntps.forward import causality

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(causality, "CHECK_TOKENS", 0)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with local copies of data and models; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("NTPS_SHARED") or Path(__file__).parents[2] / "shared")
    if not (folder / "data").is_dir():
        pytest.skip("no shared data: set NTPS_SHARED to the folder that holds data/ and models/")
    return folder

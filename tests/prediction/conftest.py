"""The model and the task that probes are saved of."""

from __future__ import annotations

from pathlib import Path

import pytest

from ntps import LanguageModel, Task, load_model
from tiny import random_task, save_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("qwen2"))


@pytest.fixture(scope="module")
def model(folder: Path) -> LanguageModel:
    return load_model(folder)


@pytest.fixture(scope="module")
def task() -> Task:
    return random_task(120, 3, test=60)

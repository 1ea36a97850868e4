"""What training left, and a way to interrupt it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from ntps.training.records import FinetuneRecord


def weights(out: Path) -> dict[str, bytes]:
    """All tensors that a run left."""
    files = sorted(out.glob("*/*.safetensors"))
    assert files
    return {
        f"{path.parent.name}/{path.name}:{name}": tensor.numpy().tobytes()
        for path in files
        for name, tensor in load_file(path).items()
    }


def plain(record: FinetuneRecord) -> dict[str, Any]:
    """What two runs must agree on."""
    return {
        name: value for name, value in record.result.to_dict().items() if name not in ("created", "command", "timing")
    }


class Interrupted(Exception):
    pass


class After:
    """A reporter that interrupts a run."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def start(self, phase: str, total: int | None, unit: str) -> Callable[[int], None]:
        return self.advance if phase == "training" else lambda _done: None

    def advance(self, done: int) -> None:
        self.left -= done
        if self.left <= 0:
            raise Interrupted

"""What is stored of the embedded task, as it was collected."""

from __future__ import annotations

import json
from pathlib import Path

FOLDER = Path(__file__).parent
VERSIONS = "versions.json"


def library_versions() -> dict[str, str]:
    """The version of each library, which is a class, that the texts were collected from."""
    found: dict[str, str] = json.loads((FOLDER / VERSIONS).read_text(encoding="utf-8"))
    return found


def stored_rows(split: str) -> list[dict[str, str]]:
    """Text and label of each row of ``train`` or ``test``."""
    with (FOLDER / f"{split}.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]

"""The embedded task: which library does a docstring document?

The texts are the opening prose of docstrings of the Python standard library and of five libraries that ntps depends on.
``scripts/collect_docstrings.py`` collected them once, so that they stay the same whatever is installed; ``NOTICE``
names the versions and the licences.
"""

from __future__ import annotations

import json
from pathlib import Path

from ntps.tasks.sources.files import read_table
from ntps.tasks.sources.source import Source

FOLDER = Path(__file__).parent
VERSIONS = "versions.json"
"""The version of each library, which is a class, that the texts were collected from."""


def docstring_source() -> Source:
    """Texts of six libraries, as many of each, to be told apart by the prose of their docstrings."""
    versions: dict[str, str] = json.loads((FOLDER / VERSIONS).read_text(encoding="utf-8"))
    return Source(
        f"embedded: docstrings of {', '.join(versions)}",
        ("train", "test"),
        lambda split: read_table(FOLDER / f"{split}.jsonl"),
        revision=", ".join(f"{library} {version}" for library, version in versions.items()),
        text=("text",),
        label="label",
        label_names=tuple(versions),
        notes=(
            "The label is the library that a docstring documents; the standard library is called python.",
            "Names of the libraries are replaced with the word library in every text.",
            "The train split, the test split and the embedded model's training texts come from disjoint modules.",
        ),
    )

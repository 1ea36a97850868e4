"""The embedded task: which library does a docstring document?

The texts are the opening prose of docstrings of the Python standard library and of five libraries that ntps depends on.
``scripts/collect_docstrings.py`` collected them once, so that they stay the same whatever is installed; ``NOTICE``
names the versions and the licences.
"""

from __future__ import annotations

import numpy as np

from ntps.tasks.embedded.rows import library_versions, stored_rows
from ntps.tasks.task import Split, Task


def docstring_task() -> Task:
    """Read the embedded task: tell six libraries apart by the prose of their docstrings.

    Returns:
        A balanced task; its revision names the versions of the libraries that the texts were collected from.
    """
    versions = library_versions()
    label_names = tuple(versions)
    return Task(
        id="docstrings",
        source=f"embedded: docstrings of {', '.join(label_names)}",
        revision=", ".join(f"{label} {version}" for label, version in versions.items()),
        kind="classes",
        label_names=label_names,
        train=_split("train", label_names),
        test=_split("test", label_names),
        notes=(
            "The label is the library that a docstring documents; the standard library is called python.",
            "Names of the libraries are replaced with the word library in every text.",
            "The train split, the test split and the embedded model's training texts come from disjoint modules.",
        ),
    )


def _split(name: str, label_names: tuple[str, ...]) -> Split:
    rows = stored_rows(name)
    labels = np.array([label_names.index(row["label"]) for row in rows], dtype=np.int64)
    return Split(name, [row["text"] for row in rows], labels)

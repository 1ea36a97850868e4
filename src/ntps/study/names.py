"""What studies and their folders are called."""

from __future__ import annotations

import re

from ntps.errors import InputError
from ntps.files import existing
from ntps.models.registry import known_model
from ntps.tasks.sources.files import EXTENSIONS

STUDIES = ("demo", "small", "paper", "calibration")
"""Studies that come with the package."""


def file_name(name: str) -> str:
    """A name as one folder can have it; those that mean another folder are refused.

    Raises:
        InputError: There is nothing in it that names a folder.
    """
    made = re.sub(r"[^\w.@+-]", "_", name)
    if made in ("", ".", ".."):
        raise InputError(f"{name!r} cannot be the name of a folder: choose another `name` or revision")
    return made


def short_name(name: str, model: bool) -> str:
    """The name of a path without its folder and ending; a hub id with two underscores for its slash."""
    if path := existing(name):
        last = path.name
        ending = next((each for each in EXTENSIONS if last.lower().endswith(each)), "")
        return last.removesuffix(ending)
    repository = name.partition("@")[0]
    known = known_model(repository) if model else None
    return (known.hub_id if known else repository).replace("/", "__")

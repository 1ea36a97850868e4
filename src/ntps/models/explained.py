"""What goes wrong in the libraries that load models, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ntps.errors import InputError
from ntps.hub import first_line
from ntps.models.files import ModelFiles

_LFS = b"version https://git-lfs"


@contextmanager
def explained(files: ModelFiles, what: str) -> Iterator[None]:
    """Turns the many exceptions of loading into one sentence.

    Args:
        files: What is loaded.
        what: Which part of it: its configuration, tokenizer, weights …
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # libraries raise nearly everything here
        raise InputError(_sentence(files, what, " ".join(str(error).split()) or type(error).__name__)) from error


def _sentence(files: ModelFiles, what: str, reason: str) -> str:
    name = files.name
    if "trust_remote_code" in reason:
        return (
            f"the {what} of {name} needs code that comes with it: read that code, and let it run with "
            "`trust_remote_code` if you trust it"
        )
    if pointers := [file for file in sorted(files.names) if _is_pointer(files.folder / file)]:
        return (
            f"{pointers[0]} in {name} is a pointer of git-lfs, not the file itself: run `git lfs pull` there, or "
            "download the file"
        )
    if "Weights only load failed" in reason:
        return (
            f"the {what} of {name} are pickled with more than tensors in them, which could run code and is not read: "
            "get them as model.safetensors, or save them again with save_pretrained where you trust them"
        )
    if "`merges`" in reason and "merges.txt" not in files.names:
        return f"the {what} of {name} lacks merges.txt: copy it there from where vocab.json is from"
    return f"cannot load the {what} of {name}: {first_line(ValueError(reason))}"


def _is_pointer(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(_LFS)) == _LFS
    except OSError:
        return False

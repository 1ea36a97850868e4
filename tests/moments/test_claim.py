"""The lock of a folder: one run at a time, whatever the file system and the order of events."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from ntps.checkpoint.lock import claim_folder
from ntps.errors import InputError


def test_whoever_waits_at_a_lock_that_is_gone_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder before leaves, and takes the name of the lock with it, between the opening and the locking of it."""
    opened = os.open
    gone: list[Any] = []

    def late(path: Any, *arguments: Any, **options: Any) -> int:
        descriptor = opened(path, *arguments, **options)
        if Path(path).name == ".ntps.lock" and not gone:
            gone.append(path)
            Path(path).unlink()
        return descriptor

    monkeypatch.setattr(os, "open", late)
    with claim_folder(tmp_path, overwrite=False):
        assert gone
        with pytest.raises(InputError, match="another run is writing"), claim_folder(tmp_path, overwrite=False):
            pass
    assert not list(tmp_path.iterdir())


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_arguments: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", missing)
    again = claim_folder(tmp_path, overwrite=False)
    with (
        pytest.warns(UserWarning, match="flock not supported"),
        claim_folder(tmp_path, overwrite=False),
        pytest.raises(InputError, match="another run is writing"),
        again,
    ):
        pass
    assert not list(tmp_path.iterdir())

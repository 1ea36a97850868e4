"""Lines of a text file, plain or gzip, with every way they can be broken named by line."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, cast

from ntps.errors import InputError

LONGEST_LINE = 16 * 2**20
"""Bytes of the longest line that is read: a longer one is hardly a text to score."""


def numbered_lines(path: Path | str, stream: IO[bytes] | None = None) -> Iterator[tuple[int, str]]:
    """Yields the lines of a UTF-8 file with their numbers, line ends kept.

    Args:
        path: The file; a name that ends in ``.gz`` is unpacked on the way. Of a stream, what errors call it.
        stream: What to read instead; it stays open.

    Raises:
        InputError: The file cannot be opened, unpacked or decoded, or holds NUL bytes or a line that is too long.
    """
    try:
        with nullcontext(stream) if stream else _open(Path(path)) as opened:
            number = 0
            while line := opened.readline(LONGEST_LINE + 1):
                number += 1
                yield number, _decode(path, number, line)
    except gzip.BadGzipFile as error:
        raise InputError(f"{path} is not a gzip file although its name ends in .gz: rename or compress it.") from error
    except (EOFError, zlib.error) as error:
        raise InputError(f"{path} is a damaged or truncated gzip file: write or download it again.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}): check path and rights.") from error


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def _decode(path: Path | str, number: int, line: bytes) -> str:
    if len(line) > LONGEST_LINE:
        limit = LONGEST_LINE // 2**20
        raise InputError(f"{path}, line {number}: longer than {limit} MiB; write one row per line, or shorter texts.")
    if number == 1 and line.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}, line 1: the file is UTF-16, not UTF-8; save it again as UTF-8.")
    if b"\0" in line:
        raise InputError(f"{path}, line {number}: a NUL byte, so this is no UTF-8 text; save the file again as UTF-8.")
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, line {number}: byte 0x{line[error.start]:02x} is not UTF-8; save the file again as UTF-8."
        ) from error

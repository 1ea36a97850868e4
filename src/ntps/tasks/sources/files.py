"""Reading task files by the ending of their names."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import IO

from ntps.errors import InputError
from ntps.tasks.sources.arrow import parquet_chunks, read_parquet
from ntps.tasks.sources.lines import LONGEST_LINE, numbered_lines
from ntps.tasks.sources.quotes import Record, swallows_rows
from ntps.tasks.sources.table import ABSENT, SeenValues, Table, joined

EXTENSIONS = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")
"""Endings of the files that can be read."""


def read_table(path: Path) -> Table:
    """Reads one task file by the ending of its name.

    Raises:
        InputError: The file is malformed, empty, or of an unknown kind.
    """
    if path.is_dir():
        return _read_parts(path)
    if extension(path) == ".parquet":
        table = read_parquet(path)
    else:
        table = next(_tables(path, None, least=2), Table(str(path), {}))
    if not len(table):
        raise InputError(f"{path} holds no rows: a task needs labelled texts.")
    return table


def read_chunks(path: Path, rows: int) -> Iterator[Table]:
    """Reads a file of texts, which needs no labels, some rows at a time.

    Raises:
        InputError: The file is malformed, or of an unknown kind.
    """
    return parquet_chunks(path, rows) if extension(path) == ".parquet" else _tables(path, rows, least=1)


def json_chunks(origin: str, stream: IO[bytes], rows: int) -> Iterator[Table]:
    """Reads JSON lines some rows at a time.

    Args:
        origin: What errors call the stream.
        stream: The lines.
        rows: How many make a table.

    Raises:
        InputError: A line is no JSON object.
    """
    return _json_tables(origin, numbered_lines(origin, stream), rows)


def _tables(path: Path, rows: int | None, least: int) -> Iterator[Table]:
    """Tables of so many rows, or one of all; ``least`` columns make sure that the separator is right."""
    match extension(path):
        case ".jsonl" | ".jsonl.gz":
            return _json_tables(str(path), numbered_lines(path), rows)
        case ".csv" | ".csv.gz":
            return _csv_tables(path, ",", rows, least)
        case ".tsv" | ".tsv.gz":
            return _csv_tables(path, "\t", rows, least)
    raise InputError(f"{path}: unknown kind of file; use one that ends in {', '.join(EXTENSIONS)}.")


def _read_parts(folder: Path) -> Table:
    """A folder with the name of a file, as Spark writes it: its visible files of that kind are the parts."""
    named = sorted(file for file in folder.iterdir() if not file.name.startswith((".", "_")))
    parts = [file for file in named if file.is_file() and extension(file) == extension(folder)]
    if not parts or len(parts) < len(named):
        other = f"{next(file.name for file in named if file not in parts)} beside them" if named else "nothing at all"
        raise InputError(
            f"{folder} is a folder: it may hold parts that end in {extension(folder)}, and holds {other}; give a file."
        )
    return joined(str(folder), [read_table(part) for part in parts])


def extension(path: Path) -> str | None:
    """The known ending of a file name, or None."""
    endings = [ending for ending in EXTENSIONS if path.name.lower().endswith(ending)]
    return endings[0] if endings else None


def _json_tables(origin: str, numbered: Iterator[tuple[int, str]], rows: int | None) -> Iterator[Table]:
    columns: dict[str, list[object]] = {}
    lines: list[int] = []
    for number, line in numbered:
        if not line.strip():
            continue
        row = _json_object(origin, number, line)
        for name in row:
            if name not in columns:
                columns[name] = [ABSENT] * len(lines)
        for name, values in columns.items():
            values.append(row.get(name, ABSENT))
        lines.append(number)
        if len(lines) == rows:
            yield Table(origin, columns, lines)
            # A column of earlier rows is known to be missing in later ones.
            columns, lines = {name: [] for name in columns}, []
    if lines:
        yield Table(origin, columns, lines)


def _json_object(path: str, number: int, line: str) -> dict[str, object]:
    try:
        value = json.loads(line, object_pairs_hook=_unique_keys)
    except InputError as error:
        raise InputError(f"{path}, line {number}: {error}") from None
    except (ValueError, RecursionError) as error:
        cause = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise InputError(f"{path}, line {number}: broken JSON ({cause}); write one whole object per line.") from error
    if not isinstance(value, dict):
        raise InputError(
            f'{path}, line {number}: not a JSON object; write lines such as {{"text": "some text", "label": 0}}.'
        )
    return value


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for index, (name, _) in enumerate(pairs) if name in dict(pairs[:index]))
        raise InputError(f"column '{twice}' stands twice in one object; rename or remove one of them.")
    return found


def _csv_tables(path: Path, delimiter: str, rows: int | None, least: int) -> Iterator[Table]:
    records = _csv_records(path, delimiter)
    header = next(records, None)
    if header is None:
        raise InputError(f"{path} is empty: a task file starts with a line of column names.")
    names = [name.strip() or f"column {index}" for index, name in zip(count(1), header.fields, strict=False)]
    if len(names) < least:
        separators = "commas" if delimiter == "," else "tabs"
        raise InputError(
            f"{path}, line {header.line}: only one column, {names[0][:40]!r}; separate two by {separators}."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"{path}, line {header.line}: column name '{twice[0]}' stands twice; rename or remove one of them."
        )
    while some := list(islice(records, rows)):
        yield _csv_table(path, header, names, some)


def _csv_table(path: Path, header: Record, names: list[str], records: list[Record]) -> Table:
    columns: dict[str, list[object]] = {name: [] for name in names}
    doubtful: list[Record] = []
    for record in records:
        if len(record.fields) != len(names):
            raise InputError(
                f"{path}, line {record.line}: {len(record.fields)} fields where the header has {len(names)}; "
                f"put quotes around texts that hold the separator or a line end."
            )
        if record.fields == header.fields:
            raise InputError(f"{path}, line {record.line}: the names of the columns stand here again; remove them.")
        if record.lines_are_rows(len(names)):
            doubtful.append(record)
        for values, value in zip(columns.values(), record.fields, strict=True):
            values.append(value)
    written = [SeenValues(values) for values in columns.values()] if doubtful else []
    for record in doubtful:
        if swallows_rows(record, written):
            raise InputError(
                f"{path}, line {record.line}: the quote that opens here is closed in line "
                f"{record.line + len(record.lines) - 1} only, and what lies between looks like rows; double each quote "
                f"that belongs to a text and put the text in quotes, or use .jsonl."
            )
    return Table(str(path), columns, [record.line for record in records], typed=False)


def _csv_records(path: Path, delimiter: str) -> Iterator[Record]:
    former = csv.field_size_limit(LONGEST_LINE)
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for _, line in numbered_lines(path):
            taken.append(line)
            yield line

    reader = csv.reader(lines(), delimiter=delimiter, strict=True)
    try:
        while True:
            start = reader.line_num + 1
            taken.clear()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise InputError(
                    f"{path}, line {start}: broken quoting ({error}); double each quote inside a quoted text, "
                    f"or use .jsonl."
                ) from error
            if fields:
                yield Record(start, fields, tuple(taken), delimiter)
    finally:
        csv.field_size_limit(former)

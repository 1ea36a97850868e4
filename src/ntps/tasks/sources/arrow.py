"""Arrow tables: from Parquet files and from the datasets library."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntps.errors import InputError
from ntps.tasks.sources.table import Table

if TYPE_CHECKING:
    import pyarrow as pa


def read_parquet(path: Path) -> Table:
    """Reads a Parquet file.

    Raises:
        InputError: It cannot be read, or has a column twice.
    """
    with _parquet(path) as file:
        return arrow_table(str(path), file.read())


def parquet_chunks(path: Path, rows: int) -> Iterator[Table]:
    """Reads a Parquet file some rows at a time; errors as for :func:`read_parquet`."""
    import pyarrow as pa

    with _parquet(path) as file:
        first = 0
        for batch in file.iter_batches(rows):
            yield replace(arrow_table(str(path), pa.Table.from_batches([batch])), first=first)
            first += len(batch)


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise InputError(f"{path}: column '{twice[0]}' stands twice; rename or remove one of them.")
            yield file
    except PermissionError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check its rights.") from error
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is not a whole Parquet file: write or download it again.") from error


def arrow_table(origin: str, rows: pa.Table) -> Table:
    """The columns of an Arrow table, with the names of its classes."""
    columns = {name: rows.column(name) for name in rows.column_names}
    return Table(origin, columns, class_names=_class_names(rows.schema))


def _class_names(schema: pa.Schema) -> Mapping[str, tuple[str, ...]]:
    """Class names by column, from what the ``datasets`` library writes into an Arrow schema."""
    written = (schema.metadata or {}).get(b"huggingface")
    if written is None:
        return {}
    try:
        features: dict[str, Any] = dict(json.loads(written)["info"]["features"])
    except (ValueError, LookupError, TypeError):
        # Whoever wrote this was not the datasets library; the columns are as good as without it.
        return {}
    names: dict[str, tuple[str, ...]] = {}
    for column, feature in features.items():
        if isinstance(feature, dict) and feature.get("_type") in ("List", "Sequence", "LargeList"):
            feature = feature.get("feature")
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names"):
            names[column] = tuple(feature["names"])
    return names

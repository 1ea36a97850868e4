"""How every command shows a result: what was noticed on standard error, the result on standard output."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ntps.cli.console import err, out, say
from ntps.jobs.unused_rows import unused_rows

if TYPE_CHECKING:
    from ntps.api.results import Result

R = TypeVar("R", bound="Result")


def show(
    result: R,
    body: Callable[[R], None],
    *,
    folder: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Prints a result.

    Args:
        result: The result.
        body: Prints what is particular about its kind.
        folder: Where it was written to.
        as_json: Whether to print ``result.json`` instead.
        quiet: Whether to leave out notes about the task.
        verbose: Whether to say where the seconds went.
    """
    record = result.record.result
    # What was noticed about the parts of a merger was said when they were made.
    if not quiet and not getattr(record, "merged", None):
        for note in record.task.notes:
            err.print(note, soft_wrap=True)
    for warning in result.warnings:
        say("Warning", "yellow", warning)
    if as_json:
        out.print_json(json.dumps(result.to_dict()))
        return
    block = record.task
    targets = {"classes": "classes", "multilabel": "labels", "regression": "real targets"}[block.target_kind]
    counted = f"{block.classes} {targets if block.classes > 1 else targets.removesuffix('s')}"
    out.print(f"{block.texts:,} texts, {block.tokens:,} tokens, {counted}")
    for sentence in unused_rows(block):
        if sentence not in result.warnings:
            out.print(f"{sentence}.", soft_wrap=True)
    body(result)
    if verbose:
        out.print(record.timing)
    if folder is not None:
        out.print(f"Results are in {folder}")

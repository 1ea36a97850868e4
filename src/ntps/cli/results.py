"""How every command shows a result: what was noticed on standard error, the result on standard output."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntps.cli.console import err, out, say
from ntps.jobs.unused_rows import unused_rows

if TYPE_CHECKING:
    from ntps.api.results import Result


def show(
    result: Result,
    body: Callable[[dict[str, Any]], None],
    *,
    folder: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Prints a result.

    Args:
        result: The result.
        body: Prints what is particular about its kind, from the content of ``result.json``.
        folder: Where it was written to.
        as_json: Whether to print ``result.json`` instead.
        quiet: Whether to leave out notes about the task.
        verbose: Whether to say where the seconds went.
    """
    record = result.to_dict()
    # What was noticed about the parts of a merger was said when they were made.
    if not quiet and "merged" not in record:
        for note in record["task"]["notes"]:
            err.print(note, soft_wrap=True)
    for warning in result.warnings:
        say("Warning", "yellow", warning)
    if as_json:
        out.print_json(json.dumps(record))
        return
    block = record["task"]
    targets = {"classes": "classes", "multilabel": "labels", "regression": "real targets"}[block["target_kind"]]
    counted = f"{block['classes']} {targets if block['classes'] > 1 else targets.removesuffix('s')}"
    out.print(f"{block['texts']:,} texts, {block['tokens']:,} tokens, {counted}")
    for sentence in unused_rows(block):
        if sentence not in result.warnings:
            out.print(f"{sentence}.", soft_wrap=True)
    body(record)
    if verbose:
        out.print(record["timing"])
    if folder is not None:
        out.print(f"Results are in {folder}")

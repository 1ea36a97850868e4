"""How every command shows a result: what was noticed on standard error, the result on standard output."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from ntps.cli.console import err, out, say, with_flags
from ntps.display.sentences import short_name
from ntps.jobs.unused_rows import unused_rows
from ntps.models.registry import EMBEDDED
from ntps.options.shared import OUTPUT

if TYPE_CHECKING:
    from ntps.api.results import Result

R = TypeVar("R", bound="Result")


@dataclass(frozen=True, kw_only=True)
class Showing:
    """What a command prints.

    Attributes:
        as_json: Print result.json instead of a table.
        quiet: Only the result and warnings.
        verbose: Say more, and show where an error comes from.
    """

    panel: ClassVar[str] = OUTPUT

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False


def announce(doing: str, model: str | None, task: str | None) -> None:
    """Says what begins, of which model and on which task."""
    named = f"the embedded model ({EMBEDDED})" if model is None else short_name(model)
    err.prose(f"{doing} {named} on {'the embedded task' if task is None else short_name(task)}")


def show(
    result: R,
    body: Callable[[R], None],
    folder: str | Path | None,
    showing: Showing,
) -> None:
    """Prints a result.

    Args:
        result: The result.
        body: Prints what is particular about its kind.
        folder: Where it was written to.
        showing: What is printed.
    """
    record = result.record.result
    # What was noticed about the parts of a merger was said when they were made.
    if not showing.quiet and not getattr(record, "merged", None):
        for note in record.task.notes:
            err.prose(with_flags(note))
    for warning in result.warnings:
        say("Warning", "yellow", with_flags(warning))
    if showing.as_json:
        out.print_json(json.dumps(result.to_dict()))
        return
    block = record.task
    targets = {"classes": "classes", "multilabel": "labels", "regression": "real targets"}[block.target_kind]
    counted = f"{block.classes} {targets if block.classes > 1 else targets.removesuffix('s')}"
    out.prose(f"{block.texts:,} texts, {block.tokens:,} tokens, {counted}")
    for sentence in unused_rows(block):
        if sentence not in result.warnings:
            out.prose(f"{sentence}.")
    body(result)
    if showing.verbose:
        out.prose(f"Seconds: {', '.join(f'{name} {value}' for name, value in record.timing.items())}")
    if folder is not None:
        out.prose(f"Results are in {folder}", whole=[folder])

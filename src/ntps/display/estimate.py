"""How ``--dry-run`` shows what a run would take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ntps.display.sentences import short_name

UNITS = ("B", "kB", "MB", "GB", "TB")


def estimate_lines(estimate: Mapping[str, Any]) -> Iterator[str]:
    """Lines of plain text, from what :func:`ntps.api.estimate` returns."""
    settings, memory, seconds = estimate["settings"], estimate["memory_bytes"], estimate["seconds"]
    model, processes = estimate["model"], estimate["processes"]
    yield (
        f"{short_name(model['id'])}: {model['parameters']:,} parameters, {len(settings['layers'])} layers of width "
        f"{model['hidden_size']}, {settings['dtype']} on {settings['device']}"
    )
    for name, counted in estimate["texts"].items():
        batches = f"{counted['batches']:,} batches of up to {settings['tokens_per_batch']:,}"
        yield (
            f"{name + ' texts':14} {counted['texts']:,}, {counted['tokens']:,} tokens, longest {counted['longest']:,}; "
            f"{counted['padded_tokens']:,} with padding in {batches}"
        )
    largest = "unknown" if memory["largest_batch"] is None else f"about {size(memory['largest_batch'])}"
    each = " (each process)" if processes > 1 else ""
    weights, statistics = size(memory["weights"]), size(memory["statistics"])
    yield f"{'memory':14} weights {weights}, statistics {statistics}, largest batch {largest}{each}"
    disk = estimate["disk_bytes"]
    kept = ", ".join(f"{name} {size(disk[name])}" for name in ("moments", "pooled") if disk[name]) or "tables only"
    yield f"{'disk':14} {kept}; up to {size(disk['progress'])} more while it runs"
    shown = ", ".join(
        f"{name.replace('_', ' ')} {duration(seconds[name])}"
        for name in ("train", "test", "closed_forms")
        if name in seconds
    )
    between = f"{duration(seconds['least'])} to {duration(seconds['most'])}"
    yield f"{'time':14} about {duration(seconds['total'])} ({between}) after loading: {shown}"
    yield (
        f"{'processes':14} {processes}; with N of them under torchrun, the texts take an N-th of the time of one, and "
        "each needs the memory"
    )


def size(count: int) -> str:
    """Bytes in a unit that fits."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.3g} {UNITS[unit]}"


def duration(seconds: float) -> str:
    """Seconds in a unit that fits."""
    if seconds < 90:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

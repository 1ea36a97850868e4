"""Write docs/api.md from the docstrings of what ``import ntps`` offers, so that the page cannot go stale."""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from pathlib import Path

import ntps

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
HEAD = """# API reference

Written from the docstrings by `python scripts/write_api_reference.py`. Everything not on this page is private.
"""
OPTIONAL = ("NTPSProbe",)
"""What needs an extra, so that ``from ntps import *`` leaves it out."""
_ROLE = re.compile(r":\w+:`([^`]*)`")


def reference() -> str:
    """The whole page, as Markdown."""
    names = sorted([*ntps.__all__, *OPTIONAL], key=str.casefold)
    return HEAD + "".join(_entry(name, getattr(ntps, name)) for name in names)


def _entry(name: str, item: object) -> str:
    text = f"\n## `ntps.{name}`\n\n{_signature(name, item)}{_docstring(item)}"
    if inspect.isclass(item) and not issubclass(item, Exception):
        for member, value in _members(item).items():
            if member.startswith("_") or not (callable(value) or isinstance(value, property | classmethod)):
                continue
            function = value.__func__ if isinstance(value, classmethod) else value
            text += f"\n### `{name}.{member}`\n\n{_signature(member, function)}{_docstring(function)}"
    return text


def _members(item: type) -> dict[str, object]:
    """Its own and inherited members, as far as they are ours; where they are defined last counts."""
    ours = (base for base in reversed(item.__mro__) if base.__module__.split(".")[0] == "ntps")
    return {name: value for base in ours for name, value in vars(base).items()}


def _signature(name: str, item: object) -> str:
    # Nobody makes results, protocols or errors by hand.
    by_hand = not inspect.isclass(item) or not (
        dataclasses.is_dataclass(item) or getattr(item, "_is_protocol", False) or issubclass(item, Exception)
    )
    if not callable(item) or not by_hand:
        return ""
    parts = []
    for parameter in inspect.signature(item).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        if parameter.name not in {"self", "cls"}:
            default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
            parts.append(f"{parameter.name}: {parameter.annotation}{default}")
    line = f"{name}({', '.join(parts)})"
    if len(line) > 100:
        line = f"{name}(\n    " + ",\n    ".join(parts) + ",\n)"
    return f"```python\n{line}\n```\n\n"


def _docstring(item: object) -> str:
    """The docstring, with sections as bold words and their entries as lists."""
    lines: list[str] = []
    text, _, example = (inspect.getdoc(item) or "").partition("\nExamples:\n")
    for line in text.splitlines():
        if line in {"Args:", "Attributes:", "Returns:", "Raises:"}:
            lines.append(f"**{line[:-1]}**\n")
        elif line.startswith("        "):
            lines.append(f"  {line.strip()}")
        elif line.startswith("    "):
            lines.append(f"* {line.strip()}")
        else:
            lines.append(line)
    prose = _ROLE.sub(r"`\1`", "\n".join(lines).replace("``", "`")) + "\n"
    return f"{prose}\n```pycon\n{textwrap.dedent(example).strip()}\n```\n" if example else prose


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")

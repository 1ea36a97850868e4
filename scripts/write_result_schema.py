"""Write docs/result-schema.md from the types of our JSON files, so that the page cannot go stale."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from pydoc import locate
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin, get_type_hints

from ntps.json_files import Block
from ntps.study.analysis.reader import KINDS
from ntps.study.ranking.record import Ranking
from ntps.study.state import StudyFile

PAGE = Path(__file__).parents[1] / "docs" / "result-schema.md"
HEAD = """# Schema of results

Written from the types in the code by `python scripts/write_result_schema.py`; [result files](results.md) says what the
files are for. Keys marked ? may be missing: not every run has them, or older versions did not write them. A file may
have more keys than its table, such as the options of one kind of probe.
"""
_PLAIN = {str: "string", int: "integer", float: "number", bool: "true or false", NoneType: "null"}
_SOURCE = re.compile(r":class:`~([\w.]+)`")
_SEE = re.compile(r";\s+see :class:`[^`]*`(?: and :class:`[^`]*`)?")
_ROLE = re.compile(r":\w+:`~?(?:[\w.]*\.)?([^`]*)`")


def schema() -> str:
    """The whole page, as Markdown: a table for every file, then for every block."""
    files: dict[str, type[Block]] = {f"`result.json` of kind `{kind}`": file for kind, file in KINDS.items()}
    files |= {"`study.json`": StudyFile, "`ranking.json`": Ranking}
    blocks: dict[str, type[Block]] = {}
    found: list[type[Block]] = [*files.values()]
    for block in found:
        for each in (inner for hint in _hints(block).values() for inner in _blocks(hint)):
            if each not in found:
                found.append(each)
                blocks[_name(each)] = each
    return HEAD + "".join(_table(title, block) for title, block in {**files, **blocks}.items())


def _table(title: str, block: type[Block]) -> str:
    text = (inspect.getdoc(block) or "").split("\n\nAttributes:")[0]
    meanings, hints = _meanings(block), _hints(block)
    rows = ["| key | type | what |", "|---|---|---|"]
    for name, field in block.model_fields.items():
        key = f"`{field.alias or name}`{'' if field.is_required() else ' ?'}"
        rows.append(f"| {key} | {_type(hints[name])} | {meanings.get(name, '')} |")
    return "\n".join(["", f"## {title}", "", _SEE.sub("", text).replace("``", "`"), "", *rows, ""])


def _hints(block: type[Block]) -> dict[str, object]:
    return {name: hint for name, hint in get_type_hints(block).items() if name in block.model_fields}


def _blocks(hint: object) -> Iterator[type[Block]]:
    if isinstance(hint, type) and issubclass(hint, Block):
        yield hint
    for inner in get_args(hint):
        yield from _blocks(inner)


def _name(block: type[Block]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", block.__name__.removesuffix("Block")).capitalize()


def _type(hint: object) -> str:
    arguments = get_args(hint)
    match get_origin(hint):
        case None:
            if isinstance(hint, type) and issubclass(hint, Block):
                return f"[{_name(hint)}](#{_name(hint).lower().replace(' ', '-')})"
            return _PLAIN[hint]  # type: ignore[index]
        case origin if origin in (Union, UnionType):
            return " or ".join(map(_type, arguments))
        case origin if origin is Literal:
            return " or ".join(f"`{each}`" for each in arguments)
        case origin if origin is tuple:
            return f"list of {_type(arguments[0])}"
    if get_origin(hint) is Annotated:
        return _type(arguments[0])
    return "mapping" if arguments[1] is object else f"mapping of {_type(arguments[1])}"


def _meanings(block: type) -> Mapping[str, str]:
    """What each attribute is: from the docstrings of the class and its bases, and of the class that they refer to."""
    found: dict[str, str] = {}
    for each in reversed(block.__mro__):
        text = inspect.cleandoc(each.__doc__ or "") if each.__module__.startswith("ntps") else ""
        for path in _SOURCE.findall(text.split("\n\n")[0]):
            source = locate(path)
            assert isinstance(source, type), path
            found |= _meanings(source)
        for name, meaning in re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", text.partition("\nAttributes:\n")[2], re.M):
            found[name] = _ROLE.sub(r"`\1`", re.sub(r"\s+", " ", meaning)).replace("``", "`").replace("None", "null")
        for name, member in vars(each).items():
            if not name.startswith("_") and hasattr(member, "__get__") and member.__doc__:
                found[name] = member.__doc__.splitlines()[0]
    return found


if __name__ == "__main__":
    PAGE.write_text(schema(), encoding="utf-8")

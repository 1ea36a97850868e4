"""YAML text → its nodes, or one sentence that names the line: whatever the text is, in bounded time."""

from __future__ import annotations

import yaml
from yaml.constructor import SafeConstructor

from ntps.errors import InputError

DEEPEST = 50
"""No study nests its values deeper; PyYAML calls itself for each level."""
MOST = 100_000
"""So many values a document may hold once its aliases stand for what they name."""

Place = tuple[str | int, ...]
"""Keys and indices from the top of the document."""


def compose(text: str, name: str) -> tuple[yaml.Node | None, dict[Place, int]]:
    """The node at the top of a document, and the line of each value.

    Args:
        text: YAML.
        name: What errors call it.

    Raises:
        InputError: It is no YAML, or none that values can be made of.
    """
    try:
        _require_shallow(text, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise InputError(f"{name}{line} is not YAML ({error.problem}): correct it there") from error
    except yaml.YAMLError as error:
        raise InputError(f"{name} is not YAML ({error}): write it in UTF-8 without control characters") from error
    walk = _Walk(name)
    walk.visit(node, (), ())
    return node, walk.lines


def _require_shallow(text: str, name: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _wrong(name, event, f"values stand more than {DEEPEST} levels deep; no study needs that")


class _Walk:
    """Goes through all values, as often as aliases repeat them, and notes their lines."""

    def __init__(self, name: str) -> None:
        self._name, self._seen = name, 0
        self.lines: dict[Place, int] = {(): 1}

    def visit(self, node: yaml.Node | None, place: Place, above: tuple[yaml.Node, ...]) -> None:
        self._seen += 1
        if node in above:
            raise self._wrong(node, "this value contains itself by an alias; write it out")
        if self._seen > MOST:
            raise self._wrong(node, f"with its aliases, the file holds more than {MOST:,} values; no study needs that")
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise self._wrong(key, "a key must be a single word; write `key: value`")
                here = (*place, key.value)
                if here in self.lines:
                    raise self._wrong(key, f"the key {key.value} stands here for the second time; remove one")
                self.lines[here] = key.start_mark.line + 1
                self._require_value(key)
                self.visit(value, here, (*above, node))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self.lines[*place, index] = value.start_mark.line + 1
                self.visit(value, (*place, index), (*above, node))
        elif node is not None:
            self._require_value(node)

    def _require_value(self, node: yaml.Node) -> None:
        """Refuses what looks like a date or a number to YAML and is none."""
        try:
            # Python writes out no number of thousands of digits, which is no number that anyone means.
            repr(SafeConstructor().construct_object(node, deep=True))
        except yaml.MarkedYAMLError as error:
            raise self._wrong(node, f"this value cannot be read ({error.problem})") from error
        except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
            kind = str(node.tag).rpartition(":")[2]
            raise self._wrong(
                node, f"YAML reads {str(node.value)[:40]!r} as {kind}, which it is not; put quotes around a text"
            ) from error

    def _wrong(self, node: yaml.Node | None, sentence: str) -> InputError:
        return _wrong(self._name, node, sentence)


def _wrong(name: str, where: yaml.Node | yaml.Event | None, sentence: str) -> InputError:
    line = 1 if where is None or where.start_mark is None else where.start_mark.line + 1
    return InputError(f"{name}, line {line}: {sentence}")

"""The versions that ``make test-lowest`` tests with are those that pyproject.toml promises."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def bounds(lines: Iterable[str], operator: str) -> list[tuple[str, Version]]:
    """Name and version of each line, which bounds it with this operator once."""
    found = []
    for requirement in map(Requirement, lines):
        versions = [each.version for each in requirement.specifier if each.operator == operator]
        assert len(versions) == 1, f"{requirement} needs one {operator}"
        found.append((canonicalize_name(requirement.name), Version(versions[0])))
    return sorted(found)


def pinned() -> list[tuple[str, Version]]:
    lines = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    return bounds([line for line in lines if line and not line.startswith("#")], "==")


def test_the_lowest_versions_are_those_of_pyproject() -> None:
    assert pinned() == bounds([*PROJECT["dependencies"], *EXTRAS["train"]], ">=")


def test_other_extras_promise_no_other_versions_of_the_same_packages() -> None:
    tested = dict(pinned())
    promised = bounds([line for extra in EXTRAS.values() for line in extra], ">=")
    assert [(name, version) for name, version in promised if tested.get(name, version) != version] == []

"""The versions that ``make test-lowest`` tests with are those that pyproject.toml promises."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]


def lowest(requirement: Requirement) -> Version:
    (bound,) = (each.version for each in requirement.specifier if each.operator in {">=", "=="})
    return Version(bound)


def test_the_lowest_versions_are_those_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = map(Requirement, [*project["dependencies"], *project["optional-dependencies"]["train"]])
    lines = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    tested = (Requirement(line) for line in lines if not line.startswith("#"))
    assert {each.name: lowest(each) for each in tested} == {each.name: lowest(each) for each in named}

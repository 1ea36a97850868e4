"""The house: every import goes down the floors, no circle, and `import ntps` is light."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ntps

ROOT = Path(ntps.__file__).parent
# A module imports from its own room and from floors below; rooms of one floor know nothing of each other.
FLOORS = (
    ("errors", "theory"),
    ("hub", "files", "limits", "shapes", "distributed"),
    ("tasks", "models", "moments"),
    ("forward",),
    ("jobs",),
    ("checkpoint",),
    ("scoring", "training"),
    ("study",),
    ("display", "plots"),
    ("report", "api"),
    ("cli",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS, start=1) for room in rooms}
DOORS = ("ntps", "ntps.__main__")
MODULES = 400
"""More than `import ntps` loads, ours included."""
MOST_FILES, MOST_LINES = 13, 300


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_name(file): file for file in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in FILES.items()}


def room(module: str) -> str:
    """``tasks`` of ``ntps.tasks.load``."""
    return module.split(".")[1]


def imported(module: str, nodes: Iterator[ast.AST] | list[ast.stmt]) -> Iterator[str]:
    """Every module of ours that some statements import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "ntps")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively: write the whole name"
            source = node.module or ""
            if source.split(".")[0] == "ntps":
                for alias in node.names:
                    whole = f"{source}.{alias.name}"
                    yield whole if whole in FILES else source


@pytest.mark.parametrize("module", [name for name in FILES if name not in DOORS])
def test_imports_go_down(module: str) -> None:
    here = room(module)
    for target in imported(module, ast.walk(TREES[module])):
        assert target not in DOORS, f"{module} imports through the front door"
        there = room(target)
        assert there == here or FLOOR[there] < FLOOR[here], f"{module} imports {target}"


def test_the_page_shows_these_floors() -> None:
    page = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    shown = {name: int(floor) for floor, name in re.findall(r"^\| (\d+) \| `(\w+)` \|", page, re.MULTILINE)}
    assert shown == FLOOR


def test_no_import_goes_in_a_circle() -> None:
    graph = {module: set(imported(module, tree.body)) - {module} for module, tree in TREES.items()}
    while leaves := [module for module, targets in graph.items() if not targets & graph.keys()]:
        for module in leaves:
            del graph[module]
    assert not graph


@pytest.mark.parametrize("package", [name for name, file in FILES.items() if file.name == "__init__.py"])
def test_each_room_says_what_it_is_for_and_exports_its_own(package: str) -> None:
    tree = TREES[package]
    assert ast.get_docstring(tree)
    if package not in ("ntps", "ntps.cli"):
        assert all(target.startswith(f"{package}.") for target in imported(package, ast.walk(tree)))


@pytest.mark.parametrize("folder", sorted({file.parent for file in FILES.values()}))
def test_rooms_are_small(folder: Path) -> None:
    assert len([file for file in folder.glob("*.py") if file.name != "__init__.py"]) <= MOST_FILES


@pytest.mark.parametrize("module", sorted(FILES))
def test_files_are_short(module: str) -> None:
    assert len(FILES[module].read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_theory_is_about_arrays_only() -> None:
    for module, tree in TREES.items():
        if module.startswith("ntps.theory"):
            nodes = list(ast.walk(tree))
            roots = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
            roots |= {(node.module or "").split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
            assert roots <= {"__future__", "collections", "dataclasses", "numpy", "scipy", "typing", "ntps"}, module


def test_no_pickle_of_our_own() -> None:
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "cPickle", "dill", "cloudpickle", "joblib"}, module
            if isinstance(node, ast.Attribute) and node.attr in ("load", "save") and isinstance(node.value, ast.Name):
                assert node.value.id != "torch", module


def test_importing_is_light() -> None:
    """Heavy libraries come with the work that needs them."""
    heavy = ("matplotlib", "datasets", "sklearn", "peft", "transformers", "ray", "accelerate")
    code = (
        "import json, sys; import torch, pandas, scipy.linalg; before = {*sys.modules}; import ntps; "
        f"print(json.dumps([[m for m in {heavy!r} if m in sys.modules], len({{*sys.modules}} - before)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded, count = json.loads(done.stdout)
    assert loaded == []
    # Beyond torch, pandas and SciPy, which are the least that it takes: what is loaded costs time on any machine.
    assert count < MODULES


def test_the_door_offers_what_it_says() -> None:
    assert len(ntps.__all__) == len(set(ntps.__all__)) <= 21
    for name in ntps.__all__:
        assert getattr(ntps, name).__doc__, name

"""The house: every import goes down the floors, no circle, and what needs no heavy library loads none."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import ntps
import ntps.api
from ntps.cli import app

ROOT = Path(ntps.__file__).parent
# A module imports from its own room and from floors below; rooms of one floor know nothing of each other.
FLOORS = (
    ("errors", "lazy", "theory", "version"),
    ("hub", "files", "options", "json_files", "distributed"),
    ("tasks", "models", "moments"),
    ("forward", "validation"),
    ("jobs",),
    ("checkpoint",),
    ("scoring", "training"),
    ("advice", "prediction"),
    ("study",),
    ("display", "plots"),
    ("report", "api"),
    ("cli",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS, start=1) for room in rooms}
DOORS = ("ntps", "ntps.__main__")
HEAVY = ("accelerate", "datasets", "matplotlib", "peft", "ray", "sklearn", "tokenizers", "transformers")
"""What even the functions of `import ntps` leave to the work that needs it."""
HEAVIER = (*HEAVY, "filelock", "jaxtyping", "numpy", "pandas", "pyarrow", "safetensors", "scipy", "torch")
MODULES = 420
"""More than all that `import ntps` offers loads, ours included, beyond torch, pandas and SciPy."""
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
        targets = set(imported(package, ast.walk(tree))) - {"ntps.lazy"}
        assert all(target.startswith(f"{package}.") for target in targets)


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
            assert roots <= {
                "__future__",
                "collections",
                "dataclasses",
                "jaxtyping",
                "numpy",
                "scipy",
                "typing",
                "ntps",
            }, module


def test_no_pickle_of_our_own() -> None:
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "cPickle", "dill", "cloudpickle", "joblib"}, module
            if isinstance(node, ast.Attribute) and node.attr in ("load", "save") and isinstance(node.value, ast.Name):
                assert node.value.id != "torch", module


def loaded(code: str) -> set[str]:
    """The modules that a process of its own has loaded when some code has run."""
    told = f"{code}\nimport json, sys; sys.stderr.write(chr(10) + json.dumps([*sys.modules]))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return {*json.loads(done.stderr.splitlines()[-1])}


def test_importing_and_asking_is_light() -> None:
    """Neither `import ntps`, nor help, nor the lists of what is known load a heavy library."""
    commands = [[], ["--help"], ["--version"], ["tasks"], ["models"]]
    commands += [[command.callback.__name__, "--help"] for command in app.registered_commands if command.callback]
    code = f"""
import sys, ntps, ntps.hub, ntps.options.limits
from ntps.cli import main
for arguments in {commands!r}:
    sys.argv = ["ntps", *arguments]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code or not arguments, (arguments, ended.code)
"""
    assert loaded(code) & {*HEAVIER} == set()
    # Typer loads pydantic itself, for every command that it parses; we do not.
    assert "pydantic" not in loaded("import ntps, ntps.hub, ntps.options.limits, ntps.cli")


def test_what_is_offered_is_light() -> None:
    """What is loaded costs time on any machine."""
    least = "import torch, pandas, scipy.linalg"
    found = loaded(f"{least}; from ntps import *")
    assert found & {*HEAVY} == set()
    assert len(found - loaded(least)) < MODULES


@pytest.mark.parametrize("package", [ntps, ntps.api])
def test_the_doors_offer_what_editors_see(package: ModuleType) -> None:
    """Each name is imported from the module that type checkers and editors are told."""
    block = next(node for node in TREES[package.__name__].body if isinstance(node, ast.If))
    shown = {
        (node.module, alias.name) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    for module, name in shown:
        assert getattr(package, name) is getattr(importlib.import_module(str(module)), name)
    assert {name for _, name in shown} <= {*dir(package)} and {*package.__all__} <= {*dir(package)}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def test_the_door_offers_what_it_says() -> None:
    assert len(ntps.__all__) == len(set(ntps.__all__)) <= 36
    for name in ntps.__all__:
        assert getattr(ntps, name).__doc__, name

"""The house: imports go one way through the rooms, and the door is light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ntps

ROOT = Path(ntps.__file__).parent
ROOMS = ("tasks", "models", "moments", "training", "study", "report", "api", "cli")
# Free for all: they import nothing of ours but each other.
FLOOR = ("theory", "errors", "hub", "limits", "paths", "shapes")
DOORS = ("__init__", "__main__")
MODULES = 400
"""More than `import ntps` loads, ours included."""


def modules() -> dict[str, ast.Module]:
    files = {file.relative_to(ROOT.parent).with_suffix(""): file for file in sorted(ROOT.rglob("*.py"))}
    return {".".join(path.parts): ast.parse(file.read_text(encoding="utf-8")) for path, file in files.items()}


def room(module: str) -> str:
    """``tasks`` of ``ntps.tasks.load``; ``__init__`` of the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imported(module: str, tree: ast.Module) -> Iterator[str]:
    """Every module of ours that is imported anywhere, inside functions and behind ``TYPE_CHECKING`` too."""
    names = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts) for path in ROOT.rglob("*.py")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "ntps")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively: write the whole name"
            source = node.module or ""
            if source.split(".")[0] == "ntps":
                for alias in node.names:
                    whole = f"{source}.{alias.name}"
                    yield whole if whole in names or f"{whole}.__init__" in names else source


def test_the_rooms_are_known() -> None:
    assert {room(module) for module in modules()} <= {*ROOMS, *FLOOR, *DOORS}


def test_imports_go_one_way() -> None:
    wrong = []
    for module, tree in modules().items():
        here = room(module)
        for target in imported(module, tree):
            there = room(target)
            if here in FLOOR:
                allowed = there == here or (there in FLOOR and here != "theory")
            elif here in ROOMS:
                allowed = there in FLOOR or (there in ROOMS and ROOMS.index(there) <= ROOMS.index(here))
            else:
                allowed = here == "__main__" or there != "cli"
            if not allowed:
                wrong.append(f"{module} imports {target}")
    assert not wrong


def test_theory_is_about_arrays_only() -> None:
    for module, tree in modules().items():
        if room(module) == "theory":
            nodes = list(ast.walk(tree))
            roots = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
            roots |= {(node.module or "").split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
            assert roots <= {"__future__", "collections", "dataclasses", "numpy", "scipy", "typing", "ntps"}, module


def test_reports_read_results_only() -> None:
    for module, tree in modules().items():
        if room(module) == "report":
            seen = {room(target) for target in imported(module, tree)}
            assert seen <= {"report", "moments", "training", "errors", "shapes", "study"}, module


def test_no_pickle_of_our_own() -> None:
    for module, tree in modules().items():
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

"""The documentation says what is true now."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from ntps.cli import main

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
GUIDES = (ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md")
"""Pages that name files and functions. Paths begin at the root, or below src/ntps."""
NAME = r"(\w+(?:\.\w+)?)"


@pytest.mark.parametrize(("script", "page"), [("write_api_reference", "reference"), ("write_result_schema", "schema")])
def test_a_written_page_is_what_the_docstrings_say(script: str, page: str) -> None:
    spec = importlib.util.spec_from_file_location(script, ROOT / "scripts" / f"{script}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == getattr(module, page)(), f"run python scripts/{script}.py"


def test_the_api_reference_is_free_of_sphinx_roles() -> None:
    assert not re.search(r":\w+:`", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"))


def test_the_quick_start_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.+?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, {})
    assert (tmp_path / "curves.png").is_file() and (tmp_path / "result" / "result.json").is_file()


@pytest.mark.slow
def test_the_ranking_of_the_readme_runs_and_looks_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On fewer texts; figures are those of one machine, titles and explanations are not."""
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"```sh\n(ntps finetune [^`]+)```\n\n```text\n([^`]+)```", page)
    assert found is not None
    for command in found[1].splitlines():
        fewer = re.sub(r" --limit \d+", "", command) + " --limit 60 --no-test"
        monkeypatch.setattr("sys.argv", fewer.removesuffix("" if "rank" in command else " --no-test").split())
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
    said = " ".join(capsys.readouterr().out.split())
    shown = " ".join(found[2].split())
    assert shown.partition(" ─")[0] in said
    assert re.findall(r"accuracy %: of .+? together at 95 %\.", shown)[0] in said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_has_unfinished_places(page: Path) -> None:
    assert "TODO" not in page.read_text(encoding="utf-8")


def named_path(name: str) -> Path:
    """The file or folder that a guide means."""
    found = [path for path in (ROOT / name, ROOT / "src" / "ntps" / name) if path.exists()]
    assert found, f"there is no {name}"
    return found[0]


def says(path: Path, name: str) -> bool:
    """Whether a file has a name, such as ``Rows.where``: its last part."""
    return re.search(rf"\b{name.rpartition('.')[2]}\b", path.read_text(encoding="utf-8")) is not None


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_files_and_names_in_the_guides_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:src|tests|docs|scripts)/[\w/.]*|[\w/]+\.py)`", text):
        named_path(name)
    # A name in a file, in words and in the picture.
    for name, path in re.findall(rf"`{NAME}` in\s+`([\w/]+\.py)`", text):
        assert says(named_path(path), name), f"{path} has no {name}"
    for path, name in re.findall(rf"([\w/]+\.py) +{NAME}", text):
        assert says(named_path(path), name), f"{path} has no {name}"
    # A row of a recipe: files, and names in them.
    for first, second in re.findall(r"^\| (`[^|]+\.py`) \| ([^|]+) \|$", text, re.MULTILINE):
        files = [named_path(path) for path in re.findall(r"`([^`]+)`", first)]
        for name in re.findall(rf"`{NAME}`", second):
            if not name.endswith((".json", ".py")):
                assert any(says(file, name) for file in files), f"{first} has no {name}"


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_what_the_pages_make_can_be_made(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    asked = re.findall(r"(?:^|`)make ((?:[a-z-]+ ?)+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    for target in " ".join(asked).split():
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target

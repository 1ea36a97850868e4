"""The site has every page, and a link that leads nowhere is found."""

from __future__ import annotations

import re
from pathlib import Path

from check_site import broken_links

DOCS = Path(__file__).parents[2] / "docs"
ELSEWHERE = {"api", "index"}
"""docs/reference.md is docs/api.md for readers of the site; the table of contents itself."""


def test_every_page_has_a_place_in_the_table_of_contents() -> None:
    trees = re.findall(r"```\{toctree\}\n(.+?)```", (DOCS / "index.md").read_text(encoding="utf-8"), re.DOTALL)
    listed = re.findall(r"^([\w./-]+)$", "\n".join(trees), re.MULTILINE)
    pages = {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md")}
    assert pages - ELSEWHERE == {page for page in listed if not page.startswith("..")}


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="#top">.</a><a href="sub/b.html#here">.</a><a href="https://example.com/no">.</a>'
        '<a href="sub/b.html#there">.</a><a href="c.html">.</a><img src="d.png">',
        encoding="utf-8",
    )
    (tmp_path / "sub" / "b.html").write_text('<p id="here"></p><a href="../a.html#bottom">.</a>', encoding="utf-8")
    assert list(broken_links(tmp_path)) == [
        "a.html: c.html",
        "a.html: d.png",
        "a.html: sub/b.html#there",
        "sub/b.html: ../a.html#bottom",
    ]

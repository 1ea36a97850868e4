"""The site: `make docs` builds it from the Markdown pages of the repository, which is the source folder."""

from __future__ import annotations

import os
from pathlib import Path

from ntps import __version__

project = "ntps"
author = "the ntps authors"
copyright = author
release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
]
root_doc = "docs/index"
include_patterns = ["docs/**", "benchmarks/README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
# docs/api.md is docs/reference.md for those who read the repository.
exclude_patterns = ["docs/api.md", "docs/_*", ".venv*", ".git", "site", "src", "tests"]

# Pages
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # A page may skip a level of headings.

# Notebooks are text, run at every build: they need neither network nor files, and none may fail.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
# Progress bars of a notebook would need a package that nothing else does.
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"

# Reference
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

# Links to other libraries need their inventories. A build asks for none unless NTPS_INVENTORIES says `online`, or
# names a folder that holds python.inv, numpy.inv ….
_LIBRARIES = {
    "python": "https://docs.python.org/3",
    "numpy": "https://numpy.org/doc/stable",
    "pandas": "https://pandas.pydata.org/docs",
    "matplotlib": "https://matplotlib.org/stable",
    "torch": "https://docs.pytorch.org/docs/stable",
}
_FROM = os.environ.get("NTPS_INVENTORIES", "")
intersphinx_mapping = {
    name: (url, None if _FROM == "online" else str(Path(_FROM, f"{name}.inv").absolute()))
    for name, url in _LIBRARIES.items()
    if _FROM == "online" or (_FROM and Path(_FROM, f"{name}.inv").is_file())
}

html_theme = "furo"
html_title = f"ntps {release}"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["wrap.css"]
templates_path = ["_templates"]
html_additional_pages = {"index": "start.html"}

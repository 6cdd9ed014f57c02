"""The documentation: `make docs` builds it, offline, into build/docs."""

import sys
from importlib.resources import files
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

import cbackprop

project = "cbackprop"
author = project_copyright = "The cbackprop developers"
version = release = cbackprop.__version__

extensions = [
    "kernel",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
myst_enable_extensions = ["attrs_block", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "pydata_sphinx_theme"
html_title = "cbackprop"
# MathJax comes with the pages: they need no network
html_static_path = ["_static", str(files("mathjax") / "static/mathjax/es5/tex-svg.js")]
mathjax_path = "tex-svg.js"
html_css_files = ["pages.css"]
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_show_sourcelink = False

autodoc_typehints = "none"  # the docstrings give types in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "",  # all are run
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
}


def name_the_language(app, page, template, context, doctree):
    """Pages in ja/ are Japanese: it decides the shapes of characters, and how a screen reader reads."""
    if page.startswith("ja/"):
        context["language"] = "ja"


def setup(app):
    app.connect("html-page-context", name_the_language)

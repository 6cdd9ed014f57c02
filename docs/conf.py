"""Sphinx configuration. `nox -s docs` builds the documentation, in build/docs."""

import importlib
import re
import subprocess
import sys
from dataclasses import fields
from importlib.resources import files
from pathlib import Path

import cbackprop

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "cbackprop"
author = project_copyright = "The cbackprop developers"
version = release = cbackprop.__version__

extensions = [
    "continues",
    "docstrings",
    "japanese",
    "kernel",
    "objects",
    "pictures",
    "punctuation",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
myst_enable_extensions = ["attrs_block", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
myst_html_meta = {
    "description": "Two-layer neural networks that learn one sample at a time"
}
nitpicky = True
# parameters of estimators, fields of data classes: described, but no targets of links
ESTIMATORS = [
    getattr(importlib.import_module(f"cbackprop.{name}"), kind)
    for name in ("dask", "sklearn")
    for kind in ("BackpropClassifier", "BackpropRegressor")
]
nitpick_ignore = [("py:obj", each.name) for kind in ESTIMATORS for each in fields(kind)]
# extras, not modules
nitpick_ignore_regex = [("py:obj", "dask|onnx|river|sklearn")]
# what pages name, as plain text: a build needs no network
intersphinx_mapping = {
    name: (url, f"inventories/{name}.txt")
    for name, url in {
        "numpy": "https://numpy.org/doc/stable",
        "onnx": "https://onnx.ai/onnx",
        "python": "https://docs.python.org/3",
        "river": "https://riverml.xyz/latest",
        "scipy": "https://docs.scipy.org/doc/scipy",
        "sklearn": "https://scikit-learn.org/stable",
        "torch": "https://docs.pytorch.org/docs/stable",
        "tqdm": "https://tqdm.github.io",
    }.items()
}

html_theme = "pydata_sphinx_theme"
html_title = "cbackprop"
html_favicon = html_logo = "pictures/logo.svg"
# MathJax is bundled with the pages, which work offline
html_static_path = ["_static", str(files("mathjax") / "static/mathjax/es5/tex-svg.js")]
mathjax_path = "tex-svg.js"
html_css_files = ["pages.css"]
exclude_patterns = ["inventories", "locale", "plots"]
# plots are made from the tables of benchmarks/results
subprocess.run(
    [sys.executable, "-m", "benchmarks.compare.plots", HERE / "plots"],
    cwd=HERE.parent,
    check=True,
)
if (history := HERE.parent / ".asv" / "site").exists():  # built by `make history-site`
    html_extra_path = [str(history)]
    tags.add("history")  # noqa: F821 - defined by Sphinx
# the repository is where this clone comes from
origin = subprocess.run(
    ["git", "config", "remote.origin.url"], cwd=HERE, capture_output=True, text=True
).stdout.strip()
origin = re.sub(r"^git@(.+?):", r"https://\1/", origin).removesuffix(".git")
html_theme_options = {
    "logo": {"text": f"cbackprop {version}"},
    "header_links_before_dropdown": 6,
    "icon_links": [
        {"name": "Repository", "url": origin, "icon": "fa-solid fa-code-branch"}
    ]
    if origin.startswith("https://")
    else [],
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
    "show_prev_next": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": [], "ja/index": []},
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {
    page: []
    for page in (
        "index",
        "ja/index",
        "mathematics",
        "ja/mathematics",
        "orders",
        "ja/orders",
        "ja/guides/start",
        "performance",
        "measurements",
        "installation",
        "guarantees",
        "security",
        "glossary",
        "changelog",
    )
}
html_context = {"default_mode": "auto"}
html_show_sourcelink = html_domain_indices = False

default_role = "autolink"  # resolves `fit` in a docstring
autodoc_typehints = "none"  # docstrings describe types in prose
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # as they are written
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "",  # execute all examples
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("pictures.scrape",),
    "reset_modules": ("pictures.use_style",),
    "default_thumb_file": str(HERE / "pictures" / "logo.svg"),
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
}


def show_network(app, page, template, context, doctree):
    """Let a network learn on the front pages."""
    if page in ("index", "ja/index"):
        app.add_css_file("live.css")
        app.add_js_file("live-modules.js")
        app.add_js_file("live.js")


def setup(app):
    app.connect("html-page-context", show_network)

"""Docstrings as pages, where they are written for terminals; sources that exist."""

import re


def mend(app, what, name, obj, options, lines: list[str]) -> None:
    """Keep (13) at the start of a line from being an item of a list; link guides."""
    for n, line in enumerate(lines):
        line = re.sub(r"^(\s*)\((\d+)\)", r"\1\\(\2)", line)
        lines[n] = re.sub(r"\bdocs(/guides/\w+)\.md", r":doc:`\1`", line)


def leave_out_compiled(app) -> list:
    """Drop modules without a page of source from the list of modules."""
    modules = app.env._viewcode_modules
    for name in [name for name, found in modules.items() if not found]:
        del modules[name]
    return []


def setup(app):
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", mend, priority=900)
    app.connect("html-collect-pages", leave_out_compiled)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

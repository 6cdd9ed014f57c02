"""The modules of the package import each other in one direction, also when types are checked and on first use."""

import ast
import graphlib
import importlib.util
from pathlib import Path

import cbackprop

PACKAGE = Path(cbackprop.__file__).parent


def name_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    name_of(path): path for suffix in ("pyi", "py") for path in PACKAGE.rglob(f"*.{suffix}")
}  # with types of Cython


def imports(name):
    """The modules of the package that one imports anywhere, from a package its modules instead where it has them."""
    package = name if FILES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names = [f"{module}.{alias.name}" for alias in node.names]
            yield from (each if each in FILES else module for each in names)


def test_no_modules_import_each_other():
    graph = {name: {each for each in imports(name) if each in FILES} - {name} for name in FILES}
    assert "cbackprop._functions" in graph["cbackprop"]
    assert "cbackprop._mixture" in graph["cbackprop._one_sample"]  # of types
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names a circle

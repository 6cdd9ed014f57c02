"""The package as a whole: what importing it costs, what it ships, how it was built."""

import ast
import doctest
import importlib
import importlib.metadata
import importlib.resources
import io
import json
import re
import sys
import tokenize
import tomllib
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import cbackprop
from cbackprop import _dispatch
from cbackprop._variants import VARIANTS

TREE = Path(__file__).parents[1]
PACKAGE = Path(cbackprop.__file__).parent
COMPILED = sorted(
    path.relative_to(PACKAGE.parent).as_posix().removesuffix(suffix).replace("/", ".")
    for suffix in EXTENSION_SUFFIXES[:1]
    for path in PACKAGE.rglob(f"*{suffix}")
)


def loaded_by(statement: str, python) -> set[str]:
    """Top-level modules, other than Python's own, that a fresh interpreter has loaded after `statement`."""
    done = python(f"{statement}\nimport json, sys\nprint(json.dumps(list(sys.modules)))")
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout)} - sys.stdlib_module_names


def installed() -> importlib.metadata.Distribution:
    """The distribution that holds the tested package; skips where that is a source tree, built in place."""
    for distribution in importlib.metadata.distributions(name="cbackprop", path=[str(PACKAGE.parent)]):
        if distribution.files and any(file.name == "RECORD" for file in distribution.files):
            return distribution
    pytest.skip("cbackprop was built in place: only an installed package has a list of its files")


def test_import_loads_numpy_and_nothing_heavier(python):
    loaded = loaded_by("import cbackprop", python) - loaded_by("import numpy", python)
    # Cython's two hold no code, and the module that it shares among ours has a second name
    assert {name for name in loaded if "cython" not in name} == {"cbackprop", "_cyutility"}


def test_import_leaves_the_floating_point_state_alone(python):
    # Built with -ffast-math, a module makes the processor flush the smallest numbers to zero, for the whole process.
    code = "".join(f"import {name}\n" for name in COMPILED if runs_here(name)) + (
        "import numpy as np\nprint(np.array([5e-324]) * 1.0 > 0, np.array([1e-45], np.float32) * np.float32(1) > 0)"
    )
    done = python(code)
    assert done.stdout == "[ True] [ True]\n", done.stderr


@pytest.mark.parametrize(
    ("run", "forced"), [("import cbackprop", ""), ("import runpy; runpy.run_module('cbackprop')", "baseline")]
)
def test_a_folder_without_a_build_is_reported(tmp_path, python, run, forced):
    for path in PACKAGE.rglob("*.py"):
        copy = tmp_path / path.relative_to(PACKAGE.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    done = python(run, PYTHONPATH=str(tmp_path), CBACKPROP_KERNEL=forced)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: cbackprop was not built in this folder, {tmp_path}: "
        f"run `pip install -e .` or `make build`, or start Python in another folder"
    )


def runs_here(name: str) -> bool:
    variant = name.rpartition(".")[2].partition("_")[0]
    return variant not in VARIANTS or variant in _dispatch.available_variants()


def test_version_is_that_of_the_metadata():
    assert installed().version == cbackprop.__version__


def test_all_names_exist():
    missing = [name for name in cbackprop.__all__ if not hasattr(cbackprop, name)]
    assert missing == []


def test_installed_files_are_python_stubs_compiled_modules_and_what_users_compile():
    files = [file for file in installed().files if file.parts[0] == "cbackprop" and "__pycache__" not in file.parts]
    allowed = (".py", ".pyi", "py.typed", "export/template.h", "c_api.pxd", *EXTENSION_SUFFIXES)
    assert [file.as_posix() for file in files if not file.as_posix().endswith(allowed)] == []
    assert not any("test" in part for file in files for part in file.parts)
    assert {"cbackprop/c_api.pxd", "cbackprop/export/template.h"} <= {file.as_posix() for file in files}
    # what repairing a wheel would add if it needed any: a second OpenMP, for one, can clash with scikit-learn's
    assert [str(file) for file in installed().files if re.search(r"(\.libs|\.dylibs)/", file.as_posix())] == []


def test_console_script_is_the_command():
    (script,) = (entry for entry in installed().entry_points if entry.group == "console_scripts")
    assert script.name == "cbackprop"
    assert callable(script.load())


def test_every_compiled_module_was_built():
    expected = {"cbackprop._one_sample", "cbackprop.kernels.baseline_float32", "cbackprop.kernels.baseline_float64"}
    assert expected <= set(COMPILED)
    # a variant is there for both precisions or for none
    variants = {name.removesuffix(dtype) for name in COMPILED for dtype in ("float32", "float64") if dtype in name}
    assert {variant + dtype for variant in variants for dtype in ("float32", "float64")} <= set(COMPILED)


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_modules_ship_their_types(name):
    package, _, module = name.rpartition(".")
    assert importlib.resources.files(package).joinpath(f"{module}.pyi").is_file()


def test_package_is_marked_as_typed():
    assert importlib.resources.files("cbackprop").joinpath("py.typed").is_file()


def test_examples_of_compiled_classes_hold():
    # pytest collects the examples of Python files by itself
    module = importlib.import_module("cbackprop._one_sample")
    runner = doctest.DocTestRunner()
    for name, member in vars(module.OneSample).items():
        if documentation := getattr(member, "__doc__", None):
            test = doctest.DocTestParser().get_doctest(documentation, {}, name, None, None)
            runner.run(test)
    assert runner.tries > 0
    assert runner.failures == 0


def compiler_flags() -> str:
    flags = []
    for file in (TREE / "setup.py", PACKAGE / "_variants.py"):
        tokens = tokenize.generate_tokens(io.StringIO(file.read_text()).readline)
        flags += [token.string for token in tokens if token.type == tokenize.STRING]
    return " ".join(flags)


@pytest.mark.parametrize("flag", ["-ffast-math", "-Ofast", "-funsafe-math-optimizations", "-march=native", "/fp:fast"])
def test_flags_that_change_arithmetic_are_not_used(flag):
    assert "-mavx2" in compiler_flags()
    assert flag not in compiler_flags()


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_are_compiled_for_the_features_that_they_need(variant):
    used = {flag.removeprefix("-m").upper() for flag in VARIANTS[variant].gcc if flag.startswith("-m")}
    assert used == {feature.replace("FMA3", "FMA") for feature in VARIANTS[variant].features}
    for dtype in ("float32", "float64"):
        assert (PACKAGE / f"kernels/{variant}_{dtype}.pyi").is_file()


def extra_of(name: str, tables: dict[str, list[str]]) -> set[str]:
    """Names of the packages that the extra `name` installs."""
    packages = set()
    for requirement in map(Requirement, tables[name]):
        if requirement.name == "cbackprop":
            packages |= set().union(*(extra_of(other, tables) for other in requirement.extras))
        else:
            packages.add(canonicalize_name(requirement.name))
    return packages


def required_on_use() -> list[tuple[str, str]]:
    calls = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name("require"), args=[ast.Constant(module), ast.Constant(extra)]):
                    calls.add((module, extra))
    return sorted(calls)


@pytest.mark.parametrize(("module", "extra"), required_on_use())
def test_the_extra_named_in_an_error_installs_the_package(module, extra):
    tables = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    package = module.partition(".")[0]
    assert {"sklearn": "scikit-learn"}.get(package, package) in extra_of(extra, tables)


def test_no_path_of_a_particular_machine():
    # in every text file of the tree: a home folder or the like would be right on one machine only
    path = re.compile(r"(?<![\w.])/(?:root|work|home/\w+|Users/\w+)/")
    folders = [TREE / name for name in ("cbackprop", "tests", "benchmarks", "docs", "examples", ".ci", ".github")]
    files = [file for folder in folders for file in folder.rglob("*")] + list(TREE.glob("*"))
    texts = [file for file in files if file.suffix in TEXT or file.name in ("Makefile", "run")]
    assert TREE / "setup.py" in texts
    assert [str(file.relative_to(TREE)) for file in texts if path.search(file.read_text(encoding="utf-8"))] == []


TEXT = {".py", ".pyi", ".pyx", ".pxi", ".h", ".md", ".rst", ".toml", ".json", ".yaml", ".yml", ".in", ".txt", ".svg"}

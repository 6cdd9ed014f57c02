"""The table of compiled modules: which there are, and with which compiler flags. Everything else is in pyproject.toml.

Environment variables select other builds, as described in CONTRIBUTING.md: CBACKPROP_DEBUG=1 (or =address) adds bounds
checks and assertions, CBACKPROP_COVERAGE=1 counts the lines that run, CBACKPROP_VARIANTS=avx2 (several names are
separated by commas) compiles the kernels of these variants only, and CBACKPROP_WERROR=1 makes warnings errors.
"""

import multiprocessing
import os
import runpy
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from Cython.Build.Dependencies import DependencyTree
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DEBUG = os.environ.get("CBACKPROP_DEBUG") in ("1", "address")
ADDRESS = os.environ.get("CBACKPROP_DEBUG") == "address"
COVERAGE = os.environ.get("CBACKPROP_COVERAGE") == "1"
WERROR = os.environ.get("CBACKPROP_WERROR") == "1"
PLATFORM = sysconfig.get_platform()  # the one built for: "linux-x86_64", "macosx-11.0-arm64", "win-amd64"
MSVC = PLATFORM.startswith("win")
X86_64 = PLATFORM.endswith(("x86_64", "amd64")) and "arm64" not in os.environ.get("ARCHFLAGS", "")

VARIANTS = runpy.run_path("cbackprop/_variants.py")["VARIANTS"]
OPTIONAL = tuple(f"cbackprop.kernels.{name}_" for name, variant in VARIANTS.items() if variant.features)
RELEASE = "CIBUILDWHEEL" in os.environ  # holds them all

ONLY = os.environ.get("CBACKPROP_VARIANTS", "").replace(",", " ").split() or list(VARIANTS)
if unknown := set(ONLY) - VARIANTS.keys():
    raise SystemExit(f"CBACKPROP_VARIANTS names {', '.join(sorted(unknown))}; variants are {', '.join(VARIANTS)}")

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "auto_pickle": False,
}
MACROS = [("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")]
LINK = []

# No flag here may change what the arithmetic means, in this library or in the process that loads it. So none of the
# -ffast-math family; cbackprop/kernels/vec.h refuses to be compiled with it.
FLAGS = [
    "-O3",
    "-fno-math-errno",  # the kernels don't read errno ...
    "-fno-trapping-math",  # ... nor the floating-point exception flags, so both sides of a choice may be computed
    "-Wall",
    "-Wextra",
    "-Wno-psabi",  # how lanes would be passed between functions is no matter: all that do it are inlined
    "-Wno-unused-command-line-argument",  # of Clang, of --param: variants have flags for GCC, too
    *(["-Werror"] if WERROR else []),
]
if MSVC:
    FLAGS = ["/O2"]

# Not for Clang, which doesn't know them. GCC would copy the loop of a short tail for each length that it can have, and
# to clear a few vectors call memset(), for which it saves all others.
GCC_FLAGS = ["-fno-peel-loops", "-fno-tree-loop-distribute-patterns"]

if DEBUG:
    DIRECTIVES |= {"boundscheck": True, "initializedcheck": True}
    # the last of two flags wins; undefined behavior stops the process on the spot
    FLAGS += ["/Od"] if MSVC else ["-Og", "-g1", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
    FLAGS += ["-UNDEBUG"]
    if ADDRESS:  # every access through a pointer, too
        FLAGS += ["-fsanitize=address", "-fno-omit-frame-pointer"]
        LINK += ["-fsanitize=address"]
elif COVERAGE:  # counted in the C that GCC sees: Cython's own tracing can't pass lanes to a Python tracer
    FLAGS += ["-O0", "--coverage", "-Dalways_inline=unused"]  # inlined, each copy of a branch would count by itself
    LINK += ["--coverage"]
elif PLATFORM.startswith("linux"):
    FLAGS += ["-g0"]  # no debugging information and no symbol table: a small wheel
    LINK += ["-Wl,-s"]


def module(name, flags, **options):
    source = name.replace(".", "/") + ".pyx"
    return Extension(
        name,
        [source],
        depends=[str(path) for path in Path("cbackprop/kernels").iterdir() if path.suffix in (".pxi", ".h")],
        define_macros=MACROS,
        extra_compile_args=FLAGS + flags,
        extra_link_args=LINK,
        **options,
    )


MODULES = [
    module(f"cbackprop.kernels.{name}_{dtype}", list(variant.msvc if MSVC else variant.gcc))
    for name, variant in VARIANTS.items()
    for dtype in ("float32", "float64")
    if name in ONLY and (X86_64 or not variant.features)
]
COMPILED = ("_memory", "_training_lock", "_one_sample", "_mixture_weights", "_running", "_standardization", "_stream")
MODULES += [module(f"cbackprop.{name}", [], include_dirs=[np.get_include()]) for name in (*COMPILED, "c_api")]

# What Cython's memoryviews need, which all modules would contain
SHARED = "cbackprop._cyutility"
MODULES.append(Extension(SHARED, ["cbackprop/_cyutility.c"], extra_compile_args=FLAGS, extra_link_args=LINK))

# A folder for each kind of build, with the C, and for each compiler, so that objects of one never end up in another.
KIND = "build/" + ("address" if ADDRESS else "debug" if DEBUG else "coverage" if COVERAGE else "release")
BUILD = f"{KIND}-{Path(os.environ['CC']).name}" if "CC" in os.environ else KIND
JOBS = os.cpu_count() if multiprocessing.get_start_method() == "fork" else 0  # others would run this file in each job

# `pip install -e` builds with a Cython and a NumPy of its own. The times of other installations' declarations and
# headers would make `make build` compile everything again; C made by another version of Cython is made again anyway.
DependencyTree.extract_timestamp = lambda tree, file: (0 if Path(file).is_absolute() else tree.timestamp(file), file)
MODULES = cythonize(
    MODULES,
    compiler_directives=DIRECTIVES,
    build_dir=KIND,
    nthreads=JOBS,
    shared_utility_qualified_name=SHARED,
)
for compiled in MODULES:  # a compiler that doesn't know their flags still builds the rest; cythonize() drops "optional"
    compiled.optional = compiled.name.startswith(OPTIONAL) and not RELEASE
    compiled.depends = [file for file in compiled.depends if not Path(file).is_absolute()]


class BuildExt(build_ext):
    """Builds in place, for `pip install -e` and `make build`, in one folder; the former would use a temporary one."""

    def finalize_options(self):
        """Set the folder."""
        super().finalize_options()
        if self.inplace:
            self.build_lib = f"{BUILD}/in_place"

    def build_extensions(self):
        """Compile with the flags of this compiler."""
        if not MSVC:
            version = subprocess.run(
                [*self.compiler.compiler_so, "--version"], capture_output=True, text=True, check=True
            )
            if "clang" not in version.stdout:
                for extension in self.extensions:
                    extension.extra_compile_args = GCC_FLAGS + extension.extra_compile_args
        super().build_extensions()


setup(
    ext_modules=MODULES,
    cmdclass={"build_ext": BuildExt},
    options={"build": {"build_base": BUILD}, "build_ext": {"parallel": os.cpu_count()}},
)

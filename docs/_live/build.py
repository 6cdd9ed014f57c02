"""Compile the networks of the front page: `export_c`, then Clang, then one script.

`python docs/_live/build.py` writes docs/_static/live-modules.js; `--check` compiles,
and compares the bytes if the version of Clang is the same. Both need Clang and wasm-ld.
"""

import argparse
import base64
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import cbackprop

HERE = Path(__file__).parent
GLUE = HERE / "live.c"
MODULES = HERE.parent / "_static" / "live-modules.js"
UNITS = (2, 4, 8, 16)
ARRAYS = ("live_w", "live_v", "x", "t", "b", "z", "a", "y", "error", "e")
FLAGS = (
    *("--target=wasm32", "-std=c99", "-Os", "-Wall", "-Wextra", "-Werror"),
    *("-nostdlib", "-nostdlibinc", "-Wl,--no-entry", "-Wl,--strip-all"),
    *(f"-Wl,--export={name}" for name in ARRAYS),
)
# all that the exported C includes; there is no C library for WebAssembly
INCLUDES = {
    "math.h": "#define NAN __builtin_nan(\"\")\n",
    "string.h": "#define memcpy __builtin_memcpy\n",
}  # fmt: skip


def sources(units: int) -> dict[str, str]:
    """The C files of a module, by name."""
    network = cbackprop.Network(2, units, 3, rng=units)
    for weights in (network.w, network.v):  # the same ones on every processor
        weights[...] = np.round(weights * 64) / 64
    with tempfile.TemporaryDirectory() as folder:
        cbackprop.export_c(network, header := Path(folder) / "live.h", name="live")
        text = header.read_text(encoding="utf-8")
    return INCLUDES | {GLUE.name: GLUE.read_text(encoding="utf-8"), header.name: text}


def digest() -> str:
    """A hash of all that determines the modules, apart from the compiler."""
    everything = [FLAGS, [sources(units) for units in UNITS]]
    return hashlib.sha256(json.dumps(everything).encode()).hexdigest()


def compile_module(units: int) -> bytes:
    """The module of a network."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in sources(units).items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        command = ("clang", *FLAGS, "-I.", "-o", "live.wasm", GLUE.name)
        subprocess.run(command, cwd=folder, check=True)
        return (Path(folder) / "live.wasm").read_bytes()


def compiler() -> str:
    """The version of Clang."""
    command = ("clang", "--version")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return re.search(r"clang version ([\d.]+)", done.stdout)[1]


def script() -> str:
    """The modules in a script: unlike files of their own, it loads without a server."""
    modules = {"clang": compiler(), "sources": digest()}
    for units in UNITS:
        modules[str(units)] = base64.b64encode(compile_module(units)).decode()
    lines = json.dumps(modules, indent=1)
    return f"// made by docs/_live/build.py\nconst LIVE_MODULES = {lines};\n"


def check(made: str, there: str) -> None:
    """Compare the script that is made with the one that is there."""
    version = re.search(r'"clang": "(.*?)"', there)[1]
    if version != compiler():
        print(f"compiled, but not compared: {MODULES} was made by Clang {version}")
    elif made != there:
        sys.exit(f"{MODULES} is out of date: run {__file__}")


def main() -> None:
    """Write the script, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    only_check = parser.parse_args().check
    if only_check:
        check(script(), MODULES.read_text(encoding="utf-8"))
    else:
        MODULES.write_text(script(), encoding="utf-8")


if __name__ == "__main__":
    main()

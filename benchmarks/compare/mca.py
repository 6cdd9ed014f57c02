"""What llvm-mca says of the inner loops on processors that are not at hand: `python -m benchmarks.compare.mca`.

It compiles the kernels to assembly, as setup.py does; takes, of a function, the innermost loop with the most
multiply-adds; and lets LLVM's model of a processor count its cycles. That is an estimate, in which all data are in the
first-level cache and every branch is foreseen. Requires llvm-mca and GCC for AArch64 (Debian: llvm-19,
gcc-14-aarch64-linux-gnu), and a Python whose headers are not those of one architecture. Writes `results/mca.md`.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.report import RESULTS, ROOT, table, write

MCA = os.environ.get("LLVM_MCA", "llvm-mca-19")
LANES = {"baseline": 16, "avx2": 32, "avx512": 64}  # bytes of a vector


class Loop(NamedTuple):
    """An inner loop of the kernels."""

    name: str
    function: str  # in which it is inlined
    x86: str  # the variant for it on a processor with AVX-512: few units are learned in narrow vectors


LOOPS = [
    Loop("dot", "dot_in_vectors", "avx2"),
    Loop("tile, product", "products", "avx512"),
    Loop("tile, update", "updates", "avx512"),
    Loop("lanes", "learn_block_of", "avx2"),
]


class Target(NamedTuple):
    """An architecture: how to compile for it, and the names that LLVM has for its processors."""

    triple: str
    compiler: str
    settings: dict[str, str]  # of setuptools
    variants: str
    processors: tuple[str, ...]


TARGETS = [
    Target(
        "aarch64",
        "aarch64-linux-gnu-gcc-14",
        {"_PYTHON_HOST_PLATFORM": "linux-aarch64"},
        "baseline",
        ("neoverse-v1", "neoverse-n1", "cortex-a76", "apple-m1"),
    ),
    Target("x86_64", "gcc", {}, "avx2 avx512", ("sapphirerapids", "znver4")),
]


def assembly(target: Target, folder: Path) -> dict[str, str]:
    """The assembly of the kernels, by the name of the module."""
    settings = {"CC": target.compiler, "LDSHARED": "true", "CFLAGS": "-S", "CBACKPROP_VARIANTS": target.variants}
    build = [sys.executable, "setup.py", "--quiet", "build_ext"]
    command = [*build, "--build-temp", folder, "--build-lib", folder / "lib"]
    subprocess.run(command, cwd=ROOT, env=os.environ | settings | target.settings, check=True)
    return {path.stem: path.read_text(encoding="utf-8") for path in folder.rglob("kernels/*.o")}


def inner_loops(text: str, function: str) -> Iterator[list[str]]:
    """The instructions of each loop of a function without another jump than the last."""
    (body,) = re.findall(rf"^\w+_{function}:\n(.*?)^\t\.size", text, re.DOTALL | re.MULTILINE)
    starts: dict[str, int] = {}  # labels since the last jump, and what comes after them
    block: list[str] = []
    for line in body.splitlines():
        if found := re.match(r"(\.L\d+):", line):
            starts[found[1]] = len(block)
        elif re.match(r"\t\w", line):
            block.append(line)
            mnemonic, operand = line.split()[0], line.split()[-1]
            if operand in starts:
                yield block[starts[operand] :]
            if re.fullmatch(r"\.L\d+", operand) or mnemonic in ("bl", "blr", "call", "ret"):
                starts, block = {}, []


def multiply_adds(loop: list[str]) -> int:
    return sum(bool(re.match(r"\t(?:fml[as]|vfn?m(?:add|sub)\w+p)", line)) for line in loop)


def cycles(loop: list[str], triple: str, processor: str, iterations: int = 1000) -> float:
    """Of one iteration."""
    command = (MCA, f"-mtriple={triple}", f"-mcpu={processor}", f"-iterations={iterations}")
    done = subprocess.run(command, input="\n".join(loop), capture_output=True, text=True, check=True)
    return int(re.search(r"Total Cycles:\s+(\d+)", done.stdout)[1]) / iterations


def rows(target: Target) -> Iterator[list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        texts = assembly(target, Path(folder))
    for name, function, x86 in LOOPS:
        variant = x86 if "avx" in target.variants else "baseline"
        for dtype, size in (("float32", 4), ("float64", 8)):
            loop = max(inner_loops(texts[f"{variant}_{dtype}"], function), key=multiply_adds)
            count = multiply_adds(loop) * LANES[variant] // size
            taken = [cycles(loop, target.triple, processor) for processor in target.processors]
            yield [name, dtype, variant, str(count), *(f"{each:.1f} ({count / each:.1f})" for each in taken)]


def sections(options) -> Iterable[str]:
    version = subprocess.run([MCA, "--version"], capture_output=True, text=True, check=True).stdout
    yield f"Estimates by llvm-mca ({re.search(r'LLVM version [0-9.]+', version)[0]}), not measurements.\n"
    yield "Cycles of one iteration of the loop, and in parentheses multiply-adds of numbers in a cycle:\n"
    for target in TARGETS:
        yield table(["loop", "dtype", "variant", "multiply-adds", *target.processors], rows(target))


if __name__ == "__main__":
    write("compare.mca", __doc__, "Estimates for other processors", sections, folder=RESULTS)

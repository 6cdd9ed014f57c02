"""What the scripts that write a table have in common: options, the machine, tables and their files.

The tables are the data: what reads them, such as plots and `benchmarks.compare.machines`, gets what a page shows.
"""

import argparse
import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from . import restart_pinned

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results")
DISTRIBUTIONS = (
    "numpy", "scipy", "scikit-learn", "torch", "jax", "jaxlib", "numba", "mlxtend", "river", "distributed",
    "onnxruntime",
)  # fmt: skip
INSTRUCTION_SETS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl")


def write(
    script: str,
    docstring: str,
    title: str,
    sections: Callable[[argparse.Namespace], Iterable[str]],
    options: dict[str, dict] | None = None,
    folder: Path | None = None,
) -> None:
    """Run a script: on one processor, write its sections to a file in a folder, that of the machine, and print them.

    `sections` gets the options `quick` and those described in `options`, as by `ArgumentParser.add_argument`.
    """
    chosen = chosen_options(script, docstring, options or {})
    description = machine(restart_pinned())
    warning = ["**A test run: the numbers are meaningless.**\n"] if chosen.quick else []
    header = [f"# {title}\n", f"Written by `python -m benchmarks.{script}`.\n", *warning]
    text = "\n".join([*header, *sections(chosen), table(["machine", ""], description.items())])
    folder = chosen.output or folder or RESULTS / folder_name(description["processor"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{script.rpartition('.')[2]}.md").write_text(text, encoding="utf-8")
    print(text)


def chosen_options(script: str, docstring: str, options: dict[str, dict]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{script}", description=docstring.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a test run with few samples and repeats")
    parser.add_argument("--output", type=Path, help="folder to write to, instead of that of the results")
    for name, settings in options.items():
        parser.add_argument(name, **settings)
    return parser.parse_args()


# ----------------------------------------------------------------------------------------------------------- machines


def machine(pinned: bool) -> dict[str, str]:
    import cbackprop

    info = cbackprop.kernel_info()
    return {
        "processor": processor(),
        "caches": caches(),
        "instruction sets": ", ".join(flag for flag in INSTRUCTION_SETS if flag in cpu_info("flags").split()),
        "processors": f"{os.cpu_count()}, "
        + ("pinned to one" if pinned else "not pinned: not supported by this system"),
        "load before the run": f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown",
        "system": f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver())}",
        "Python": platform.python_version(),
        "cbackprop": f"{cbackprop.__version__}, {info['variant']} kernels, {info['compiler']}",
        "versions": ", ".join(map(version, DISTRIBUTIONS)),
        "BLAS": blas(),
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def cpu_info(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.split(":")[0].strip() == key), "")


def processor() -> str:
    name = cpu_info("model name") or platform.processor() or platform.machine()
    family, model = cpu_info("cpu family"), cpu_info("model")
    return f"{name} (family {family}, model {model})" if family else name


def folder_name(processor: str) -> str:
    """The folder of a machine, named by its processor: "amd-epyc-family-26-model-2"."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", processor.lower())).strip("-")


def caches() -> str:
    found = []
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        found.append(f"L{level} {kind.lower()} {size}")
    return ", ".join(found) or "unknown"


def version(name: str) -> str:
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{name} not installed"


def blas() -> str:
    """The BLAS libraries loaded so far, and the architecture each has selected."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return "unknown"
    found = set()
    for library in threadpool_info():
        if library["user_api"] == "blas":
            owner = Path(library["filepath"]).parent.name.removesuffix(".libs")
            found.add(f"{owner}: {library['internal_api']} {library['version']} {library.get('architecture', '')}")
    return ", ".join(sorted(found)) or "unknown"


def commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "cbackprop", "benchmarks/*.py", "setup.py")
        return git("rev-parse", "HEAD") + (", with uncommitted changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


# ------------------------------------------------------------------------------------------------------------- tables


class Timing(NamedTuple):
    """A row of the comparison: by column, the seconds of each repeat."""

    work: str
    dtype: str
    figures: dict[str, list[float]]
    unit: str = ""  # of the work, if it is not a sample
    quantity: str = "s"


UNITS = {"s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}


def readable(seconds: float) -> str:
    unit, size = next(((unit, size) for unit, size in UNITS.items() if seconds >= size), ("ns", 1e-9))
    value = seconds / size
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def number(cell: str) -> float:
    """What `readable`, `factor` or another format with a unit made a cell of; NaN if there is none."""
    found = re.fullmatch(r"\**([\d.,]+)(?: (\S+?))?\**(?: \(.*\))?", cell)
    return float(found[1].replace(",", "")) * UNITS.get(found[2], 1) if found else float("nan")


def factor(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 10 else f"{value:.2f}"


def table(header: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    header = list(header)
    return "".join(f"| {' | '.join(row)} |\n" for row in (header, ["---"] * len(header), *lines))


def worst_first(lines: Iterable[tuple[float, list[str]]]) -> list[list[str]]:
    """Lines in the order of their numbers, the lowest first."""
    return [cells for _, cells in sorted(lines)]


def tables(text: str) -> list[list[dict[str, str]]]:
    """The tables of a file, each a list of rows by the names of the columns."""
    found: list[list[list[str]]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [[dict(zip(rows[0], row, strict=True)) for row in rows[2:]] for rows in found if rows]

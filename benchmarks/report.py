"""The results of compare.py as tables and a plot; the options, tables and machine description of all scripts."""

import argparse
import importlib.metadata
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = (
    "numpy", "scipy", "scikit-learn", "torch", "jax", "jaxlib", "numba", "mlxtend", "river", "distributed",
    "onnxruntime",
)  # fmt: skip
INSTRUCTION_SETS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl")


def argument_parser(script: str, docstring: str) -> argparse.ArgumentParser:
    """The options that the scripts have in common."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{script}", description=docstring.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a test run with few samples and repeats")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("results"), help="folder to write to")
    return parser


def machine(pinned: bool) -> dict:
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
        "versions": ", ".join(versions()),
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


def result_path(folder: Path, script: str, machine: dict) -> Path:
    """The file for the table of a script, named by the processor: "compare-amd-epyc-family-26-model-2.md"."""
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\((r|tm)\)", "", machine["processor"].lower())
    return folder / f"{script}-{re.sub(r'[^a-z0-9]+', '-', name).strip('-')}.md"


def caches() -> str:
    found = []
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        found.append(f"L{level} {kind.lower()} {size}")
    return ", ".join(found) or "unknown"


def versions() -> list[str]:
    found = []
    for name in DISTRIBUTIONS:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return found


def blas() -> str:
    """The BLAS libraries loaded so far, and the architecture each has selected."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return "unknown"
    found = []
    for library in threadpool_info():
        if library["user_api"] == "blas":
            owner = Path(library["filepath"]).parent.name.removesuffix(".libs")
            found.append(f"{owner}: {library['internal_api']} {library['version']} {library.get('architecture', '')}")
    return ", ".join(sorted(set(found))) or "unknown"


def commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "cbackprop", "benchmarks/*.py", "setup.py")
        return git("rev-parse", "HEAD") + (", with uncommitted changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


# ------------------------------------------------------------------------------------------------------------ tables


def ratios(row: dict, of=min) -> dict[str, float]:
    """Each peer's value divided by that of cbackprop; above 1, cbackprop needs less."""
    own = of(row["figures"]["cbackprop"])
    return {peer: of(values) / own for peer, values in row["figures"].items() if peer != "cbackprop"}


def best_peer(row: dict) -> str:
    others = ratios(row)
    return min(others, key=others.get)


def target(row: dict) -> tuple[str, bool | None]:
    """The row's target in words, and whether it is reached; None if a peer is missing."""
    others, parts, reached = ratios(row), [], []
    for peer, at_least in row["targets"].items():
        parts.append(f"{at_least:.3g} × {peer}")
        ratio = min(others.values()) if peer == "best" else others.get(peer)
        reached.append(None if ratio is None else ratio >= at_least)
    return ", ".join(parts), None if not reached or None in reached else all(reached)


def readable(value: float, quantity: str) -> str:
    if quantity != "s":
        return f"{value:.3g} {quantity}"
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)):
        if value >= size or unit == "ns":
            value /= size
            break
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def factor(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 10 else f"{value:.2f}"


def table(header: list[str], lines: list[list[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def machine_table(description: dict) -> str:
    return table(["machine", ""], [[key, str(value)] for key, value in description.items()])


REACHED = {True: "yes", False: "no", None: ""}


def comparison_line(row: dict, columns: list[str]) -> list[str]:
    values, peer = row["figures"], best_peer(row)
    wanted, reached = target(row)
    work = row["work"] + (f" ({row['unit']})" if row["unit"] not in ("sample", "") else "")
    cells = [readable(min(values[name]), row["quantity"]) if name in values else "–" for name in columns]
    medians = min(ratios(row, statistics.median).values())
    return [work, row["dtype"], *cells, peer, factor(ratios(row)[peer]), factor(medians), wanted, REACHED[reached]]


def own_line(metric: dict) -> list[str]:
    bounds = (("at least", metric["at_least"]), ("at most", metric["at_most"]))
    wanted = ", ".join(f"{words} {bound:.3g}" for words, bound in bounds if bound is not None)
    return [metric["what"], factor(metric["value"]), wanted, REACHED[metric["reached"]]]


def markdown(record: dict) -> str:
    columns = [name for name in record["columns"] if any(name in row["figures"] for row in record["rows"])]
    parts = [
        "# cbackprop and other libraries",
        "",
        "Written by `python -m benchmarks.compare`; rows and columns are described in",
        "[benchmarks/README.md](../README.md).",
        "",
        f"Time per sample (or per unit of the row), the minimum of {record['repeats']} interleaved repeats on one",
        "thread. *ratio*: the best peer's time divided by that of cbackprop; above 1 cbackprop is faster, below 1",
        "slower; *of medians*: the same from medians.",
        "",
    ]
    if record["quick"]:
        parts += ["**A test run: the numbers are meaningless.**", ""]
    header = ["work", "dtype", *columns, "best peer", "ratio", "of medians", "target", "reached"]
    parts.append(table(header, [comparison_line(row, columns) for row in record["rows"]]))
    if record["figures"]:
        header = ["cbackprop compared with itself", "measured", "target", "reached"]
        parts.append(table(header, list(map(own_line, record["figures"]))))
    parts += [f"Missing: {name} ({reason}).\n" for name, reason in record["missing"].items()]
    parts.append(machine_table(record["machine"]))
    return "\n".join(parts)


# -------------------------------------------------------------------------------------------------------------- plot

# Okabe and Ito's colors: distinct in color-blind vision; shapes for print
MARKS = {
    "reference": ("#999999", "x"),
    "NumPy": ("#56B4E9", "o"),
    "NumPy, SciPy BLAS": ("#0072B2", "D"),
    "scikit-learn": ("#E69F00", "s"),
    "PyTorch": ("#D55E00", "v"),
    "PyTorch by hand": ("#CC79A7", "^"),
    "JAX": ("#009E73", "P"),
    "numba": ("#000000", "*"),
    "ONNX Runtime": ("#F0E442", "h"),
}


def draw(panel, rows: list[dict]) -> None:
    """The ratios of one dtype, a line for each row."""
    for y, row in enumerate(rows):
        others = ratios(row)
        panel.plot([min(others.values()), max(others.values())], [y, y], color="#dddddd", linewidth=1, zorder=1)
        for peer, ratio in others.items():
            color, marker = MARKS[peer]
            edge = {} if marker == "x" else {"edgecolors": "white", "linewidths": 0.5}
            panel.scatter(ratio, y, s=70 if marker == "*" else 38, c=color, marker=marker, zorder=3, **edge)
    panel.set_yticks(range(len(rows)), [row["work"].replace(", to ", ",\nto ") for row in rows], linespacing=0.9)
    panel.set_ylim(len(rows) - 0.5, -0.5)


def style(panel, dtype: str, limits: tuple[float, float]) -> None:
    panel.set(title=dtype, xlabel="time of the other / time of cbackprop", xscale="log", xlim=limits)
    panel.axvline(1, color="black", linewidth=1)
    panel.axvspan(limits[0], 1, color="#f3f3f3", zorder=0)
    panel.xaxis.set_major_formatter("{x:g}")
    panel.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.tick_params(axis="y", length=0)


def plot(record: dict, path: Path) -> None:
    """Every peer's time divided by that of cbackprop, a panel for each dtype."""
    from matplotlib.figure import Figure

    rows = [row for row in record["rows"] if row["dtype"]]
    if not rows:
        return
    by_dtype = {dtype: [row for row in rows if row["dtype"] == dtype] for dtype in sorted({r["dtype"] for r in rows})}
    figure = Figure(figsize=(7, 2 + 0.34 * len(rows)), layout="constrained")
    panels = figure.subplots(len(by_dtype), 1, squeeze=False, height_ratios=list(map(len, by_dtype.values())))[:, 0]
    found = [ratio for row in rows for ratio in ratios(row).values()]
    limits = min(0.5, min(found) / 1.5), max(found) * 1.5
    for panel, (dtype, its_rows) in zip(panels, by_dtype.items(), strict=True):
        draw(panel, its_rows)
        style(panel, dtype, limits)
    present = [peer for peer in MARKS if any(peer in row["figures"] for row in rows)]
    handles = [
        panels[0].scatter([], [], c=MARKS[p][0], marker=MARKS[p][1], s=70 if MARKS[p][1] == "*" else 38)
        for p in present
    ]
    title = "One thread. Left of the line the other is faster, right of it cbackprop."
    figure.legend(handles, present, title=title, loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(path, dpi=150, facecolor="white")


def write(record: dict, path: Path) -> str:
    """Write table and plot beside the data, and return the table; regressions have a plot of their own."""
    path.with_suffix(".md").write_text(text := markdown(record))
    regressions = [row for row in record["rows"] if ", linear" in row["work"]]
    others = [row for row in record["rows"] if row not in regressions]
    plot(record | {"rows": others}, path.with_suffix(".png"))
    plot(record | {"rows": regressions}, path.with_name(f"{path.stem}-regression.png"))
    return text


if __name__ == "__main__":  # recreate table and plots from the data of an earlier run
    source = Path(sys.argv[1])
    write(json.loads(source.read_text()), source)

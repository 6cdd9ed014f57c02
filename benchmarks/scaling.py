"""How the time per sample grows with N, D, M, K and threads, one at a time: `python -m benchmarks.scaling`.

Compared with NumPy written for speed (peers/numpy_in_place.py), JAX and numba, on one thread, repeats interleaved; then
with as many threads as there are processors.
"""

import functools
import importlib
import os
from pathlib import Path

from . import restart_pinned
from .engines import DTYPES
from .peers import library
from .report import argument_parser, factor, machine, machine_table, readable, result_path, table
from .work import interleaved, random_work, samples, sizes

SHAPE = "784-100-10"  # all but one of the sizes stay at these values
RANGES = {
    "N": (1, 10, 100, 1_000, 10_000),
    "D": (2, 16, 64, 256, 1024, 4096),
    "M": (2, 8, 32, 128, 512, 2048),
    "K": (2, 10, 50, 200, 1000),
}
LABELS = {"N": "samples in a call", "D": "inputs", "M": "hidden units", "K": "classes"}
THREADED = ("64-32-10", "784-100-10", "784-1024-10", "3000-2000-10")
LIBRARIES = {  # module in peers, color in the plot
    "cbackprop": ("library", "#D55E00"),
    "NumPy": ("numpy_in_place", "#0072B2"),
    "JAX": ("jax_scan", "#009E73"),
    "numba": ("numba_loops", "#000000"),
}
MODES = {"online": (1, "-"), "mini-batch 32": (32, "--")}  # batch size, style in the plot


@functools.cache
def installed() -> dict:
    """The modules of the libraries that are installed."""
    found = {}
    for name, (module, _color) in LIBRARIES.items():
        try:
            found[name] = importlib.import_module(f".peers.{module}", __package__)
        except ImportError:
            print(f"{name} is not installed")
    return found


def times(shape: str, dtype: str, N: int, repeats: int) -> dict[tuple[str, str], float]:
    """Seconds per sample by mode and library."""
    jobs, rounds, counts = {}, {}, {}
    for mode, (batch_size, _style) in MODES.items():
        if batch_size > N:
            continue
        count = N // batch_size * batch_size
        work = random_work(shape, dtype, count, batch_size)
        for name, module in installed().items():
            jobs[mode, name] = module.fit(work)
            counts[mode, name], rounds[mode, name] = count, max(1, 200 // count)
    return {key: min(seconds) / counts[key] for key, seconds in interleaved(jobs, repeats, rounds).items()}


def measure(dtype: str, repeats: int, milliseconds: float) -> dict[str, dict[int, dict[tuple[str, str], float]]]:
    """Seconds per sample by letter, its value, mode and library."""
    found = {}
    for letter, values in RANGES.items():
        found[letter] = {}
        for value in values:
            D, M, K = (value if name == letter else size for name, size in zip("DMK", sizes(SHAPE), strict=True))
            shape = f"{D}-{M}-{K}"
            N = value if letter == "N" else min(samples(shape, milliseconds), 10_000)
            found[letter][value] = times(shape, dtype, N, repeats)
    return found


def threads_table(repeats: int, milliseconds: float) -> str:
    """With 1, 2, 4 ... threads, on all processors."""
    processors = len(os.sched_getaffinity(0))
    counts = [count for count in (1, 2, 4, 8, 16, 32, 64) if count <= processors]
    lines = []
    for shape in THREADED:
        for dtype in DTYPES:
            work = random_work(shape, dtype, samples(shape, milliseconds))
            jobs = {count: library.fit(work, n_threads=count) for count in counts}
            fastest = [min(seconds) / len(work.x) for seconds in interleaved(jobs, repeats).values()]
            lines.append([shape, dtype, *(readable(seconds, "s") for seconds in fastest)])
    return table(["D-M-K, online", "dtype", *(f"{count} threads" if count > 1 else "1" for count in counts)], lines)


def cells(row: dict[tuple[str, str], float], mode: str) -> list[str]:
    """Time of each library in a mode, and the ratio of the fastest other to cbackprop."""
    found = {name: row[mode, name] for name in LIBRARIES if (mode, name) in row}
    others = [seconds for name, seconds in found.items() if name != "cbackprop"]
    times = [readable(found[name], "s") if name in found else "–" for name in LIBRARIES]
    return [mode, *times, factor(min(others) / found["cbackprop"])]


def markdown(found: dict[str, dict], repeats: int) -> list[str]:
    parts = [
        "# How the time of a sample grows",
        "",
        f"Written by `python -m benchmarks.scaling`: the minimum of {repeats} interleaved repeats on one thread, "
        f"starting from {SHAPE} (D-M-K). *ratio*: the time of the fastest other divided by that of cbackprop.",
        "",
    ]
    for letter, label in LABELS.items():
        lines = [
            [f"{value:,}", dtype, *cells(row, mode)]
            for dtype in DTYPES for mode in MODES for value, row in found[dtype][letter].items()
            if (mode, "cbackprop") in row
        ]  # fmt: skip
        parts += [f"## {letter}, {label}\n", table([letter, "dtype", "mode", *LIBRARIES, "ratio"], lines)]
    return parts


def plot(found: dict[str, dict], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 11), layout="constrained")
    for panel, (letter, rows) in zip(figure.subplots(len(found), 1), found.items(), strict=True):
        for name, (_module, color) in LIBRARIES.items():
            for mode, (_batch_size, style) in MODES.items():
                points = {value: row[mode, name] * 1e6 for value, row in rows.items() if (mode, name) in row}
                panel.plot(points.keys(), points.values(), style, color=color, marker="o", markersize=4)
        panel.set(xscale="log", yscale="log", xlabel=f"{letter}, {LABELS[letter]}", ylabel="µs per sample")
        panel.set_xticks(list(rows), [f"{value:,}" for value in rows])
        panel.minorticks_off()
        panel.yaxis.set_major_formatter("{x:g}")
        panel.grid(axis="y", color="#e6e6e6", linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"float32, one thread, from {SHAPE} (D-M-K)", fontsize=11)
    handles = [panel.plot([], [], color=color, label=name)[0] for name, (_module, color) in LIBRARIES.items()]
    handles += [panel.plot([], [], style, color="#666666", label=mode)[0] for mode, (_size, style) in MODES.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=150, facecolor="white")


def main() -> None:
    options = argument_parser("scaling", __doc__).parse_args()
    description = machine(restart_pinned())
    repeats, milliseconds = (1, 0.5) if options.quick else (7, 3)
    found = {dtype: measure(dtype, repeats, milliseconds) for dtype in DTYPES}
    parts = markdown(found, repeats)
    processors = os.environ["CBACKPROP_COMPARE_CPUS"].split(",")
    if len(processors) > 1:
        os.sched_setaffinity(0, map(int, processors))
        parts += ["## Threads, not pinned\n", threads_table(repeats, 3 * milliseconds)]
    parts += ["## Machine\n", machine_table(description)]
    path = result_path(options.output, "scaling", description)
    path.write_text("\n".join(parts))
    plot(found["float32"], path.with_suffix(".png"))
    print("\n".join(parts))


if __name__ == "__main__":
    main()

"""Rates of the library next to the limits of the processor: `python -m benchmarks.roofline`.

The peak is measured with chains of multiply-adds in registers, the bandwidths with passes that read and write arrays of
several sizes; both are a few lines of C, compiled for this processor. One thread, repeats interleaved.
"""

import ctypes
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from . import restart_pinned
from .engines import DTYPES
from .peers import library
from .report import argument_parser, machine, machine_table, result_path, table
from .work import Job, Work, interleaved, random_work, samples, sizes

SHAPES = {"64-32-10": "o", "784-16-10": "s", "784-100-10": "D", "784-1024-10": "^", "3000-2000-10": "P"}
MODES = {"online, direct": "#0072B2", "online, blocked": "#D55E00", "mini-batch 128": "#009E73", "predict": "#E69F00"}
ARRAYS = {"24 kB": 24 << 10, "512 kB": 512 << 10, "8 MB": 8 << 20, "256 MB": 256 << 20}  # for L1, L2, L3, memory
PRODUCT = 2048
CHAINS = 12  # enough to hide the latency, and not more than there are registers
CODE = """
#if defined __AVX512F__
#define BYTES 64
#elif defined __AVX__
#define BYTES 32
#else
#define BYTES 16
#endif
typedef REAL vec __attribute__((vector_size(BYTES)));

long vector_bytes(void) { return BYTES; }

void multiply_add_chains(long rounds, vec *sums_at)
{
    vec sums[CHAINS], half = sums_at[0];
#pragma GCC unroll 16
    for (int k = 0; k < CHAINS; k++)
        sums[k] = sums_at[k];
    for (long r = 0; r < rounds; r++)
#pragma GCC unroll 16
        for (int k = 0; k < CHAINS; k++)
            sums[k] = sums[k] * half + half;
#pragma GCC unroll 16
    for (int k = 0; k < CHAINS; k++)
        sums_at[k] = sums[k];
}

__attribute__((noinline)) static void pass(long n, vec *array, vec half)
{
    for (long i = 0; i < n; i++)
        array[i] = array[i] * half + half;
}

void passes(long times, long n, vec *array)
{
    vec half = array[0];
    for (long t = 0; t < times; t++)
        pass(n, array, half);
}
"""


def compiled(dtype: str, folder: Path) -> ctypes.CDLL:
    source, module = folder / "roof.c", folder / f"{dtype}.so"
    source.write_text(CODE)
    real = {"float32": "float", "float64": "double"}[dtype]
    flags = ["-O3", "-march=native", "-shared", "-fPIC", f"-DREAL={real}", f"-DCHAINS={CHAINS}"]
    subprocess.run([os.environ.get("CC", "cc"), *flags, "-o", module, source], check=True)
    return ctypes.CDLL(str(module))


def aligned_halves(dtype: str, nbytes: int) -> np.ndarray:
    """An array of that many bytes, aligned to a cache line and filled with 0.5."""
    array = np.full((nbytes + 64) // np.dtype(dtype).itemsize, 0.5, dtype)
    start = -array.ctypes.data % 64 // array.itemsize
    return array[start : start + nbytes // array.itemsize]


def limit_jobs(dtype: str, code: ctypes.CDLL, scale: float) -> dict[str, tuple[Job, float]]:
    """Jobs for the peak, NumPy's matrix product and the bandwidths, with the operations or bytes of each."""
    vector_bytes = code.vector_bytes()
    sums, rounds = aligned_halves(dtype, CHAINS * vector_bytes), int(2e7 * scale)

    def run_chains():
        code.multiply_add_chains(ctypes.c_long(rounds), sums.ctypes)

    a, b, c = np.random.default_rng(0).random((3, PRODUCT, PRODUCT)).astype(dtype)
    found = {
        "peak": (Job(run_chains, lambda: (sums,), lambda: sums.fill(0.5)), 2 * rounds * sums.size),
        "product": (Job(lambda: np.dot(a, b, out=c), lambda: (c,)), 2 * PRODUCT**3),
    }
    for name, nbytes in ARRAYS.items():
        array, times = aligned_halves(dtype, nbytes), max(1, int(1e9 * scale / nbytes))

        def run(array=array, times=times):
            code.passes(ctypes.c_long(times), ctypes.c_long(array.nbytes // vector_bytes), array.ctypes)

        job = Job(run, lambda array=array: (array[:1],), lambda array=array: array.fill(0.5))
        found[name] = job, 2 * times * nbytes
    return found


def mode_jobs(shape: str, dtype: str, milliseconds: float) -> dict[str, tuple[Job, float, float]]:
    """Jobs with their operations, and the bytes of weights and samples that they must read and write."""
    from cbackprop import _engines as rule

    (D, M, K), N = sizes(shape), samples(shape, milliseconds)
    work = random_work(shape, dtype, N)
    batches = work._replace(batch_size=128)
    w, v, x = work.w.nbytes, work.v.nbytes, D * work.x.itemsize

    def block(work: Work) -> int:
        return rule.block_length(work.w, work.v, work.batch_size)

    learning = N * (4 * M * D + 6 * K * M)
    return {
        "online, direct": (library.fit(work, method="direct"), learning, N * (3 * (w + v) + x)),
        "online, blocked": (library.fit(work, method="blocked"), learning, N * (3 * w / block(work) + 3 * v + x)),
        "mini-batch 128": (library.fit(batches), learning, N * (3 * (w + v) / block(batches) + x)),
        "predict": (library.predict_proba(work), N * 2 * M * (D + K), N * ((w + v) / block(batches) + x)),
    }


def measure(dtype: str, code: ctypes.CDLL, repeats: int, milliseconds: float, scale: float) -> tuple[dict, list[dict]]:
    """Operations or bytes per second of each limit, and a row for each shape and mode."""
    at_limits = limit_jobs(dtype, code, scale)
    work = {(shape, mode): job for shape in SHAPES for mode, job in mode_jobs(shape, dtype, milliseconds).items()}
    jobs = {name: job for name, (job, *_) in (at_limits | work).items()}
    fastest = {name: min(times) for name, times in interleaved(jobs, repeats).items()}
    limits = {name: amount / fastest[name] for name, (_, amount) in at_limits.items()}
    rows = []
    for (shape, mode), (_, operations, nbytes) in work.items():
        D, M, K = sizes(shape)
        weights = (M * (D + 1) + K * (M + 1)) * np.dtype(dtype).itemsize
        level = next((name for name, size in ARRAYS.items() if weights <= size), list(ARRAYS)[-1])
        intensity = operations / nbytes
        roof = min(limits["peak"], intensity * limits[level])
        rate = operations / fastest[shape, mode]
        rows.append({"shape": shape, "mode": mode, "intensity": intensity, "rate": rate, "roof": roof, "level": level})
    return limits, rows


def markdown(measured: dict[str, tuple[dict, list[dict]]], repeats: int, description: dict) -> str:
    limits_lines = [
        [dtype, *(f"{limits[name] / 1e9:.0f} GF/s" for name in ("peak", "product")),
         *(f"{limits[name] / 1e9:.0f} GB/s" for name in ARRAYS)]
        for dtype, (limits, _) in measured.items()
    ]  # fmt: skip
    lines = [
        [row["shape"], dtype, row["mode"], f"{row['intensity']:.2g}", f"{row['rate'] / 1e9:.3g}",
         f"{row['roof'] / 1e9:.3g}" + ("" if row["roof"] == limits["peak"] else f" ({row['level']})"),
         f"{row['rate'] / row['roof']:.0%}", f"{row['rate'] / limits['peak']:.0%}"]
        for dtype, (limits, rows) in measured.items() for row in rows
    ]  # fmt: skip
    arrays = [f"{name}, read and written" for name in ARRAYS]
    return f"""# The roofline, measured

Written by `python -m benchmarks.roofline`: the minimum of {repeats} interleaved repeats on one thread.

{table(["dtype", "peak", f"NumPy's {PRODUCT}³ product", *arrays], limits_lines)}
*Intensity*: operations per byte of weights and samples that must be read or written. Learning takes 4MD + 6KM
operations per sample, predicting 2MD + 2KM. Exponentials, of which small networks compute many for their size, and the
additional operations of blocks are not counted. *Roof*: the peak or, where that is lower, the intensity times the
bandwidth for the smallest of the arrays that is as large as the weights.

{table(["D-M-K", "dtype", "mode", "intensity", "GF/s", "roof, GF/s", "of the roof", "of the peak"], lines)}
{machine_table(description)}"""


def draw_limits(panel, limits: dict) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    x = np.geomspace(0.1, 100, 200)
    panel.set(xscale="log", yscale="log", xlim=(x[0], x[-1]), ylabel="GF/s")
    names = sorted(ARRAYS, key=limits.get, reverse=True)
    together = [names[:1]]  # slopes too close to be told apart share a label
    for name in names[1:]:
        if limits[name] > 0.85 * limits[together[-1][0]]:
            together[-1].append(name)
        else:
            together.append([name])
    for group in together:
        for name in group:
            panel.plot(x, np.minimum(limits["peak"], x * limits[name]) / 1e9, color="#999999", linewidth=1, zorder=1)
        lowest = limits[group[-1]] / 1e9
        panel.text(x[0] * 1.1, x[0] * 1.1 * lowest, ", ".join(group), fontsize=9, color="#666666",
                   rotation=np.degrees(np.arctan(lowest)), rotation_mode="anchor",
                   transform_rotates_text=True, va="top")  # fmt: skip
    panel.axhline(limits["product"] / 1e9, color="#999999", linewidth=1, linestyle=":", zorder=1)
    panel.annotate("peak", (x[-1], limits["peak"] / 1e9), (0, 3), fontsize=9, ha="right",
                   textcoords="offset points", color="#666666")  # fmt: skip
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if axis is panel.yaxis else (1,)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    panel.spines[["top", "right"]].set_visible(False)


def plot(measured: dict[str, tuple[dict, list[dict]]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 10), layout="constrained")
    panels = figure.subplots(len(measured), 1, sharex=True)
    for panel, (dtype, (limits, rows)) in zip(panels, measured.items(), strict=True):
        draw_limits(panel, limits)
        panel.set_title(f"{dtype}, one thread")
        for row in rows:
            panel.scatter(row["intensity"], row["rate"] / 1e9, color=MODES[row["mode"]], marker=SHAPES[row["shape"]],
                          s=45, edgecolors="white", linewidths=0.5, zorder=3)  # fmt: skip
    panels[-1].set_xlabel("operations per byte")
    handles = [panels[0].scatter([], [], color="#333333", marker=mark, label=shape) for shape, mark in SHAPES.items()]
    handles += [panels[0].scatter([], [], color=color, label=mode) for mode, color in MODES.items()]
    handles += panels[0].plot([], [], ":", color="#999999", label=f"NumPy's {PRODUCT}³ product")
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=150, facecolor="white")


def main() -> None:
    options = argument_parser("roofline", __doc__).parse_args()
    description = machine(restart_pinned())
    repeats, milliseconds, scale = (1, 0.5, 0.1) if options.quick else (25, 10, 1)
    measured = {}
    for dtype in DTYPES:
        with tempfile.TemporaryDirectory() as folder:
            measured[dtype] = measure(dtype, compiled(dtype, Path(folder)), repeats, milliseconds, scale)
    text = markdown(measured, repeats, description)
    path = result_path(options.output, "roofline", description)
    path.write_text(text)
    plot(measured, path.with_suffix(".png"))
    print(text)


if __name__ == "__main__":
    main()

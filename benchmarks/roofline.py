"""What the processor can do, and what the library gets of it: `python -m benchmarks.roofline`.

The peak is that of multiply-add chains in registers, the bandwidths those of passes that read and write arrays of
several sizes, both by a few lines of C, compiled for this processor. Everything on one thread, repeats interleaved.
"""

import argparse
import ctypes
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from . import pinned
from .engines import DTYPES
from .peers import library
from .report import machine, table
from .work import Job, Work, interleaved, random_work, samples, sizes

SHAPES = {"64-32-10": "o", "784-16-10": "s", "784-100-10": "D", "784-1024-10": "^", "3000-2000-10": "P"}
WAYS = {"online, direct": "#0072B2", "online, blocked": "#D55E00", "mini-batch 128": "#009E73", "predict": "#E69F00"}
ARRAYS = {"24 kB": 24 << 10, "512 kB": 512 << 10, "8 MB": 8 << 20, "256 MB": 256 << 20}  # a cache each, and memory
PRODUCT = 2048
CHAINS = 12  # more than a processor works on at once, and no more than it has registers for
CODE = """
#if defined __AVX512F__
#define BYTES 64
#elif defined __AVX__
#define BYTES 32
#else
#define BYTES 16
#endif
typedef REAL lanes __attribute__((vector_size(BYTES)));

long bytes(void) { return BYTES; }

void chains(long rounds, lanes *sums_at)
{
    lanes sums[CHAINS], half = sums_at[0];
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

__attribute__((noinline)) static void pass(long n, lanes *array, lanes half)
{
    for (long i = 0; i < n; i++)
        array[i] = array[i] * half + half;
}

void passes(long times, long n, lanes *array)
{
    lanes half = array[0];
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


def halves(dtype: str, nbytes: int) -> np.ndarray:
    """So many bytes of the number 0.5, from the beginning of a cache line on."""
    room = np.full((nbytes + 64) // np.dtype(dtype).itemsize, 0.5, dtype)
    start = -room.ctypes.data % 64 // room.itemsize
    return room[start : start + nbytes // room.itemsize]


def roofs(dtype: str, code: ctypes.CDLL, scale: float) -> dict[str, tuple[Job, float]]:
    """The peak, NumPy's product of matrices, and the bandwidths: jobs, and operations or bytes of each."""
    lanes = code.bytes()
    sums, rounds = halves(dtype, CHAINS * lanes), int(2e7 * scale)
    a, b, c = np.random.default_rng(0).random((3, PRODUCT, PRODUCT)).astype(dtype)
    found = {
        "peak": (
            Job(lambda: code.chains(ctypes.c_long(rounds), sums.ctypes), lambda: (sums,), lambda: sums.fill(0.5)),
            2 * rounds * sums.size,
        ),
        "product": (Job(lambda: np.dot(a, b, out=c), lambda: (c,)), 2 * PRODUCT**3),
    }
    for name, nbytes in ARRAYS.items():
        array, times = halves(dtype, nbytes), max(1, int(1e9 * scale / nbytes))

        def run(array=array, times=times):
            code.passes(ctypes.c_long(times), ctypes.c_long(array.nbytes // lanes), array.ctypes)

        job = Job(run, lambda array=array: (array[:1],), lambda array=array: array.fill(0.5))
        found[name] = job, 2 * times * nbytes
    return found


def ways(shape: str, dtype: str, milliseconds: float) -> dict[str, tuple[Job, float, float]]:
    """Jobs, operations, and bytes of weights and samples that have to be read and written for them."""
    from cbackprop import _engines as rule

    (D, M, K), N = sizes(shape), samples(shape, milliseconds)
    work = random_work(shape, dtype, N)
    batches = work._replace(batch_size=128)
    w, v, x = work.w.nbytes, work.v.nbytes, D * work.x.itemsize

    def block(of: Work) -> int:
        return rule.block_length(work.w, work.v, of.batch_size)

    learning = N * (4 * M * D + 6 * K * M)
    return {
        "online, direct": (library.fit(work, method="direct"), learning, N * (3 * (w + v) + x)),
        "online, blocked": (library.fit(work, method="blocked"), learning, N * (3 * w / block(work) + 3 * v + x)),
        "mini-batch 128": (library.fit(batches), learning, N * (3 * (w + v) / block(batches) + x)),
        "predict": (library.predict_proba(work), N * 2 * M * (D + K), N * ((w + v) / block(batches) + x)),
    }


def measure(dtype: str, code: ctypes.CDLL, repeats: int, milliseconds: float, scale: float) -> tuple[dict, list[dict]]:
    """Operations and bytes a second of the roofs, and what became of each way to compute on each shape."""
    top = roofs(dtype, code, scale)
    jobs = {name: job for name, (job, _) in top.items()}
    work = {(shape, way): what for shape in SHAPES for way, what in ways(shape, dtype, milliseconds).items()}
    jobs |= {name: job for name, (job, _, _) in work.items()}
    fastest = {name: min(times) for name, times in interleaved(jobs, repeats).items()}
    limits = {name: amount / fastest[name] for name, (_, amount) in top.items()}
    rows = []
    for (shape, way), (_, operations, nbytes) in work.items():
        D, M, K = sizes(shape)
        weights = (M * (D + 1) + K * (M + 1)) * np.dtype(dtype).itemsize
        level = next((name for name, size in ARRAYS.items() if weights <= size), list(ARRAYS)[-1])
        intensity = operations / nbytes
        roof = min(limits["peak"], intensity * limits[level])
        rate = operations / fastest[shape, way]
        rows.append({"shape": shape, "way": way, "intensity": intensity, "rate": rate, "roof": roof, "level": level})
    return limits, rows


def markdown(measured: dict[str, tuple[dict, list[dict]]], repeats: int, description: dict) -> str:
    roofs = [
        [dtype, *(f"{limits[name] / 1e9:.0f} GF/s" for name in ("peak", "product")),
         *(f"{limits[name] / 1e9:.0f} GB/s" for name in ARRAYS)]
        for dtype, (limits, _) in measured.items()
    ]  # fmt: skip
    lines = [
        [row["shape"], dtype, row["way"], f"{row['intensity']:.2g}", f"{row['rate'] / 1e9:.3g}",
         f"{row['roof'] / 1e9:.3g}" + ("" if row["roof"] == limits["peak"] else f" ({row['level']})"),
         f"{row['rate'] / row['roof']:.0%}", f"{row['rate'] / limits['peak']:.0%}"]
        for dtype, (limits, rows) in measured.items() for row in rows
    ]  # fmt: skip
    return f"""# The roofline, measured

Made by `python -m benchmarks.roofline`: the fastest of {repeats} interleaved repeats on one thread.

{table(["dtype", "peak", f"NumPy's {PRODUCT}³ product", *(f"{name}, read and written" for name in ARRAYS)], roofs)}
*Intensity*: operations for each byte of weights and samples that has to be read or written. Learning takes 4MD + 6KM
operations a sample, predicting 2MD + 2KM; exponentials, of which small networks have many for their size, and what
blocks cost in addition are work that is done and not counted. *Roof*: the peak, or, where it is lower, intensity times
the bandwidth of the smallest of the arrays that is as large as the weights.

{table(["D-M-K", "dtype", "way", "intensity", "GF/s", "roof, GF/s", "of the roof", "of the peak"], lines)}
{table(["machine", ""], [[key, value] for key, value in description.items()])}"""


def plot(measured: dict[str, tuple[dict, list[dict]]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 9), layout="constrained")
    panels = figure.subplots(len(measured), 1, sharex=True)
    for panel, (dtype, (limits, rows)) in zip(panels, measured.items(), strict=True):
        x = np.geomspace(0.1, 100, 200)
        highest = max(ARRAYS, key=limits.get)
        for name in ARRAYS:
            panel.plot(x, np.minimum(limits["peak"], x * limits[name]) / 1e9, color="#999999", linewidth=1, zorder=1)
            place = {"rotation_mode": "anchor", "transform_rotates_text": True}
            place["va"] = "baseline" if name == highest else "top"
            panel.text(x[0] * 1.1, x[0] * 1.1 * limits[name] / 1e9, name, fontsize=8, color="#666666",
                       rotation=np.degrees(np.arctan(limits[name] / 1e9)), **place)  # fmt: skip
        panel.axhline(limits["product"] / 1e9, color="#999999", linewidth=1, linestyle=":", zorder=1)
        panel.annotate(f"NumPy's {PRODUCT}³ product", (x[-1], limits["product"] / 1e9), (0, -10), fontsize=8,
                       ha="right", textcoords="offset points", color="#666666")  # fmt: skip
        for row in rows:
            panel.scatter(row["intensity"], row["rate"] / 1e9, color=WAYS[row["way"]], marker=SHAPES[row["shape"]],
                          s=45, edgecolors="white", linewidths=0.5, zorder=3)  # fmt: skip
        panel.set(xscale="log", yscale="log", xlim=(x[0], x[-1]), ylabel="GF/s", title=f"{dtype}, one thread")
        panel.xaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_major_formatter("{x:g}")
        panel.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("operations a byte")
    handles = [panels[0].scatter([], [], color="#333333", marker=mark, label=shape) for shape, mark in SHAPES.items()]
    handles += [panels[0].scatter([], [], color=color, label=way) for way, color in WAYS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=150, facecolor="white")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.roofline", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few samples and repeats: does it run, not how fast")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("results"), help="folder to write to")
    options = parser.parse_args()
    description = machine(pinned())
    repeats, milliseconds, scale = (1, 0.5, 0.1) if options.quick else (25, 10, 1)
    measured = {}
    for dtype in DTYPES:
        with tempfile.TemporaryDirectory() as folder:
            measured[dtype] = measure(dtype, compiled(dtype, Path(folder)), repeats, milliseconds, scale)
    text = markdown(measured, repeats, description)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "roofline.md").write_text(text)
    plot(measured, options.output / "roofline.png")
    print(text)


if __name__ == "__main__":
    main()

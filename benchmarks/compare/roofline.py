"""Rates of the library next to the limits of the processor: `python -m benchmarks.compare.roofline`.

The peak is measured with chains of multiply-adds in registers, the bandwidths with passes that read and write arrays of
several sizes; both are a few lines of C (roofline.c), compiled for this processor. One thread, repeats interleaved.
"""

import ctypes
from collections.abc import Iterable
from itertools import chain

import numpy as np

from benchmarks.peers import library
from benchmarks.peers.c_loops import REAL, compiled
from benchmarks.report import table, write
from benchmarks.work import DTYPES, Job, Work, fastest, random_work, samples, sizes
from cbackprop import _engines as rule

SHAPES = ("64-32-10", "784-16-10", "784-100-10", "784-1024-10", "3000-2000-10")
ARRAYS = {"24 kB": 24 << 10, "512 kB": 512 << 10, "8 MB": 8 << 20, "256 MB": 256 << 20}  # for L1, L2, L3, memory
PRODUCT = 2048
CHAINS = 12  # enough to hide the latency, and not more than there are registers


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


def measure(dtype: str, repeats: int, milliseconds: float, scale: float) -> tuple[list[str], list[list[str]]]:
    """Cells of the limits, and of each shape and mode."""
    code = compiled(__file__, REAL=REAL[dtype][0], CHAINS=CHAINS)
    at_limits = limit_jobs(dtype, code, scale)
    work = {(shape, mode): job for shape in SHAPES for mode, job in mode_jobs(shape, dtype, milliseconds).items()}
    seconds = fastest({name: job for name, (job, *_) in (at_limits | work).items()}, repeats)
    limits = {name: amount / seconds[name] / 1e9 for name, (_, amount) in at_limits.items()}
    peak, lines = limits["peak"], []
    for (shape, mode), (_, operations, nbytes) in work.items():
        D, M, K = sizes(shape)
        weights = (M * (D + 1) + K * (M + 1)) * np.dtype(dtype).itemsize
        level = next((name for name, size in ARRAYS.items() if weights <= size), list(ARRAYS)[-1])
        intensity, rate = operations / nbytes, operations / seconds[shape, mode] / 1e9
        roof = min(peak, intensity * limits[level])
        described = f"{roof:.3g}" + ("" if roof == peak else f" ({level})")
        shares = f"{rate / roof:.0%}", f"{rate / peak:.0%}"
        lines.append([shape, dtype, mode, f"{intensity:.2g}", f"{rate:.3g}", described, *shares])
    return [dtype, *(f"{limit:.0f} {'GB/s' if name in ARRAYS else 'GF/s'}" for name, limit in limits.items())], lines


def sections(options) -> Iterable[str]:
    repeats, *settings = (1, 0.5, 0.1) if options.quick else (25, 10, 1)
    limits, lines = zip(*(measure(dtype, repeats, *settings) for dtype in DTYPES), strict=True)
    arrays = [f"{name}, read and written" for name in ARRAYS]
    header = ["D-M-K", "dtype", "mode", "intensity", "GF/s", "roof, GF/s", "of the roof", "of the peak"]
    return [
        f"The minimum of {repeats} interleaved repeats on one thread.\n",
        table(["dtype", "peak", f"NumPy's {PRODUCT}³ product", *arrays], limits),
        "*Intensity*: operations per byte of weights and samples that must be read or written. Learning takes",
        "4MD + 6KM operations per sample, predicting 2MD + 2KM. Exponentials, of which small networks compute many for",
        "their size, and the additional operations of blocks are not counted. *Roof*: the peak or, where that is",
        "lower, the intensity times the bandwidth for the smallest of the arrays that is as large as the weights.\n",
        table(header, chain(*lines)),
    ]


if __name__ == "__main__":
    write("compare.roofline", __doc__, "The roofline, measured", sections)

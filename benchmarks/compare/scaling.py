"""How the time per sample grows with N, D, M, K and threads, one at a time: `python -m benchmarks.compare.scaling`.

Compared with NumPy written for speed (peers/numpy_in_place.py), JAX and numba, on one thread, repeats interleaved; then
with as many threads as there are processors.
"""

import os
from collections.abc import Iterable

from benchmarks import unpinned
from benchmarks.peers import library, peers
from benchmarks.report import factor, readable, table, write
from benchmarks.work import DTYPES, fastest, interleaved, random_work, samples, sizes

SHAPE = "784-100-10"  # all but one of the sizes stay at these values
RANGES = {
    "N": (1, 10, 100, 1_000, 10_000),
    "D": (2, 16, 64, 256, 1024, 4096),
    "M": (2, 8, 32, 128, 512, 2048),
    "K": (2, 10, 50, 200, 1000),
}
LABELS = {"N": "samples in a call", "D": "inputs", "M": "hidden units", "K": "classes"}
THREADED = ("64-32-10", "784-100-10", "784-1024-10", "3000-2000-10")
LIBRARIES = ("cbackprop", "NumPy", "JAX", "numba")
MODES = {"online": 1, "mini-batch 32": 32}  # batch size


def times(shape: str, dtype: str, N: int, repeats: int) -> dict[tuple[str, str], float]:
    """Seconds per sample by mode and library."""
    jobs, rounds, counts = {}, {}, {}
    for mode, batch_size in MODES.items():
        if batch_size > N:
            continue
        count = N // batch_size * batch_size
        work = random_work(shape, dtype, count, batch_size)
        for name, module in peers(LIBRARIES)[0].items():
            jobs[mode, name] = module.fit(work)
            counts[mode, name], rounds[mode, name] = count, max(1, 200 // count)
    return {key: min(seconds) / counts[key] for key, seconds in interleaved(jobs, repeats, rounds).items()}


def line(letter: str, value: int, dtype: str, repeats: int, milliseconds: float) -> dict[tuple[str, str], float]:
    """Seconds per sample with one size at a value."""
    shape = "-".join(str(value if n == letter else size) for n, size in zip("DMK", sizes(SHAPE), strict=True))
    N = value if letter == "N" else min(samples(shape, milliseconds), 10_000)
    return times(shape, dtype, N, repeats)


def cells(row: dict[tuple[str, str], float], mode: str) -> list[str]:
    """Time of each library in a mode, and the ratio of the fastest other to cbackprop."""
    found = {name: row[mode, name] for name in LIBRARIES if (mode, name) in row}
    others = [seconds for name, seconds in found.items() if name != "cbackprop"]
    times = [readable(found[name]) if name in found else "–" for name in LIBRARIES]
    return [mode, *times, factor(min(others) / found["cbackprop"]) if others else "–"]


def threads_table(repeats: int, milliseconds: float) -> str:
    """With 1, 2, 4 ... threads, on all processors."""
    processors = len(os.sched_getaffinity(0))
    counts = [count for count in (1, 2, 4, 8, 16, 32, 64) if count <= processors]
    lines = []
    for shape in THREADED:
        for dtype in DTYPES:
            work = random_work(shape, dtype, samples(shape, milliseconds))
            jobs = {count: library.fit(work, n_threads=count) for count in counts}
            lines.append([shape, dtype, *map(readable, fastest(jobs, repeats, len(work.x)).values())])
    return table(["D-M-K, online", "dtype", *(f"{count} threads" if count > 1 else "1" for count in counts)], lines)


def sections(options) -> Iterable[str]:
    repeats, milliseconds = (1, 0.5) if options.quick else (7, 3)
    yield f"The minimum of {repeats} interleaved repeats on one thread, starting from {SHAPE} (D-M-K). *ratio*: the"
    yield "time of the fastest other divided by that of cbackprop.\n"
    for letter, values in RANGES.items():
        found = {
            (dtype, value): line(letter, value, dtype, repeats, milliseconds) for dtype in DTYPES for value in values
        }
        lines = [
            [f"{value:,}", dtype, *cells(found[dtype, value], mode)]
            for dtype in DTYPES for mode in MODES for value in values
            if (mode, "cbackprop") in found[dtype, value]
        ]  # fmt: skip
        yield f"## {letter}, {LABELS[letter]}\n"
        yield table([letter, "dtype", "mode", *LIBRARIES, "ratio"], lines)
    if unpinned() > 1:
        yield "## Threads, not pinned\n"
        yield threads_table(repeats, 3 * milliseconds)


if __name__ == "__main__":
    write("compare.scaling", __doc__, "How the time of a sample grows", sections)

"""Two versions beside each other: `python -m benchmarks.compare.before_after BEFORE AFTER`, folders filled by pip.

Each version has a process of its own, as have the numba loops and JAX, if they are installed. They run the jobs in turn
on one processor, in a random order in every round and with arrays at new addresses, and are restarted several times.
The table has the minimum times.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.report import factor, table
from benchmarks.work import Row

from .sites import measure, named, pin

SIDES = {"before": "library", "after": "library", "numba": "numba_loops", "JAX": "jax_scan"}  # modules in peers/
ONLINE = {  # samples: some milliseconds
    "2-2-3": 20_000, "4-8-2": 20_000, "8-8-3": 20_000, "13-9-3": 15_000, "20-16-5": 10_000, "30-20-2": 8_000,
    "37-53-7": 4_000, "64-32-10": 4_000, "784-16-10": 1_500, "784-100-10": 400, "784-1024-10": 80,
}  # fmt: skip
LEARN_ONE = ("2-2-3", "13-9-3", "30-20-2", "64-32-10", "64-64-10", "784-16-10")
FLOAT32 = {"dtypes": ("float32",)}
ROWS = [
    *(Row("online", "fit", shape, N) for shape, N in ONLINE.items()),
    *(Row("learn_one", "learn_one", shape, 2_000 if len(shape) < 9 else 500) for shape in LEARN_ONE),
    *(Row("16 networks", "fit_ensemble", shape, 4_000) for shape in ("2-2-3", "4-8-2", "5-6-4", "13-9-3")),
    *(Row("batches of 32", "fit", shape, 16_000, 32) for shape in ("2-2-3", "13-9-3")),
    *(Row("batch of all 1000", "fit", shape, 1_000, 1_000, 20) for shape in ("2-2-3", "13-9-3")),
    *(Row(f"batches of {B}", "fit", "784-100-10", 1_024, B, **FLOAT32) for B in (128, 1024)),
    Row("predict", "predict", "64-32-10", 10_000, **FLOAT32),
    *(
        Row(f"{kind}, 30 non-zeros", kind, f"{2**18}-16-2", 1_000, **FLOAT32)
        for kind in ("learn_one_sparse", "fit_sparse")
    ),
    *(
        Row(f"online, {inputs}", "fit", shape, ONLINE[shape], inputs=inputs)
        for shape in ("13-9-3", "64-32-10")
        for inputs in ("times 1000", "subnormal", "saturated")
    ),
]
JOBS = named(ROWS)


def minima(before: Path, after: Path, starts: int, rounds: int) -> dict[str, dict[str, float]]:
    """Minimum nanoseconds of a sample by side and job."""
    online = [name for name, (row, _) in JOBS.items() if row.work == "online"]
    sides = {
        side: (before if side == "before" else after, peer, list(JOBS) if peer == "library" else online)
        for side, peer in SIDES.items()
    }
    fastest: dict[str, dict[str, float]] = {side: {} for side in SIDES}
    for _ in range(starts):
        for side, skipped in measure("before_after", sides, rounds, fastest).items():
            if skipped:
                print(f"{side} skips {', '.join(skipped)}: {', '.join(set(skipped.values()))}", file=sys.stderr)
    samples = {name: row.N * row.epochs for name, (row, _) in JOBS.items()}
    return {side: {name: 1e9 * found[name] / samples[name] for name in found} for side, found in fastest.items()}


def line(name: str, times: dict[str, dict[str, float]]) -> list[str]:
    row, dtype = JOBS[name]
    found = {side: times[side][name] for side in times if name in times[side]}
    cells = [f"{found[side]:.4g}" if side in found else "–" for side in times]
    others = [found[peer] for peer in ("numba", "JAX") if peer in found]
    after = found["after"]
    ratios = [found["before"] / after if "before" in found else None, min(others) / after if others else None]
    ratios.append(after / times["after"][f"online {row.shape} {dtype}"] if row.inputs else None)
    return [row.work, row.shape, dtype, *cells, *(factor(ratio) if ratio else "" for ratio in ratios)]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare.before_after", description=__doc__.split("\n")[0]
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--quick", action="store_true", help="a test run of a round")
    options = parser.parse_args()
    pin()
    times = minima(options.before, options.after, *((1, 1) if options.quick else (3, 9)))
    times = {side: found for side, found in times.items() if found}
    header = ["work", "D-M-K", "dtype", *times, "before / after", "fastest other / after", "after / ordinary"]
    print("Nanoseconds of a sample, minima; 16 networks: of all.\n")
    print(table(header, [line(name, times) for name in JOBS if name in times["after"]]))


if __name__ == "__main__":
    main()

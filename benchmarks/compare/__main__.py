"""cbackprop compared with other libraries in one run, on one processor: `python -m benchmarks.compare`.

All get the same data and initial weights. Before timing, each result is compared with that of the float64 reference;
what deviates is not timed, and an error if it is cbackprop. Repeats are interleaved (A B C A B C ...), each from the
same weights; conversion and compilation are not timed. README.md describes the rows, and how to add a loop of your
own.
"""

import fnmatch
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import footprint
from benchmarks.peers import PEERS, peers
from benchmarks.report import Timing, factor, readable, table, write
from benchmarks.work import Job, Work, interleaved, seconds

from . import real_data
from .rows import ROWS

# Largest deviation from the float64 reference: of weights, relative to the largest change of a weight; absolute, of
# probabilities. float32 rounds every weight at each of a few hundred small updates.
WEIGHT_TOLERANCE = {"float32": 5e-4, "float64": 1e-11}
PROBABILITY_TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


class Sizes(NamedTuple):
    repeats: int
    seconds: float  # of a repeat, about: slow peers get fewer samples, fast ones more rounds
    full: bool


def differs(name: str, result: tuple, truth: tuple, work: Work) -> bool:
    """Whether a peer's result, if it has any, deviates from the reference by more than the tolerance."""
    if not result:
        return False
    learned = len(truth) == 2
    unit = max(np.abs(now - start).max() for now, start in zip(truth, (work.w, work.v), strict=True)) if learned else 1
    difference = float(max(np.abs(np.asarray(r) - s).max() for r, s in zip(result, truth, strict=True)) / unit)
    tolerance = (WEIGHT_TOLERANCE if learned else PROBABILITY_TOLERANCE)[work.x.dtype.name]
    if too_large := not difference <= tolerance:
        message = f"{name} differs from the reference by {difference:.1e}, more than {tolerance:.0e}"
        if name.startswith("cbackprop"):
            raise SystemExit(message)
        print(f"not timed: {message}", file=sys.stderr)
    return too_large


def reference_result(kind: str, work: Work) -> tuple:
    """The result of cbackprop.reference in float64."""
    from cbackprop import reference

    w, v, x = work.w.astype(np.float64), work.v.astype(np.float64), work.x
    x, functions = x.toarray() if hasattr(x, "toarray") else x, work.functions._asdict()
    if kind.startswith("predict"):
        return (reference.forward(x, w, v, **functions).y,)
    for w_r, v_r in zip(w, v, strict=True) if kind == "fit_ensemble" else [(w, v)]:
        reference.fit(
            x, work.t, w_r, v_r, learning_rate=work.learning_rate, epochs=work.epochs,
            batch_size=work.batch_size, shuffle=False, **functions,
        )  # fmt: skip
    return w, v


def sized(make: Callable[[int], Job], size: int, most: int, step: int, enough: float) -> tuple[Job, int, float]:
    """The job of so many samples, or epochs, that it takes long enough, their number, and its time."""
    while True:
        job = make(size)
        seconds(job)  # compiles
        taken = seconds(job)
        if size == most or taken > enough / 2:
            return job, size, taken
        size = min(most, max(2 * size, int(size * enough / taken)) // step * step)


def measure(kind: str, work: Work, makers: dict, sizes: Sizes) -> dict[str, list[float]]:
    """Seconds per sample, or per 1000 iterations where the work has epochs, after checking the results."""
    if work.epochs > 1:
        smallest, most, step, unit = 10, work.epochs, 1, work.epochs
    else:
        most, step, unit = work.x.shape[0], work.batch_size, 1
        smallest = min(most, max(64, 2 * step))

    def part(size: int) -> Work:
        return work._replace(epochs=size) if work.epochs > 1 else work.first(size)

    small, jobs, units, rounds = part(smallest), {}, {}, {}
    truth = reference_result(kind, small)
    for name, maker in makers.items():
        try:
            job = maker(small)
        except NotImplementedError:
            continue
        job.run()
        if differs(f"{name}, {kind}, {work.x.dtype},", job.result(), truth, small):
            continue
        del job  # and its memory
        first = most if name == "cbackprop" else smallest  # the number of samples is chosen for it
        jobs[name], size, taken = sized(lambda size, m=maker: m(part(size)), first, most, step, sizes.seconds)
        units[name], rounds[name] = size / unit, max(1, int(sizes.seconds / taken)) if sizes.full else 1
    times = interleaved(jobs, sizes.repeats, rounds)
    return {name: [s / units[name] for s in times[name]] for name in times}


# rows that are not measured by the functions of the peers
OTHER_ROWS: dict[str, Callable[[int, bool, list[str]], Iterable[Timing]]] = {
    "import": lambda repeats, full, names: [
        Timing("import", "", footprint.import_times(names, min(repeats, 5)), "in a fresh process")
    ],
    "installed size": lambda repeats, full, names: [
        Timing("installed size", "", footprint.installed_sizes(names), "in addition to NumPy", "MB")
    ],
    "sparse, predicted and learned": lambda repeats, full, names: real_data.predicted_and_learned(repeats, full),
    "sparse, from text": lambda repeats, full, names: real_data.from_text(repeats, full),
}


def rows(modules: dict, sizes: Sizes, wanted: Callable[..., bool]) -> Iterator[Timing]:
    """The rows that are wanted, without those for which a package is missing."""
    for row in ROWS:
        makers = {peer: getattr(module, row.kind) for peer, module in modules.items() if hasattr(module, row.kind)}
        for dtype in filter(lambda dtype, row=row: wanted(row.work, dtype), row.dtypes):
            work = row.make(dtype, row.N if sizes.full else min(row.N, max(64, 2 * row.batch_size)))
            unit = "1000 iterations" if row.epochs > 1 else ""
            yield Timing(row.work, dtype, measure(row.kind, work, makers, sizes), unit)
    for name, others in OTHER_ROWS.items():
        if wanted(name):
            try:
                yield from others(sizes.repeats if sizes.full else 1, sizes.full, list(modules))
            except ImportError as error:
                print(f"{name} is skipped: {error}", file=sys.stderr)


def ratios(row: Timing, of: Callable = min) -> dict[str, float]:
    """Each peer's value divided by that of cbackprop; above 1, cbackprop needs less."""
    own = of(row.figures["cbackprop"])
    return {peer: of(values) / own for peer, values in row.figures.items() if peer != "cbackprop"}


def line(row: Timing, columns: list[str]) -> list[str]:
    minima, medians = ratios(row), ratios(row, statistics.median)
    work = f"{row.work} ({row.unit})" if row.unit else row.work
    cells = [
        "–" if name not in row.figures
        else f"{row.figures[name][0]:.3g} MB" if row.quantity == "MB"
        else readable(min(row.figures[name]))
        for name in columns
    ]  # fmt: skip
    best = min(minima, key=minima.get, default="–")
    found = [factor(min(each.values())) if each else "–" for each in (minima, medians)]
    return [work, row.dtype, *cells, best, *found]


def sections(options) -> Iterable[str]:
    sizes = Sizes(3, 0.01, False) if options.quick else Sizes(11, 0.05, True)
    modules, missing = peers(["cbackprop"] if options.only else PEERS, options.peer)

    def wanted(*names: str) -> bool:
        return fnmatch.fnmatch(", ".join(names), options.rows)

    found = []
    for row in rows(modules, sizes, wanted):
        found.append(row)
        print(row.work, row.dtype, {peer: f"{min(row.figures[peer]):.3g}" for peer in row.figures}, file=sys.stderr)
    columns = [name for name in modules if any(name in row.figures for row in found)]
    return [
        "Rows and columns are described in [benchmarks/README.md](../../README.md). Time per sample (or per unit of",
        f"the row), the minimum of {sizes.repeats} interleaved repeats on one thread. *ratio*: the best peer's time",
        "divided by that of cbackprop, so that above 1 cbackprop is faster; *of medians*: the same from medians.\n",
        table(["work", "dtype", *columns, "best peer", "ratio", "of medians"], [line(row, columns) for row in found]),
        *(f"Missing: {name} ({reason}).\n" for name, reason in missing.items()),
    ]


if __name__ == "__main__":
    pattern = {"default": "*", "metavar": "PATTERN", "help": 'only these, such as "online*" or "*float64"'}
    own = {"action": "append", "default": [], "type": Path, "metavar": "FILE.py", "help": "a loop of your own"}
    only = {"action": "store_true", "help": "no other peers than those of --peer"}
    options = {"--rows": pattern, "--peer": own, "--only": only}
    write("compare", __doc__, "cbackprop and other libraries", sections, options)

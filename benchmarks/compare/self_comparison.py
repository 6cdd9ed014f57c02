"""What an option or unusual inputs cost: `python -m benchmarks.compare.self_comparison`.

Interleaved repeats from the same weights. The first of each pair is timed twice: the ratio of its two minima is noise.
In each table, the dearest rows come first.
"""

import statistics
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from benchmarks.peers import library
from benchmarks.report import factor, readable, table, worst_first, write
from benchmarks.work import DTYPES, Functions, Job, Row, ensemble_of, interleaved, random_work, samples, seconds

from .rows import CLASSIFICATION, SMALL

LEARNING = [row for row in CLASSIFICATION + SMALL if row.kind in ("fit", "learn_one")]
ENSEMBLES = ((16, "2-2-3"), (16, "4-8-2"), (16, "13-9-3"), (16, "10-16-2"), (8, "64-32-10"), (8, "784-100-10"))
OTHER_FUNCTIONS = {"linear outputs": Functions(output="linear"), "ReLU": Functions(hidden="relu")}

Pair = tuple[str, str, int, Callable[[], Job], Callable[[], Job]]  # work, dtype, samples; jobs: without, with


def adaptive(milliseconds: float) -> Iterable[Pair]:
    for row in LEARNING:
        N, learn = samples(row.shape, milliseconds, row.batch_size), getattr(library, row.kind)
        for dtype in row.dtypes:
            work = row._replace(epochs=1).make(dtype, N)
            yield row.work, dtype, N, partial(learn, work), partial(learn, work, adaptive=True)


def ensembles(milliseconds: float) -> Iterable[Pair]:
    for R, shape in ENSEMBLES:
        for dtype in DTYPES:
            work = random_work(shape, dtype, N := samples(shape, milliseconds))
            all_networks = partial(library.fit_ensemble, ensemble_of(work, R))
            yield f"{R} × {shape}", dtype, N, partial(library.fit, work), all_networks


def changed(row: Row, name: str, milliseconds: float, **change: Any) -> Iterable[Pair]:
    """A row, and the same with a change."""
    N, learn = samples(row.shape, milliseconds, row.batch_size), getattr(library, row.kind)
    for dtype in row.dtypes:
        works = (each.make(dtype, N) for each in (row, row._replace(**change)))
        yield name, dtype, N, *(partial(learn, work) for work in works)


def functions(milliseconds: float) -> Iterable[Pair]:
    for row in CLASSIFICATION:
        for name, chosen in OTHER_FUNCTIONS.items():
            yield from changed(row, f"{row.work}, {name}", milliseconds, functions=chosen)


def unusual_inputs(milliseconds: float) -> Iterable[Pair]:
    for shape in ("2-2-3", "64-32-10", "784-100-10"):
        for inputs in ("subnormal", "saturated"):
            yield from changed(Row("", "fit", shape, 0), f"online {shape}, {inputs}", milliseconds, inputs=inputs)


TABLES = {  # pairs; names of both; what the second is
    "Rates that adapt": (adaptive, "constant", "adaptive", "`adaptive=True` beside a constant rate."),
    "Ensembles": (ensembles, "one network", "all", "`Ensemble.fit` of all networks beside `fit` of one of them."),
    "Other functions": (
        functions, "softmax, sigmoid", "other", "Linear outputs, and ReLU, beside the article's functions.",
    ),
    "Unusual inputs": (
        unusual_inputs, "ordinary", "unusual", "Subnormal inputs, and weights that saturate hidden units.",
    ),
}  # fmt: skip


def lines(pairs: Iterable[Pair], repeats: int) -> list[list[str]]:
    found = []
    for what, dtype, N, first, second in pairs:
        jobs = {"without": first(), "with": second(), "again": first()}
        for job in jobs.values():
            seconds(job)  # the first call of an estimator may round differently from the others
        times = interleaved(jobs, repeats)
        without, with_option, again = (min(times[name]) for name in times)
        medians = statistics.median(times["with"]) / statistics.median(times["without"])
        cells = [readable(without / N), readable(with_option / N)]
        cells += map(factor, (with_option / without, medians, again / without))
        found.append((-with_option / without, [what, dtype, *cells]))
        print(what, dtype, *cells, file=sys.stderr)
    return worst_first(found)


def sections(options) -> Iterable[str]:
    repeats, milliseconds = (1, 0.2) if options.quick else (21, 5)
    yield f"The time of a sample, the minimum of {repeats} interleaved repeats on one thread. *ratio*: the second time"
    yield "divided by the first; *of medians*: the same from medians; *noise*: the first, timed again, by itself.\n"
    for title, (pairs, first, second, description) in TABLES.items():
        yield f"## {title}\n\n{description}\n"
        header = ["work", "dtype", first, second, "ratio", "of medians", "noise"]
        yield table(header, lines(pairs(milliseconds), repeats))


if __name__ == "__main__":
    write("compare.self_comparison", __doc__, "What options cost", sections)

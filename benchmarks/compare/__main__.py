"""cbackprop compared with other libraries in one run, on one processor: `python -m benchmarks.compare`.

All get the same data and initial weights. Before timing, each result is compared with that of the float64 reference; a
deviation is an error. Repeats are interleaved (A B C A B C ...), each from the same weights; conversion and compilation
are not timed. README.md describes the rows.
"""

import fnmatch
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from benchmarks import footprint
from benchmarks.report import factor, readable, table, write
from benchmarks.work import DTYPES, Work, article_work, interleaved, seconds

from . import PEERS, Timing, peers, sparse
from .rows import ROWS

# columns of the rows of sparse.py
OTHERS = ("LogisticRegression", "SGDClassifier", "Vowpal Wabbit")

# Largest deviation from the float64 reference: of weights, relative to the largest change of a weight; absolute, of
# probabilities. float32 rounds every weight at each of a few hundred small updates.
WEIGHT_TOLERANCE = {"float32": 5e-4, "float64": 1e-11}
PROBABILITY_TOLERANCE = {"float32": 1e-5, "float64": 1e-12}

ARTICLE = "full batch, the article's 2-2-3"


class Sizes(NamedTuple):
    repeats: int
    seconds: float  # of a repeat, about: slow peers get fewer samples, fast ones more rounds
    full: bool


def check(name: str, result: tuple, truth: tuple, work: Work) -> None:
    """The deviation of a peer's result from the reference must be less than the tolerance."""
    learned = len(truth) == 2
    unit = max(np.abs(now - start).max() for now, start in zip(truth, (work.w, work.v), strict=True)) if learned else 1
    difference = float(max(np.abs(np.asarray(r) - s).max() for r, s in zip(result, truth, strict=True)) / unit)
    tolerance = (WEIGHT_TOLERANCE if learned else PROBABILITY_TOLERANCE)[work.x.dtype.name]
    if not difference <= tolerance:
        raise SystemExit(f"{name}: differs from the reference by {difference:.1e}, more than {tolerance:.0e}")


def reference_result(kind: str, work: Work) -> tuple:
    """The result of cbackprop.reference in float64."""
    from cbackprop import reference

    w, v = work.w.astype(np.float64), work.v.astype(np.float64)
    functions = work.functions._asdict()
    if kind.startswith("predict"):
        return (reference.forward(work.x, w, v, **functions).y,)
    each = zip(w, v, strict=True) if kind == "fit_ensemble" else [(w, v)]
    for w_r, v_r in each:
        reference.fit(
            work.x, work.t, w_r, v_r, learning_rate=work.learning_rate, epochs=work.epochs,
            batch_size=work.batch_size, shuffle=False, **functions,
        )  # fmt: skip
    return w, v


def measure(kind: str, work: Work, makers: dict, sizes: Sizes) -> dict[str, list[float]]:
    """Seconds per sample, or per 1000 iterations where the work has epochs, after checking the results."""
    whole_epochs = work.epochs > 1
    small = work._replace(epochs=10) if whole_epochs else work.first(max(64, 2 * work.batch_size))
    truth = reference_result(kind, small)
    jobs, units, rounds = {}, {}, {}
    for name, maker in makers.items():
        job = maker(small)
        job.run()
        check(f"{name}, {kind}, {work.x.dtype}", job.result(), truth, small)
        rate = (small.epochs if whole_epochs else len(small.x)) / seconds(job)
        size = int(rate * sizes.seconds)
        if whole_epochs:
            size = min(work.epochs, max(size, small.epochs))
            own, units[name] = work._replace(epochs=size), size / work.epochs
        else:
            size = min(len(work.x), max(size, len(small.x))) // work.batch_size * work.batch_size
            own, units[name] = work.first(size), size
        jobs[name] = maker(own)
        seconds(jobs[name])  # compiles
        rounds[name] = max(1, int(sizes.seconds / seconds(jobs[name]))) if sizes.full else 1
    times = interleaved(jobs, sizes.repeats, rounds)
    return {name: [s / units[name] for s in times[name]] for name in times}


def measured(name: str, kind: str, work: Work, modules: dict, sizes: Sizes) -> Timing:
    makers = {peer: getattr(module, kind) for peer, module in modules.items() if hasattr(module, kind)}
    if work.functions.output == "softmax" and work.v.shape[-2] == 2:
        makers.pop("scikit-learn", None)  # MLPClassifier has one logistic output then
    unit = "1000 iterations" if work.epochs > 1 else ""
    return Timing(name, work.x.dtype.name, measure(kind, work, makers, sizes), unit)


def rows(modules: dict, sizes: Sizes, wanted: Callable[..., bool]) -> Iterator[Timing]:
    """The rows that are wanted, without those for which a package is missing."""
    for row in ROWS:
        for dtype in filter(lambda dtype, row=row: wanted(row.work, dtype), row.dtypes):
            N = row.N if sizes.full else min(row.N, max(64, 2 * row.batch_size))
            yield measured(row.work, row.kind, row.make(dtype, N), modules, sizes)
    for dtype in filter(lambda dtype: wanted(ARTICLE, dtype), DTYPES):
        yield measured(ARTICLE, "fit", article_work(dtype), modules, sizes)
    repeats = sizes.repeats if sizes.full else 1
    if wanted("import"):
        yield Timing("import", "", footprint.import_times(modules, repeats), "in a fresh process")
    if wanted("installed size"):
        yield Timing("installed size", "", footprint.installed_sizes(modules), "in addition to NumPy", "MB")
    for section in (sparse.one_pass, sparse.sparse_speed, sparse.sparse_accuracy, sparse.sparse_files):
        if wanted(section.__name__):
            try:
                yield from section(repeats, sizes.full)
            except ImportError as error:
                print(f"{section.__name__} is skipped: {error}", file=sys.stderr)


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
    modules, missing = peers(PEERS)

    def wanted(*names: str) -> bool:
        return fnmatch.fnmatch(", ".join(names), options.rows)

    found = []
    for row in rows(modules, sizes, wanted):
        found.append(row)
        print(row.work, row.dtype, {peer: f"{min(row.figures[peer]):.3g}" for peer in row.figures}, file=sys.stderr)
    columns = [name for name in (*PEERS, *OTHERS) if any(name in row.figures for row in found)]
    return [
        "Rows and columns are described in [benchmarks/README.md](../../README.md). Time per sample (or per unit of",
        f"the row), the minimum of {sizes.repeats} interleaved repeats on one thread. *ratio*: the best peer's time",
        "divided by that of cbackprop, so that above 1 cbackprop is faster; *of medians*: the same from medians.\n",
        table(["work", "dtype", *columns, "best peer", "ratio", "of medians"], [line(row, columns) for row in found]),
        *(f"Missing: {name} ({reason}).\n" for name, reason in missing.items()),
    ]


if __name__ == "__main__":
    pattern = {"default": "*", "metavar": "PATTERN", "help": 'only these, such as "online*" or "*float64"'}
    write("compare", __doc__, "cbackprop and other libraries", sections, {"--rows": pattern})

"""cbackprop beside what else could do the same work, in one run, on one processor: `python -m benchmarks.compare`.

Everyone gets the same data and the same starting weights. First everyone's result is compared with the float64
reference; who differs is not timed, and the run fails. Then the repeats are interleaved (A B C A B C ...), each from
the same weights; conversions and compilation are over by then. README.md says what each row is.
"""

import argparse
import fnmatch
import importlib
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import pinned
from .work import Work, article_work, interleaved, random_work, seconds

PEERS = {  # column: module in peers/
    "cbackprop": "library",
    "reference": "numpy_reference",
    "NumPy": "numpy_in_place",
    "NumPy, SciPy BLAS": "scipy_blas",
    "scikit-learn": "scikit_learn",
    "PyTorch": "torch_eager",
    "PyTorch by hand": "torch_by_hand",
    "JAX": "jax_scan",
    "numba": "numba_loops",
    "ONNX Runtime": "onnx_runtime",
}

RIVER = ("LogisticRegression", "HoeffdingTree")  # columns of the rows that adapters.py measures on streams

# Largest difference from the reference in float64, as a part of the largest change that learning made to a weight,
# or as a probability. float32 rounds each of the weights at each of a few hundred updates; the changes are small.
TOLERANCE = {"float32": 5e-4, "float64": 1e-11}
TOLERANCE_OF_PROBABILITIES = {"float32": 1e-5, "float64": 1e-12}


class Row(NamedTuple):
    work: str
    kind: str  # the function of a peer's module
    shape: str  # D-M-K
    N: int  # samples in a repeat, at most: who is slow gets fewer
    targets: dict[str, float]  # peer, or "best": how many times its time is to be that of cbackprop
    batch_size: int = 1
    dtypes: tuple[str, ...] = ("float32", "float64")


ROWS = [
    Row("online 784-100-10", "fit", "784-100-10", 2_000, {"best": 3}),
    Row("online 784-1024-10", "fit", "784-1024-10", 600, {"best": 3.5}),
    Row("online 784-16-10", "fit", "784-16-10", 4_000, {"best": 2.5}),
    Row("online 64-32-10", "fit", "64-32-10", 20_000, {"best": 1.6}),
    Row("online 2-2-3", "fit", "2-2-3", 100_000, {"numba": 1.3}, dtypes=("float32",)),
    Row(
        "online 2-2-3",
        "fit",
        "2-2-3",
        100_000,
        {"numba": 1.3, "JAX": 4, "PyTorch": 500, "scikit-learn": 500},
        dtypes=("float64",),
    ),
    *(
        Row(f"mini-batch {batch_size}, {shape}", "fit", shape, N, targets.get(batch_size, {}), batch_size)
        for shape, N, targets in (
            ("784-100-10", 4_096, {32: {"best": 1.3}, 128: {"best": 1}, 1024: {"best": 1}}),
            ("784-1024-10", 1_024, {128: {"best": 1}, 1024: {"best": 1}}),
            ("64-32-10", 16_384, {32: {"best": 1.5}}),
        )
        for batch_size in (8, 32, 128, 1024)
    ),
    Row("learn_one 2-2-3", "learn_one", "2-2-3", 20_000, {"scikit-learn": 600, "PyTorch": 900}, dtypes=("float64",)),
    Row("learn_one 64-32-10", "learn_one", "64-32-10", 10_000, {}),
    Row(
        "partial_fit of one row 64-32-10",
        "partial_fit_one",
        "64-32-10",
        10_000,
        {"scikit-learn": 10},
        dtypes=("float64",),
    ),
    Row("predict_proba_one 64-32-10", "predict_proba_one", "64-32-10", 10_000, {"NumPy": 10, "scikit-learn": 100}),
    Row("predict 784-100-10", "predict_proba", "784-100-10", 4_096, {"best": 1.2}),
    Row("predict 64-32-10", "predict_proba", "64-32-10", 16_384, {}),
]
ARTICLE = "full batch, the article's 2-2-3"


def check(name: str, result: tuple, truth: tuple, work: Work) -> float:
    """How far a peer's result is from the reference's; more than the tolerance is an error."""
    learned = len(truth) == 2
    unit = max(np.abs(now - start).max() for now, start in zip(truth, (work.w, work.v), strict=True)) if learned else 1
    difference = float(max(np.abs(np.asarray(r) - s).max() for r, s in zip(result, truth, strict=True)) / unit)
    tolerance = (TOLERANCE if learned else TOLERANCE_OF_PROBABILITIES)[work.x.dtype.name]
    if not difference <= tolerance:
        raise SystemExit(f"{name}: differs from the reference by {difference:.1e}, and {tolerance:.0e} is allowed")
    return difference


def reference_result(kind: str, work: Work) -> tuple:
    """The same work by cbackprop.reference in float64."""
    from cbackprop import reference

    w, v = work.w.astype(np.float64), work.v.astype(np.float64)
    if kind.startswith("predict"):
        return (reference.forward(work.x, w, v).y,)
    reference.fit(
        work.x, work.t, w, v, learning_rate=work.learning_rate, epochs=work.epochs, batch_size=work.batch_size,
        shuffle=False,
    )  # fmt: skip
    return w, v


class Sizes(NamedTuple):
    repeats: int
    seconds: float  # about so long does a repeat take: whoever needs longer gets fewer samples, others more rounds
    full: bool


def measure(kind: str, work: Work, makers: dict, sizes: Sizes) -> tuple[dict, dict]:
    """Differences from the reference, and seconds a sample (in the article's experiment: 1000 iterations)."""
    whole_epochs = work.epochs > 1
    small = work._replace(epochs=10) if whole_epochs else work.first(max(64, 2 * work.batch_size))
    truth = reference_result(kind, small)
    differences, jobs, units, rounds = {}, {}, {}, {}
    for name, maker in makers.items():
        job = maker(small)
        job.run()
        differences[name] = check(f"{name}, {kind}, {work.x.dtype}", job.result(), truth, small)
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
    return differences, {name: [s / units[name] for s in times[name]] for name in times}


def peers_found() -> tuple[dict, dict]:
    """The modules of the peers, and why those that are missing are missing."""
    modules, missing = {}, {}
    for name, module in PEERS.items():
        try:
            modules[name] = importlib.import_module(f".peers.{module}", __package__)
        except ImportError as error:
            missing[name] = str(error)
    return modules, missing


def job_rows(modules: dict, sizes: Sizes, wanted) -> list[dict]:
    rows = []
    for row in ROWS:
        for dtype in row.dtypes:
            if wanted(row.work, dtype):
                N = row.N if sizes.full else max(64, 2 * row.batch_size)
                work = random_work(row.shape, dtype, N, row.batch_size)
                rows.append(job_row(row.work, row.kind, work, row.targets, modules, sizes))
    for dtype, targets in (("float32", {}), ("float64", {"numba": 2.5})):  # the article computes in float64
        if wanted(ARTICLE, dtype):
            rows.append(job_row(ARTICLE, "fit", article_work(dtype), targets, modules, sizes))
    return rows


def job_row(name: str, kind: str, work: Work, targets: dict, modules: dict, sizes: Sizes) -> dict:
    print(f"{name}, {work.x.dtype}", end="  ", flush=True, file=sys.stderr)
    makers = {peer: getattr(module, kind) for peer, module in modules.items() if hasattr(module, kind)}
    differences, times = measure(kind, work, makers, sizes)
    row = {
        "work": name,
        "dtype": work.x.dtype.name,
        "unit": "1000 iterations" if work.epochs > 1 else "sample",
        "quantity": "s",
        "targets": targets,
        "differences": differences,
        "figures": times,
    }
    print(", ".join(f"{peer} {min(times[peer]) * 1e6:.3g}" for peer in times), "µs", file=sys.stderr)
    return row


def accuracy_rows(modules: dict, sizes: Sizes, wanted) -> list[dict]:
    if "scikit-learn" not in modules:
        return []
    from . import accuracy

    rows = []
    for name, load, splits, target in (("digits", accuracy.digits, 5, 30), ("5,000 MNIST", accuracy.mnist, 3, 12)):
        work = f"{name}, to MLPClassifier's accuracy"
        if not wanted(work, "float32"):
            continue
        print(work, file=sys.stderr)
        try:
            times, epochs, reached = accuracy.measure(load, *((splits, 3, None) if sizes.full else (1, 1, 1000)))
        except ImportError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        for what, learner, targets in (
            (work, "fit", {"scikit-learn": target}),
            (f"{work}, all stopped", "stopped", {}),
        ):
            figures = {"cbackprop": times["cbackprop"], "scikit-learn": times[learner]}
            rows.append(
                {
                    "work": what,
                    "dtype": "float32",
                    "unit": f"to {reached:.3f}: {epochs['cbackprop']} epochs, {epochs[learner]}",
                    "quantity": "s",
                    "targets": targets,
                    "figures": figures,
                }
            )
    return rows


def adapter_rows(sizes: Sizes, wanted) -> tuple[list[dict], list[dict]]:
    from . import adapters

    rows, figures = [], []
    for measurement in (adapters.defaults, adapters.streams, adapters.averaging):
        if not wanted(measurement.__name__):
            continue
        print(measurement.__name__, file=sys.stderr)
        try:
            more_rows, more_figures = measurement(sizes.repeats if sizes.full else 1, sizes.full)
        except ImportError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        rows += more_rows
        figures += more_figures
    return rows, figures


def footprint_rows(modules: dict, sizes: Sizes, wanted) -> list[dict]:
    from . import footprint

    rows = []
    if wanted("import"):
        times = footprint.import_times(list(modules), sizes.repeats if sizes.full else 1)
        row = {"work": "import", "dtype": "", "unit": "in a fresh process", "quantity": "s"}
        rows.append(row | {"targets": {"NumPy": 1 / 1.2}, "figures": times})
    if wanted("installed size"):
        megabytes = footprint.installed_sizes(list(modules))
        row = {"work": "installed size", "dtype": "", "unit": "beside NumPy", "quantity": "MB"}
        rows.append(row | {"targets": {}, "figures": megabytes})
    return rows


def own_figures(rows: list[dict], sizes: Sizes, wanted) -> list[dict]:
    from . import itself

    figures = []
    for measurement in (
        itself.rate,
        itself.threads,
        itself.variants,
        itself.subnormal_inputs,
        itself.article_by_loops,
    ):
        if wanted(measurement.__name__):
            print(measurement.__name__, file=sys.stderr)
            figures += measurement(sizes.repeats, sizes.full)
    fastest = {(row["work"], row["dtype"]): min(row["figures"]["cbackprop"]) for row in rows}
    for shape in ("2-2-3", "64-32-10"):
        call, kernel = fastest.get((f"learn_one {shape}", "float64")), fastest.get((f"online {shape}", "float64"))
        if call and kernel:
            what = f"learn_one {shape}, float64: the call, against the same sample within fit"
            figures.append(itself.figure(what, call / kernel, at_most=2 if shape == "2-2-3" else None))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few samples and repeats: does it run, not how fast")
    parser.add_argument("--rows", default="*", metavar="PATTERN", help='only these, such as "online*" or "*float64"')
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("results"), help="folder to write to")
    options = parser.parse_args()
    is_pinned = pinned()
    began = time.perf_counter()

    from . import report

    def wanted(*names: str) -> bool:
        return fnmatch.fnmatch(", ".join(filter(None, names)), options.rows)

    modules, missing = peers_found()
    machine = report.machine(is_pinned)
    sizes = Sizes(3, 0.01, False) if options.quick else Sizes(11, 0.05, True)
    rows = job_rows(modules, sizes, wanted)
    rows += accuracy_rows(modules, sizes, wanted) + footprint_rows(modules, sizes, wanted)
    figures = own_figures(rows, sizes, wanted)
    more_rows, more_figures = adapter_rows(sizes, wanted)
    record = {
        "machine": machine | {"seconds": round(time.perf_counter() - began)},
        "missing": missing,
        "quick": options.quick,
        "repeats": sizes.repeats,
        "columns": [*PEERS, *RIVER],
        "rows": rows + more_rows,
        "figures": figures + more_figures,
    }
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "compare.json").write_text(json.dumps(record, indent=1))
    table = report.markdown(record)
    (options.output / "compare.md").write_text(table)
    report.plot(record, options.output / "compare.png")
    print(table)


if __name__ == "__main__":
    main()

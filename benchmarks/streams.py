"""The River models at their defaults on streams: `python -m benchmarks.streams`.

Each sample is predicted first and learned second. Beside ours, which take inputs as they come, are the best of a few
constant learning rates, chosen in hindsight by the mean over the seeds, and models of River, both with River's scaler
where a model needs one. Streams that River bundles have one order of samples: seeds change the initial weights only.
"""

import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any

from .report import argument_parser, table

with suppress(ImportError):  # asv imports this file, too, without River
    from river import datasets, linear_model, multiclass, preprocessing, tree
    from river.datasets import synth

    from cbackprop.river import BackpropClassifier, BackpropRegressor

CLASSIFICATION: dict[str, Callable[[int], Iterable]] = {
    "Phishing": lambda seed: datasets.Phishing(),
    "Bananas": lambda seed: datasets.Bananas(),
    "ImageSegments": lambda seed: datasets.ImageSegments(),
    "Shuttle": lambda seed: datasets.Shuttle(),
    "Agrawal": lambda seed: synth.Agrawal(classification_function=0, seed=seed),
    "Agrawal, drift": lambda seed: synth.ConceptDriftStream(
        synth.Agrawal(classification_function=0, seed=seed),
        synth.Agrawal(classification_function=4, seed=seed + 100),
        seed=seed,
        position=5000,
        width=100,
    ),
    "SEA": lambda seed: synth.SEA(variant=0, noise=0.1, seed=seed),
    "Hyperplane": lambda seed: synth.Hyperplane(seed, n_features=10, n_drift_features=5, mag_change=0.001),
    "RBF, drift": lambda seed: synth.RandomRBFDrift(
        seed, seed, n_classes=4, n_features=10, n_centroids=20, change_speed=0.0001, n_drift_centroids=10
    ),
    "RBF, fast drift": lambda seed: synth.RandomRBFDrift(
        seed, seed, n_classes=2, n_features=10, n_centroids=50, change_speed=0.001, n_drift_centroids=50
    ),
    "LED, drift": lambda seed: synth.LEDDrift(seed, noise_percentage=0.1, irrelevant_features=True, n_drift_features=4),
}
REGRESSION: dict[str, Callable[[int], Iterable]] = {
    "ChickWeights": lambda seed: datasets.ChickWeights(),
    "TrumpApproval": lambda seed: datasets.TrumpApproval(),
    "WaterFlow": lambda seed: datasets.WaterFlow(),
    "Friedman": lambda seed: synth.Friedman(seed),
    "Friedman, drift": lambda seed: synth.FriedmanDrift("gra", (3000, 6000), 1000, seed=seed),
    "Mv": lambda seed: synth.Mv(seed),
    "Planes2D": lambda seed: synth.Planes2D(seed),
}
BUNDLED = 4, 3  # how many of the first need no seed
RATES = {"classifier": (0.03, 0.1, 0.3, 1), "regressor": (0.003, 0.01, 0.03, 0.1)}
SAMPLES = 10_000


def scaled(model: Any) -> Any:
    return preprocessing.StandardScaler() | model


def scaled_target(model: Any) -> Any:
    return scaled(preprocessing.TargetStandardScaler(model))


def logistic(classes: int) -> Any:
    model = linear_model.LogisticRegression()
    return scaled(model if classes == 2 else multiclass.OneVsRestClassifier(model))


CLASSIFIERS: dict[str, Callable[[int], Any]] = {
    "LogisticRegression": logistic,
    "SoftmaxRegression": lambda classes: scaled(linear_model.SoftmaxRegression()),
    "HoeffdingTree": lambda classes: tree.HoeffdingTreeClassifier(),
    "HoeffdingAdaptiveTree": lambda classes: tree.HoeffdingAdaptiveTreeClassifier(seed=1),
}
REGRESSORS: dict[str, Callable[[int], Any]] = {
    "LinearRegression": lambda classes: scaled_target(linear_model.LinearRegression()),
    "HoeffdingTree": lambda classes: tree.HoeffdingTreeRegressor(),
    "HoeffdingAdaptiveTree": lambda classes: tree.HoeffdingAdaptiveTreeRegressor(seed=1),
}

Stream = list[tuple[dict[str, float], Any]]


def numeric(x: dict) -> dict[str, float]:
    """Numbers only: 1 for a text, the day of a date."""
    numbers = {}
    for name, value in x.items():
        if isinstance(value, str):
            numbers[f"{name}={value}"] = 1.0
        else:
            numbers[str(name)] = float(value.toordinal() if hasattr(value, "toordinal") else value)
    return numbers


def read(stream: Iterable, samples: int) -> Stream:
    """The first samples, each with all features, so that all models see the same."""
    rows = [(numeric(x), y) for x, y in islice(stream, samples)]
    names = dict.fromkeys(name for x, _ in rows for name in x)
    return [({name: x.get(name, 0.0) for name in names}, y) for x, y in rows]


def accuracy(model: Any, stream: Stream) -> float:
    right = 0
    for x, y in stream:
        right += model.predict_one(x) == y
        model.learn_one(x, y)
    return right / len(stream)


def error(model: Any, stream: Stream) -> float:
    """The root mean squared error in standard deviations of the target."""
    total = 0.0
    for x, y in stream:
        total += (model.predict_one(x) - y) ** 2
        model.learn_one(x, y)
    return (total / len(stream)) ** 0.5 / statistics.pstdev(y for _, y in stream)


class Results:
    """Scores and seconds of each model, on one stream after the other."""

    def __init__(self) -> None:
        self.scores: dict[str, dict[str, list[float]]] = {}
        self.seconds: dict[str, float] = {}
        self.samples = 0

    def add(self, name: str, model: str, score: Callable, learner: Any, stream: Stream) -> None:
        began = time.perf_counter()
        value = score(learner, stream)
        self.seconds[model] = self.seconds.get(model, 0) + time.perf_counter() - began
        self.scores.setdefault(name, {}).setdefault(model, []).append(value)

    def mean(self, name: str, model: str) -> float:
        return statistics.mean(self.scores[name][model])


def classification(results: Results, seeds: int, samples: int) -> None:
    for number, (name, make) in enumerate(CLASSIFICATION.items()):
        for seed in range(seeds):
            if seed == 0 or number >= BUNDLED[0]:
                stream = read(make(seed), 2 * samples if name == "Shuttle" else samples)
                classes = len({y for _, y in stream})
                for model, new in CLASSIFIERS.items():
                    results.add(name, model, accuracy, new(classes), stream)
            results.add(name, "ours", accuracy, BackpropClassifier(seed=seed), stream)
            for factor in (10, 0.1):
                changed = [({feature: factor * value for feature, value in x.items()}, y) for x, y in stream]
                results.add(name, f"ours, x {factor}", accuracy, BackpropClassifier(seed=seed), changed)
            for rate in RATES["classifier"]:
                results.add(name, f"rate {rate}", accuracy, scaled(BackpropClassifier(16, rate, seed=seed)), stream)


def regression(results: Results, seeds: int, samples: int) -> None:
    for number, (name, make) in enumerate(REGRESSION.items()):
        for seed in range(seeds):
            if seed == 0 or number >= BUNDLED[1]:
                stream = read(make(seed), samples)
                for model, new in REGRESSORS.items():
                    results.add(name, model, error, new(0), stream)
            results.add(name, "ours", error, BackpropRegressor(seed=seed), stream)
            for factor in (10, 0.1):
                changed = [({f: factor * value for f, value in x.items()}, factor * y) for x, y in stream]
                results.add(name, f"ours, x {factor}", error, BackpropRegressor(seed=seed), changed)
            for rate in RATES["regressor"]:
                learner = scaled_target(BackpropRegressor(16, rate, seed=seed))
                results.add(name, f"rate {rate}", error, learner, stream)


def lines(results: Results, names: Iterable, others: Iterable, best: Callable, digits: int) -> list[list[str]]:
    found = []
    for name in names:
        rates = [model for model in results.scores[name] if model.startswith("rate ")]
        rate = best(rates, key=lambda model, name=name: results.mean(name, model))
        models = [model for model in results.scores[name] if model.startswith("ours")]
        cells = [f"{results.mean(name, model):.{digits}f}" for model in (*models, rate, *others)]
        cells[len(models)] += f" ({rate.removeprefix('rate ')})"
        found.append([name, *cells])
    return found


def main() -> None:
    parser = argument_parser("streams", __doc__)
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, of streams and of weights")
    options = parser.parse_args()
    seeds, samples = (1, 500) if options.quick else (options.seeds, SAMPLES)
    began = time.perf_counter()
    classified, regressed = Results(), Results()
    classification(classified, seeds, samples)
    regression(regressed, seeds, samples)
    text = "\n".join(
        [
            "# Streams",
            "",
            f"Written by `python -m benchmarks.streams --seeds {seeds}`: means of {seeds} seeds, the first {samples:,} "
            "samples of each stream (Shuttle: twice as many), each predicted first and learned second. *Ours* are the "
            "models of `cbackprop.river` at their defaults: on inputs as they come, and multiplied by 10 and 0.1, as "
            "are numbers to predict. *Best rate* is the best constant rate in hindsight. It and the linear models have "
            "River's `StandardScaler`.",
            "",
            "## Accuracy",
            "",
            table(
                ["stream", "ours", "x 10", "x 0.1", "best rate", *CLASSIFIERS],
                lines(classified, CLASSIFICATION, CLASSIFIERS, max, 4),
            ),
            "",
            "## Root mean squared error, in standard deviations of the target",
            "",
            table(
                ["stream", "ours", "x 10", "x 0.1", "best rate", *REGRESSORS],
                lines(regressed, REGRESSION, REGRESSORS, min, 3),
            ),
            "",
        ]
    )
    (options.output / "streams.md").write_text(text, encoding="utf-8")
    print(text)
    print(f"{time.perf_counter() - began:.0f} s;", {name: round(s, 1) for name, s in classified.seconds.items()})


if __name__ == "__main__":
    main()

"""The River models at their defaults on streams: `python -m benchmarks.compare.streams`.

Each sample is predicted first and learned second. Beside ours, which take inputs as they come, are the best of a few
constant learning rates, chosen in hindsight by the mean over the seeds, and models of River and of scikit-learn, with
River's scaler where a model needs one. Streams that River bundles have one order of samples: seeds change the initial
weights only.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from river import compat, datasets, forest, linear_model, multiclass, preprocessing, tree
from river.datasets import synth

from benchmarks.report import readable, table, write
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
    "SEA, drift": lambda seed: synth.ConceptDriftStream(
        synth.SEA(variant=0, seed=seed), synth.SEA(variant=3, seed=seed + 100), seed=seed, position=5000, width=100
    ),
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
    "AirlinePassengers": lambda seed: datasets.AirlinePassengers(),
    "SP500Stocks": lambda seed: datasets.SP500Stocks(),
    "SolarFlare": lambda seed: ((x, y["c-class-flares"]) for x, y in datasets.SolarFlare()),
    "Friedman": lambda seed: synth.Friedman(seed),
    "Friedman, drift": lambda seed: synth.FriedmanDrift("gra", (3000, 6000), 1000, seed=seed),
    "Mv": lambda seed: synth.Mv(seed),
    "Planes2D": lambda seed: synth.Planes2D(seed),
}
SAMPLES = 10_000
DIVERGED = 1000  # standard deviations of the target
FACTORS = (10, 0.1)  # of inputs and numbers to predict


def scaled(model: Any) -> Any:
    return preprocessing.StandardScaler() | model


def scaled_target(model: Any) -> Any:
    return scaled(preprocessing.TargetStandardScaler(model))


def logistic(classes: list) -> Any:
    model = linear_model.LogisticRegression()
    return scaled(model if len(classes) == 2 else multiclass.OneVsRestClassifier(model))


def scikit_learn(classes: list) -> Any:
    from sklearn.neural_network import MLPClassifier

    options = {"activation": "logistic", "solver": "sgd", "momentum": 0, "alpha": 0, "batch_size": 1}
    network = MLPClassifier((16,), learning_rate_init=0.1, random_state=0, **options)
    return scaled(compat.SKL2RiverClassifier(network, classes))


CLASSIFIERS: dict[str, Callable[[list], Any]] = {
    "LogisticRegression": logistic,
    "SoftmaxRegression": lambda classes: scaled(linear_model.SoftmaxRegression()),
    "MLPClassifier": scikit_learn,
    "HoeffdingTree": lambda classes: tree.HoeffdingTreeClassifier(),
    "HoeffdingAdaptiveTree": lambda classes: tree.HoeffdingAdaptiveTreeClassifier(seed=1),
    "ARFClassifier": lambda classes: forest.ARFClassifier(seed=1),
}
REGRESSORS: dict[str, Callable[[list], Any]] = {
    "LinearRegression": lambda classes: scaled_target(linear_model.LinearRegression()),
    "HoeffdingTree": lambda classes: tree.HoeffdingTreeRegressor(),
    "HoeffdingAdaptiveTree": lambda classes: tree.HoeffdingAdaptiveTreeRegressor(seed=1),
    "ARFRegressor": lambda classes: forest.ARFRegressor(seed=1),
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


class Task(NamedTuple):
    """Streams, and what learns them."""

    streams: dict[str, Callable[[int], Iterable]]
    ours: Callable[..., Any]
    others: dict[str, Callable[[list], Any]]
    rates: tuple[float, ...]
    at_rate: Callable[[Any], Any]  # what a model at a constant rate needs before it
    score: Callable[[Any, Stream], float]
    best: Callable
    digits: int
    numbers: bool  # are to be predicted


TASKS = {
    "Accuracy": Task(
        CLASSIFICATION, BackpropClassifier, CLASSIFIERS, (0.03, 0.1, 0.3, 1), scaled, accuracy, max, 4, False
    ),
    "Root mean squared error, in standard deviations of the target": Task(
        REGRESSION, BackpropRegressor, REGRESSORS, (0.003, 0.01, 0.03, 0.1), scaled_target, error, min, 3, True
    ),
}


def learners(task: Task, seed: int, classes: list, new_samples: bool) -> Iterator[tuple[str, float, Any]]:
    """Name, factor of the samples, and model."""
    for factor in (1, *FACTORS):
        yield "ours" if factor == 1 else f"ours, x {factor}", factor, task.ours(seed=seed)
    for rate in task.rates:
        yield f"rate {rate}", 1, task.at_rate(task.ours(16, rate, seed=seed))
    if new_samples:  # the others have no seed
        for name, new in task.others.items():
            yield name, 1, new(classes)


def multiplied(stream: Stream, factor: float, numbers: bool) -> Stream:
    return [({f: factor * value for f, value in x.items()}, factor * y if numbers else y) for x, y in stream]


def measure(task: Task, name: str, seeds: int, samples: int) -> dict[str, tuple[float, float]]:
    """Mean score and seconds per sample of each model on a stream."""
    scores: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    make, stream = task.streams[name], None
    for seed in range(seeds):
        if new_samples := seed == 0 or type(make(seed)).__module__.startswith("river.datasets.synth"):
            stream = read(make(seed), 2 * samples if name == "Shuttle" else samples)
            classes = [] if task.numbers else sorted({y for _, y in stream})
        for model, factor, learner in learners(task, seed, classes, new_samples):
            given = stream if factor == 1 else multiplied(stream, factor, task.numbers)
            began = time.perf_counter()
            scores.setdefault(model, []).append(task.score(learner, given))
            seconds.setdefault(model, []).append((time.perf_counter() - began) / len(given))
    return {model: (statistics.mean(scores[model]), min(seconds[model])) for model in scores}


def sections(options) -> Iterable[str]:
    seeds, samples = (1, 500) if options.quick else (options.seeds, SAMPLES)
    yield f"Means of {seeds} seeds, the first {samples:,} samples of each stream (Shuttle: twice as many), each"
    yield "predicted first and learned second. *Ours* are the models of `cbackprop.river` at their defaults: on inputs"
    yield "as they come, and multiplied by 10 and 0.1, as are numbers to predict. *Best rate* is the best constant rate"
    yield "in hindsight. It, the linear models and MLPClassifier have River's `StandardScaler`.\n"
    for title, task in TASKS.items():
        shown = ["ours", *(f"ours, x {factor}" for factor in FACTORS)]
        header = ["stream", *(name.removeprefix("ours, ") for name in shown), "best rate", *task.others]
        scores, times = [], []
        for name in task.streams:
            found = measure(task, name, seeds, samples)
            rate = task.best((m for m in found if m.startswith("rate ")), key=lambda m, found=found: found[m])
            models = (*shown, rate, *task.others)
            cells = (found[model][0] for model in models)
            scores.append([name, *("diverges" if score > DIVERGED else f"{score:.{task.digits}f}" for score in cells)])
            scores[-1][len(shown) + 1] += f" ({rate.removeprefix('rate ')})"
            times.append([name, *(readable(found[model][1]) for model in models)])
        yield f"## {title}\n"
        yield table(header, scores)
        yield "The time of a sample, predicted and learned:\n"
        yield table(header, times)


if __name__ == "__main__":
    seeds = {"type": int, "default": 3, "help": "number of seeds, of streams and of weights"}
    write("compare.streams", __doc__, "Streams", sections, {"--seeds": seeds})

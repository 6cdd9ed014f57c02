"""The adapters compared with the models that their users have now, on real data: times and accuracies.

Every repeat has its own seed. Times are those of the whole pipeline, scaler included.
"""

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .self_comparison import metric


def row(work: str, unit: str, targets: dict[str, float], seconds: dict[str, list[float]]) -> dict:
    return {"work": work, "dtype": "", "unit": unit, "quantity": "s", "targets": targets, "figures": seconds}


def interleaved(runs: dict[str, Callable[[int], tuple[float, float]]], repeats: int) -> tuple[dict, dict]:
    """Runs return seconds and accuracy: the seconds of each repeat, and the mean accuracies."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    accuracies: dict[str, list[float]] = {name: [] for name in runs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLPClassifier does not converge
        for seed in range(repeats):
            for name, run in runs.items():
                taken, accuracy = run(seed)
                seconds[name].append(taken)
                accuracies[name].append(accuracy)
    return seconds, {name: statistics.mean(values) for name, values in accuracies.items()}


def listed(accuracies: dict[str, float]) -> str:
    return ", ".join(f"{name} {accuracy:.3f}" for name, accuracy in accuracies.items())


def defaults(repeats: int, full: bool) -> tuple[list[dict], list[dict]]:
    """`BackpropClassifier` and `MLPClassifier` with default settings, after a scaler: `fit`, and held-out accuracy."""
    from sklearn.datasets import load_breast_cancer, load_digits, load_wine
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from cbackprop.sklearn import BackpropClassifier

    rows, metrics = [], []
    for name, load in (("digits", load_digits), ("wine", load_wine), ("breast_cancer", load_breast_cancer)):
        x, y = load(return_X_y=True)

        def run(seed: int, classifier: type, x: np.ndarray = x, y: np.ndarray = y) -> tuple[float, float]:
            learned, held_out, y_learned, y_held_out = train_test_split(
                x, y, test_size=0.25, stratify=y, random_state=seed
            )
            model = make_pipeline(StandardScaler(), classifier(random_state=seed))
            began = time.perf_counter()
            model.fit(learned, y_learned)
            return time.perf_counter() - began, model.score(held_out, y_held_out)

        peers = {"cbackprop": BackpropClassifier, "scikit-learn": MLPClassifier}
        runs = {peer: lambda seed, run=run, kind=kind: run(seed, kind) for peer, kind in peers.items()}
        seconds, accuracies = interleaved(runs, repeats)
        rows.append(
            row(f"fit at the defaults, {name}", f"held out: {listed(accuracies)}", {"scikit-learn": 10}, seconds)
        )
        what = f"{name} at the defaults: held-out accuracy minus that of MLPClassifier, in percent"
        metrics.append(metric(what, 100 * (accuracies["cbackprop"] - accuracies["scikit-learn"]), at_least=-1))
    return rows, metrics


def streams(repeats: int, full: bool) -> tuple[list[dict], list[dict]]:
    """River's bundled streams: each sample is first predicted, then learned."""
    from river import compat, datasets, evaluate, linear_model, multiclass, preprocessing, tree
    from river.metrics import Accuracy
    from sklearn.linear_model import SGDClassifier
    from sklearn.neural_network import MLPClassifier

    from cbackprop.river import BackpropClassifier

    rows, metrics = [], []
    for stream in (datasets.Phishing(), datasets.ImageSegments(), datasets.Shuttle()):
        name, samples = type(stream).__name__, list(stream.take(3000 if full else 100))
        classes = sorted({y for _, y in stream})

        def mlp(seed: int, classes: list = classes) -> object:
            network = MLPClassifier(
                (16,), "logistic", solver="sgd", learning_rate_init=0.1, momentum=0, alpha=0, random_state=seed,
                batch_size=1,
            )  # fmt: skip
            return compat.SKL2RiverClassifier(network, classes)

        def regression(seed: int, classes: list = classes) -> object:
            model = linear_model.LogisticRegression()
            return model if len(classes) == 2 else multiclass.OneVsRestClassifier(model)

        def hinge(seed: int, classes: list = classes) -> object:
            return compat.SKL2RiverClassifier(SGDClassifier(random_state=seed), classes)

        models = {
            "cbackprop": lambda seed: BackpropClassifier(16, 0.1, seed=seed),
            "scikit-learn": mlp,
            "LogisticRegression": regression,
            "SoftmaxRegression": lambda seed: linear_model.SoftmaxRegression(),
            "SGDClassifier": hinge,
            "HoeffdingTree": lambda seed: tree.HoeffdingTreeClassifier(),
        }

        def run(seed: int, make: Callable, samples: list = samples) -> tuple[float, float]:
            model = preprocessing.StandardScaler() | make(seed)
            began = time.perf_counter()
            accuracy = evaluate.progressive_val_score(samples, model, Accuracy()).get()
            return time.perf_counter() - began, accuracy

        runs = {peer: lambda seed, run=run, make=make: run(seed, make) for peer, make in models.items()}
        seconds, accuracies = interleaved(runs, min(repeats, 5))
        each = {peer: [s / len(samples) for s in taken] for peer, taken in seconds.items()}
        unit = f"sample; progressive accuracy: {listed(accuracies)}"
        rows.append(row(f"River, {name}", unit, {"scikit-learn": 20}, each))
        what = f"{name}: progressive accuracy minus that of SKL2RiverClassifier(MLPClassifier), in percent"
        metrics.append(metric(what, 100 * (accuracies["cbackprop"] - accuracies["scikit-learn"]), at_least=0))
    return rows, metrics


class VowpalWabbit:
    """Vowpal Wabbit with `--nn`, one network for each class, like a scikit-learn classifier. It reads a text file."""

    def __init__(self, n_hidden: int, n_classes: int, seed: int, folder: str):
        self.path = Path(folder) / "learned"
        self.options = f"--oaa {n_classes} --nn {n_hidden} --random_seed {seed} --quiet -d {self.path}"

    @staticmethod
    def line(x_n: np.ndarray, label: object = "") -> str:
        return f"{label} | " + " ".join(f"{i}:{value:.9g}" for i, value in enumerate(x_n))

    def write(self, x: np.ndarray, t: np.ndarray) -> None:
        self.path.write_text("".join(self.line(x_n, t_n + 1) + "\n" for x_n, t_n in zip(x, t, strict=True)))

    def fit(self) -> None:
        from vowpalwabbit import Workspace

        self.model = Workspace(self.options)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.array([self.model.predict(self.line(x_n)) - 1 for x_n in x])


def one_pass(repeats: int, full: bool) -> tuple[list[dict], list[dict]]:
    """Samples learned once, in order, from an array or a file of Vowpal Wabbit's; the accuracy on the last fifth."""
    import vowpalwabbit  # noqa: F401 # the row is skipped without it
    from river import datasets
    from sklearn.datasets import load_digits
    from sklearn.linear_model import SGDClassifier
    from sklearn.preprocessing import StandardScaler

    from cbackprop import Network

    shuttle = list(datasets.Shuttle().take(10_000))
    tables = {
        "digits": (*load_digits(return_X_y=True), 32),
        "Shuttle": (np.array([list(x.values()) for x, _ in shuttle]), np.array([y for _, y in shuttle]), 16),
    }
    rows, metrics = [], []
    for name, (x, labels, M) in tables.items():
        if not full:
            x, labels = x[:200], labels[:200]
        x, (classes, t) = StandardScaler().fit_transform(x), np.unique(labels, return_inverse=True)
        learned, held_out = np.split(np.arange(len(x)), [len(x) * 4 // 5])
        D, K = x.shape[1], len(classes)

        def timed(learn: Callable, predict: Callable, x: np.ndarray = x, t: np.ndarray = t, held_out=held_out):
            began = time.perf_counter()
            learn()
            return time.perf_counter() - began, float(np.mean(predict(x[held_out]) == t[held_out]))

        def own(seed: int, x=x[learned], t=t[learned], timed=timed, sizes=(D, M, K)):
            network = Network(*sizes, learning_rate=0.1, rng=seed)
            return timed(lambda: network.fit(x, t, shuffle=False), network.predict)

        def linear(seed: int, x=x[learned], t=t[learned], timed=timed):
            model = SGDClassifier(random_state=seed)
            return timed(lambda: model.partial_fit(x, t, classes=np.unique(t)), model.predict)

        def from_file(seed: int, x=x[learned], t=t[learned], timed=timed, sizes=(M, K)):
            with tempfile.TemporaryDirectory() as folder:
                model = VowpalWabbit(*sizes, seed, folder)
                model.write(x, t)
                return timed(model.fit, model.predict)

        runs = {"cbackprop": own, "SGDClassifier": linear, "Vowpal Wabbit": from_file}
        seconds, accuracies = interleaved(runs, min(repeats, 5))
        each = {peer: [s / len(learned) for s in taken] for peer, taken in seconds.items()}
        unit = f"sample; held out: {listed(accuracies)}"
        rows.append(row(f"one pass, {name} {D}-{M}-{K}", unit, {}, each))
        what = f"{name}, one pass: held-out accuracy minus that of Vowpal Wabbit's networks, in percent"
        metrics.append(metric(what, 100 * (accuracies["cbackprop"] - accuracies["Vowpal Wabbit"])))
    return rows, metrics


def averaging(repeats: int, full: bool) -> tuple[list[dict], list[dict]]:
    """Held-out accuracy on the digits when the weights of shards are averaged after every epoch."""
    import dask.array as da
    from distributed import Client
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    import cbackprop.dask

    x, t = load_digits(return_X_y=True)
    metrics = []
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0") as client:
        for epochs in (3, 10, 30):
            accuracies: dict[int, list[float]] = {1: [], 4: [], 16: []}
            for seed in range(repeats if full else 1):
                learned, held_out, t_learned, t_held_out = train_test_split(
                    x / 16, t, test_size=0.25, stratify=t, random_state=seed
                )
                for n_shards, values in accuracies.items():
                    rows = -(-len(learned) // n_shards)
                    shards = da.from_array(learned, chunks=(rows, -1)), da.from_array(t_learned, chunks=rows)
                    network = cbackprop.Network(64, 32, 10, learning_rate=0.3, rng=seed)
                    cbackprop.dask.fit(client, network, *shards, epochs=epochs, rng=seed)
                    values.append(float((network.predict(held_out) == t_held_out).mean()))
            alone = statistics.mean(accuracies[1])
            for n_shards in (4, 16):
                lost = 100 * (alone - statistics.mean(accuracies[n_shards]))
                what = f"digits, {epochs} epochs: held-out accuracy lost by averaging {n_shards} shards, in percent"
                metrics.append(metric(f"{what}; {100 * alone:.1f} without", lost))
    return [], metrics

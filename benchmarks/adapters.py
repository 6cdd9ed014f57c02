"""The adapters beside what their users have now, on real data: times, and how much of it each gets right.

Every repeat has its own seed. A time is that of the whole pipeline, scaler included, as users run it.
"""

import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np

from .itself import figure


def row(work: str, unit: str, targets: dict[str, float], seconds: dict[str, list[float]]) -> dict:
    return {"work": work, "dtype": "", "unit": unit, "quantity": "s", "targets": targets, "figures": seconds}


def interleaved(runs: dict[str, Callable[[int], tuple[float, float]]], repeats: int) -> tuple[dict, dict]:
    """Runs answer seconds, and the part that was right: the seconds of each repeat, and the means of those parts."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    right: dict[str, list[float]] = {name: [] for name in runs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLPClassifier has not converged
        for seed in range(repeats):
            for name, run in runs.items():
                taken, part = run(seed)
                seconds[name].append(taken)
                right[name].append(part)
    return seconds, {name: statistics.mean(parts) for name, parts in right.items()}


def in_words(right: dict[str, float]) -> str:
    return ", ".join(f"{name} {part:.3f}" for name, part in right.items())


def defaults(repeats: int, full: bool) -> tuple[list[dict], list[dict]]:
    """`BackpropClassifier` and `MLPClassifier` at their defaults, behind a scaler: fit, and right on held-out rows."""
    from sklearn.datasets import load_breast_cancer, load_digits, load_wine
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from cbackprop.sklearn import BackpropClassifier

    rows, figures = [], []
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
        seconds, right = interleaved(runs, repeats)
        rows.append(row(f"fit at the defaults, {name}", f"held out: {in_words(right)}", {"scikit-learn": 10}, seconds))
        what = f"{name} at the defaults: held-out accuracy less that of MLPClassifier, in percent"
        figures.append(figure(what, 100 * (right["cbackprop"] - right["scikit-learn"]), at_least=-1))
    return rows, figures


def streams(repeats: int, full: bool) -> tuple[list[dict], list[dict]]:
    """River's bundled streams: each sample is judged first and learned then."""
    from river import compat, datasets, evaluate, linear_model, metrics, multiclass, preprocessing, tree
    from sklearn.neural_network import MLPClassifier

    from cbackprop.river import BackpropClassifier

    rows, figures = [], []
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

        models = {
            "cbackprop": lambda seed: BackpropClassifier(16, 0.1, seed),
            "scikit-learn": mlp,
            "LogisticRegression": regression,
            "HoeffdingTree": lambda seed: tree.HoeffdingTreeClassifier(),
        }

        def run(seed: int, make: Callable, samples: list = samples) -> tuple[float, float]:
            model = preprocessing.StandardScaler() | make(seed)
            began = time.perf_counter()
            right = evaluate.progressive_val_score(samples, model, metrics.Accuracy()).get()
            return time.perf_counter() - began, right

        runs = {peer: lambda seed, run=run, make=make: run(seed, make) for peer, make in models.items()}
        seconds, right = interleaved(runs, min(repeats, 5))
        each = {peer: [s / len(samples) for s in taken] for peer, taken in seconds.items()}
        unit = f"sample; progressive accuracy: {in_words(right)}"
        rows.append(row(f"River, {name}", unit, {"scikit-learn": 20}, each))
        what = f"{name}: progressive accuracy less that of SKL2RiverClassifier(MLPClassifier), in percent"
        figures.append(figure(what, 100 * (right["cbackprop"] - right["scikit-learn"]), at_least=0))
    return rows, figures


def averaging(repeats: int, full: bool) -> tuple[list[dict], list[dict]]:
    """Held-out digits after as many epochs, learned by shards whose weights are averaged after each."""
    import dask.array as da
    from distributed import Client
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    import cbackprop.dask

    x, t = load_digits(return_X_y=True)
    figures = []
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0") as client:
        for epochs in (3, 10, 30):
            right: dict[int, list[float]] = {1: [], 4: [], 16: []}
            for seed in range(repeats if full else 1):
                learned, held_out, t_learned, t_held_out = train_test_split(
                    x / 16, t, test_size=0.25, stratify=t, random_state=seed
                )
                for n_shards, parts in right.items():
                    rows = -(-len(learned) // n_shards)
                    shards = da.from_array(learned, chunks=(rows, -1)), da.from_array(t_learned, chunks=rows)
                    network = cbackprop.Network(64, 32, 10, learning_rate=0.3, rng=seed)
                    cbackprop.dask.fit(client, network, *shards, epochs=epochs, rng=seed)
                    parts.append(float((network.predict(held_out) == t_held_out).mean()))
            alone = statistics.mean(right[1])
            for n_shards in (4, 16):
                lost = 100 * (alone - statistics.mean(right[n_shards]))
                what = f"digits, {epochs} epochs: held-out accuracy lost by averaging {n_shards} shards, in percent"
                figures.append(figure(f"{what}; {100 * alone:.1f} without", lost))
    return [], figures

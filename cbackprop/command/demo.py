"""`cbackprop demo`: handwritten digits and the article's two experiments, without a download.

In the article, two hidden units classify temperature and pH into three classes; all initial weights are 1. Inputs near
39 and 6 saturate the hidden units: z is 1 to the last bit, whatever the sample. So only the class counts matter, and
the synthetic samples below reproduce the article's numbers digit for digit, although its data are not available.
"""

from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split

import cbackprop
from cbackprop import Ensemble, Network, plot, reference
from cbackprop.command.messages import format_duration
from cbackprop.command.outputs import check_figure, save_figure
from cbackprop.command.terminal import print_confusion, print_fields, print_table, progress_bar

DIGITS_LEARNING_RATE = 0.3
RATES = (0.03, 0.1, 0.3, 1)  # of the networks in the mixture
SMOOTHED = 100  # samples
MAX_PIXEL = 16
REGIONS_HIDDEN, REGIONS_EPOCHS = 8, 200
LEARNING_RATE, ITERATIONS, EPSILON = 0.5, 1000, 0.001  # of the article

# of each class: mean and standard deviation of degrees Celsius and pH, and numbers of samples
MEANS = np.array([[37.6, 5.3], [39.0, 6.9], [40.6, 5.6]])
DEVIATIONS = np.array([[0.75, 0.35], [0.9, 0.3], [0.6, 0.5]])
TRAINING, HELD_OUT = (16, 22, 12), (14, 22, 14)

# what the article prints: every entry of w, every entry of each row of v, E on the held-out half; and seconds
QUANTITIES = "w, every entry", "v, row 0", "v, row 1", "v, row 2", "E, held out"
PUBLISHED = {
    "backpropagation": (("1", "0.99658093", "1.10273217", "0.9006869", "1.080"), 5.2),
    "numerical differentiation": (("1", "0.9426991", "1.04883974", "0.84682914", "1.080"), 39.8),
}


def run(seed: int, epochs: int, output: Path) -> None:
    """Train, reproduce the experiments, and write the figure."""
    check_figure("--output", output)
    figure = Figure(figsize=(6.5, 8.6), layout="constrained")  # a phone shows it 400 pixels wide
    panels = figure.subplot_mosaic(
        [["curve", "errors"], ["weights", "losses"], ["regions", "regions"]], height_ratios=(1, 0.6, 0.9)
    )
    learn_digits(seed, epochs, panels)
    x, t = draw_samples(TRAINING, np.random.default_rng(seed))
    x_test, t_test = draw_samples(HELD_OUT, np.random.default_rng([seed, 1]))
    reproduce_experiments(x, t, x_test, t_test)

    # The article's raw inputs saturate the hidden units, and equal weights stay equal: its network learns nothing but
    # the class counts. From random weights, the same samples can be classified once they are standardized.
    mean, scale = x.mean(axis=0), x.std(axis=0)
    network = Network(2, REGIONS_HIDDEN, 3, rng=seed)
    network.fit((x - mean) / scale, t, epochs=REGIONS_EPOCHS, rng=seed)
    correct = int((network.predict((x_test - mean) / scale) == t_test).sum())
    samples = np.vstack([x, x_test]), np.concatenate([t, t_test])
    plot.decision_regions(network, *samples, mean=mean, scale=scale, classes=list("012"), ax=panels["regions"])
    panels["regions"].set(title="The article's three classes: decision regions", xlabel="temperature (°C)", ylabel="pH")
    save_figure(figure, output)
    standardized = f"{correct} of {len(t_test)} held-out samples correct"
    print_fields([("standardized, from random weights", standardized), ("figure", output)])


def learn_digits(seed: int, epochs: int, panels: dict[str, Any]) -> float:
    """Learn four fifths of scikit-learn's 1,797 digits, sample by sample; return the accuracy on the others."""
    pixels, labels = load_digits(return_X_y=True)
    x, x_test, t, t_test = train_test_split(
        pixels / MAX_PIXEL, labels, test_size=0.2, stratify=labels, random_state=seed
    )
    network = Network(64, 32, 10, learning_rate=DIGITS_LEARNING_RATE, rng=seed)
    held_out: list[float] = []
    started, evaluating = perf_counter(), 0.0
    with progress_bar("digits", total=epochs) as update:

        def evaluate(epoch: int, loss: float) -> None:
            nonlocal evaluating
            evaluating -= perf_counter()
            held_out.append(network.loss(x_test, t_test))
            update(f"E {loss:.4f}", advance=1)
            evaluating += perf_counter()

        history = network.fit(x, t, epochs=epochs, rng=seed, callback=evaluate)
    seconds = perf_counter() - started - evaluating

    weights, losses = mix_rates(x, t, seed)
    mean, predicted = weights.mean(axis=0), network.predict(x_test)
    correct, best = int((predicted == t_test).sum()), 1 + int(np.argmin(held_out))
    print_fields(
        [
            ("handwritten digits", f"{len(x):,} training, {len(x_test)} held out"),
            ("network", f"64-32-10, learned sample by sample, {epochs} epochs"),
            ("training time", f"{format_duration(seconds)}, {1e6 * seconds / history.samples:.2f} µs per sample"),
            ("accuracy, held out", f"{correct / len(t_test):.4f} ({correct} of {len(t_test)})"),
            ("error, held out", f"{held_out[-1]:.4f}; lowest {min(held_out):.4f}, epoch {best}"),
            ("mixture of 4 rates", f"in one pass {RATES[mean.argmax()]:g} has the mean weight {mean.max():.2f}"),
        ]
    )
    print_confusion(confusion_matrix(t_test, predicted, labels=range(10)), list("0123456789"))
    plot.learning_curve(history, held_out=held_out, ax=panels["curve"])
    plot.misclassified(x_test.reshape(-1, 8, 8), t_test, predicted, ax=panels["errors"])
    plot.mixture(weights, losses, labels=RATES, window=SMOOTHED, axes=(panels["weights"], panels["losses"]))
    panels["curve"].set_title("Digits: error by epoch")
    panels["errors"].set_title(f"{len(t_test) - correct} of {len(t_test)} misclassified\n(true → predicted)")
    panels["weights"].set(xlabel="sample")
    panels["weights"].set_title("Digits: mixture of learning rates", pad=26)
    legend = panels["weights"].get_legend()  # across both panels
    legend.set_in_layout(False)
    legend.set_loc("lower left")
    legend.set_bbox_to_anchor((0, 1))
    return correct / len(t_test)


def mix_rates(x: np.ndarray, t: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Learn each sample once with several rates; return weights in their mixture and losses by sample."""
    ensemble = Ensemble(64, 32, 10, learning_rates=RATES, rng=[seed] * len(RATES))
    weights, losses = (np.empty((len(x), len(RATES))) for _ in range(2))
    for n, (x_n, t_n) in enumerate(zip(x, t.tolist(), strict=True)):
        weights[n] = ensemble.weights
        losses[n] = ensemble.learn_one(x_n, t_n)
    return weights, losses


def draw_samples(counts: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Temperature and pH of `counts` samples of each class, and their class indices."""
    t = np.repeat(np.arange(3), counts)
    return MEANS[t] + DEVIATIONS[t] * rng.standard_normal((len(t), 2)), t


def learn(gradient: str, library: ModuleType, x: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of an experiment with `cbackprop` or `cbackprop.reference`, and a gradient of `PUBLISHED`."""
    w, v = np.ones((2, 3)), np.ones((3, 3))
    if gradient == "backpropagation":
        library.fit(x, t, w, v, learning_rate=LEARNING_RATE, epochs=ITERATIONS, batch_size=None)
        return w, v
    for _ in range(ITERATIONS):
        dw, dv = library.numerical_gradient(x, t, w, v, epsilon=EPSILON, scheme="forward")
        w -= LEARNING_RATE * dw
        v -= LEARNING_RATE * dv
    return w, v


def reproduce_experiments(x: np.ndarray, t: np.ndarray, x_test: np.ndarray, t_test: np.ndarray) -> None:
    """Run the article's two experiments with both libraries; print results and times beside the published ones."""
    rows = []
    for gradient, (published, seconds) in PUBLISHED.items():
        times = [perf_counter()]
        w, v = learn(gradient, cbackprop, x, t)
        times.append(perf_counter())
        learn(gradient, reference, x, t)
        times.append(perf_counter())
        here = [*map(format_distinct, (w, *v)), f"{cbackprop.loss(x_test, t_test, w, v):.3f}"]
        for i, (quantity, ours, theirs) in enumerate(zip(QUANTITIES, here, published, strict=True)):
            name = "" if i else gradient
            rows.append((name, quantity, ours, theirs, "same" if ours == theirs else "DIFFERENT"))
        fast, slow = map(format_duration, np.diff(times))
        rows.append(("", "time", fast, format_duration(seconds), f"NumPy: {slow}"))
    print_table(
        ["gradient by", "", "here", "article", ""],
        rows,
        title="Two experiments of a Japanese article: 50 samples, 1000 iterations",
        note="Times of complete experiments; the article's were measured on its author's machine.",
    )


def format_distinct(values: np.ndarray) -> str:
    """Format the distinct values, to eight decimals as NumPy prints them: one if all agree."""
    formatted = {np.format_float_positional(value, precision=8, trim="-") for value in values.flat}
    return ", ".join(sorted(formatted))

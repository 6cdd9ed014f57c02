"""`cbackprop demo`: handwritten digits and the article's experiments, without a download."""

from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import cbackprop
from cbackprop import Ensemble, Network, plot, reference
from cbackprop.command import article
from cbackprop.command.messages import format_duration
from cbackprop.command.outputs import check_figure, save_figure
from cbackprop.command.terminal import print_confusion, print_fields, print_table, progress_bar

DIGITS_LEARNING_RATE = 0.3
RATES = (0.03, 0.1, 0.3, 1)  # of the networks in the mixture
SMOOTHED = 100  # samples
MAX_PIXEL = 16
REGIONS_HIDDEN, REGIONS_EPOCHS = 8, 200


def run(*, seed: int, epochs: int, output: Path) -> None:
    """Train, reproduce the experiments, and write the figure."""
    check_figure("--output", output)
    figure = Figure(figsize=(6.5, 8.6), layout="constrained")  # a phone shows it 400 pixels wide
    panels = figure.subplot_mosaic(
        [["curve", "errors"], ["weights", "losses"], ["regions", "regions"]], height_ratios=(1, 0.6, 0.9)
    )
    learn_digits(seed, epochs, panels)
    x, t = article.draw_samples(article.TRAINING, np.random.default_rng(seed))
    x_test, t_test = article.draw_samples(article.HELD_OUT, np.random.default_rng([seed, 1]))
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
    matrix = np.zeros((10, 10), dtype=int)
    np.add.at(matrix, (t_test, predicted), 1)
    print_confusion(matrix, list(map(str, range(10))))
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


def reproduce_experiments(x: np.ndarray, t: np.ndarray, x_test: np.ndarray, t_test: np.ndarray) -> None:
    """Run the article's two experiments with both libraries; print results and times beside the published ones."""
    rows = []
    for name, experiment, (published, seconds) in (
        ("backpropagation", article.backpropagation, article.BACKPROPAGATION),
        ("numerical differentiation", article.numerical_differentiation, article.NUMERICAL),
    ):
        times = [perf_counter()]
        w, v = experiment(cbackprop, x, t)
        times.append(perf_counter())
        experiment(reference, x, t)
        times.append(perf_counter())
        here = [*map(format_distinct, (w, *v)), f"{cbackprop.loss(x_test, t_test, w, v):.3f}"]
        for quantity, ours, theirs in zip(article.QUANTITIES, here, published, strict=True):
            rows.append((name, quantity, ours, theirs, "same" if ours == theirs else "DIFFERENT"))
            name = ""
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

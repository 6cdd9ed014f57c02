"""`cbackprop demo`: handwritten digits and the article's experiments, without a download."""

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import cbackprop
from cbackprop import Ensemble, Network, plot, reference
from cbackprop.command import article
from cbackprop.command.messages import format_duration
from cbackprop.command.outputs import check_figure, save_figure
from cbackprop.command.terminal import print_fields, print_table, progress_bar

DIGITS_LEARNING_RATE = 0.3
RATES = (0.03, 0.1, 0.3, 1)  # of the networks in the mixture
SMOOTHED = 100  # samples
MAX_PIXEL = 16
REGIONS_HIDDEN, REGIONS_EPOCHS = 8, 200


@dataclass
class Digits:
    """Results of training on the digits, and the predictions for the held-out ones."""

    history: cbackprop.History
    held_out_losses: list[float]
    images: np.ndarray  # (N, 8, 8)
    true: np.ndarray
    predicted: np.ndarray
    mixture: tuple[np.ndarray, np.ndarray]  # weights and losses of networks with other rates, (samples, networks)


def run(*, seed: int, epochs: int, output: Path) -> None:
    """Train, reproduce the experiments, and write the figure."""
    check_figure("--output", output)
    digits = learn_digits(seed, epochs)
    x, t = article.draw_samples(article.TRAINING, np.random.default_rng(seed))
    x_test, t_test = article.draw_samples(article.HELD_OUT, np.random.default_rng([seed, 1]))
    reproduce_experiments(x, t, x_test, t_test)

    # The article's raw inputs saturate the hidden units, and equal weights stay equal: its network learns nothing but
    # the class counts. From random weights, the same samples can be classified once they are standardized.
    mean, scale = x.mean(axis=0), x.std(axis=0)
    network = Network(2, REGIONS_HIDDEN, 3, rng=seed)
    network.fit((x - mean) / scale, t, epochs=REGIONS_EPOCHS, rng=seed)
    correct = int((network.predict((x_test - mean) / scale) == t_test).sum())
    print_fields([("standardized, from random weights", f"{correct} of {len(t_test)} held-out samples correct")])

    draw(output, digits, network, np.vstack([x, x_test]), np.concatenate([t, t_test]), mean, scale)
    print_fields([("figure", output)])


def learn_digits(seed: int, epochs: int) -> Digits:
    """Train on four fifths of scikit-learn's 1,797 handwritten digits, sample by sample; print the results."""
    pixels, labels = load_digits(return_X_y=True)
    x, x_test, t, t_test = train_test_split(
        pixels / MAX_PIXEL, labels, test_size=0.2, stratify=labels, random_state=seed
    )
    network = Network(64, 32, 10, learning_rate=DIGITS_LEARNING_RATE, rng=seed)
    held_out_losses = []
    evaluation_seconds = 0.0  # not part of the training time

    with progress_bar("digits", total=epochs) as bar:

        def evaluate(epoch: int, loss: float) -> None:
            nonlocal evaluation_seconds
            evaluation_started = perf_counter()
            held_out_losses.append(network.loss(x_test, t_test))
            bar.update(f"E {loss:.4f}", advance=1)
            evaluation_seconds += perf_counter() - evaluation_started

        started = perf_counter()
        history = network.fit(x, t, epochs=epochs, rng=seed, callback=evaluate)
        seconds = perf_counter() - started - evaluation_seconds

    weights, losses = mix_rates(x, t, seed)
    mean = weights.mean(axis=0)
    predicted = network.predict(x_test)
    correct = int((predicted == t_test).sum())
    best = 1 + int(np.argmin(held_out_losses))
    print_fields(
        [
            ("handwritten digits", f"{len(x):,} training, {len(x_test)} held out"),
            ("network", f"64-32-10, learned sample by sample, {epochs} epochs"),
            ("training time", f"{format_duration(seconds)}, {1e6 * seconds / history.samples:.2f} µs per sample"),
            ("accuracy, held out", f"{correct / len(t_test):.4f} ({correct} of {len(t_test)})"),
            ("error, held out", f"{held_out_losses[-1]:.4f}; lowest {min(held_out_losses):.4f}, epoch {best}"),
            ("mixture of 4 rates", f"in one pass {RATES[mean.argmax()]:g} has the mean weight {mean.max():.2f}"),
        ]
    )
    matrix = np.zeros((10, 10), dtype=int)
    np.add.at(matrix, (t_test, predicted), 1)
    print_table(
        ["true \\ predicted", *map(str, range(10))],
        [[str(k), *(str(n) if n else "·" for n in matrix[k])] for k in range(10)],
        title="Held-out digits",
    )
    return Digits(history, held_out_losses, x_test.reshape(-1, 8, 8), t_test, predicted, (weights, losses))


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
    rows, seconds = [], []
    for name, experiment, (published, published_seconds) in (
        ("backpropagation", article.backpropagation, article.BACKPROPAGATION),
        ("numerical differentiation", article.numerical_differentiation, article.NUMERICAL),
    ):
        result = experiment(cbackprop, x, t)
        E = cbackprop.loss(x_test, t_test, result.w, result.v)
        here = [*map(format_distinct, (result.w, *result.v)), f"{E:.3f}"]
        for quantity, ours, theirs in zip(article.QUANTITIES, here, published, strict=True):
            rows.append((name, quantity, ours, theirs, "same" if ours == theirs else "DIFFERENT"))
            name = ""
        seconds.append((result.seconds, experiment(reference, x, t).seconds, published_seconds))
    print_table(
        ["gradient by", "", "here", "article", ""],
        rows,
        title="Two experiments of a Japanese article: 50 samples, 1000 iterations",
    )
    libraries = "compiled kernels", "NumPy reference", "article, as printed"
    print_table(
        ["", "backpropagation", "numerical differentiation", "ratio"],
        [
            (library, format_duration(fast), format_duration(slow), f"{slow / fast:.1f}")
            for library, fast, slow in zip(libraries, *seconds, strict=True)
        ],
        title="The article's claim: backpropagation is faster",
        note="Times of complete experiments; the article's were measured on its author's machine.",
    )


def format_distinct(values: np.ndarray) -> str:
    """Format the distinct values, to eight decimals as NumPy prints them: one if all agree."""
    formatted = {np.format_float_positional(value, precision=8, trim="-") for value in values.flat}
    return ", ".join(sorted(formatted))


def draw(
    path: Path, digits: Digits, network: Network, x: np.ndarray, t: np.ndarray, mean: np.ndarray, scale: np.ndarray
) -> None:
    """Write a figure of the learning curve, the mixture of rates, decision regions and misclassified digits."""
    # a phone shows the figure 400 pixels wide: narrow, with large text
    with rc_context({"axes.titlelocation": "left", "axes.titlesize": 11, "axes.titlepad": 10, "font.size": 11}):
        figure = Figure(figsize=(6.5, 8.6), layout="constrained")
        panels = figure.subplot_mosaic(
            [["curve", "errors"], ["weights", "losses"], ["regions", "regions"]],
            width_ratios=(1.2, 1),
            height_ratios=(1, 0.6, 0.9),
        )
        curve, regions, errors = panels["curve"], panels["regions"], panels["errors"]
        plot.learning_curve(digits.history, held_out=digits.held_out_losses, ax=curve)
        # from there on the held-out error and the accuracy hardly change, while the training error still falls
        best = int(np.argmin(digits.held_out_losses))
        curve.plot(best + 1, digits.held_out_losses[best], "o", color=plot.COLORS[5])
        curve.annotate(
            f"lowest: {best + 1}", (best + 1, digits.held_out_losses[best]), (0, -8), va="top", fontsize=10,
            textcoords="offset points",
        )  # fmt: skip
        curve.set_title("Digits: error by epoch")
        plot.misclassified(digits.images, digits.true, digits.predicted, ax=errors)
        wrong = int((digits.true != digits.predicted).sum())
        errors.set_title(f"{wrong} of {len(digits.true)} misclassified")
        weights, losses = panels["weights"], panels["losses"]
        plot.mixture(*digits.mixture, labels=RATES, window=SMOOTHED, axes=(weights, losses))
        weights.set(title="Digits: mixture of rates", xlabel="sample")
        legend = weights.legend(
            loc="lower right", bbox_to_anchor=(1, 1), bbox_transform=losses.transAxes, ncols=4, frameon=False,
            handlelength=1, columnspacing=0.8,
        )  # fmt: skip
        legend.set_in_layout(False)  # it spans two panels; the title makes room for it
        plot.decision_regions(
            network, x, t, mean=mean, scale=scale, classes=["class 0", "class 1", "class 2"], ax=regions
        )
        regions.set(title="Three classes: decision regions", xlabel="temperature (°C)", ylabel="pH")
        save_figure(figure, path)

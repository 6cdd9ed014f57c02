"""`cbackprop demo`: the library proves itself on data that needs no download."""

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import cbackprop
from cbackprop import Network, plot, reference
from cbackprop.command import article
from cbackprop.command.common import duration, progress, save_figure, show, summarize, writable_figure

DIGITS_LEARNING_RATE = 0.3
BRIGHTEST = 16  # pixels of the digits are 0..16
REGIONS_HIDDEN, REGIONS_EPOCHS = 8, 200


@dataclass
class Digits:
    """How the digits were learned, and the held-out ones as they were read."""

    history: cbackprop.History
    held_out_losses: list[float]
    images: np.ndarray  # (N, 8, 8)
    true: np.ndarray
    predicted: np.ndarray


def run(*, seed: int, epochs: int, output: Path) -> None:
    """Show all there is to show, and write the figure."""
    writable_figure("--output", output)
    digits = learn_digits(seed, epochs)
    x, t = article.samples(article.TRAINING, np.random.default_rng(seed))
    x_test, t_test = article.samples(article.HELD_OUT, np.random.default_rng([seed, 1]))
    repeat_experiments(x, t, x_test, t_test)

    # The article's raw inputs saturate the hidden units, and weights that are all equal stay equal: nothing but the
    # class counts can be learned. The same samples standardized, from random weights, are told apart.
    mean, scale = x.mean(axis=0), x.std(axis=0)
    network = Network(2, REGIONS_HIDDEN, 3, rng=seed)
    network.fit((x - mean) / scale, t, epochs=REGIONS_EPOCHS, rng=seed)
    right = int((network.predict((x_test - mean) / scale) == t_test).sum())
    summarize([("standardized, from random weights", f"{right} of {len(t_test)} held-out samples right")])

    draw(output, digits, network, np.vstack([x, x_test]), np.concatenate([t, t_test]), mean, scale)
    summarize([("figure", output)])


def learn_digits(seed: int, epochs: int) -> Digits:
    """Learn scikit-learn's 1,797 handwritten digits sample by sample, hold out a fifth, and tell how it went."""
    pixels, labels = load_digits(return_X_y=True)
    x, x_test, t, t_test = train_test_split(
        pixels / BRIGHTEST, labels, test_size=0.2, stratify=labels, random_state=seed
    )
    network = Network(64, 32, 10, learning_rate=DIGITS_LEARNING_RATE, rng=seed)
    held_out_losses = []
    watching = 0.0  # time that is not learning

    with progress() as bar:
        task = bar.add_task("digits", total=epochs, note="")

        def watch(epoch: int, loss: float) -> None:
            nonlocal watching
            began = perf_counter()
            held_out_losses.append(network.loss(x_test, t_test))
            bar.update(task, completed=epoch, note=f"E {loss:.4f}")
            watching += perf_counter() - began

        started = perf_counter()
        history = network.fit(x, t, epochs=epochs, rng=seed, callback=watch)
        seconds = perf_counter() - started - watching

    predicted = network.predict(x_test)
    right = int((predicted == t_test).sum())
    summarize(
        [
            ("handwritten digits", f"{len(x):,} training, {len(x_test)} held out"),
            ("network", f"64-32-10, learned sample by sample, {epochs} epochs"),
            ("training time", f"{duration(seconds)}, {1e6 * seconds / history.samples:.2f} µs a sample"),
            ("accuracy, held out", f"{right / len(t_test):.4f} ({right} of {len(t_test)})"),
        ]
    )
    matrix = np.zeros((10, 10), dtype=int)
    np.add.at(matrix, (t_test, predicted), 1)
    show(
        ["true \\ read", *map(str, range(10))],
        [[str(k), *(str(n) if n else "·" for n in matrix[k])] for k in range(10)],
        title="Held-out digits",
    )
    return Digits(history, held_out_losses, x_test.reshape(-1, 8, 8), t_test, predicted)


def repeat_experiments(x: np.ndarray, t: np.ndarray, x_test: np.ndarray, t_test: np.ndarray) -> None:
    """Run the article's two experiments by both libraries; show results and times beside the printed ones."""
    learned, numerical = (
        [experiment(library, x, t) for library in (cbackprop, reference)]
        for experiment in (article.backpropagation, article.numerical_differentiation)
    )
    rows = []
    for name, outcome, printed in (
        ("backpropagation", learned[0], article.BACKPROPAGATION),
        ("numerical differentiation", numerical[0], article.NUMERICAL),
    ):
        rows += [
            (name, "w, every entry", digits_of(outcome.w), printed.w),
            *(
                ("", f"v, row {k}", digits_of(row), entry)
                for k, (row, entry) in enumerate(zip(outcome.v, printed.v, strict=True))
            ),
            ("", "E, held out", f"{cbackprop.cross_entropy(x_test, t_test, outcome.w, outcome.v):.3f}", printed.E),
        ]
    show(
        ["gradient by", "", "here", "article", ""],
        [(*row, "same" if row[2] == row[3] else "DIFFERENT") for row in rows],
        title="The article's two experiments: 50 samples, 1000 iterations",
    )
    show(
        ["", "backpropagation", "numerical differentiation", "ratio"],
        [
            (name, duration(fast), duration(slow), f"{slow / fast:.1f}")
            for name, fast, slow in (
                ("compiled kernels", learned[0].seconds, numerical[0].seconds),
                ("NumPy reference", learned[1].seconds, numerical[1].seconds),
                ("article, as printed", article.BACKPROPAGATION.seconds, article.NUMERICAL.seconds),
            )
        ],
        title="Its claim: backpropagation is the faster way",
        note="Each experiment in full; the article's times are from its author's machine.",
    )


def digits_of(values: np.ndarray) -> str:
    """Numbers that agree to eight digits, as NumPy prints them; all of them if they don't."""
    printed = {np.format_float_positional(value, precision=8, trim="-") for value in values.flat}
    return ", ".join(sorted(printed))


def draw(
    path: Path, digits: Digits, network: Network, x: np.ndarray, t: np.ndarray, mean: np.ndarray, scale: np.ndarray
) -> None:
    """Write the figure: learning curve, decision regions, misread digits."""
    with rc_context({"axes.titlelocation": "left", "axes.titlesize": 11, "axes.titlepad": 10}):
        figure = Figure(figsize=(13, 4), layout="constrained")
        curve, regions, misread = figure.subplots(1, 3, width_ratios=(1, 1.1, 0.9))
        plot.learning_curve(digits.history, held_out=digits.held_out_losses, ax=curve)
        curve.set_title("Digits: error by epoch")
        plot.decision_regions(
            network, x, t, mean=mean, scale=scale, classes=["class 0", "class 1", "class 2"], ax=regions
        )
        regions.set(title="Three classes: decision regions", xlabel="temperature (°C)", ylabel="pH")
        plot.misread(digits.images, digits.true, digits.predicted, ax=misread)
        wrong = int((digits.true != digits.predicted).sum())
        misread.set_title(f"Digits misread: {wrong} of {len(digits.true)} (true → read)")
        save_figure(figure, path)

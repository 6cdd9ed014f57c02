"""Rows of the comparison on real data, in which the models are at their defaults and differ: losses or accuracies are
in the row. Hashed sparse samples, predicted and learned; a file of text to a model.
"""

import csv
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.data import Stream, flights, sentences
from benchmarks.report import Timing

BITS, M = 18, 16  # hashed to 2**18 inputs, learned by 16 hidden units
WABBIT = "Vowpal Wabbit"


def text_of(x: dict[str, Any], y: bool) -> str:
    """A line for Vowpal Wabbit."""
    names = (f"{name}={value}" if isinstance(value, str) else name for name, value in x.items())
    return f"{1 if y else -1} | {' '.join(names)}\n"


def log_loss(model: Any, samples: Stream) -> float:
    """The mean, of a model of River's interface that predicts and then learns each."""
    loss = 0.0
    for x, y in samples:
        loss -= math.log(max(model.predict_proba_one(x).get(y, 0.5), 1e-15))
        model.learn_one(x, y)
    return loss / len(samples)


def log_loss_of_text(options: str, lines: list[str]) -> float:
    """The same of Vowpal Wabbit, which predicts what it learns."""
    from benchmarks.peers.vowpal_wabbit import workspace

    model = workspace(options, 2**BITS)
    for line in lines:
        model.learn(line)
    return model.get_sum_loss() / model.get_weighted_examples()


def predicted_and_learned(repeats: int, full: bool) -> Iterator[Timing]:
    """Each sample is predicted first, then learned. One run: there are no times of repeats."""
    from river.linear_model import LogisticRegression

    from cbackprop.river import BackpropClassifier

    for name, load in (("flights", flights), ("sentences", sentences)):
        samples = load()[: None if full else 500]
        named = [({f"{name}={value}": 1.0 for name, value in x.items()}, y) for x, y in samples]
        lines = [text_of(x, y) for x, y in samples]
        runs: dict[str, Callable[[], float]] = {
            "cbackprop": partial(log_loss, BackpropClassifier(M, seed=0, n_features=2**BITS), samples),
            "LogisticRegression": partial(log_loss, LogisticRegression(), named),
            WABBIT: partial(log_loss_of_text, f"--nn {M}", lines),
            f"{WABBIT} --sgd": partial(log_loss_of_text, f"--nn {M} --sgd", lines),
            f"{WABBIT}, linear": partial(log_loss_of_text, "", lines),
        }
        seconds, losses = {}, []
        for peer, run in runs.items():
            began = time.perf_counter()
            losses.append(f"{peer} {run():.3f}")
            seconds[peer] = [(time.perf_counter() - began) / len(samples)]
        del seconds[f"{WABBIT}, linear"]  # has no column
        yield Timing(f"sparse {name}, predicted and learned", "", seconds, f"sample; log loss: {', '.join(losses)}")


def from_text(repeats: int, full: bool) -> Iterator[Timing]:
    """Flights from a file of text, CSV or of Vowpal Wabbit's format, to a stored model, in a process of its own."""
    samples = flights()[: None if full else 2000]
    with tempfile.TemporaryDirectory() as folder:
        table, lines = Path(folder) / "flights.csv", Path(folder) / "flights.vw"
        with table.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*samples[0][0], "late"])
            # with a character before it, a number is text, as it is for Vowpal Wabbit
            writer.writerows([*(f"_{value}" for value in x.values()), "yes" if y else "no"] for x, y in samples)
        lines.write_text("".join(text_of(x, y) for x, y in samples))
        train = f"train {table} --target late --hash {BITS} --epochs 1 --hidden {M} --validation 0 --quiet"
        learn = "from benchmarks.peers.vowpal_wabbit import workspace; "
        learn += f"workspace('--nn {M} -d {lines} -f {folder}/model.vw').finish()"
        commands = {
            "cbackprop": ["-m", "cbackprop", *train.split(), "--output", f"{folder}/model"],
            WABBIT: ["-c", learn],
        }
        seconds: dict[str, list[float]] = {}
        for _ in range(min(repeats, 5)):
            for peer, command in commands.items():
                began = time.perf_counter()
                subprocess.run([sys.executable, *command], check=True, capture_output=True)
                seconds.setdefault(peer, []).append((time.perf_counter() - began) / len(samples))
        yield Timing("sparse flights, from text to a trained model", "", seconds, "row")

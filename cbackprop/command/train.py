"""`cbackprop train`: a table in, a model file out, with no more than a chunk of the table in memory."""

import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import typer

from cbackprop import DivergenceError, Network
from cbackprop._extras import require
from cbackprop._model_file import Model, encode, save_model
from cbackprop.command.checkpoint import Course, Keeper
from cbackprop.command.common import (
    Stop,
    Terminated,
    duration,
    few,
    handling,
    progress,
    save_figure,
    separate,
    summarize,
    terminate,
    writable,
    writable_figure,
)
from cbackprop.command.files import open_table
from cbackprop.command.rows import Rows, look_through


def run(path: Path, **options: Any) -> None:
    """Train a network on the table and save it; Ctrl-C and SIGTERM end the training, not the saving."""
    with handling({signal.SIGTERM: terminate}):
        try:
            train(path, **options)
        except KeyboardInterrupt as error:
            number = signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
            print(f"cbackprop: stopped by {number.name}", *error.args, file=sys.stderr)
            raise typer.Exit(128 + number) from None


def train(
    path: Path,
    *,
    target: str,
    ignore: Sequence[str],
    hidden: int,
    epochs: int,
    learning_rate: float,
    batch_size: int,
    seed: int,
    validation: float,
    standardize: bool,
    output: Path,
    plot: Path | None,
    checkpoint: Path | None,
    resume: bool,
    skip_bad_rows: bool,
) -> None:
    """Learn, save, and tell; raise what interrupted the learning only then."""
    separate({"the table": path, "--output": output, "--plot": plot, "--checkpoint": checkpoint})
    writable("--output", output)
    if checkpoint is not None:
        writable("--checkpoint", checkpoint)
    if plot is not None:
        writable_figure("--plot", plot)
    table = open_table(path, skip_bad_rows=skip_bad_rows)
    table.require([target, *ignore])
    with progress(transient=True) as bar:
        bar.add_task("reading", total=None, note="")
        rows = look_through(table, target, ignore, seed, validation, standardize)

    rng = np.random.default_rng([seed, 0])
    network = Network(len(rows.features), hidden, len(rows.classes), learning_rate=learning_rate, rng=rng)
    scaling = (rows.mean, rows.scale) if standardize else (None, None)
    model = Model(network.w, network.v, learning_rate, rows.classes, rows.features, *scaling)
    encode(model)  # names that no model file can hold are refused before the work, not after it
    course = Course()
    settings = {
        "--learning-rate": learning_rate,
        "--batch-size": batch_size,
        "--seed": seed,
        "--validation": validation,
        "--standardize": standardize,
        "data": rows.fingerprint,
    }
    keeper = Keeper(checkpoint, model, course, rng, settings)
    if resume and checkpoint is not None and checkpoint.exists():
        keeper.resume(checkpoint, epochs)
    started = perf_counter()
    failure: Exception | None = None
    stop = Stop()
    with handling({signal.SIGINT: stop, signal.SIGTERM: stop}):
        try:
            try:
                stop.armed = True
                learn(network, rows, epochs, batch_size, rng, course, keeper.keep)
            finally:
                stop.armed = False
        except KeyboardInterrupt as error:  # outside of what learn looks after
            course.interruption = error
        except (ArithmeticError, MemoryError, OSError, ValueError) as error:
            if not (course.losses or course.chunks):
                raise
            failure = error
        seconds = perf_counter() - started
        save(output, model, keeper, failure)

    skipped = max(rows.skipped, table.skipped)  # there may have come more since
    lines = [
        ("rows", f"{rows.training:,} training, {rows.held_out:,} held out"),
        *([("bad rows", f"{skipped:,} skipped; the first: {table.first_fault}")] if skipped else []),
        ("inputs", f"{len(rows.features)}: {few(rows.features)}"),
        ("classes", f"{len(rows.classes)}: {few(rows.classes)}"),
        ("network", repr(network)),
        ("epochs", f"{len(course.losses)} of {epochs}" + (", interrupted" if course.interruption else "")),
        ("time", duration(seconds)),
    ]
    if course.losses:
        lines.append(("E, training", f"{course.losses[-1]:.4g}"))
    matrix = None
    if rows.held_out and not course.interruption:
        matrix, E = evaluate(network, rows)
        lines.append(("E, held out", f"{E:.4g}"))
        lines.append(("accuracy, held out", f"{matrix.trace() / matrix.sum():.4f}"))
    lines.append(("model", str(output)))
    if plot is not None and course.losses:
        draw(plot, course, matrix, rows.classes)
        lines.append(("figure", str(plot)))
    if checkpoint is not None:
        lines.append(("checkpoint", f"{checkpoint}; --resume goes on from it"))
    summarize(lines)
    if course.interruption is not None:
        epoch = min(len(course.losses) + 1, epochs)
        raise type(course.interruption)(f"in epoch {epoch} of {epochs}; {output} is saved")


def learn(
    network: Network,
    rows: Rows,
    epochs: int,
    batch_size: int,
    rng: np.random.Generator,
    course: Course,
    keep: Callable[[], None],
) -> None:
    """Learn from every chunk in turn, epoch after epoch, until the end or an interruption."""
    with progress() as bar:
        all_rows = rows.training + rows.held_out
        task = bar.add_task("learning", total=epochs * all_rows, completed=len(course.losses) * all_rows, note="")
        try:
            for epoch in range(len(course.losses) + 1, epochs + 1):
                for number, ((x, t), (x_held_out, t_held_out)) in enumerate(rows.lots(), 1):
                    if number > course.chunks:
                        if len(x):
                            course.E_training += len(x) * network.fit(x, t, batch_size=batch_size, rng=rng).losses[0]
                        if len(x_held_out):
                            course.E_held_out += len(x_held_out) * network.loss(x_held_out, t_held_out)
                        course.chunks = number
                        keep()
                    bar.advance(task, len(x) + len(x_held_out))
                course.losses.append(course.E_training / rows.training)
                if rows.held_out:
                    course.held_out.append(course.E_held_out / rows.held_out)
                course.chunks, course.E_training, course.E_held_out = 0, 0.0, 0.0
                keep()
                bar.update(task, note=f"epoch {epoch} of {epochs}, E {course.losses[-1]:.4g}")
        except DivergenceError:
            remedy = "try a smaller --learning-rate, or inputs standardized"
            raise DivergenceError(f"learning diverged in epoch {epoch}: {remedy}") from None
        except KeyboardInterrupt as error:  # fit has returned at a sample boundary
            course.interruption = error
            try:
                bar.stop()
            except KeyboardInterrupt:  # Python's own, that follows one Polars has raised
                bar.stop()


def save(output: Path, model: Model, keeper: Keeper, failure: Exception | None) -> None:
    """Write model and checkpoint, each whatever becomes of the other; raise what went wrong, and tell what is saved."""
    faults = [] if failure is None else [str(failure) or type(failure).__name__]
    files: dict[Path, Callable[[], None]] = {output: partial(save_model, output, model)}
    if keeper.path is not None and keeper.latest is not None:
        files[keeper.path] = keeper.write
    saved = []
    for file, write in files.items():
        try:
            write()
            saved.append(str(file))
        except Exception as error:
            faults.append(str(error) or type(error).__name__)
    if faults:
        learned = "what was learned" if failure is None else "what was learned before"
        told = f"{learned} is in {' and '.join(saved)}" if saved else f"{learned} is lost"
        raise ValueError("; ".join([*dict.fromkeys(faults), told])) from failure


def evaluate(network: Network, rows: Rows) -> tuple[np.ndarray, float]:
    """Count held-out rows by true class (row) and predicted class (column); return the counts and E."""
    matrix = np.zeros((len(rows.classes), len(rows.classes)), dtype=int)
    E = 0.0
    for _, (x, t) in rows.lots():
        if len(x):
            np.add.at(matrix, (t, network.predict(x)), 1)
            E += network.loss(x, t) * len(x) / rows.held_out
    return matrix, E


def draw(path: Path, course: Course, matrix: np.ndarray | None, classes: list[str]) -> None:
    """Write the learning curve and, of held-out rows, the confusion matrix."""
    from cbackprop import plot

    figure = require("matplotlib.figure", "plot").Figure(figsize=(5 if matrix is None else 10, 4), layout="constrained")
    axes = figure.subplots(1, 1 if matrix is None else 2, squeeze=False)[0]
    plot.learning_curve(course.losses, held_out=course.held_out or None, ax=axes[0])
    if matrix is not None:
        plot.confusion(matrix, classes=classes, ax=axes[1])
    save_figure(figure, path)

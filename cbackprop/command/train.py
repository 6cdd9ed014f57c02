"""`cbackprop train`: a table in, a model file out, with no more than a chunk of the table in memory."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
import typer

from cbackprop import DivergenceError, Network
from cbackprop._extras import require
from cbackprop._model_file import Model, save_model
from cbackprop.command.common import duration, few, progress, summarize, writable
from cbackprop.command.tables import Chunk, Table, open_table

MOST_CLASSES = 10_000  # a column with more different values is hardly one of classes, and would fill the memory

Lot = tuple[np.ndarray, np.ndarray]  # inputs (n, D) and class indices (n,)


@dataclass
class Rows:
    """The rows of a table, ready to learn from."""

    table: Table
    features: list[str]
    target: str
    seed: int
    validation: float
    classes: list[str]
    mean: np.ndarray
    scale: np.ndarray
    training: int
    held_out: int
    only_chunk: Chunk | None  # the whole table if it is one chunk: then it is read once

    def lots(self) -> Iterator[tuple[Lot, Lot]]:
        """For each chunk the rows to learn from and the rows held out: the same ones at every call."""
        split = split_generator(self.seed)
        chunks = [self.only_chunk] if self.only_chunk else self.table.chunks(self.features, self.target)
        for x, labels in chunks:
            x = x - self.mean
            x /= self.scale
            t = labels.cast(pl.Enum(self.classes)).to_physical().to_numpy().astype(np.intp)
            held_out = split.random(len(x)) < self.validation
            yield (x[~held_out], t[~held_out]), (x[held_out], t[held_out])


@dataclass
class Course:
    """How learning went: E of each finished epoch; held-out rows are judged after their chunk has been learned."""

    losses: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)
    interrupted: bool = False


def run(
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
) -> None:
    """Train a network on the table and save it; Ctrl-C ends the training, not the saving."""
    table = open_table(path)
    table.require([target, *ignore])
    for file in filter(None, (output, plot)):
        writable(file)
    with progress(transient=True) as bar:
        bar.add_task("reading", total=None, note="")
        rows = look_through(table, target, ignore, seed, validation, standardize)

    rng = np.random.default_rng([seed, 0])
    network = Network(len(rows.features), hidden, len(rows.classes), learning_rate=learning_rate, rng=rng)
    started = perf_counter()
    course = learn(network, rows, epochs, batch_size, rng)
    seconds = perf_counter() - started
    scaling = (rows.mean, rows.scale) if standardize else (None, None)
    save_model(output, Model(network, rows.classes, rows.features, *scaling))

    lines = [
        ("rows", f"{rows.training:,} training, {rows.held_out:,} held out"),
        ("inputs", f"{len(rows.features)}: {few(rows.features)}"),
        ("classes", f"{len(rows.classes)}: {few(rows.classes)}"),
        ("network", repr(network)),
        ("epochs", f"{len(course.losses)} of {epochs}" + (", interrupted" if course.interrupted else "")),
        ("time", duration(seconds)),
    ]
    if course.losses:
        lines.append(("E, training", f"{course.losses[-1]:.4g}"))
    matrix = None
    if rows.held_out and not course.interrupted:
        matrix, E = evaluate(network, rows)
        lines.append(("E, held out", f"{E:.4g}"))
        lines.append(("accuracy, held out", f"{matrix.trace() / matrix.sum():.4f}"))
    lines.append(("model", str(output)))
    if plot is not None and course.losses:
        draw(plot, course, matrix, rows.classes)
        lines.append(("figure", str(plot)))
    summarize(lines)
    if course.interrupted:
        raise typer.Exit(130)


def look_through(
    table: Table, target: str, ignore: Sequence[str], seed: int, validation: float, standardize: bool
) -> Rows:
    """Pass over a table for its classes, and mean and standard deviation of the inputs to learn from."""
    features = [column for column in table.columns if column not in {target, *ignore}]
    if not features:
        raise ValueError(f"{table.path}: no column is left beside the target {target!r}; inputs are needed")
    counts: Counter[str] = Counter()
    n = 0
    mean, squares = np.zeros(len(features)), np.zeros(len(features))
    split = split_generator(seed)
    only_chunk = None
    for number, (x, labels) in enumerate(table.chunks(features, target)):
        only_chunk = (x, labels) if number == 0 else None
        counts.update(dict(labels.value_counts().iter_rows()))
        if len(counts) > MOST_CLASSES:
            raise ValueError(f"{table.path}: column {target!r} has more than {MOST_CLASSES:,} different values")
        part = x[split.random(len(x)) >= validation]
        if len(part):  # moments of two parts together: Chan, Golub and LeVeque, 1979
            part_mean = part.mean(axis=0)
            shift = part_mean - mean
            squares += ((part - part_mean) ** 2).sum(axis=0) + shift**2 * (n * len(part) / (n + len(part)))
            n += len(part)
            mean += shift * (len(part) / n)
    if not n:
        raise ValueError(f"{table.path}: there are no rows to learn from")
    if len(counts) < 2:
        raise ValueError(f"{table.path}: column {target!r} has one class, {next(iter(counts))!r}; 2 are needed")

    scale = np.sqrt(squares / n)
    scale[scale == 0] = 1  # an input that never changes
    if not standardize:
        mean, scale = np.zeros_like(mean), np.ones_like(scale)
    return Rows(
        table=table,
        features=features,
        target=target,
        seed=seed,
        validation=validation,
        classes=in_order(counts),
        mean=mean,
        scale=scale,
        training=n,
        held_out=counts.total() - n,
        only_chunk=only_chunk,
    )


def learn(network: Network, rows: Rows, epochs: int, batch_size: int, rng: np.random.Generator) -> Course:
    """Learn from every chunk in turn, epoch after epoch, until the end or Ctrl-C."""
    course = Course()
    with progress() as bar:
        task = bar.add_task("learning", total=epochs * (rows.training + rows.held_out), note="")
        try:
            for epoch in range(1, epochs + 1):
                E_training = E_held_out = 0.0
                for (x, t), (x_held_out, t_held_out) in rows.lots():
                    if len(x):
                        E_training += len(x) * network.fit(x, t, batch_size=batch_size, rng=rng).losses[0]
                    if len(x_held_out):
                        E_held_out += len(x_held_out) * network.loss(x_held_out, t_held_out)
                    bar.advance(task, len(x) + len(x_held_out))
                course.losses.append(E_training / rows.training)
                if rows.held_out:
                    course.held_out.append(E_held_out / rows.held_out)
                bar.update(task, note=f"epoch {epoch} of {epochs}, E {course.losses[-1]:.4g}")
        except DivergenceError:
            remedy = "try a smaller --learning-rate, or inputs standardized"
            raise DivergenceError(f"learning diverged in epoch {epoch}: {remedy}") from None
        except KeyboardInterrupt:  # fit has returned at a sample boundary
            course.interrupted = True
            try:
                bar.stop()
            except KeyboardInterrupt:  # Python's own, that follows one Polars has raised
                bar.stop()
    return course


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
    figure.savefig(path, dpi=150)


def in_order(classes: Counter[str]) -> list[str]:
    """Class names by value if all are numbers, else by the alphabet."""
    names = sorted(classes)
    try:
        return sorted(names, key=float)
    except ValueError:
        return names


def split_generator(seed: int) -> np.random.Generator:
    """One number for each row, in order, decides whether the row is held out: whatever the chunks, the same rows."""
    return np.random.default_rng([seed, 1])

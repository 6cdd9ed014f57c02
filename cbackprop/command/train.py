"""`cbackprop train`: a table in, a model file out, with no more than a chunk of the table in memory."""

import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any
from zlib import crc32

import numpy as np
import polars as pl
import typer

from cbackprop import DivergenceError, Network
from cbackprop._checkpoint import rng_state, take_up
from cbackprop._extras import require
from cbackprop._model_file import Model, encode, save_model
from cbackprop.command.common import Terminated, duration, few, handling, progress, summarize, terminate, writable
from cbackprop.command.files import open_table
from cbackprop.command.tables import Chunk, Table

SECONDS = 10  # from one writing of the checkpoint to the next, at least
PARTS = ("chunks", "E_training", "E_held_out")  # what a checkpoint tells of an epoch that is not finished

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
    skipped: int
    fingerprint: str  # of what was read
    only_chunk: Chunk | None  # the whole table if it is one chunk: then it is read once

    def lots(self) -> Iterator[tuple[Lot, Lot]]:
        """For each chunk the rows to learn from and the rows held out: the same ones at every call."""
        split = split_generator(self.seed)
        chunks = [self.only_chunk] if self.only_chunk else self.table.chunks(self.features, self.target, self.classes)
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
    chunks: int = 0  # learned of the epoch at hand, and E summed over their rows
    E_training: float = 0.0
    E_held_out: float = 0.0
    interruption: KeyboardInterrupt | None = None


@dataclass
class Keeper:
    """The checkpoint of a training: its state after the latest whole chunk, written now and then and at the end."""

    path: Path | None
    model: Model  # its weights are learning
    course: Course
    rng: np.random.Generator
    settings: dict[str, Any]
    latest: tuple[np.ndarray, np.ndarray, int, dict[str, Any]] | None = None  # w, v, epochs, the state to go on from
    written: float = field(default_factory=monotonic)

    def resume(self, path: Path, epochs: int) -> None:
        """Take the state from the file."""
        course = self.course
        saved = take_up(path, (self.model.w, self.model.v), self.rng, epochs, self.settings)
        losses, held_out, state = saved.losses, saved.held_out, saved.training or {}
        chunks, E_training, E_held_out = (state.get(name) for name in PARTS)
        if (
            losses is None
            or held_out is None
            or not isinstance(chunks, int)
            or not isinstance(E_training, float)
            or not isinstance(E_held_out, float)
        ):
            raise ValueError(f"{path} does not say how much was learned")
        course.losses, course.held_out = losses.tolist(), held_out.tolist()
        course.chunks, course.E_training, course.E_held_out = chunks, E_training, E_held_out

    def keep(self) -> None:
        """Keep the state of now, and write it unless that was done a short time ago."""
        if self.path is None:
            return
        state = {name: getattr(self.course, name) for name in PARTS}
        state |= {"settings": self.settings, "rng": rng_state(self.rng)}
        self.latest = self.model.w.copy(), self.model.v.copy(), len(self.course.losses), state
        if monotonic() - self.written > SECONDS:
            self.write()

    def write(self) -> None:
        """Write the latest state."""
        if self.path is None or self.latest is None:
            return
        w, v, epochs, state = self.latest
        losses, held_out = (np.array(E[:epochs]) for E in (self.course.losses, self.course.held_out))
        model = replace(self.model, w=w, v=v, losses=losses, held_out=held_out, training=state)
        save_model(self.path, model)
        self.written = monotonic()


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
    table = open_table(path, skip_bad_rows=skip_bad_rows)
    table.require([target, *ignore])
    for file in filter(None, (output, plot, checkpoint)):
        writable(file)
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
    try:
        learn(network, rows, epochs, batch_size, rng, course, keeper.keep)
    except (OSError, ValueError) as error:
        if not (course.losses or course.chunks):
            raise
        failure = error
    seconds = perf_counter() - started
    with handling({signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_IGN}):
        save_model(output, model)
        keeper.write()
    if failure is not None:
        raise ValueError(f"{failure}; what was learned before is in {output}") from failure

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
        raise type(course.interruption)(f"in epoch {len(course.losses) + 1} of {epochs}; {output} is saved")


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
    checksum = crc32(repr((features, sorted(counts.items()), mean.tolist(), scale.tolist())).encode())
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
        skipped=table.skipped,
        fingerprint=f"{counts.total():,} rows with checksum {checksum:08x}",
        only_chunk=only_chunk,
    )


def learn(
    network: Network,
    rows: Rows,
    epochs: int,
    batch_size: int,
    rng: np.random.Generator,
    course: Course,
    keep: Callable[[], None] = lambda: None,
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

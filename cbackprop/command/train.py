"""`cbackprop train`: train a network on a table, with at most one chunk of it in memory."""

import math
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import numpy as np
import typer

from cbackprop import DivergenceError, Network
from cbackprop._checkpoint import Checkpointer
from cbackprop._extras import require
from cbackprop._files import writable_path
from cbackprop._model_file import Model, encode
from cbackprop.command.dataset import Dataset, scan
from cbackprop.command.evaluation import Evaluation, evaluate_classes, evaluate_numbers
from cbackprop.command.files import open_table
from cbackprop.command.inputs import Inputs
from cbackprop.command.options import AUTO, Activation, OnBadRow, Task, TrainOptions
from cbackprop.command.outputs import (
    check_distinct,
    check_figure,
    check_output,
    is_standard_output,
    name_of,
    open_output,
    save_figure,
)
from cbackprop.command.progress import TrainingProgress
from cbackprop.command.signals import SignalGuard, Terminated, signal_handler, terminate
from cbackprop.command.tables import Table
from cbackprop.command.terminal import print_fields, progress_bar
from cbackprop.command.text import abbreviate, escape_control, format_duration

CHECKPOINT_INTERVAL = 10  # seconds
DENSE_RATE, SPARSE_RATE = 0.1, 0.3  # of --learning-rate auto
# options that --resume must not change
FIXED = ("hidden", "learning_rate", "batch_size", "seed", "validation", "standardize")


def run(options: TrainOptions) -> None:
    """Train a network and save it; a signal stops the training early, but the model is saved."""
    with signal_handler(terminate, signal.SIGTERM):
        try:
            train(options)
        except KeyboardInterrupt as error:
            number = signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
            print(f"cbackprop: stopped by {number.name}", *map(escape_control, error.args), file=sys.stderr)
            raise typer.Exit(128 + number) from None


def train(options: TrainOptions) -> None:
    """Train, save and report; only then raise what interrupted the training."""
    files = {"--output": options.output, "--plot": options.plot, "--checkpoint": options.checkpoint}
    check_distinct({"the table": options.data, **files})
    check_output("--output", options.output)
    if options.checkpoint is not None:
        writable_path("--checkpoint", options.checkpoint)
    check_figure("--plot", options.plot)
    progress = TrainingProgress()
    clock = Clock()
    network, dataset, checkpointer = prepare(options, progress)
    clock.stop("reading")
    interrupt: KeyboardInterrupt | None = None
    failure: Exception | None = None
    guard = SignalGuard()
    with signal_handler(guard, signal.SIGINT, signal.SIGTERM):
        try:
            try:
                guard.armed = True
                learn(network, dataset, progress, checkpointer, options)
            finally:
                guard.armed = False
        except KeyboardInterrupt as error:  # `fit` stops after a complete sample
            interrupt = error
        except (ArithmeticError, MemoryError, OSError, ValueError) as error:
            if not (progress.losses or progress.chunks):
                raise
            failure = error
        save(options.output, checkpointer, bool(progress.losses or progress.chunks), failure)
        clock.stop("learning")

    report(options, network, dataset, progress, clock, interrupt is not None)
    if interrupt is not None:
        epoch = min(len(progress.losses) + 1, options.epochs)
        raise type(interrupt)(f"in epoch {epoch} of {options.epochs}; {name_of(options.output)} is saved")


class Clock:
    """The seconds since its creation, by what was done in them."""

    def __init__(self) -> None:
        self.started = perf_counter()
        self.seconds: dict[str, float] = {}

    def stop(self, name: str) -> None:
        """Ascribe the time since the last call to `name`."""
        self.seconds[name] = perf_counter() - self.started - sum(self.seconds.values())

    def summary(self) -> str:
        """Return the total and its parts."""
        parts = ", ".join(f"{name} {format_duration(seconds)}" for name, seconds in self.seconds.items())
        return f"{format_duration(sum(self.seconds.values()))}: {parts}"


def prepare(options: TrainOptions, progress: TrainingProgress) -> tuple[Network, Dataset, Checkpointer]:
    """Scan the table and create the network, or restore it from the checkpoint."""
    auto = options.learning_rate == AUTO
    ignore, categories = options.ignore or [], list(dict.fromkeys(options.categories or []))
    for column in (options.target, *ignore):
        if column in categories:
            raise ValueError(f"--categories is {column!r}, which is the target or ignored; it must be an input")
    with progress_bar("reading", quiet=options.quiet, transient=True) as bar:
        table = open_table(
            options.data,
            kind=options.format,
            separator=options.separator,
            header=not options.no_header,
            max_line=options.max_line,
            skip_bad_rows=options.on_bad_row is OnBadRow.SKIP,
            for_training=True,
        )
        target = target_of(table, options)
        table.require([target, *ignore, *categories])
        table.on_read = lambda n: bar.update(f"{n:,} rows")
        split = options.seed, options.validation
        dataset = scan(table, target, ignore, *split, options.standardize, options.task, categories, options.hash)

    rng = np.random.default_rng([options.seed, 0])
    regression = dataset.task is Task.REGRESSION
    inputs = dataset.inputs
    activation = options.activation or Activation("tanh" if auto else "sigmoid")
    network = Network(
        inputs.D,
        options.hidden,
        1 if regression else len(dataset.classes),
        output="linear" if regression else "softmax",
        hidden=activation.value,
        learning_rate=adaptive_rate(inputs) if auto else options.learning_rate,
        adaptive=auto,
        dtype=np.float32 if inputs.sparse else np.float64,
        order="F" if inputs.sparse else "C",
        rng=rng,
    )
    known = inputs.metadata(options.standardize)
    model = Model(network.w, network.v, network.learning_rate, functions=network.functions, **known)
    if network.accumulators is not None:
        model.states["accumulators"] = network.accumulators
    if regression:
        model.targets = [dataset.target]
    else:
        model.classes = dataset.classes
    if options.standardize and regression:
        model.target_mean, model.target_scale = dataset.target_mean, dataset.target_scale
    encode(model)  # raises before the training if a model file cannot hold the names
    settings: dict[str, Any] = {"--task": dataset.task.value}
    settings |= {f"--{name.replace('_', '-')}": getattr(options, name) for name in FIXED}
    settings |= {"--activation": network.hidden, "--hash": options.hash or 0, "data": dataset.fingerprint}
    checkpointer = Checkpointer(options.checkpoint, model, progress.losses, rng, settings, held_out=progress.held_out)
    if options.resume and (state := checkpointer.restore(options.epochs)) is not None:
        progress.restore(state, options.checkpoint)
    return network, dataset, checkpointer


def adaptive_rate(inputs: Inputs) -> float:
    """Return the learning rate of row-wise AdaGrad.

    It is divided by the root of the mean square of a unit's gradients over all inputs: where most of them are 0, a rate
    for dense rows would be too large. Numbers in sparse rows are learned as they are, and may be large.
    """
    if not inputs.sparse:
        return DENSE_RATE
    filled = (min(inputs.non_zeros, inputs.D) + 1) / (inputs.D + 1)
    return SPARSE_RATE * math.sqrt(filled) / max(1, inputs.root_mean_square)


def target_of(table: Table, options: TrainOptions) -> str:
    """Return the name of the target, which the options or the format must tell."""
    if table.target is None:
        if options.target is None:
            raise typer.BadParameter(
                f"it must be one of the columns {abbreviate(table.columns)}", param_hint="'--target'"
            )
        return options.target
    for option in ("target", "ignore", "categories", "hash"):
        if getattr(options, option):
            found = f"{table.path} has no named columns, and its lines begin with the target"
            raise typer.BadParameter(found, param_hint=f"'--{option}'")
    return table.target


def learn(
    network: Network,
    dataset: Dataset,
    progress: TrainingProgress,
    checkpointer: Checkpointer,
    options: TrainOptions,
) -> None:
    """Learn every chunk in turn, up to a total number of epochs."""

    def checkpoint() -> None:
        checkpointer.update(**progress.unfinished_epoch())
        if monotonic() - checkpointer.written > CHECKPOINT_INTERVAL:
            checkpointer.write()

    n_rows = dataset.n_training + dataset.n_held_out
    epochs, n_threads = options.epochs, options.threads or 1
    total, completed = epochs * n_rows, len(progress.losses) * n_rows
    dataset.table.on_read = lambda n: None
    with progress_bar("learning", total=total, completed=completed, quiet=options.quiet) as bar:
        for epoch in range(len(progress.losses) + 1, epochs + 1):
            for number, ((x, t), (x_held_out, t_held_out)) in enumerate(dataset.splits(), 1):
                if number > progress.chunks:
                    if len(t):
                        try:
                            history = network.fit(
                                x, t, batch_size=options.batch_size, rng=checkpointer.generator, n_threads=n_threads
                            )
                        except DivergenceError:
                            rate = "--learning-rate 0.001" if network.adaptive else "a smaller --learning-rate"
                            remedy = f"try {rate}"
                            if not options.standardize:
                                remedy += ", or --standardize"
                            raise DivergenceError(f"learning diverged in epoch {epoch}: {remedy}") from None
                        progress.E_training += len(t) * history.losses[0]
                    if len(t_held_out):
                        progress.E_held_out += len(t_held_out) * network.loss(x_held_out, t_held_out)
                    progress.chunks = number
                    checkpoint()
                bar.update(advance=len(t) + len(t_held_out))
            progress.finish_epoch(dataset.n_training, dataset.n_held_out)
            checkpoint()
            bar.update(f"epoch {epoch} of {epochs}, E {progress.losses[-1]:.4g}")


def save(output: Path, checkpointer: Checkpointer, learned: bool, failure: Exception | None) -> None:
    """Write model and checkpoint, each even if the other fails; then raise all errors as one."""
    writers: dict[str, Callable[[], None]] = {name_of(output): partial(write_model, output, checkpointer.model)}
    if checkpointer.path is not None and learned:
        writers[str(checkpointer.path)] = checkpointer.write
    errors = [] if failure is None else [failure]
    saved = []
    for name, write in writers.items():
        try:
            write()
            saved.append(name)
        except Exception as error:
            errors.append(error)
    if errors:
        reasons = dict.fromkeys(str(error) or type(error).__name__ for error in errors)
        weights = "the weights" if failure is None else "the weights learned before"
        outcome = f"are saved in {' and '.join(saved)}" if saved else "are lost"
        raise ValueError("; ".join([*reasons, f"{weights} {outcome}"])) from failure


def write_model(output: Path, model: Model) -> None:
    with open_output(output) as file:
        file.write(encode(model))


def report(
    options: TrainOptions, network: Network, dataset: Dataset, progress: TrainingProgress, clock: Clock, stopped: bool
) -> None:
    """Print a summary with accuracy or R² and RMSE; draw the figure."""
    if options.quiet and options.plot is None:
        return
    regression = dataset.task is Task.REGRESSION
    skipped = max(dataset.skipped, dataset.table.skipped)  # the file may have changed after the scan
    classes = f"classification, {len(dataset.classes)} classes: {abbreviate(dataset.classes)}"
    fields = [
        ("task", f"regression of {dataset.target!r}" if regression else classes),
        ("rows", f"{dataset.n_training:,} training, {dataset.n_held_out:,} held out"),
        *([("bad rows", f"{skipped:,} skipped; the first: {dataset.table.first_error}")] if skipped else []),
        ("inputs", dataset.inputs.description),
        ("network", repr(network)),
        ("epochs", f"{len(progress.losses)} of {options.epochs}" + (", interrupted" if stopped else "")),
    ]
    if progress.losses:
        fields.append(("E, training", f"{progress.losses[-1]:.4g}"))
    evaluation = Evaluation([])
    if not stopped and (regression or dataset.n_held_out):
        with progress_bar("evaluating", quiet=options.quiet, transient=True) as bar:
            dataset.table.on_read = lambda n: bar.update(f"{n:,} rows")
            evaluation = (evaluate_numbers if regression else evaluate_classes)(network, dataset)
        fields += evaluation.fields
        clock.stop("evaluating")
    fields.append(("model", name_of(options.output)))
    if options.plot is not None and progress.losses:
        with progress_bar("drawing", quiet=options.quiet, transient=True):
            draw(options.plot, progress, evaluation.panel)
        clock.stop("drawing")
        note = f", {evaluation.note}" if evaluation.note else ""
        fields.append(("figure", f"{options.plot}{note}"))
    if options.checkpoint is not None:
        fields.append(("checkpoint", f"{options.checkpoint}; --resume continues from it"))
    if not options.quiet:
        print_fields([*fields, ("time", clock.summary())], stderr=is_standard_output(options.output))


def draw(path: Path, progress: TrainingProgress, panel: Callable[[Any], None] | None) -> None:
    """Write a figure of the learning curve and, if given, another panel."""
    from cbackprop import plot

    figure = require("matplotlib.figure", "plot").Figure(figsize=(5 if panel is None else 10, 4), layout="constrained")
    axes = figure.subplots(1, 1 if panel is None else 2, squeeze=False)[0]
    plot.learning_curve(progress.losses, held_out=progress.held_out or None, ax=axes[0])
    if panel is not None:
        panel(axes[1])
    save_figure(figure, path)

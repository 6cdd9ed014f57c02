"""`cbackprop train`: train a network on a table, with at most one chunk of it in memory."""

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import numpy as np
import typer

from cbackprop import DivergenceError, Network
from cbackprop._extras import require
from cbackprop.command.dataset import Dataset, scan
from cbackprop.command.evaluation import Evaluation, evaluate_classes, evaluate_numbers
from cbackprop.command.files import open_table
from cbackprop.command.messages import abbreviate, escape_control, format_duration
from cbackprop.command.options import AUTO, Task, TrainOptions
from cbackprop.command.outputs import (
    check_distinct,
    check_figure,
    check_output,
    is_standard_output,
    name_of,
    open_output,
    save_figure,
)
from cbackprop.command.signals import SignalGuard, Terminated, signal_handler, terminate
from cbackprop.command.terminal import print_fields, progress_bar
from cbackprop.files.atomic import writable_path
from cbackprop.files.checkpoint import Checkpointer
from cbackprop.files.model_file import Model, encode

CHECKPOINT_INTERVAL = 10  # seconds
# options that --resume must not change
FIXED = ("target", "hidden", "learning_rate", "batch_size", "seed", "validation", "standardize")
FIXED_LISTS = ("ignore", "categories")
UNFINISHED_EPOCH = {"chunks": int, "E_training": float, "E_held_out": float}  # what a checkpoint stores


@dataclass
class TrainingProgress:
    """Mean E of each finished epoch, and sums over the unfinished one."""

    losses: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)  # each chunk is evaluated right after learning it
    chunks: int = 0  # learned in the unfinished epoch
    E_training: float = 0.0  # summed over their rows
    E_held_out: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)  # by what was done in them
    started: float = field(default_factory=perf_counter)

    @property
    def learned(self) -> bool:
        return bool(self.losses or self.chunks)

    def unfinished_epoch(self) -> dict[str, Any]:
        """What a checkpoint stores besides the losses."""
        return {name: getattr(self, name) for name in UNFINISHED_EPOCH}

    def restore(self, state: dict[str, Any], path: Path | None) -> None:
        """Continue an epoch from what a checkpoint stored."""
        if not all(isinstance(state.get(name), kind) for name, kind in UNFINISHED_EPOCH.items()):
            raise ValueError(f"{path} does not store the progress of the training; it cannot be resumed")
        self.chunks, self.E_training, self.E_held_out = (state[name] for name in UNFINISHED_EPOCH)

    def finish_epoch(self, n_training: int, n_held_out: int) -> None:
        """Turn the sums over so many rows into means."""
        self.losses.append(self.E_training / n_training)
        if n_held_out:
            self.held_out.append(self.E_held_out / n_held_out)
        self.chunks, self.E_training, self.E_held_out = 0, 0.0, 0.0

    def stop_clock(self, name: str) -> None:
        """Ascribe the time since the last call to `name`."""
        self.seconds[name] = perf_counter() - self.started - sum(self.seconds.values())


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
    network, dataset, checkpointer = prepare(options, progress)
    progress.stop_clock("reading")
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
            if not progress.learned:
                raise
            failure = error
        save(options.output, checkpointer, progress.learned, failure)
        progress.stop_clock("learning")

    report(options, network, dataset, progress, stopped=interrupt is not None)
    if interrupt is not None:
        epoch = min(len(progress.losses) + 1, options.epochs)
        raise type(interrupt)(f"in epoch {epoch} of {options.epochs}; {name_of(options.output)} is saved")


def prepare(options: TrainOptions, progress: TrainingProgress) -> tuple[Network, Dataset, Checkpointer]:
    """Scan the table and create the network, or restore it from the checkpoint."""
    with progress_bar("reading", quiet=options.quiet, transient=True) as bar:
        table = open_table(options)
        table.on_read = bar.count
        dataset = scan(table, options)

    auto = options.learning_rate == AUTO
    rng = np.random.default_rng([options.seed, 0])
    regression, inputs = dataset.task is Task.REGRESSION, dataset.inputs
    network = Network(
        inputs.D,
        options.hidden,
        1 if regression else len(dataset.classes),
        output="linear" if regression else "softmax",
        hidden=(options.activation or ("tanh" if auto else "sigmoid")),  # type: ignore[arg-type] # an Enum of str
        learning_rate=dataset.rate if auto else options.learning_rate,
        adaptive=auto,
        dtype=np.float32 if inputs.sparse else np.float64,
        order="F" if inputs.sparse else "C",
        rng=rng,
    )
    model = Model(network.w, network.v, network.learning_rate, functions=network.functions, **inputs.metadata)
    if network.accumulators is not None:
        model.states["accumulators"] = network.accumulators
    if regression:
        model.targets = [dataset.target]
        model.target_mean, model.target_scale = dataset.target_scaling
    else:
        model.classes = dataset.classes
    encode(model)  # raises before the training if a model file cannot hold the names

    fixed = {name: getattr(options, name) for name in FIXED} | {"target": dataset.target, "task": dataset.task.value}
    fixed |= {name: getattr(options, name) or [] for name in FIXED_LISTS}
    fixed |= {"activation": network.hidden, "hash": options.hash or 0}
    settings = {f"--{name.replace('_', '-')}": value for name, value in fixed.items()}
    if options.checkpoint is not None:
        settings["data"] = dataset.fingerprint()
    checkpointer = Checkpointer(options.checkpoint, model, progress.losses, rng, settings, held_out=progress.held_out)
    if options.resume and (state := checkpointer.restore(options.epochs)) is not None:
        progress.restore(state, options.checkpoint)
    return network, dataset, checkpointer


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
    epochs, n_threads, generator = options.epochs, options.threads or 1, checkpointer.generator
    total, completed = epochs * n_rows, len(progress.losses) * n_rows
    dataset.table.on_read = lambda n: None
    with progress_bar("learning", total=total, completed=completed, quiet=options.quiet) as bar:
        for epoch in range(len(progress.losses) + 1, epochs + 1):
            for number, ((x, t), (x_held_out, t_held_out)) in enumerate(dataset.splits(), 1):
                if number > progress.chunks:
                    if len(t):
                        try:
                            history = network.fit(
                                x, t, batch_size=options.batch_size, rng=generator, n_threads=n_threads
                            )
                        except DivergenceError:
                            remedy = "--learning-rate 0.001" if network.adaptive else "a smaller --learning-rate"
                            remedy += "" if options.standardize else ", or --standardize"
                            raise DivergenceError(f"learning diverged in epoch {epoch}: try {remedy}") from None
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
    options: TrainOptions, network: Network, dataset: Dataset, progress: TrainingProgress, *, stopped: bool
) -> None:
    """Print a summary with accuracy or R² and RMSE; draw the figure."""
    if options.quiet and options.plot is None:
        return
    table, regression = dataset.table, dataset.task is Task.REGRESSION
    skipped = max(dataset.skipped, table.skipped)  # the file may have changed after the scan
    classes = f"classification, {len(dataset.classes)} classes: {abbreviate(dataset.classes)}"
    fields = [
        ("task", f"regression of {dataset.target!r}" if regression else classes),
        ("rows", f"{dataset.n_training:,} training, {dataset.n_held_out:,} held out"),
        *([("bad rows", f"{skipped:,} skipped; the first: {table.first_error}")] if skipped else []),
        ("inputs", dataset.inputs.description),
        ("network", repr(network)),
        ("epochs", f"{len(progress.losses)} of {options.epochs}" + (", interrupted" if stopped else "")),
        *([("E, training", f"{progress.losses[-1]:.4g}")] if progress.losses else []),
    ]
    evaluation = Evaluation([])
    if not stopped and (regression or dataset.n_held_out):
        with progress_bar("evaluating", quiet=options.quiet, transient=True) as bar:
            table.on_read = bar.count
            evaluation = (evaluate_numbers if regression else evaluate_classes)(network, dataset)
        fields += evaluation.fields
        progress.stop_clock("evaluating")
    fields.append(("model", name_of(options.output)))
    if options.plot is not None and progress.losses:
        with progress_bar("drawing", quiet=options.quiet, transient=True):
            draw(options.plot, progress, evaluation.panel)
        progress.stop_clock("drawing")
        note = f", {evaluation.note}" if evaluation.note else ""
        fields.append(("figure", f"{options.plot}{note}"))
    if options.checkpoint is not None:
        fields.append(("checkpoint", f"{options.checkpoint}; --resume continues from it"))
    if not options.quiet:
        parts = ", ".join(f"{name} {format_duration(seconds)}" for name, seconds in progress.seconds.items())
        fields.append(("time", f"{format_duration(sum(progress.seconds.values()))}: {parts}"))
        print_fields(fields, stderr=is_standard_output(options.output))


def draw(path: Path, progress: TrainingProgress, panel: Callable[[Any], None] | None) -> None:
    """Write a figure of the learning curve and, if given, another panel."""
    from cbackprop import plot

    figure = require("matplotlib.figure", "plot").Figure(figsize=(5 if panel is None else 10, 4), layout="constrained")
    axes = figure.subplots(1, 1 if panel is None else 2, squeeze=False)[0]
    plot.learning_curve(progress.losses, held_out=progress.held_out or None, ax=axes[0])
    if panel is not None:
        panel(axes[1])
    save_figure(figure, path)

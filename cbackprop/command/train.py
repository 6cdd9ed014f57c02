"""`cbackprop train`: train a network on a table, with at most one chunk of it in memory."""

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
from cbackprop._files import descriptor_of, writable_path
from cbackprop._model_file import Model, encode, save_model
from cbackprop.command.dataset import Dataset, scan
from cbackprop.command.evaluation import Evaluation, evaluate_classes, evaluate_numbers
from cbackprop.command.files import open_table
from cbackprop.command.options import OnBadRow, Task, TrainOptions
from cbackprop.command.outputs import check_distinct, check_figure, check_output, save_figure
from cbackprop.command.progress import TrainingProgress
from cbackprop.command.signals import SignalGuard, Terminated, signal_handler, terminate
from cbackprop.command.terminal import print_fields, progress_bar
from cbackprop.command.text import abbreviate, escape_control, format_duration

CHECKPOINT_INTERVAL = 10  # seconds
FIXED = ("learning_rate", "batch_size", "seed", "validation", "standardize")  # options that --resume must not change


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
    interrupt: KeyboardInterrupt | None = None
    failure: Exception | None = None
    guard = SignalGuard()
    started = perf_counter()
    with signal_handler(guard, signal.SIGINT, signal.SIGTERM):
        try:
            try:
                guard.armed = True
                learn(network, dataset, progress, checkpointer, options.epochs, options.batch_size)
            finally:
                guard.armed = False
        except KeyboardInterrupt as error:  # `fit` stops after a complete sample
            interrupt = error
        except (ArithmeticError, MemoryError, OSError, ValueError) as error:
            if not (progress.losses or progress.chunks):
                raise
            failure = error
        seconds = perf_counter() - started
        save(options.output, checkpointer, bool(progress.losses or progress.chunks), failure)

    report(options, network, dataset, progress, seconds, interrupt is not None)
    if interrupt is not None:
        epoch = min(len(progress.losses) + 1, options.epochs)
        raise type(interrupt)(f"in epoch {epoch} of {options.epochs}; {options.output} is saved")


def prepare(options: TrainOptions, progress: TrainingProgress) -> tuple[Network, Dataset, Checkpointer]:
    """Scan the table and create the network, or restore it from the checkpoint."""
    ignore = options.ignore or []
    table = open_table(options.data, skip_bad_rows=options.on_bad_row is OnBadRow.SKIP)
    table.require([options.target, *ignore])
    with progress_bar(transient=True) as bar:
        bar.add_task("reading", total=None, note="")
        split = options.seed, options.validation
        dataset = scan(table, options.target, ignore, *split, options.standardize, options.task)

    rng = np.random.default_rng([options.seed, 0])
    regression = dataset.task is Task.REGRESSION
    network = Network(
        len(dataset.features),
        options.hidden,
        1 if regression else len(dataset.classes),
        output="linear" if regression else "softmax",
        hidden=options.activation.value,
        learning_rate=options.learning_rate,
        rng=rng,
    )
    model = Model(network.w, network.v, options.learning_rate, features=dataset.features, functions=network.functions)
    if regression:
        model.targets = [dataset.target]
    else:
        model.classes = dataset.classes
    if options.standardize:
        model.mean, model.scale = dataset.mean, dataset.scale
        if regression:
            model.target_mean, model.target_scale = dataset.target_mean, dataset.target_scale
    encode(model)  # raises before the training if a model file cannot hold the names
    settings = {"--task": dataset.task.value}
    settings |= {f"--{name.replace('_', '-')}": getattr(options, name) for name in FIXED}
    settings |= {"--activation": options.activation.value, "data": dataset.fingerprint}
    checkpointer = Checkpointer(options.checkpoint, model, progress.losses, rng, settings, held_out=progress.held_out)
    if options.resume and (state := checkpointer.restore(options.epochs)) is not None:
        progress.restore(state, options.checkpoint)
    return network, dataset, checkpointer


def learn(
    network: Network,
    dataset: Dataset,
    progress: TrainingProgress,
    checkpointer: Checkpointer,
    epochs: int,
    batch_size: int,
) -> None:
    """Learn every chunk in turn, up to a total of `epochs`."""

    def checkpoint() -> None:
        checkpointer.update(**progress.unfinished_epoch())
        if monotonic() - checkpointer.written > CHECKPOINT_INTERVAL:
            checkpointer.write()

    n_rows = dataset.n_training + dataset.n_held_out
    with progress_bar() as bar:
        task = bar.add_task("learning", total=epochs * n_rows, completed=len(progress.losses) * n_rows, note="")
        for epoch in range(len(progress.losses) + 1, epochs + 1):
            for number, ((x, t), (x_held_out, t_held_out)) in enumerate(dataset.splits(), 1):
                if number > progress.chunks:
                    if len(x):
                        try:
                            history = network.fit(x, t, batch_size=batch_size, rng=checkpointer.generator)
                        except DivergenceError:
                            remedy = "try a smaller --learning-rate, or --standardize"
                            raise DivergenceError(f"learning diverged in epoch {epoch}: {remedy}") from None
                        progress.E_training += len(x) * history.losses[0]
                    if len(x_held_out):
                        progress.E_held_out += len(x_held_out) * network.loss(x_held_out, t_held_out)
                    progress.chunks = number
                    checkpoint()
                bar.advance(task, len(x) + len(x_held_out))
            progress.finish_epoch(dataset.n_training, dataset.n_held_out)
            checkpoint()
            bar.update(task, note=f"epoch {epoch} of {epochs}, E {progress.losses[-1]:.4g}")


def save(output: Path, checkpointer: Checkpointer, learned: bool, failure: Exception | None) -> None:
    """Write model and checkpoint, each even if the other fails; then raise all errors as one."""
    writers: dict[Any, Callable[[], None]] = {output: partial(save_model, output, checkpointer.model)}
    if checkpointer.path is not None and learned:
        writers[checkpointer.path] = checkpointer.write
    errors = [] if failure is None else [failure]
    saved = []
    for path, write in writers.items():
        try:
            write()
            saved.append(str(path))
        except Exception as error:
            errors.append(error)
    if errors:
        reasons = dict.fromkeys(str(error) or type(error).__name__ for error in errors)
        weights = "the weights" if failure is None else "the weights learned before"
        outcome = f"are saved in {' and '.join(saved)}" if saved else "are lost"
        raise ValueError("; ".join([*reasons, f"{weights} {outcome}"])) from failure


def report(
    options: TrainOptions, network: Network, dataset: Dataset, progress: TrainingProgress, seconds: float, stopped: bool
) -> None:
    """Print a summary with accuracy or R² and RMSE; draw the figure."""
    regression = dataset.task is Task.REGRESSION
    skipped = max(dataset.skipped, dataset.table.skipped)  # the file may have changed after the scan
    classes = f"classification, {len(dataset.classes)} classes: {abbreviate(dataset.classes)}"
    fields = [
        ("task", f"regression of {dataset.target!r}" if regression else classes),
        ("rows", f"{dataset.n_training:,} training, {dataset.n_held_out:,} held out"),
        *([("bad rows", f"{skipped:,} skipped; the first: {dataset.table.first_error}")] if skipped else []),
        ("inputs", f"{len(dataset.features)}: {abbreviate(dataset.features)}"),
        ("network", repr(network)),
        ("epochs", f"{len(progress.losses)} of {options.epochs}" + (", interrupted" if stopped else "")),
        ("time", format_duration(seconds)),
    ]
    if progress.losses:
        fields.append(("E, training", f"{progress.losses[-1]:.4g}"))
    evaluation = Evaluation([])
    if not stopped and (regression or dataset.n_held_out):
        evaluation = (evaluate_numbers if regression else evaluate_classes)(network, dataset)
        fields += evaluation.fields
    fields.append(("model", str(options.output)))
    if options.plot is not None and progress.losses:
        draw(options.plot, progress, evaluation.panel)
        note = f", {evaluation.note}" if evaluation.note else ""
        fields.append(("figure", f"{options.plot}{note}"))
    if options.checkpoint is not None:
        fields.append(("checkpoint", f"{options.checkpoint}; --resume continues from it"))
    print_fields(fields, stderr=descriptor_of(str(options.output)) == 1)


def draw(path: Path, progress: TrainingProgress, panel: Callable[[Any], None] | None) -> None:
    """Write a figure of the learning curve and, if given, another panel."""
    from cbackprop import plot

    figure = require("matplotlib.figure", "plot").Figure(figsize=(5 if panel is None else 10, 4), layout="constrained")
    axes = figure.subplots(1, 1 if panel is None else 2, squeeze=False)[0]
    plot.learning_curve(progress.losses, held_out=progress.held_out or None, ax=axes[0])
    if panel is not None:
        panel(axes[1])
    save_figure(figure, path)

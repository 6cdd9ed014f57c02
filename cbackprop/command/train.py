"""`cbackprop train`: train a network on a table, with at most one block of it in memory."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import numpy as np

from cbackprop import DivergenceError, Network
from cbackprop._extras import require
from cbackprop._rates import EpochRates, network_rate
from cbackprop.command import outputs
from cbackprop.command.dataset import Dataset, Split
from cbackprop.command.evaluate import Measures, Predictions, compare, measures_of
from cbackprop.command.inputs import Inputs
from cbackprop.command.messages import describe_task, format_duration
from cbackprop.command.options import AUTO, TrainOptions
from cbackprop.command.signals import SignalGuard, signal_handler
from cbackprop.command.tables import Table
from cbackprop.command.terminal import print_fields, print_table, progress_bar
from cbackprop.files.checkpoint import Checkpointer
from cbackprop.files.model_file import encode

CHECKPOINT_INTERVAL = 10  # seconds
# options that may change with --resume
VARIABLE = {"data", "format", "max_line", "on_bad_row", "threads", "quiet", "epochs", "output", "plot", "checkpoint"}
VARIABLE |= {"resume"}
UNFINISHED = {"blocks": 0, "E_training": 0.0, "E_held_out": 0.0}  # of an epoch: blocks learned, sums over their rows


def run(options: TrainOptions) -> None:
    """Train a network and save it; a signal stops the training early, but the model is saved."""
    files = {"--output": options.output, "--plot": options.plot, "--checkpoint": options.checkpoint}
    if options.progressive:
        options = replace(options, epochs=1, validation=0.0)
    outputs.check_distinct({"the table": options.data, **files})
    outputs.check_output("--output", options.output)
    outputs.check_output("--checkpoint", options.checkpoint, standard=False)
    outputs.check_figure("--plot", options.plot)
    training = Training(options)
    interrupt = training.learn_and_save()
    training.report(stopped=interrupt is not None)
    if interrupt is not None:
        epoch = min(len(training.losses) + 1, options.epochs)
        saved = f"{outputs.name_of(options.output)} is saved"
        raise type(interrupt)(f"in epoch {epoch} of {options.epochs}; {saved}")


class Training:
    """A training: its table, its network, and what it has learned."""

    def __init__(self, options: TrainOptions) -> None:
        self.options = options
        self.seconds: dict[str, float] = {}  # by stage
        self.losses: list[float] = []  # mean E of each finished epoch ...
        self.held_out: list[float] = []  # ... and of held-out rows, each block evaluated right after learning it
        self.unfinished: dict[str, Any] = dict(UNFINISHED)
        with self.stage("reading") as update:
            self.table = Table(options, update)
            self.dataset = dataset = Dataset(self.table, options)
        self.sparse = self.table.sparse or options.hash is not None  # rows are learned by their non-zeros
        self.adaptive = options.learning_rate == AUTO
        self.in_epochs = self.adaptive and options.epochs > 1  # rates fall; those of a stream are constant
        self.epoch_rates = EpochRates(dataset.D, options.epochs, -(-dataset.n_training // options.batch_size))
        self.rng = np.random.default_rng([options.seed, 0])
        self.network = Network(
            dataset.D,
            options.hidden,
            1 if dataset.regression else len(dataset.classes),
            output="linear" if dataset.regression else "softmax",
            hidden=options.activation or ("tanh" if self.adaptive else "sigmoid"),  # type: ignore[arg-type] # an Enum
            learning_rate=self.rate(0),
            adaptive=self.adaptive,
            dtype=np.float32 if self.sparse else np.float64,
            order="F" if self.sparse else "C",
            rng=self.rng,
        )
        self.model = replace(self.network._model(), **dataset.metadata)
        encode(self.model)  # raises before the training if a model file cannot hold the names
        dataset.inputs = Inputs(self.table, self.model, options.output)
        self.predictions = Predictions(self.model, options.threads)
        self.progressive = measures_of(self.predictions)
        self.checkpointer = self.make_checkpointer()

    def rate(self, epoch: int) -> float:
        """Return the learning rate after so many epochs."""
        if not self.adaptive:
            return self.options.learning_rate
        rate = self.epoch_rates.rate(epoch) if self.in_epochs else network_rate(self.dataset.D)
        return rate / self.dataset.size

    @contextmanager
    def stage(self, name: str, **options: Any) -> Iterator[Callable[..., None]]:
        """Show a progress bar, and measure the time."""
        started = perf_counter()
        try:
            with progress_bar(name, quiet=self.options.quiet, **options) as update:
                yield update
        finally:
            self.seconds[name] = perf_counter() - started

    def make_checkpointer(self) -> Checkpointer:
        """Create what writes checkpoints, and restore the state that --resume continues."""
        options, path = self.options, self.options.checkpoint
        kept = {field.name: getattr(options, field.name) for field in fields(options) if field.name != "activation"}
        kept |= {"target": self.dataset.target, "activation": self.network.hidden}
        settings = {f"--{name.replace('_', '-')}": str(kept[name]) for name in kept if name not in VARIABLE}
        if path is not None:
            settings["data"] = self.dataset.fingerprint()
        checkpointer = Checkpointer(path, self.model, self.losses, self.rng, settings, held_out=self.held_out)
        if options.resume and (state := checkpointer.restore(options.epochs)) is not None:
            if not all(type(state.get(name)) is type(value) for name, value in UNFINISHED.items()):
                raise ValueError(f"{path} does not store the progress of the training; it cannot be resumed")
            self.unfinished = state
        return checkpointer

    @property
    def learned(self) -> bool:
        return bool(self.losses or self.unfinished["blocks"])

    def learn_and_save(self) -> KeyboardInterrupt | None:
        """Learn until the last epoch or a signal, which is returned; save what was learned, whatever happens."""
        interrupt, failure, guard = None, None, SignalGuard()
        with signal_handler(guard, signal.SIGINT, signal.SIGTERM):
            try:
                try:
                    guard.armed = True
                    self.learn()
                finally:
                    guard.armed = False
            except KeyboardInterrupt as error:  # `fit` stops after a complete sample
                interrupt = error
            except (ArithmeticError, MemoryError, OSError, ValueError) as error:
                if not self.learned:
                    raise
                failure = error
            self.save(failure)
        return interrupt

    def learn(self) -> None:
        """Learn every block in turn, up to a total number of epochs."""
        dataset, epochs = self.dataset, self.options.epochs
        n_rows, done = dataset.n_training + dataset.n_held_out, len(self.losses)
        self.table.on_read = lambda note: None
        with self.stage("learning", total=epochs * n_rows, completed=done * n_rows) as update:
            for epoch in range(done + 1, epochs + 1):
                self.network.learning_rate = self.rate(epoch - 1)
                if self.in_epochs and not self.unfinished["blocks"]:
                    for sums in self.network.accumulators or ():
                        sums *= self.epoch_rates.memory
                for number, (training, held_out) in enumerate(dataset.splits(), 1):
                    if number > self.unfinished["blocks"]:
                        if len(training.t):
                            self.learn_block(epoch, training, update)
                        if len(held_out.t):
                            self.unfinished["E_held_out"] += len(held_out.t) * self.network.loss(held_out.x, held_out.t)
                        self.unfinished["blocks"] = number
                        self.checkpoint()
                    update(advance=len(training.t) + len(held_out.t))
                self.losses.append(self.unfinished["E_training"] / dataset.n_training)
                if dataset.n_held_out:
                    self.held_out.append(self.unfinished["E_held_out"] / dataset.n_held_out)
                self.unfinished = dict(UNFINISHED)
                self.checkpoint()
                update(f"epoch {epoch} of {epochs}, E {self.losses[-1]:.4g}")

    def learn_block(self, epoch: int, rows: Split, update: Callable[..., None]) -> None:
        """Learn rows, in a random order or progressively."""
        options, (x, t, weight) = self.options, rows
        try:
            if options.progressive:
                E = self.learn_in_order(x, t, weight)
                update(", ".join(f"{name} {value}" for name, value, _ in compare([self.progressive])))
            elif not weight.any():
                E = self.network.loss(x, t)
            else:
                fit = partial(self.network.fit, batch_size=options.batch_size, n_threads=options.threads or 1)
                penalized = self.in_epochs and not (self.dataset.regression or self.sparse)
                weights = weight if options.weight or options.class_weight else None
                l2 = self.epoch_rates.penalty_of(weights, options.batch_size) if penalized else 0
                E = fit(x, t, rng=self.rng, sample_weight=weights, l2=l2).losses[0]
        except DivergenceError:
            remedy = "--learning-rate 0.001" if self.network.adaptive else "a smaller --learning-rate"
            remedy += "" if options.standardize else ", or --standardize"
            raise DivergenceError(f"learning diverged in epoch {epoch}: try {remedy}") from None
        self.unfinished["E_training"] += len(t) * E

    def learn_in_order(self, x: Any, t: np.ndarray, weight: np.ndarray) -> float:
        """Predict each row, then learn it; return the mean error."""
        network, predictions, sparse = self.network, self.predictions, hasattr(x, "indptr")
        kind = "predict_proba_one" if predictions.output.probabilities else "predict_one"
        predict, learn = (getattr(network, name + "_sparse" * sparse) for name in (kind, "learn_one"))
        y, E = np.empty((len(t), predictions.K)), 0.0
        for n, (t_n, weight_n) in enumerate(zip(t.tolist(), weight.tolist(), strict=True)):
            row = slice(*x.indptr[n : n + 2]) if sparse else n
            x_n = (x.indices[row], x.data[row]) if sparse else (x[row],)
            y[n] = predict(*x_n)
            E += learn(*x_n, t_n, weight_n)
        self.measure(self.progressive, y, t)
        return E / len(t)

    def measure(self, measures: Measures, y: np.ndarray, t: np.ndarray) -> None:
        """Compare what the network predicted with scaled targets or classes."""
        if self.dataset.regression:
            y, t = self.predictions.unscaled(y), self.predictions.unscaled(t[:, np.newaxis])
        measures.update(y, t)

    def checkpoint(self) -> None:
        """Take a snapshot, and write it if the last one is old."""
        self.checkpointer.update(**self.unfinished)
        if monotonic() - self.checkpointer.written > CHECKPOINT_INTERVAL:
            self.checkpointer.write()

    def save(self, failure: Exception | None) -> None:
        """Write model and checkpoint, each even if the other fails; then raise all errors as one."""
        output, checkpoint = self.options.output, self.options.checkpoint
        writers: dict[str, Callable[[], None]] = {outputs.name_of(output): self.write_model}
        if checkpoint is not None and self.learned:
            writers[str(checkpoint)] = self.checkpointer.write
        errors, saved = [] if failure is None else [failure], []
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

    def write_model(self) -> None:
        with outputs.open_output(self.options.output) as file:
            file.write(encode(self.model))

    def report(self, *, stopped: bool) -> None:
        """Print a summary, with measures of training rows and held-out rows; draw the figure."""
        options, dataset, stderr = self.options, self.dataset, self.options.output == outputs.STANDARD
        if options.quiet and options.plot is None:
            return
        measures = [] if stopped else self.evaluate()
        if options.plot is not None and self.losses:
            self.draw(options.plot, measures)
        if options.quiet:
            return
        parts = ", ".join(f"{name} {format_duration(seconds)}" for name, seconds in self.seconds.items())
        shown = {
            "task": describe_task(self.model),
            "rows": f"{dataset.n_training:,} training, {dataset.n_held_out:,} held out",
            "skipped": self.table.bad_rows,
            "inputs": dataset.inputs.description,
            "network": repr(self.network),
            "epochs": f"{len(self.losses)} of {options.epochs}" + (", interrupted" if stopped else ""),
            "E, training": self.losses and f"{self.losses[-1]:.4g}",
            "model": outputs.name_of(options.output),
            "figure": self.losses and options.plot,
            "checkpoint": options.checkpoint and f"{options.checkpoint}; --resume continues from it",
            "time": f"{format_duration(sum(self.seconds.values()))}: {parts}",
        }
        print_fields(((name, value) for name, value in shown.items() if value), stderr=stderr)
        if measures:
            columns = ["", "progressive" if options.progressive else "training", "held out"][: 1 + len(measures)]
            print_table([*columns, measures[0].baseline], compare(measures), stderr=stderr)

    def evaluate(self) -> list[Measures]:
        """Return measures of training rows and, if there are any, held-out rows."""
        dataset, predictions = self.dataset, self.predictions
        if self.options.progressive:
            return [self.progressive]
        measures = [measures_of(predictions) for _ in range(2 if dataset.n_held_out else 1)]
        with self.stage("evaluating") as update:
            self.table.on_read = update
            for parts in dataset.splits():
                for measure, (x, t, _) in zip(measures, parts, strict=False):
                    if len(t):
                        self.measure(measure, predictions.outputs(x), t)
        return measures

    def draw(self, path: Path, measures: list[Measures]) -> None:
        """Write a figure of the learning curve and of the predictions, for held-out rows if there are any."""
        from cbackprop import plot

        rows = "held-out rows" if len(measures) == 2 else "training rows"
        with self.stage("drawing"):
            n_panels = 1 + any(measure.drawable for measure in measures)
            figure = require("matplotlib.figure", "plot").Figure(figsize=(5 * n_panels, 4), layout="constrained")
            axes = figure.subplots(1, n_panels, squeeze=False)[0]
            plot.learning_curve(self.losses, held_out=self.held_out or None, ax=axes[0])
            if n_panels == 2:
                measures[-1].draw(rows, axes[1])
            outputs.save_figure(figure, path)

"""How far the training of a table has come, and the file that keeps it."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from cbackprop._checkpoint import rng_state, take_up
from cbackprop._model_file import Model, save_model

SECONDS = 10  # from one writing of the checkpoint to the next, at least
PARTS = ("chunks", "E_training", "E_held_out")  # what a checkpoint tells of an epoch that is not finished


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

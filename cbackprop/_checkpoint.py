"""Checkpoints: model files that also hold how far a training had come, and all that the rest of it depends on.

The state kept is one between two epochs; what was learned since is learned again. So the bits at the end are those of
a training that was never cut, wherever and however often it was.
"""

from __future__ import annotations  # NumPy imports its random numbers when they are named: not before

import os
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from . import _gate as gate

if TYPE_CHECKING:
    from ._model_file import Model

FINGERPRINTED = 1000  # rows of the data that are looked at

# NumPy looks up numbers at these positions without a check. All else may be any number.
LARGEST = {"pos": 624, "buffer_pos": 4, "has_uint32": 1, "uinteger": 2**32 - 1}


class Checkpoint:
    """The file in which `fit` keeps its state.

    Parameters
    ----------
    path : path-like or None
        The file; None to keep nothing.
    every : int
        Epochs from one writing to the next. The latest state is written at the end, too, whatever ends it.
    resume : bool
        Begin with the state in the file, if there is one.
    changing : tuple of ndarray
        w, v and, with momentum, its velocities for both: what an epoch changes, in place ...
    losses, generator
        ... and what else.
    epochs : int
        How many there are to be.
    data : tuple of ndarray or None
        What is learned from.
    settings : dict
        What else must be the same in all parts of the training, as JSON can hold it.
    """

    def __init__(
        self,
        path: Any,
        every: Any,
        resume: Any,
        changing: tuple[np.ndarray, ...],
        losses: list[float],
        generator: np.random.Generator,
        epochs: int,
        data: tuple[np.ndarray | None, ...],
        settings: dict[str, Any],
    ) -> None:
        # absolute: a callback may go to another folder
        self.path = None if path is None else os.path.abspath(gate.new_file("checkpoint", path))
        self.every = gate.count("checkpoint_every", every)
        self.resume = gate.flag("resume", resume)
        if self.path is None:
            if self.resume:
                raise ValueError("resume is True and checkpoint is None; it must be the file to resume from")
            return
        self.changing, self.losses, self.generator, self.epochs = changing, losses, generator, epochs
        self.settings = settings | {"data": fingerprint(*data)}
        rng_state(generator)
        self.unwritten: tuple[list[np.ndarray], int, dict[str, Any]] | None = None

    def begin(self) -> None:
        """Take up what there is to resume."""
        if self.resume and self.path is not None and os.path.exists(self.path):
            model = take_up(self.path, self.changing, self.generator, self.epochs, self.settings)
            self.losses += np.asarray(model.losses).tolist()

    def end(self, error: BaseException | None) -> None:
        """Write the latest state, after the error that ended the training."""
        try:
            self.write()
        except (OSError, ValueError) as failure:  # ValueError: a callback may have left what is not finite
            if error is None:
                raise
            error.add_note(f"The checkpoint was not written: {failure}")

    def epoch_ended(self) -> None:
        """Keep the state of now."""
        if self.path is not None:
            now = [array.copy() for array in self.changing]
            self.unwritten = now, len(self.losses), rng_state(self.generator)
            if len(self.losses) % self.every == 0:
                self.write()

    def write(self) -> None:
        """Write the latest state."""
        if self.path is None or self.unwritten is None:
            return
        from ._model_file import Model, save_model

        (w, v, *velocity), epochs, rng = self.unwritten
        training = {"settings": self.settings, "rng": rng}
        u_w, u_v = velocity or (None, None)
        losses = np.array(self.losses[:epochs])
        model = Model(
            w, v, self.settings["learning_rate"], losses=losses, velocity_w=u_w, velocity_v=u_v, training=training
        )
        save_model(self.path, model)
        self.unwritten = None


def take_up(
    path: str | os.PathLike[str],
    changing: tuple[np.ndarray, ...],
    generator: np.random.Generator,
    epochs: int,
    settings: dict[str, Any],
) -> Model:
    """Put what a checkpoint holds in the place of ours; change nothing if it does not belong here."""
    from ._model_file import load_model

    model = load_model(path)
    if model.training is None or model.losses is None:
        raise ValueError(f"{path} is a model without a state of training to resume from")
    saved = model.training.get("settings")
    if not isinstance(saved, dict) or saved.keys() != settings.keys():
        raise ValueError(f"{path} is the checkpoint of another kind of training")
    for name, value in settings.items():
        if type(saved[name]) is not type(value):
            raise ValueError(f"{path} does not tell {name}")
        if type(value) is float:  # earlier releases kept it as it was given
            saved[name] = gate.rounded(saved[name], changing[0].dtype)
        if saved[name] != value:
            raise ValueError(f"{name} is {value!r}; it must stay {saved[name]!r}, with which {path} was made")
    theirs = model.w, model.v, model.velocity_w, model.velocity_v
    for name, here, there in zip(("w", "v", "velocity[0]", "velocity[1]"), changing, theirs, strict=False):
        if there is None:
            raise ValueError(f"{path} holds no velocity to resume with momentum from")
        if (here.shape, here.dtype) != (there.shape, there.dtype):
            raise ValueError(f"{name} is {here.dtype} {here.shape}; {path} has {there.dtype} {there.shape}")
    if len(model.losses) > epochs:
        raise ValueError(f"epochs is {epochs}; {path} has learned {len(model.losses)} already")
    set_rng_state(path, generator, model.training.get("rng"))
    for here, there in zip(changing, theirs, strict=False):
        here[:] = there
    return model


def fingerprint(*data: np.ndarray | None) -> str:
    """Shapes, and a checksum of some rows: data of another size or order, or other data, hardly have the same."""
    total, shapes = 0, []
    for array in data:
        if array is not None:
            shapes.append("x".join(map(str, array.shape)))
            some = array[:: -(-len(array) // FINGERPRINTED)]
            total = crc32(some.astype("<f8" if array.dtype.kind == "f" else "<i8").tobytes(), total)
    return f"{', '.join(shapes)}, checksum {total:08x}"


def rng_state(generator: np.random.Generator) -> dict[str, Any]:
    """The state of its bit generator, as JSON can hold it."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(part) for name, part in value.items()}
        if isinstance(value, np.ndarray) and value.dtype.kind == "u":
            return value.tolist()
        if isinstance(value, (int, str)):
            return value
        raise TypeError(f"rng has a {type(generator.bit_generator).__name__}, whose state a checkpoint can't hold")

    return plain(generator.bit_generator.state)


def repeats_itself(state: dict[str, Any]) -> bool:
    """Whether a state that NumPy takes is none from a seed, and its numbers may be one for ever: no shuffle would end.

    SFC64 and Philox count as they go, and have no such states.
    """
    if "inc" in state:  # of PCG64 and PCG64DXSM: odd, or the period is not the full one
        return state["inc"] % 2 == 0
    if "pos" in state:  # of MT19937: one number in its table is not 0; of the first only the highest bit counts
        return state["key"][0] < 2**31 and not any(state["key"][1:])
    return False


def set_rng_state(path: str | os.PathLike[str], generator: np.random.Generator, saved: Any) -> None:
    """Go back to what `rng_state` returned for a generator of this kind."""

    def fits(name: str, ours: Any, value: Any) -> bool:
        if isinstance(ours, dict):
            return (
                isinstance(value, dict)
                and ours.keys() == value.keys()
                and all(fits(part, ours[part], value[part]) for part in ours)
            )
        if isinstance(ours, list):
            return isinstance(value, list) and len(value) == len(ours) and all(fits("", 0, each) for each in value)
        if isinstance(ours, str):
            return bool(value == ours)
        return type(value) is int and 0 <= value <= LARGEST.get(name, 2**128 - 1)

    kind = type(generator.bit_generator).__name__
    if not fits("", rng_state(generator), saved):
        raise ValueError(f"rng is a {kind}; {path} does not hold a state of one")
    if repeats_itself(saved["state"]):
        raise ValueError(f"{path} does not hold a state of a {kind} from a seed: its numbers would soon repeat")
    try:
        generator.bit_generator.state = saved
    except (ValueError, OverflowError, TypeError) as error:
        raise ValueError(f"{path} does not hold a state of a {kind}: {error}") from None

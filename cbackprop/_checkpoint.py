"""Checkpoints: model files that also hold the state of a training.

A snapshot is taken between two steps of a training, such as epochs, and holds everything that later steps depend on. So
a resumed training ends with the same bits as an uninterrupted one.
"""

from __future__ import annotations  # annotations that name numpy.random must not import it

import os
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any
from zlib import crc32

import numpy as np

from . import _validation as validate
from ._model_file import Model, load_model, save_model

FINGERPRINT_ROWS = 1000  # rows of the data in a checksum

# settings that earlier releases did not save
DEFAULTS = validate.Functions()._asdict() | {"adaptive": False}
DEFAULTS |= {"--task": "classification", "--activation": validate.Functions().hidden, "--hash": 0}

# Upper bounds of the numbers in the state of a bit generator: NumPy uses some as indices without checking them.
MAX_STATE = {"pos": 624, "buffer_pos": 4, "has_uint32": 1, "uinteger": 2**32 - 1}


class Checkpointer:
    """Saves the state of a training to a file and restores it.

    The arguments are the objects that the training itself uses: `update` copies them, and `restore` overwrites them.

    Parameters
    ----------
    path : path-like or None
        The file. With None, all methods do nothing.
    model : Model
        Weights and state arrays, and whatever else is to be saved with them.
    losses : list of float
        Mean E of each finished epoch.
    generator : numpy.random.Generator
        Source of all further random numbers.
    settings : dict
        Values, serializable as JSON, that must be equal when the training is resumed.
    held_out : list of float, optional
        Mean E of held-out samples after each finished epoch.
    files : pair of callable
        How a model is loaded and saved.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        model: Model,
        losses: list[float],
        generator: np.random.Generator,
        settings: dict[str, Any],
        *,
        held_out: list[float] | None = None,
        files: tuple[Callable[..., Any], Callable[..., None]] = (load_model, save_model),
    ) -> None:
        self.path = path
        # absolute, since a callback may change the working directory
        self._file = "" if path is None else os.path.abspath(path)
        self.model, self.losses, self.held_out = model, losses, held_out
        self.generator, self.settings = generator, settings
        self._load, self._save = files
        if self.path is not None:
            rng_state(generator)  # raises TypeError if it cannot be saved
        self.snapshot: tuple[Model, int] | None = None  # copies, and the number of finished epochs
        self.written = monotonic()

    def restore(self, epochs: int) -> dict[str, Any] | None:
        """Restore the state from the file; return the `extra` state of `update`, or None if there is no file.

        Raise ValueError, with nothing changed, if the file is that of another training or of more than `epochs` epochs.
        """
        if self.path is None or not os.path.exists(self._file):
            return None
        saved = self._load(self._file)
        if saved.training is None or saved.losses is None:
            raise ValueError(f"{self.path} is a model without a state of training; it cannot be resumed")
        self._check_settings(saved.training.get("settings"), {"--hidden": len(saved.w)})
        ours, theirs = (named_arrays({"w": m.w, "v": m.v} | m.states) for m in (self.model, saved))
        for name, here in ours.items():
            if name not in theirs:
                raise ValueError(f"{self.path} does not hold {name}; it cannot be resumed with momentum")
            there = theirs[name]
            if (here.shape, here.dtype) != (there.shape, there.dtype):
                raise ValueError(f"{name} is {here.dtype} {here.shape}; {self.path} has {there.dtype} {there.shape}")
        if len(saved.losses) > epochs:
            raise ValueError(f"epochs is {epochs}; {self.path} has finished {len(saved.losses)} already")
        if self.held_out is not None and (
            saved.held_out is None or len(saved.held_out) not in (0, len(saved.losses))  # 0: no samples held out
        ):
            raise ValueError(f"{self.path} does not hold the losses of held-out samples, one for each epoch")
        set_rng_state(self.path, self.generator, saved.training.get("rng"))
        for name, here in ours.items():
            here[:] = theirs[name]
        self.losses[:] = saved.losses.tolist()
        if self.held_out is not None and saved.held_out is not None:
            self.held_out[:] = saved.held_out.tolist()
        return {name: value for name, value in saved.training.items() if name not in ("settings", "rng")}

    def _check_settings(self, saved: Any, implied: dict[str, Any]) -> None:
        if not isinstance(saved, dict):
            raise ValueError(f"{self.path} is the checkpoint of another kind of training")
        defaults = DEFAULTS | implied
        saved = {name: value for name, value in defaults.items() if name in self.settings} | saved
        if saved.keys() != self.settings.keys():
            raise ValueError(f"{self.path} is the checkpoint of another kind of training")
        for name, value in self.settings.items():
            there = saved[name]
            kinds = {type(there), type(value)}
            if len(kinds) > 1 and kinds != {float, str}:  # a learning rate, or "auto"
                raise ValueError(f"{self.path} does not hold {name}")
            if kinds == {float}:  # earlier releases saved the value before rounding
                value, there = (validate.rounded(number, self.model.w[0].dtype) for number in (value, there))
            if there != value:
                here, there = self.settings[name], saved[name]  # for each network of an ensemble, maybe
                raise ValueError(f"{name} is {here!r:.500}; it must stay {there!r:.500}, as in {self.path}")

    def update(self, **extra: Any) -> None:
        """Take a snapshot, with extra state that JSON can represent."""
        if self.path is not None:
            training = {"settings": self.settings, "rng": rng_state(self.generator)} | extra
            w, v, states = (copies(getattr(self.model, name)) for name in ("w", "v", "states"))
            model = replace(self.model, w=w, v=v, states=states, training=training)
            self.snapshot = model, len(self.losses)

    def write(self) -> None:
        """Write the latest snapshot if it has not been written yet."""
        if self.path is None or self.snapshot is None:
            return
        model, epochs = self.snapshot
        held_out = None if self.held_out is None else np.array(self.held_out[:epochs])
        model = replace(model, losses=np.array(self.losses[:epochs]), held_out=held_out)
        try:
            self._save(self._file, model)
        except OSError as error:
            raise OSError(error.errno, error.strerror, os.fspath(self.path)) from None  # as the caller named it
        self.snapshot = None
        self.written = monotonic()

    def close(self, error: BaseException | None) -> None:
        """Write the latest snapshot. If that fails after `error`, add a note to it instead of raising."""
        try:
            self.write()
        except (OSError, ValueError) as failure:  # ValueError: a callback made weights non-finite
            if error is None:
                raise
            error.add_note(f"The checkpoint was not written: {failure}")


def copies(arrays: Any) -> Any:
    """Copies of an array, or of those in tuples and by name."""
    if isinstance(arrays, dict):
        return {name: copies(each) for name, each in arrays.items()}
    return tuple(map(copies, arrays)) if isinstance(arrays, tuple) else arrays.copy("K")


def named_arrays(arrays: dict[str, Any]) -> dict[str, np.ndarray]:
    """Arrays by name, with those in tuples one by one."""
    found: dict[str, np.ndarray] = {}
    for name, each in arrays.items():
        if isinstance(each, tuple):
            found |= named_arrays({f"{name}[{number}]": array for number, array in enumerate(each)})
        else:
            found[name] = each
    return found


def fingerprint(*data: np.ndarray | None) -> str:
    """Shapes of arrays and a checksum of some rows, which differ for almost all other data or another order."""
    total, shapes = 0, []
    for array in data:
        if array is not None:
            shapes.append("x".join(map(str, array.shape)))
            sampled = array[:: max(1, -(-len(array) // FINGERPRINT_ROWS))]
            kind = "<f8" if array.dtype.kind == "f" else "<i8"
            for row in sampled.reshape(len(sampled), -1) if sampled.size else ():
                for start in range(0, len(row), validate.SLICE):
                    total = crc32(np.ascontiguousarray(row[start : start + validate.SLICE], kind).data, total)
    return f"{', '.join(shapes)}, checksum {total:08x}"


def rng_state(generator: np.random.Generator) -> dict[str, Any]:
    """The state of a bit generator in a form that JSON can represent."""

    def to_json(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: to_json(part) for name, part in value.items()}
        if isinstance(value, np.ndarray) and value.dtype.kind == "u":
            return value.tolist()
        if isinstance(value, (int, str)):
            return value
        raise TypeError(f"rng has a {type(generator.bit_generator).__name__}, whose state a checkpoint cannot hold")

    return to_json(generator.bit_generator.state)


def is_degenerate(state: dict[str, Any]) -> bool:
    """Whether a state has a short period: it may repeat one number for ever, so that a shuffle never ends.

    NumPy accepts such states, although no seed leads to one. SFC64 and Philox contain a counter and have none.
    """
    if "inc" in state:  # PCG64, PCG64DXSM: only an odd increment has the full period
        return state["inc"] % 2 == 0
    if "pos" in state:  # MT19937: the table must not be all 0; only the highest bit of its first number counts
        return state["key"][0] < 2**31 and not any(state["key"][1:])
    return False


def set_rng_state(path: str | os.PathLike[str], generator: np.random.Generator, saved: Any) -> None:
    """Restore a state that `rng_state` returned for a bit generator of the same type."""

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
        return type(value) is int and 0 <= value <= MAX_STATE.get(name, 2**128 - 1)

    kind = type(generator.bit_generator).__name__
    if not fits("", rng_state(generator), saved):
        raise ValueError(f"rng is a {kind}; {path} does not hold a state of this type")
    if is_degenerate(saved["state"]):
        raise ValueError(f"{path} does not hold a state of a {kind} with the full period: its numbers would repeat")
    try:
        generator.bit_generator.state = saved
    except (ValueError, OverflowError, TypeError) as error:
        raise ValueError(f"{path} does not hold a state of a {kind}: {error}") from None

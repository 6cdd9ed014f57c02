"""Checkpoints: model files that also hold the state of a training.

A snapshot is taken between two steps of a training, such as epochs, and holds everything that later steps depend on. So
a resumed training ends with the same bits as an uninterrupted one.
"""

from __future__ import annotations  # annotations that name numpy.random must not import it

import json
import os
from copy import deepcopy
from dataclasses import replace
from time import monotonic
from typing import Any
from zlib import crc32

import numpy as np

from .. import _validation as validate
from .model_file import Model, load_model, save_model

FINGERPRINT_ROWS = 1000  # rows of the data in a checksum

MOST = {"pos": 624, "buffer_pos": 4, "has_uint32": 1}  # in a state: NumPy uses these as indices without checking them


class Checkpointer:
    """Saves the state of a training to a file, if there is a path, and restores it.

    The arguments are the objects that the training itself uses: `update` copies them, and `restore` overwrites them.
    The losses, and those of held-out samples, are the mean E of each finished epoch. The settings, which JSON can
    represent, must be equal when the training is resumed.
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
    ) -> None:
        self.path = path
        # absolute, since a callback may change the working directory
        self._file = "" if path is None else os.path.abspath(path)
        self.model, self.losses, self.held_out = model, losses, held_out
        self.generator, self.settings = generator, settings
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
        saved = load_model(self._file, ensemble=bool(self.model.hidden))
        if saved.training is None or saved.losses is None:
            raise ValueError(f"{self.path} is a model without a state of training; it cannot be resumed")
        self._check_settings(saved, saved.training.get("settings"))
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

    def _check_settings(self, model: Model, saved: Any) -> None:
        if not (isinstance(saved, dict) and saved.keys() == self.settings.keys()):
            raise ValueError(f"{self.path} is the checkpoint of another kind of training")
        saved = settings_of_networks(model) | saved
        for name, here in (settings_of_networks(self.model) | self.settings).items():
            there = saved[name]
            kinds = {type(there), type(here)}
            if len(kinds) > 1 and kinds != {float, str}:  # a learning rate, or "auto"
                raise ValueError(f"{self.path} does not hold {name}")
            if there != here:
                raise ValueError(f"{name} is {here!r:.500}; it must stay {there!r:.500}, as in {self.path}")

    def update(self, **extra: Any) -> None:
        """Take a snapshot, with extra state that JSON can represent."""
        if self.path is not None:
            training = {"settings": self.settings, "rng": rng_state(self.generator)} | extra
            self.snapshot = replace(deepcopy(self.model), training=training), len(self.losses)

    def write(self) -> None:
        """Write the latest snapshot if it has not been written yet."""
        if self.path is None or self.snapshot is None:
            return
        model, epochs = self.snapshot
        held_out = None if self.held_out is None else np.array(self.held_out[:epochs])
        model = replace(model, losses=np.array(self.losses[:epochs]), held_out=held_out)
        try:
            save_model(self._file, model)
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


def settings_of_networks(model: Model) -> dict[str, Any]:
    """Settings of an ensemble's networks, which the file holds as tensors."""
    if not model.hidden:
        return {}
    return {
        "learning_rates": model.learning_rate.astype(model.w[0].dtype).tolist(),
        "hidden": ",".join(model.hidden),
        "n_hidden": ",".join(str(len(w_r)) for w_r in model.w),
    }


def named_arrays(arrays: dict[str, Any]) -> dict[str, np.ndarray]:
    """Arrays by name, with those in tuples one by one."""
    found: dict[str, np.ndarray] = {}
    for name, each in arrays.items():
        parts = {f"{name}[{number}]": array for number, array in enumerate(each)} if isinstance(each, tuple) else {}
        found |= named_arrays(parts) or {name: each}
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
    try:
        return json.loads(json.dumps(generator.bit_generator.state, default=np.ndarray.tolist))
    except TypeError:
        kind = type(generator.bit_generator).__name__
        raise TypeError(f"rng has a {kind}, whose state a checkpoint cannot hold") from None


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
    kind, trial = type(generator.bit_generator).__name__, deepcopy(generator)
    try:
        trial.bit_generator.state = saved
        numbers = saved | saved["state"]
        usable = rng_state(trial) == saved and all(0 <= numbers.get(name, 0) <= most for name, most in MOST.items())
    except (ValueError, OverflowError, TypeError, LookupError, AttributeError):
        usable = False
    if not usable or is_degenerate(saved["state"]):
        raise ValueError(f"rng is a {kind}; {path} does not hold a state of a {kind} with its full period")
    generator.bit_generator.state = saved

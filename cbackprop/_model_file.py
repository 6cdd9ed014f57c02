"""Model files: safetensors with the tensors w and v, and what is needed beside them to use the network, or to go on.

They may come from anywhere. So the reader is the library's own: it knows all that may be in a file, checks sizes before
it makes room, and reads numbers to where they stay. The safetensors package would map the file into memory beside them
and take the last of two tensors with one name.
"""

import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EINVAL
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np

from . import _gate as gate

FORMAT, VERSION = "cbackprop", 1
LONGEST_HEADER = 1 << 20  # bytes; as JSON objects they may take thirty times the room
DIMENSIONS = {"w": 2, "v": 2, "velocity_w": 2, "velocity_v": 2, "mean": 1, "scale": 1, "losses": 1, "held_out": 1}
DTYPES: dict[str, np.dtype] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}


@dataclass
class Model:
    """The weights of a network, what a command knew of its data, and how far its training had come."""

    w: np.ndarray
    v: np.ndarray
    learning_rate: float
    classes: list[str] | None = None
    features: list[str] | None = None
    mean: np.ndarray | None = None  # inputs are (x - mean) / scale
    scale: np.ndarray | None = None
    losses: np.ndarray | None = None  # mean E of each epoch, of the samples learned from ...
    held_out: np.ndarray | None = None  # ... and of others
    velocity_w: np.ndarray | None = None  # of momentum, like w and v
    velocity_v: np.ndarray | None = None
    training: dict[str, Any] | None = None  # what it takes to go on, as JSON has it


def save_model(path: str | os.PathLike[str], model: Model) -> None:
    """Write a model file; an existing one is replaced only by a complete new one."""
    write_whole(path, encode(model))


def encode(model: Model) -> bytes:
    """The content of a model file; ValueError if it would not be read again."""
    from safetensors.numpy import save

    metadata = {
        "format": FORMAT,
        "format_version": str(VERSION),
        "learning_rate": repr(model.learning_rate),
    }
    for name in ("classes", "features", "training"):
        if (value := getattr(model, name)) is not None:
            metadata[name] = json.dumps(value)
    tensors = {}
    for name, dimensions in DIMENSIONS.items():
        if (values := getattr(model, name)) is not None:
            tensors[name] = values if dimensions == 2 else np.asarray(values, np.float64)
    _model(metadata, dict(tensors))
    content = save(tensors, metadata)
    if int.from_bytes(content[:8], "little") > LONGEST_HEADER:
        raise ValueError(f"the names of classes and features take more than {LONGEST_HEADER:,} bytes")
    return content


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file as `whole_file` does."""
    with whole_file(path) as file:
        file.write(content)


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file to be written; under its name there is the old content or the new, never a part, whatever happens.

    The mode of a file that is replaced stays, and so does a link to it.

    Raises
    ------
    OSError
        If it cannot be written. What was there is still there.
    """
    path = gate.file_path("path", path)
    partial = ""
    try:
        mode = gate.replaceable(path)
        target = os.path.realpath(path)
        partial = gate.partial_path(target)
        with open(partial, "xb", opener=_privately if mode is not None else None) as file:
            if mode is not None and os.name == "posix":
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException as error:
        try:
            _remove(partial)
        except KeyboardInterrupt:  # once more: Polars and Python may both tell of one
            _remove(partial)
        if isinstance(error, OSError):
            reason = f"{error.strerror or error}; nothing was written, and what was there is unchanged"
            raise OSError(error.errno, reason, path) from None
        raise
    try:
        _flush_folder(os.path.dirname(target))  # the new name lasts once the folder is written, too
    except OSError as error:
        if error.errno != EINVAL:  # a file system that knows no such thing
            reason = f"{error.strerror}; it was written, but may be the old one again after a crash of the system"
            raise OSError(error.errno, reason, path) from None


def _remove(path: str) -> None:
    if os.path.exists(path):
        os.unlink(path)


def _privately(path: str, flags: int) -> int:
    """Open a new file that nobody else can, until its mode is set."""
    return os.open(path, flags, 0o600)


def _flush_folder(path: str) -> None:
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a model file.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not a model file of this library, or of a newer version.
    """
    path = gate.file_path("path", path)
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(EINVAL, "not a regular file", path)
        try:
            return _model(*_contents(file))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise ValueError(f"{path} is not a model file of this library: {str(error)[:500]}") from None


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes to, too."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _contents(file: BinaryIO) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Metadata and tensors. The layout is that of safetensors: length of the header, header (JSON), numbers."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if length > LONGEST_HEADER:
        raise ValueError(f"its header would be {length} bytes long")
    header = _json(file.read(length).decode())
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not (isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())):
        raise ValueError("its metadata is not text by name")
    _check_version(metadata)
    if not {"w", "v"} <= header.keys() <= DIMENSIONS.keys():
        raise ValueError(f"it holds the tensors {sorted(header)}; it must hold v and w, and may {sorted(DIMENSIONS)}")

    places = {name: _place(name, entry) for name, entry in header.items()}
    spans = sorted(span for _dtype, _shape, span in places.values())
    edges = [(0, 0), *spans, (size - 8 - length,) * 2]
    if any(end != start for (_, end), (start, _) in pairwise(edges)):
        raise ValueError("its tensors do not fill it one after the other")
    tensors = {}
    for name, (dtype, shape, (start, _end)) in places.items():
        array = np.empty(shape, dtype)
        file.seek(8 + length + start)
        if file.readinto(array.view(np.uint8)) != array.nbytes:  # type: ignore[attr-defined]
            raise ValueError("it became shorter")
        tensors[name] = array.astype(dtype.newbyteorder("="), copy=False)
    return metadata, tensors


def _json(text: str) -> Any:
    """JSON without what Python allows beside it."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise ValueError("its JSON has a name twice")
        return members

    def finite(number: str) -> float:
        if not math.isfinite(value := float(number)):
            raise ValueError(f"its JSON has {number}")
        return value

    return json.loads(text, object_pairs_hook=unique, parse_float=finite, parse_constant=finite)


def _check_version(metadata: dict[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise ValueError(f"its format is {metadata.get('format')!r}, not {FORMAT!r}")
    version = metadata["format_version"]
    if not (version.isascii() and version.isdecimal() and int(version) >= 1):
        raise ValueError(f"its format version is {version!r}")
    if int(version) > VERSION:
        raise ValueError(f"its format version is {version}; this release reads up to {VERSION}: upgrade cbackprop")


def _place(name: str, entry: Any) -> tuple[np.dtype, tuple[int, ...], tuple[int, int]]:
    """The dtype and shape of a tensor, and where it begins and ends."""
    if not (isinstance(entry, dict) and entry.keys() == {"dtype", "shape", "data_offsets"}):
        raise ValueError(f"its {name} is not described by dtype, shape and data_offsets")
    for key, size in (("shape", DIMENSIONS[name]), ("data_offsets", 2)):
        numbers = entry[key]
        if not (isinstance(numbers, list) and all(type(number) is int and number >= 0 for number in numbers)):
            raise ValueError(f"its {name} has {key} that are no list of counts")
        if len(numbers) != size:
            raise ValueError(f"its {name} has {len(numbers)} {'dimensions' if key == 'shape' else key}, not {size}")
    if entry["dtype"] not in DTYPES:
        raise ValueError(f"its {name} has dtype {entry['dtype']!r}; it must be F32 or F64")
    dtype = DTYPES[entry["dtype"]]
    start, end = entry["data_offsets"]
    if end - start != math.prod(entry["shape"]) * dtype.itemsize:
        raise ValueError(f"its {name} has shape {entry['shape']} and {end - start} bytes")
    return dtype, tuple(entry["shape"]), (start, end)


def _model(metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> Model:
    """What a file holds, or is about to hold: the values are checked both ways."""
    if unknown := metadata.keys() - {"format", "format_version", "learning_rate", "classes", "features", "training"}:
        raise ValueError(f"its metadata have {sorted(unknown)}, which nothing is known of")
    w, v = tensors.pop("w"), tensors.pop("v")
    gate.weights(w, v, written=False)
    gate.finite_weights(w, v)
    model = Model(w, v, float(metadata["learning_rate"]))
    gate.learning_rate(model.learning_rate, w.dtype)
    D, K = w.shape[1] - 1, len(v)
    for name, size in (("classes", K), ("features", D)):
        if name in metadata:
            setattr(model, name, _names(name, metadata[name], size))
    if tensors.keys() & {"velocity_w", "velocity_v"}:
        velocity = tensors.pop("velocity_w", None), tensors.pop("velocity_v", None)
        gate.velocity(velocity, w, v, 1, ())
        model.velocity_w, model.velocity_v = velocity
    for name, values in tensors.items():
        if values.ndim != 1 or values.dtype != np.float64 or gate.first_not_finite(values) is not None:
            raise ValueError(f"its {name} must be a row of F64 and finite")
        if name in ("mean", "scale") and len(values) != D:
            raise ValueError(f"its {name} must be {D} numbers, not {len(values)}")
        setattr(model, name, values)
    if model.scale is not None and not model.scale.all():
        raise ValueError("its scale holds a 0")
    if "training" in metadata:
        model.training = _json(metadata["training"])
        if not isinstance(model.training, dict):
            raise ValueError("its training is no JSON object")
    return model


def _names(what: str, text: str, size: int) -> list[str]:
    names = _json(text)
    if not (isinstance(names, list) and len(names) == size and all(isinstance(name, str) for name in names)):
        raise ValueError(f"its {what} must be {size} strings")
    if len(set(names)) != size:
        raise ValueError(f"its {what} must be different from each other")
    "".join(names).encode()  # what JSON can hold, but no file or screen
    return names

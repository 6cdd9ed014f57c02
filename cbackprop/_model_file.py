"""Model files: safetensors with the tensors w and v, and all that is needed to use the network or resume its training.

Untrusted model files are safe to load: the reader accepts known content only, checks sizes before it allocates memory,
and reads tensors directly into arrays. The safetensors package would hold the file in memory twice and, of two tensors
with the same name, accept the last.
"""

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, BinaryIO, TypeVar

import numpy as np

from . import _layout as layout
from . import _validation as validate
from ._catalog import OUTPUTS
from ._files import atomic_write, file_path, open_regular

FORMAT, VERSION = "cbackprop", 1
LOADERS = {FORMAT: "Network.load", "cbackprop-ensemble": "Ensemble.load"}
MAX_HEADER = 1 << 20  # bytes; the parsed JSON may take thirty times as much memory
STATES = {"velocity": 2, "accumulators": 1}  # state arrays of training, and their dimensions: tensors NAME_w, NAME_v
DIMENSIONS = {"w": 2, "v": 2} | {f"{name}_{layer}": ndim for name, ndim in STATES.items() for layer in "wv"}
VECTORS = ("mean", "scale", "target_mean", "target_scale", "losses", "held_out")
DIMENSIONS |= dict.fromkeys(VECTORS, 1)
Loaded = TypeVar("Loaded")
DTYPES: dict[str, np.dtype] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}


@dataclass
class Model:
    """Content of a model file: weights, names and scaling of the data, and the state of training."""

    w: np.ndarray
    v: np.ndarray
    learning_rate: float
    classes: list[str] | None = None
    features: list[str] | None = None
    categories: dict[str, list[str]] | None = None  # levels by column; the last features are their indicators
    hash: dict[str, Any] | None = None  # inputs are hashed: their "bits", and the columns of "numbers" and "texts"
    mean: np.ndarray | None = None  # inputs are (x - mean) / scale; of the numbers alone if inputs are hashed
    scale: np.ndarray | None = None
    losses: np.ndarray | None = None  # mean E of each epoch: of the training samples ...
    held_out: np.ndarray | None = None  # ... and of held-out samples
    states: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)  # a subset of STATES
    training: dict[str, Any] | None = None  # the rest of the state of training, serializable as JSON
    functions: validate.Functions = field(default_factory=validate.Functions)
    targets: list[str] | None = None  # names of linear outputs
    target_mean: np.ndarray | None = None  # predictions are y * target_scale + target_mean
    target_scale: np.ndarray | None = None


def save_model(path: str | os.PathLike[str], model: Model) -> None:
    """Write a model file atomically."""
    atomic_write(path, encode(model))


def encode(model: Model) -> bytes:
    """Encode a model file. Raise ValueError if `load_model` would not accept it."""
    from safetensors.numpy import save

    metadata = {
        "format": FORMAT,
        "format_version": str(VERSION),
        "learning_rate": repr(model.learning_rate),
    }
    if layout.order_of(model.w) == "F":
        metadata["order"] = "F"  # in memory: the file has the rows of w all the same
    if model.functions != validate.Functions():  # earlier releases refuse other functions, as names they don't know
        metadata |= model.functions._asdict()
    for name in ("classes", "features", "categories", "hash", "targets", "training"):
        if (value := getattr(model, name)) is not None:
            metadata[name] = json.dumps(value)
    tensors = {"w": np.ascontiguousarray(model.w), "v": np.ascontiguousarray(model.v)}
    for name, layers in model.states.items():
        tensors[f"{name}_w"], tensors[f"{name}_v"] = map(np.ascontiguousarray, layers)
    for name in VECTORS:
        if (values := getattr(model, name)) is not None:
            tensors[name] = np.asarray(values, np.float64)
    _model(metadata, dict(tensors))
    too_long = sum(map(len, metadata.values())) > MAX_HEADER  # far beyond, safetensors raises an error of its own
    content = b"" if too_long else save(tensors, metadata)
    if too_long or int.from_bytes(content[:8], "little") > MAX_HEADER:
        raise ValueError(f"the names of classes, features and targets take more than {MAX_HEADER:,} bytes")
    return content


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a model file.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not a model file of this library, or of a newer version of the format.
    """
    return load_file(path, FORMAT, DIMENSIONS, _model)


def load_file(
    path: str | os.PathLike[str],
    kind: str,
    dimensions: dict[str, int],
    make: Callable[[dict[str, str], dict[str, np.ndarray]], Loaded],
) -> Loaded:
    """Read a file of a format, given the numbers of dimensions of its tensors and what to make of its content."""
    path = file_path("path", path)
    with open_regular(path) as file:
        try:
            return make(*_contents(file, kind, dimensions))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise ValueError(f"{path} is not a model file of this library: {str(error)[:500]}") from None


def _contents(file: BinaryIO, kind: str, dimensions: dict[str, int]) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Metadata and tensors. The layout of safetensors is: length of the header, header (JSON), tensors."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if length > size - 8:
        raise ValueError("it is no safetensors file")
    if length > MAX_HEADER:
        raise ValueError(f"its header is {length:,} bytes long; the limit is {MAX_HEADER:,}")
    header = parse_json(file.read(length).decode())
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not (isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())):
        raise ValueError("its metadata are not strings by name")
    _check_version(metadata, kind)
    if not {"w", "v"} <= header.keys() <= dimensions.keys():
        raise ValueError(
            f"it holds the tensors {sorted(header)}; it must hold v and w, and may hold {sorted(dimensions)}"
        )

    places = {name: _place(name, entry, dimensions[name]) for name, entry in header.items()}
    spans = sorted(span for _dtype, _shape, span in places.values())
    edges = [(0, 0), *spans, (size - 8 - length,) * 2]
    if any(end != start for (_, end), (start, _) in pairwise(edges)):
        raise ValueError("its tensors do not fill it one after the other")
    padded = {"w": layout.zeros_by_column, "v": layout.zeros_by_row} if metadata.get("order") == "F" else {}
    tensors = {}
    for name, (dtype, shape, (start, _end)) in places.items():
        file.seek(8 + length + start)
        if name not in padded or 0 in shape:
            tensors[name] = _read(file, dtype, shape)
            continue
        rows, columns = shape
        tensors[name] = padded[name](rows, columns, dtype.newbyteorder("="))
        count = max(1, validate.SLICE // columns)  # at a time, so that memory holds the weights once
        for first in range(0, rows, count):
            part = tensors[name][first : first + count]
            part[...] = _read(file, dtype, part.shape)
    return metadata, tensors


def _read(file: BinaryIO, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers that come next, in native byte order."""
    array = np.empty(shape, dtype)
    if file.readinto(array.view(np.uint8)) != array.nbytes:  # type: ignore[attr-defined]
        raise ValueError("it became shorter while being read")
    return array.astype(dtype.newbyteorder("="), copy=False)


def parse_json(text: str) -> Any:
    """Parse JSON without Python's extensions (NaN, infinity) and without duplicate names."""

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


def _check_version(metadata: dict[str, str], kind: str) -> None:
    if (found := metadata.get("format")) != kind:
        remedy = f": use {LOADERS[found]}" if found in LOADERS else ""
        raise ValueError(f"its format is {found!r}, not {kind!r}{remedy}")
    version = metadata["format_version"]
    if not (version.isascii() and version.isdecimal() and int(version) >= 1):
        raise ValueError(f"its format version is {version!r}")
    if int(version) > VERSION:
        raise ValueError(f"its format version is {version}; this release reads up to {VERSION}: upgrade cbackprop")


def _place(name: str, entry: Any, dimensions: int) -> tuple[np.dtype, tuple[int, ...], tuple[int, int]]:
    """The dtype and shape of a tensor, and the offsets of its first and last bytes."""
    if not (isinstance(entry, dict) and entry.keys() == {"dtype", "shape", "data_offsets"}):
        raise ValueError(f"its {name} is not described by dtype, shape and data_offsets")
    for key, size in (("shape", dimensions), ("data_offsets", 2)):
        numbers = entry[key]
        if not (isinstance(numbers, list) and all(type(number) is int and number >= 0 for number in numbers)):
            raise ValueError(f"its {name} has {key} other than a list of non-negative integers")
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
    """Validate the content of a file, both when it is read and before it is written."""
    known = {"format", "format_version", "learning_rate", "hidden", "output", "order"}
    if unknown := metadata.keys() - known - {"classes", "features", "categories", "hash", "targets", "training"}:
        raise ValueError(f"its metadata have the unknown names {sorted(unknown)}")
    w, v = tensors.pop("w"), tensors.pop("v")
    validate.choice("order", metadata.get("order", "C"), validate.ORDERS)
    validate.weights(w, v, writeable=False)
    validate.finite_weights(w, v)
    names = validate.Functions()._asdict() | {name: metadata[name] for name in ("hidden", "output") if name in metadata}
    model = Model(w, v, float(metadata["learning_rate"]), functions=validate.functions(**names))
    validate.learning_rate(model.learning_rate, w.dtype)
    D, K = w.shape[1] - 1, len(v)
    for name, size in (("classes", K), ("features", D), ("targets", K)):
        if name in metadata:
            setattr(model, name, _names(name, metadata[name], size))
    if "categories" in metadata:
        model.categories = _categories(metadata["categories"], model.features)
    n_scaled = D
    if "hash" in metadata:
        model.hash = _hash(metadata["hash"], D)
        n_scaled = len(model.hash["numbers"])
        if model.features is not None:
            raise ValueError("its inputs are both named and hashed")
    for name in STATES:
        if tensors.keys() & {f"{name}_w", f"{name}_v"}:
            layers = tensors.pop(f"{name}_w", None), tensors.pop(f"{name}_v", None)
            like = partial(validate.like_weights, name) if STATES[name] == 2 else validate.like_units
            model.states[name] = like(layers, w, v)
    for name, values in tensors.items():
        if values.ndim != 1 or values.dtype != np.float64 or validate.first_nonfinite(values) is not None:
            raise ValueError(f"its {name} must be a row of F64 and finite")
        size = {"mean": n_scaled, "scale": n_scaled, "target_mean": K, "target_scale": K}.get(name, len(values))
        if len(values) != size:
            raise ValueError(f"its {name} must be {size} numbers, not {len(values)}")
        if name.endswith("scale") and not values.all():
            raise ValueError(f"its {name} holds a 0")
        setattr(model, name, values)
    described = any(part is not None for part in (model.targets, model.target_mean, model.target_scale))
    if described and OUTPUTS[model.functions.output].probabilities:
        raise ValueError(f"it describes targets, which need linear outputs, not {model.functions.output} ones")
    if "training" in metadata:
        model.training = parse_json(metadata["training"])
        if not isinstance(model.training, dict):
            raise ValueError("its training is not a JSON object")
    return model


def _names(what: str, text: str, size: int) -> list[str]:
    names = parse_json(text)
    if not (isinstance(names, list) and len(names) == size and all(isinstance(name, str) for name in names)):
        raise ValueError(f"its {what} must be {size} strings")
    if len(set(names)) != size:
        raise ValueError(f"its {what} must be different from each other")
    "".join(names).encode()  # raises UnicodeEncodeError for lone surrogates, which JSON can hold
    return names


def _categories(text: str, features: list[str] | None) -> dict[str, list[str]]:
    categories = parse_json(text)
    if not (isinstance(categories, dict) and all(isinstance(levels, list) for levels in categories.values())):
        raise ValueError("its categories must be lists of levels by column")
    names = indicators(categories)
    if not all(isinstance(level, str) for levels in categories.values() for level in levels):
        raise ValueError("its categories must be strings")
    if features is None or features[len(features) - len(names) :] != names:
        raise ValueError("its last features must be the indicators of its categories")
    return categories


def _hash(text: str, D: int) -> dict[str, Any]:
    hashed = parse_json(text)
    if not (isinstance(hashed, dict) and hashed.keys() == {"bits", "numbers", "texts"}):
        raise ValueError("its hash must be bits, numbers and texts")
    bits, numbers, texts = hashed["bits"], hashed["numbers"], hashed["texts"]
    if type(bits) is not int or not 0 < bits < 32 or 2**bits != D:
        raise ValueError(f"its hash has {bits!r} bits; the {D} inputs must be 2**bits")
    if not (isinstance(numbers, list) and isinstance(texts, list)):
        raise ValueError("its hash must have lists of columns")
    _names("hashed columns", json.dumps(numbers + texts), len(numbers) + len(texts))
    return hashed


def indicators(categories: Mapping[str, Sequence[str]]) -> list[str]:
    """Names of the inputs that are 1 where a column has a level, and else 0."""
    return [f"{column}={level}" for column, levels in categories.items() for level in levels]

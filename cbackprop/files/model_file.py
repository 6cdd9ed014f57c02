"""Model files: safetensors with all that is needed to use networks or resume their training.

The tensors w (M, D+1) and v (K, M+1) are those of a network. An ensemble of R networks is described as one network with
the hidden units of all, side by side; the tensor `widths` has the number M of each, and `learning_rates`, `hidden` and
the arrays of the mixture belong to them.

Untrusted model files are safe to load: the reader accepts known content only, and checks the length of the header, and
its names, before the safetensors package checks sizes and reads the tensors.
"""

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from .. import _layout as layout
from .. import _validation as validate
from .._catalog import HIDDEN_FUNCTIONS, OUTPUTS
from .atomic import atomic_write, existing_file, file_path
from .checks import check_categories, check_hash, check_mixture, check_names

FORMAT, VERSION = "cbackprop", 1
MAX_HEADER = 1 << 20  # bytes; the parsed JSON may take thirty times as much memory
FLOAT64 = np.dtype(np.float64)
DTYPES: dict[str, np.dtype] = {"F32": np.dtype(np.float32), "F64": FLOAT64}
PADDED: dict[str, Callable[..., np.ndarray]] = {"w": layout.zeros_by_column, "v": layout.zeros_by_row}  # of order F
STATES = {  # pairs of state arrays, and their tensors
    "velocity": ("velocity_w", "velocity_v"),
    "accumulators": ("accumulators_w", "accumulators_v"),
    "mixture": ("log_weights", "dropped"),
    "targets": ("limits", "mean_loss"),
}
UNITS = {"w": 0, "v": 1, "accumulators_w": 0, "accumulators_v": 0}  # the axis along which networks lie side by side
VECTORS = {"mean", "scale", "target_mean", "target_scale", "losses", "held_out"}
OF_ENSEMBLES = {"widths", "learning_rates", "hidden", *STATES["mixture"], *STATES["targets"]}
TENSORS = {"w", "v", *STATES["velocity"], *STATES["accumulators"], *VECTORS, *OF_ENSEMBLES}
JSON = ("classes", "features", "categories", "hash", "targets", "training")
METADATA = {"format", "format_version", "learning_rate", "hidden", "output", "order", "eta", "share", *JSON}


@dataclass
class Model:
    """Content of a model file: weights, names and scaling of the data, and the state of training.

    Of an ensemble, w, v and the accumulators are arrays with one more dimension, or tuples of an array for each network
    if their shapes differ.
    """

    w: Any
    v: Any
    learning_rate: Any  # of an ensemble, an array
    classes: list[str] | None = None
    features: list[str] | None = None
    categories: dict[str, list[str]] | None = None  # levels by column; the last features are their indicators
    hash: dict[str, Any] | None = None  # inputs are hashed: their "bits", and the columns of "numbers" and "texts"
    mean: np.ndarray | None = None  # inputs are (x - mean) / scale; of the numbers alone if inputs are hashed
    scale: np.ndarray | None = None
    losses: np.ndarray | None = None  # mean E of each epoch, and of each network: of the training samples ...
    held_out: np.ndarray | None = None  # ... and of held-out samples
    states: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # a subset of STATES
    training: dict[str, Any] | None = None  # the rest of the state of training, serializable as JSON
    functions: validate.Functions = field(default_factory=validate.Functions)
    targets: list[str] | None = None  # names of linear outputs
    target_mean: np.ndarray | None = None  # predictions are y * target_scale + target_mean
    target_scale: np.ndarray | None = None
    hidden: Sequence[str] = ()  # of an ensemble, the hidden function of each network, instead of functions.hidden
    eta: float | None = None  # of an ensemble, as share
    share: float = 0.0


def save_model(path: str | os.PathLike[str], model: Model) -> None:
    """Write a model file atomically."""
    atomic_write(path, encode(model))


def encode(model: Model) -> bytes:
    """Encode a model file. Raise ValueError if `load_model` would not accept it."""
    from safetensors.numpy import save

    metadata = {"format": FORMAT, "format_version": str(VERSION)}
    tensors = {"w": model.w, "v": model.v}
    for name, pair in model.states.items():
        tensors |= zip(STATES.get(name, (f"{name}_w", f"{name}_v")), pair, strict=True)
    if model.hidden:
        names = list(dict.fromkeys(model.hidden))
        metadata |= {"hidden": ",".join(names), "output": model.functions.output, "share": repr(model.share)}
        if model.eta is not None:
            metadata["eta"] = repr(model.eta)
        for name in UNITS.keys() & tensors.keys():
            tensors[name] = np.concatenate(tensors[name], UNITS[name])
        tensors["widths"] = np.array([len(w_r) for w_r in model.w], FLOAT64)
        tensors["hidden"] = np.array([names.index(name) for name in model.hidden], FLOAT64)
        tensors["learning_rates"] = model.learning_rate
    else:
        metadata["learning_rate"] = repr(model.learning_rate)
        if layout.order_of(model.w) == "F":
            metadata["order"] = "F"  # in memory: the file has the rows of w all the same
        if model.functions != validate.Functions():
            metadata |= model.functions._asdict()
    for name in JSON:
        if (value := getattr(model, name)) is not None:
            metadata[name] = json.dumps(value)
    for name in VECTORS:
        if (values := getattr(model, name)) is not None:
            tensors[name] = np.asarray(values, FLOAT64)
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    _model(metadata, dict(tensors))
    too_long = sum(map(len, metadata.values())) > MAX_HEADER  # far beyond, safetensors raises an error of its own
    content = b"" if too_long else save(tensors, metadata)
    if too_long or int.from_bytes(content[:8], "little") > MAX_HEADER:
        raise ValueError(
            f"the names of classes, features and targets, and the settings, take more than {MAX_HEADER:,} bytes"
        )
    return content


def load_model(path: str | os.PathLike[str], *, ensemble: bool = False) -> Model:
    """Read the model file of a network or of an ensemble.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not such a file, or of a newer version of the format.
    """
    from safetensors import SafetensorError, safe_open

    path = file_path("path", path)
    existing_file(path)  # raises OSError for a named pipe, on which reading would wait
    try:
        with open(path, "rb") as file:
            header, start = _read_header(file)
            with safe_open(path, framework="numpy") as checked:
                metadata, names = checked.metadata() or {}, set(checked.keys())
            _check_version(metadata)
            if ("widths" in names) != ensemble:
                kind, other = ("a network", "Network") if ensemble else ("an ensemble", "Ensemble")
                raise ValueError(f"it holds {kind}: use {other}.load")
            tensors = {}
            for name in names:
                file.seek(start + header[name]["data_offsets"][0])
                shape, kind, padded = header[name]["shape"], header[name]["dtype"], metadata.get("order") == "F"
                tensors[name] = _read_tensor(file, name, shape, kind, padded)
            return _model(metadata, tensors)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, SafetensorError) as error:
        raise ValueError(f"{path} is not a model file of this library: {str(error)[:500]}") from None


def _read_header(file: BinaryIO) -> tuple[Any, int]:
    """The header, of which safetensors checks neither that it is short nor that no name comes twice, and its end."""
    length = int.from_bytes(file.read(8), "little")
    if length > os.fstat(file.fileno()).st_size - 8:
        raise ValueError("it is no safetensors file")
    if length > MAX_HEADER:
        raise ValueError(f"its header is {length:,} bytes long; the limit is {MAX_HEADER:,}")
    return parse_json(file.read(length).decode()), file.tell()


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


def _check_version(metadata: dict[str, str]) -> None:
    if (found := metadata.get("format")) != FORMAT:
        raise ValueError(f"its format is {found!r}, not {FORMAT!r}")
    version = metadata["format_version"]
    if not (version.isascii() and version.isdecimal() and version != "0"):
        raise ValueError(f"its format version is {version!r}")
    if version != str(VERSION):
        raise ValueError(f"its format version is {version}; this release reads up to {VERSION}: upgrade cbackprop")


def _read_tensor(file: BinaryIO, name: str, shape: list[int], kind: str, padded: bool) -> np.ndarray:
    """Read a tensor, which begins where the file stands; weights may be padded, as `init_weights` does.

    safetensors would map the file: if another program truncated it meanwhile, the process would end.
    """
    if kind not in DTYPES:
        raise ValueError(f"its {name} has dtype {kind}; it must be F32 or F64")
    dtype = DTYPES[kind]
    if not (padded and name in PADDED and len(shape) == 2 and 0 not in shape):
        return _read_numbers(file, shape, dtype)
    array = PADDED[name](*shape, dtype)
    rows = max(1, validate.SLICE // shape[1])
    for start in range(0, shape[0], rows):  # memory holds the weights once
        part = array[start : start + rows]
        part[...] = _read_numbers(file, part.shape, dtype)
    return array


def _read_numbers(file: BinaryIO, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    numbers = np.fromfile(file, dtype, math.prod(shape))
    if len(numbers) < math.prod(shape):
        raise ValueError("it became shorter while it was read")
    return numbers.reshape(shape)


def _model(metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> Model:
    """Validate the content of a file, both when it is read and before it is written."""
    required = {"w", "v"} | (OF_ENSEMBLES if tensors.keys() & OF_ENSEMBLES else set())
    if missing := required - tensors.keys():
        raise ValueError(f"it lacks the tensors {sorted(missing)}")
    if unknown := (tensors.keys() - TENSORS) | (metadata.keys() - METADATA):
        raise ValueError(f"it holds the unknown names {sorted(unknown)}")
    w, v, widths = tensors["w"], tensors["v"], tensors.get("widths")
    if widths is None:
        model = Model(w, v, learning_rate=None)
        validate.weights(w, v, writeable=False)
    else:
        if not (widths.ndim == 1 and widths.size and ((widths >= 1) & (widths % 1 == 0)).all()):
            raise ValueError("its widths must be whole numbers, at least one")
        model = Model(_separated("w", w, widths), _separated("v", v, widths + 1), learning_rate=None)
        validate.weights(model.w[0], np.ascontiguousarray(model.v[0]), writeable=False)
    validate.finite_weights(w, v)
    _add_names(model, metadata, w.shape[1] - 1, len(v))
    _add_arrays(model, tensors)
    if widths is None:
        names = {name: metadata[name] for name in ("hidden", "output") if name in metadata}
        model.functions = validate.functions(**(validate.Functions()._asdict() | names))
        validate.choice("order", metadata.get("order", "C"), validate.ORDERS)
        model.learning_rate = float(metadata["learning_rate"])
        validate.learning_rate(model.learning_rate, w.dtype)
    else:
        _add_ensemble(model, metadata, tensors)
    described = any(part is not None for part in (model.targets, model.target_mean, model.target_scale))
    if described and OUTPUTS[model.functions.output].probabilities:
        raise ValueError(f"it describes targets, which need linear outputs, not {model.functions.output} ones")
    return model


def _separated(name: str, array: np.ndarray, sizes: np.ndarray) -> Any:
    """The arrays of the networks in one of all: one with another dimension if they have one shape, else a tuple."""
    axis = UNITS[name]
    if array.ndim <= axis or array.shape[axis] != sizes.sum():
        raise ValueError(f"its {name} has shape {array.shape}; its widths must add up to it")
    if (sizes == sizes[0]).all():
        return np.moveaxis(array.reshape(*array.shape[:axis], len(sizes), -1, *array.shape[axis + 1 :]), axis, 0)
    return tuple(map(np.ascontiguousarray, np.split(array, sizes.cumsum()[:-1].astype(np.intp), axis)))


def _add_names(model: Model, metadata: dict[str, str], D: int, K: int) -> None:
    """Set what is described in JSON: names of D inputs and K outputs, and the state of training."""
    values = {name: parse_json(metadata[name]) for name in JSON if name in metadata}
    for name, size in (("classes", K), ("features", D), ("targets", K)):
        if name in values:
            check_names(name, values[name], size)
    if "categories" in values:
        check_categories(values["categories"], values.get("features"))
    if "hash" in values:
        check_hash(values["hash"], values.get("features"), D)
    if not isinstance(values.get("training", {}), dict):
        raise ValueError("its training is not a JSON object")
    for name, value in values.items():
        setattr(model, name, value)


def _add_arrays(model: Model, tensors: dict[str, np.ndarray]) -> None:
    """Set scaling, losses and state arrays."""
    w, v, widths = tensors["w"], tensors["v"], tensors.get("widths")
    R, K = 1 if widths is None else len(widths), len(v)
    n_scaled = w.shape[1] - 1 if model.hash is None else len(model.hash["numbers"])
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(OF_ENSEMBLES, (R,)) | {"limits": (2, K), "mean_loss": (2,)}
    shapes |= dict.fromkeys(("mean", "scale"), (n_scaled,)) | dict.fromkeys(("target_mean", "target_scale"), (K,))
    shapes |= {"velocity_w": w.shape, "velocity_v": v.shape, "accumulators_w": w.shape[:1], "accumulators_v": (R * K,)}
    may_be_infinite = {"log_weights", "limits"} if widths is None else {"log_weights", "limits", "losses"}
    for name in tensors.keys() - {"w", "v"}:
        array = tensors[name]
        default = (array.size // R, R) if name == "losses" and widths is not None else (array.size,)
        shape = shapes.get(name, default)
        dtype = w.dtype if name.endswith(("_w", "_v")) else FLOAT64
        if (array.shape, array.dtype) != (shape, dtype):
            raise ValueError(f"its {name} is {array.dtype} {array.shape}; it must be {dtype} {shape}")
        if np.isnan(array).any() if name in may_be_infinite else validate.first_nonfinite(array) is not None:
            raise ValueError(f"its {name} must be finite")
        if name.startswith("accumulators") and (array < 0).any():
            raise ValueError(f"its {name} must not be negative")
        if name.endswith("scale") and not array.all():
            raise ValueError(f"its {name} holds a 0")
        if name in VECTORS:
            setattr(model, name, array)
    for state, names in STATES.items():
        if found := tensors.keys() & set(names):
            if len(found) == 1:
                raise ValueError(f"it has no {state} but {found.pop()}; it must have {' and '.join(names)}")
            model.states[state] = tensors[names[0]], tensors[names[1]]
    if widths is not None and "accumulators" in model.states:
        s_w, s_v = model.states["accumulators"]
        model.states["accumulators"] = _separated("accumulators_w", s_w, widths), s_v.reshape(R, K)


def _add_ensemble(model: Model, metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> None:
    """Set functions, learning rates and the mixture of an ensemble."""
    names, places = metadata["hidden"].split(","), tensors["hidden"]
    for name in names:
        validate.choice("hidden", name, HIDDEN_FUNCTIONS)
    if not np.isin(places, np.arange(len(names))).all():
        raise ValueError(f"its hidden must hold places of names, in 0..{len(names) - 1}")
    model.hidden = [names[int(place)] for place in places]
    model.functions = validate.Functions(output=validate.choice("output", metadata["output"], OUTPUTS))
    model.learning_rate, dtype = tensors["learning_rates"], tensors["w"].dtype
    with np.errstate(over="ignore"):
        rounded = model.learning_rate.astype(dtype)
    if not (np.isfinite(rounded) & (rounded > 0)).all():
        raise ValueError(f"its learning_rates must be positive and finite in {dtype}")
    model.share = validate.in_range("share", parse_json(metadata["share"]), 1, FLOAT64)
    if "eta" in metadata:
        model.eta = validate.learning_rate(parse_json(metadata["eta"]), FLOAT64, "eta")
    check_mixture(*model.states["mixture"], *model.states["targets"])

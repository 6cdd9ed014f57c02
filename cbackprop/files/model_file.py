"""Model files: safetensors with all that is needed to use networks or resume their training.

The tensors w (M, D+1) and v (K, M+1) are those of a network. An ensemble of R networks is described as one network with
the hidden units of all, side by side; the tensor `widths` has the number M of each, and `learning_rates`, `hidden` and
the arrays of the mixture belong to them.

Untrusted model files are safe to load: the reader accepts known content only, and checks the length of the header, and
its names, before the safetensors package checks sizes and reads the tensors.
"""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO, TextIOBase
from typing import Any, BinaryIO

import numpy as np

from .. import _layout as layout
from .. import _validation as validate
from .._catalog import HIDDEN_FUNCTIONS, OUTPUTS
from .atomic import atomic_write, existing_file, file_path
from .checks import check_categories, check_hash, check_mixture, check_names, check_standardization

FORMAT, VERSION = "cbackprop", 1
MAX_HEADER = 1 << 20  # bytes; the parsed JSON may take thirty times as much memory
FLOAT64 = np.dtype(np.float64)
STATES = {  # pairs of state arrays, and their tensors
    "velocity": ("velocity_w", "velocity_v"),
    "accumulators": ("accumulators_w", "accumulators_v"),
    "mixture": ("log_weights", "dropped"),
    "targets": ("limits", "mean_loss"),
    "standardization": ("input_statistics", "target_statistics"),
}
UNITS = {"w": 0, "v": 1, "accumulators_w": 0, "accumulators_v": 0}  # the axis along which networks lie side by side
VECTORS = {"mean", "scale", "target_mean", "target_scale", "losses", "held_out"}
OF_ENSEMBLES = {"widths", "learning_rates", "hidden", *STATES["mixture"], *STATES["targets"]}
TENSORS = {"w", "v", *VECTORS, *OF_ENSEMBLES}.union(*STATES.values())
JSON = ("classes", "features", "categories", "hash", "target", "targets", "training", "standardize")
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
    target: str | None = None  # the column of class labels
    target_mean: np.ndarray | None = None  # predictions are y * target_scale + target_mean
    target_scale: np.ndarray | None = None
    standardize: dict[str, Any] | None = None  # how samples are, with the statistics in `states`
    hidden: Sequence[str] = ()  # of an ensemble, the hidden function of each network, instead of functions.hidden
    eta: float | None = None  # of an ensemble, as share
    share: float = 0.0


def save_model(path: Any, model: Model) -> None:
    """Write a model file: atomically to a path, or to a binary file object."""
    if _is_file_object(path, "write"):
        path.write(encode(model))
    else:
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
    if too_long or int.from_bytes((content := save(tensors, metadata))[:8], "little") > MAX_HEADER:
        raise ValueError(
            f"the names of classes, features and targets, and the settings, take more than {MAX_HEADER:,} bytes"
        )
    return content


def load_model(path: Any, *, ensemble: bool = False) -> Model:
    """Read the model file of a network or of an ensemble, from a path, a binary file object or bytes.

    Raise ValueError if it is not such a file, or of a newer version of the format.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    with _opened(path) as (name, file):
        try:
            content = file.read(8 + MAX_HEADER)
            header = _read_header(content)  # of a file that may be large, and is not read unless it is one of ours
            tensors = load(content + file.read())  # not mapped: if it became shorter, the process would end
            metadata = header.get("__metadata__") or {}
            _check_version(metadata)
            if ("widths" in tensors) != ensemble:
                kind, other = ("a network", "Network") if ensemble else ("an ensemble", "Ensemble")
                raise ValueError(f"it holds {kind}: use {other}.load")
            model = _model(metadata, tensors)
        except OSError:  # among them UnsupportedOperation, which is a ValueError, too
            raise
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError, SafetensorError) as error:
            raise ValueError(f"{name} is not a model file of this library: {str(error)[:500]}") from None
    if metadata.get("order") == "F" and not ensemble:
        w, v = layout.zeros(model.w.shape, model.v.shape, model.w.dtype, "F")
        w[...], v[...] = model.w, model.v
        model.w, model.v = w, v
    return model


@contextmanager
def _opened(path: Any) -> Iterator[tuple[str, BinaryIO]]:
    """What errors call a file, and the file, which may be an open one or bytes."""
    if isinstance(path, (bytes, bytearray, memoryview)):
        yield "path", BytesIO(path)
    elif _is_file_object(path, "read"):
        yield "path", path
    else:
        name = file_path("path", path)
        existing_file(name)  # raises OSError for a named pipe, on which reading would wait
        with open(name, "rb") as file:
            yield name, file


def _is_file_object(path: Any, method: str) -> bool:
    """Whether this is a file object with that method, instead of a path; it must be open, and binary."""
    if not hasattr(path, method):
        return False
    if isinstance(path, TextIOBase):
        raise TypeError("path is a text file; it must be a path or a binary file: open it with 'b' in its mode")
    if getattr(path, "closed", False):
        raise ValueError("path is a closed file; it must be open")
    return True


def _read_header(content: bytes) -> dict[str, Any]:
    """The header, of which safetensors checks neither that it is short nor that no name comes twice."""
    length = int.from_bytes(content[:8], "little")
    if length > MAX_HEADER and content[8:9] == b"{":
        raise ValueError(f"its header is {length:,} bytes long; the limit is {MAX_HEADER:,}")
    if length > len(content) - 8:
        raise ValueError("it is no safetensors file")
    header = dict(parse_json(content[8 : 8 + length].decode()))
    for name, tensor in header.items():
        if name != "__metadata__" and tensor["dtype"] not in ("F32", "F64"):
            raise ValueError(f"its {name} has dtype {tensor['dtype']}; it must be F32 or F64")
    return header


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


def _model(metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> Model:
    """Validate the content of a file, both when it is read and before it is written."""
    single = not tensors.keys() & OF_ENSEMBLES
    if missing := ({"w", "v"} if single else {"w", "v", *OF_ENSEMBLES}) - tensors.keys():
        raise ValueError(f"it lacks the tensors {sorted(missing)}")
    if unknown := (tensors.keys() - TENSORS) | (metadata.keys() - METADATA):
        raise ValueError(f"it holds the unknown names {sorted(unknown)}")
    w, v = tensors["w"], tensors["v"]
    if single:
        validate.weights(w, v, writeable=False)
        tensors["widths"], tensors["hidden"] = np.array([len(w)], FLOAT64), np.zeros(1)
        tensors["learning_rates"] = np.array([float(metadata["learning_rate"])])
    widths = tensors["widths"]
    if not (widths.ndim == 1 and widths.size and ((widths >= 1) & (widths % 1 == 0)).all()):
        raise ValueError("its widths must be whole numbers, at least one")
    model = Model(_separated("w", w, widths), _separated("v", v, widths + 1), tensors["learning_rates"])
    validate.weights(model.w[0], np.ascontiguousarray(model.v[0]), writeable=False)
    validate.finite_weights(w, v)
    _add_names(model, metadata, w.shape[1] - 1, len(v))
    _add_arrays(model, tensors, single)
    _add_settings(model, metadata, tensors["hidden"], w.dtype)
    if single:
        model.w, model.v, model.learning_rate = w, v, float(metadata["learning_rate"])
        model.functions, model.hidden = model.functions._replace(hidden=model.hidden[0]), ()
    else:
        check_mixture(*model.states["mixture"], *model.states["targets"])
    check_standardization(model.standardize, model.states.get("standardization"), model.functions.output)
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
    if "target" in values:
        check_names("target", [values["target"]], 1)
    for name, value in values.items():
        setattr(model, name, value)


def _add_arrays(model: Model, tensors: dict[str, np.ndarray], single: bool) -> None:
    """Set scaling, losses and state arrays."""
    w, v, R = tensors["w"], tensors["v"], len(tensors["widths"])
    K, n_scaled = len(v), w.shape[1] - 1 if model.hash is None else len(model.hash["numbers"])
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(OF_ENSEMBLES, (R,)) | {"limits": (2, K), "mean_loss": (2,)}
    shapes |= dict.fromkeys(("mean", "scale"), (n_scaled,)) | dict.fromkeys(("target_mean", "target_scale"), (K,))
    n_targets = tensors.get("target_statistics", v).size and K  # none if targets are not standardized
    shapes |= {"input_statistics": (3, w.shape[1] - 1), "target_statistics": (3, n_targets)}
    shapes |= {"velocity_w": w.shape, "velocity_v": v.shape, "accumulators_w": w.shape[:1], "accumulators_v": (R * K,)}
    may_be_infinite = {"log_weights", "limits"} if single else {"log_weights", "limits", "losses"}
    for name in tensors.keys() - {"w", "v"}:
        array = tensors[name]
        default = (array.size,) if single or name != "losses" else (array.size // R, R)
        shape, dtype = shapes.get(name, default), w.dtype if name.endswith(("_w", "_v")) else FLOAT64
        if (array.shape, array.dtype) != (shape, dtype):
            raise ValueError(f"its {name} is {array.dtype} {array.shape}; it must be {dtype} {shape}")
        if np.isnan(array).any() if name in may_be_infinite else validate.first_invalid(array) is not None:
            raise ValueError(f"its {name} must be finite")
        squares = array[1:] if name.endswith("statistics") else array  # behind the means
        if (name.startswith("accumulators") or name.endswith("statistics")) and (squares < 0).any():
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
    if not single and "accumulators" in model.states:
        s_w, s_v = model.states["accumulators"]
        model.states["accumulators"] = _separated("accumulators_w", s_w, tensors["widths"]), s_v.reshape(R, K)


def _add_settings(model: Model, metadata: dict[str, str], places: np.ndarray, dtype: np.dtype) -> None:
    """Check learning rates and the order of weights; set functions and the numbers of the mixture."""
    names = metadata.get("hidden", validate.Functions().hidden).split(",")
    for name in names:
        validate.choice("hidden", name, HIDDEN_FUNCTIONS)
    if not np.isin(places, np.arange(len(names))).all() or len(names) > len(places):
        raise ValueError(f"its hidden must hold places of names, in 0..{len(names) - 1}")
    model.hidden = [names[int(place)] for place in places]
    output = metadata.get("output", validate.Functions().output)
    model.functions = validate.Functions(output=validate.choice("output", output, OUTPUTS))
    validate.choice("order", metadata.get("order", "C"), validate.ORDERS)
    with np.errstate(over="ignore"):
        rounded = model.learning_rate.astype(dtype)
    if not (np.isfinite(rounded) & (rounded > 0)).all():
        raise ValueError(f"its learning_rates must be positive and finite in {dtype}")
    model.share = validate.in_range("share", parse_json(metadata.get("share", "0")), 1, FLOAT64)
    if "eta" in metadata:
        model.eta = validate.learning_rate(parse_json(metadata["eta"]), FLOAT64, "eta")

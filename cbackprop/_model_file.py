"""Model files: safetensors with the tensors w and v, and what is needed beside them to use the network."""

import json
import os
from dataclasses import dataclass

import numpy as np

from . import _gate as gate
from ._network import Network

FORMAT, VERSION = "cbackprop", 1


@dataclass
class Model:
    """A network and what a command knew of its data."""

    network: Network
    classes: list[str] | None = None
    features: list[str] | None = None
    mean: np.ndarray | None = None  # inputs are (x - mean) / scale
    scale: np.ndarray | None = None


def save_model(path: str | os.PathLike[str], model: Model) -> None:
    """Write a model file; an existing one is replaced only by a complete new one."""
    from safetensors.numpy import save

    path = os.fspath(path)
    network = model.network
    metadata = {
        "format": FORMAT,
        "format_version": str(VERSION),
        "learning_rate": repr(network.learning_rate),
    }
    for name in ("classes", "features"):
        if (names := getattr(model, name)) is not None:
            metadata[name] = json.dumps(list(names))
    for name in ("mean", "scale"):
        if (values := getattr(model, name)) is not None:
            metadata[name] = json.dumps(np.asarray(values, np.float64).tolist())
    write_whole(path, save({"w": network.w, "v": network.v}, metadata))


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file so that under its name there is the old content or the new, never a part."""
    path = os.fspath(path)
    partial = f"{path}.{os.getpid()}.partial"
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        if os.path.exists(partial):
            os.unlink(partial)
        raise


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a model file.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not a model file of this library, or of a newer version.
    """
    from safetensors import SafetensorError, safe_open

    path = os.fspath(path)
    with open(path, "rb"):  # safetensors would wrap the reason in an error of its own
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (SafetensorError, TypeError, AttributeError, ValueError) as error:  # the last three: dtypes NumPy lacks
        raise ValueError(f"{path} is not a model file: {error}") from None
    try:
        return _model(metadata, tensors)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path} is not a model file of this library: {error}") from None


def _model(metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> Model:
    if metadata.get("format") != FORMAT:
        raise ValueError(f"its format is {metadata.get('format')!r}, not {FORMAT!r}")
    if (version := int(metadata["format_version"])) < 1:
        raise ValueError(f"its format version is {version}")
    if version > VERSION:
        raise ValueError(f"its format version is {version}; this release reads up to {VERSION}: upgrade cbackprop")
    if sorted(tensors) != ["v", "w"]:
        raise ValueError(f"it holds the tensors {sorted(tensors)}; it must hold v and w")
    w, v = (np.require(tensors[name], requirements=["C", "A", "W"]) for name in "wv")
    gate.weights(w, v, written=True)
    gate.finite_weights(w, v)
    model = Model(Network.from_weights(w, v, learning_rate=float(metadata["learning_rate"])))
    for name, size in (("classes", len(v)), ("features", w.shape[1] - 1)):
        if name in metadata:
            names = json.loads(metadata[name])
            if not (isinstance(names, list) and len(names) == size and all(isinstance(n, str) for n in names)):
                raise ValueError(f"its {name} must be {size} strings")
            setattr(model, name, names)
    for name in ("mean", "scale"):
        if name in metadata:
            values = np.array(json.loads(metadata[name]), np.float64)
            if values.shape != (w.shape[1] - 1,) or not np.isfinite(values).all():
                raise ValueError(f"its {name} must be {w.shape[1] - 1} finite numbers")
            if name == "scale" and not values.all():
                raise ValueError("its scale holds a 0")
            setattr(model, name, values)
    return model

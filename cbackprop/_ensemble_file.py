"""Files of ensembles: safetensors, as model files, with the arrays of all networks and the mixture."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _validation as validate
from ._catalog import OUTPUTS
from ._ensemble import check_eta, check_hidden, check_rates, check_share
from ._ensemble_arrays import Arrays, States
from ._files import atomic_write
from ._mixture import check_mixture
from ._model_file import MAX_HEADER, VERSION, load_file, parse_json

FORMAT = "cbackprop-ensemble"
STATES = {  # names of the tensors
    "mixture": ("log_weights", "dropped"),
    "targets": ("limits", "scale"),
    "accumulators": ("accumulators_w", "accumulators_v"),
}
DIMENSIONS = {"w": 3, "v": 3, "hidden": 1, "learning_rates": 1, "log_weights": 1, "dropped": 1, "limits": 2, "scale": 1}
DIMENSIONS |= {"losses": 2, "accumulators_w": 2, "accumulators_v": 2, "widths": 1}
IN_TENSORS = ("learning_rates", "hidden", "n_hidden")  # settings of a training that tensors hold
UNITS = {"w": 0, "v": 1, "accumulators_w": 0}  # the axis of hidden units, along which networks of different widths lie
METADATA = {"format", "format_version", "hidden", "output", "share"}


@dataclass
class EnsembleModel:
    """Content of the file: arrays of all networks, functions, the mixture, and the state of training."""

    w: Arrays
    v: Arrays
    learning_rates: np.ndarray
    hidden: Sequence[str]  # of each network
    output: str
    eta: float | None
    share: float
    states: States
    losses: np.ndarray | None = None  # mean E of each epoch and network
    training: dict[str, Any] | None = None  # the rest of the state of training, serializable as JSON
    held_out: None = None


def save_ensemble(path: str | os.PathLike[str], model: EnsembleModel) -> None:
    """Write a file atomically. Raise ValueError if `load_ensemble` would not accept it."""
    from safetensors.numpy import save

    metadata = {"format": FORMAT, "format_version": str(VERSION), "output": model.output, "share": repr(model.share)}
    names = list(dict.fromkeys(model.hidden))
    metadata["hidden"] = ",".join(names)
    if model.eta is not None:
        metadata["eta"] = repr(model.eta)
    if model.training is not None:
        settings = {name: value for name, value in model.training["settings"].items() if name not in IN_TENSORS}
        metadata["training"] = json.dumps(model.training | {"settings": settings})
    places = np.array([names.index(name) for name in model.hidden], np.float64)
    tensors: dict[str, Any] = {
        "w": model.w, "v": model.v, "hidden": places, "learning_rates": model.learning_rates,
    }  # fmt: skip
    for name, pair in model.states.items():
        tensors |= zip(STATES[name], pair, strict=True)
    if isinstance(model.w, tuple):  # as one network, whose hidden units are those of all
        tensors["widths"] = np.array([len(w_r) for w_r in model.w], np.float64)
        for name in UNITS.keys() & tensors.keys():
            tensors[name] = np.concatenate(tensors[name], UNITS[name])[np.newaxis]
    if model.losses is not None:
        tensors["losses"] = model.losses
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    _model(metadata, dict(tensors))
    content = save(tensors, metadata)
    if (length := int.from_bytes(content[:8], "little")) > MAX_HEADER:
        raise ValueError(
            f"the settings and the state of rng take {length:,} bytes; they must take {MAX_HEADER:,} at most"
        )
    atomic_write(path, content)


def load_ensemble(path: str | os.PathLike[str]) -> EnsembleModel:
    """Read a file.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not the file of an ensemble, or of a newer version of the format.
    """
    return load_file(path, FORMAT, DIMENSIONS, _model)


def _model(metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> EnsembleModel:
    """Validate the content of a file, both when it is read and before it is written."""
    if not METADATA <= metadata.keys() <= METADATA | {"eta", "training"}:
        raise ValueError(f"its metadata have the names {sorted(metadata)}; they must have {sorted(METADATA)}")
    adaptive = tensors.keys() & set(STATES["accumulators"])
    optional = {"hidden", "losses", "widths", *(() if adaptive else STATES["accumulators"])}
    if missing := DIMENSIONS.keys() - tensors.keys() - optional:
        raise ValueError(f"it lacks {sorted(missing)}")
    w, v = tensors.pop("w"), tensors.pop("v")
    if len(w) != len(v) or len(w) == 0:
        raise ValueError(f"its w and v have shapes {w.shape} and {v.shape}; they must begin with the same number")
    validate.finite_weights(w, v)
    layers: tuple[Arrays, Arrays] = w, v
    if (widths := tensors.get("widths")) is not None:
        layers = _separate("w", w, widths), _separate("v", v, widths + 1)
    R, K = len(layers[0]), v.shape[1]
    validate.weights(layers[0][0], layers[1][0], writeable=False)
    output = validate.choice("output", metadata["output"], OUTPUTS)
    shapes: dict[str, tuple[int, ...]] = {"hidden": (R,), "learning_rates": (R,), "log_weights": (R,), "dropped": (R,)}
    shapes |= {"limits": (2, K), "scale": (2,), "accumulators_w": w.shape[:2], "accumulators_v": (R, K), "widths": (R,)}
    for name, array in tensors.items():
        dtype = w.dtype if name in STATES["accumulators"] else np.dtype(np.float64)
        if array.dtype != dtype or np.isnan(array).any():
            raise ValueError(f"its {name} must be {dtype} and not NaN")
        shape = shapes.get(name, (len(array), R))
        if array.shape != shape:
            raise ValueError(f"its {name} has shape {array.shape}; it must be {shape}")
    hidden, rates = _hidden(metadata["hidden"].split(","), tensors.get("hidden"), R), tensors["learning_rates"]
    with np.errstate(over="ignore"):
        rounded = rates.astype(w.dtype)
    if not (np.isfinite(rounded) & (rounded > 0)).all():
        check_rates(rates, w.dtype)  # raises
    check_mixture(*(tensors[name] for name in ("log_weights", "dropped", "limits", "scale")))
    training = None
    if "training" in metadata:
        training = parse_json(metadata["training"])
        if not isinstance(training, dict):
            raise ValueError("its training is not a JSON object")
        if isinstance(settings := training.get("settings"), dict):
            implied = {"learning_rates": rounded.tolist(), "hidden": ",".join(hidden)}
            if widths is not None:
                implied["n_hidden"] = ",".join(str(int(M)) for M in widths)
            training["settings"] = implied | settings
    for name in adaptive:
        if not (np.isfinite(tensors[name]) & (tensors[name] >= 0)).all():
            raise ValueError("its accumulators must be finite and not negative")
    states: States = {
        name: (tensors[first], tensors[second]) for name, (first, second) in STATES.items() if first in tensors
    }
    if adaptive and widths is not None:
        s_w, s_v = (tensors[name] for name in STATES["accumulators"])
        states["accumulators"] = _separate("accumulators_w", s_w, widths), s_v
    eta = check_eta(parse_json(metadata["eta"])) if "eta" in metadata else None
    share = check_share(parse_json(metadata["share"]))
    return EnsembleModel(*layers, rates, hidden, output, eta, share, states, tensors.get("losses"), training)


def _separate(name: str, array: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, ...]:
    """The arrays of networks of different widths, given their sizes along the axis of hidden units."""
    axis = UNITS[name]
    if len(array) != 1 or array.shape[1 + axis] != sizes.sum() or not ((sizes >= 1) & (sizes % 1 == 0)).all():
        raise ValueError(f"its {name} has shape {array.shape}; its widths must be whole numbers that add up to it")
    ends = sizes.cumsum()[:-1].astype(np.intp)
    return tuple(np.ascontiguousarray(part) for part in np.split(array[0], ends, axis))


def _hidden(names: list[str], places: np.ndarray | None, R: int) -> list[str]:
    """The hidden function of each network: its place among the names. Earlier releases wrote R names instead."""
    if places is None:
        return check_hidden(names, R)
    check_hidden(names, len(names))
    if not np.isin(places, np.arange(len(names))).all():
        raise ValueError(f"its hidden must hold places of names, in 0..{len(names) - 1}")
    return [names[int(place)] for place in places]

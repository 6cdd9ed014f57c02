"""`cbackprop info`: the installation, or the contents of a model file."""

import json
import platform
import re
from pathlib import Path
from typing import Any

import numpy as np

import cbackprop
from cbackprop._catalog import OUTPUTS
from cbackprop.command.messages import abbreviate, describe_hashed
from cbackprop.command.terminal import print_fields, print_table
from cbackprop.files.model_file import Model, load_model

TOLD = {"learning_rate", "classes", "target", "targets", "features", "categories", "hash", "losses", "held_out"}
TOLD |= {"mean", "scale", "target_mean", "target_scale", "standardize"}
MAX_INPUTS = 20  # of a model, in the table; and targets


def run(path: Path | None, *, as_json: bool) -> None:
    """Describe a model file, or the installation."""
    model = None if path is None else load_model(path)
    if as_json:
        found = installation() if model is None else describe_in_full(model)
        print(json.dumps(found, ensure_ascii=False, default=lambda values: values.tolist()))
        return
    if model is None:
        print_fields(installation().items())
        return
    print_fields((name, value) for name, value in describe(model).items() if value)
    print_scaling("input", model.features or (model.hash or {}).get("numbers"), model.mean, model.scale)
    print_scaling("target", model.targets, model.target_mean, model.target_scale)


def installation() -> dict[str, Any]:
    info = cbackprop.kernel_info()
    return {
        "cbackprop": cbackprop.__version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "kernels": f"{info['variant']} (available: {', '.join(info['available'])})",
        "CPU": cpu_name(),
        "CPU features": ", ".join(info["cpu"]) or "none used by the kernels",
        "compiler": info["compiler"],
        "processors": info["threads"],
    }


def describe(model: Model) -> dict[str, str]:
    """Describe a model; what it lacks is empty."""
    w, v, K, hashed = model.w, model.v, len(model.v), model.hash
    output = OUTPUTS[model.functions.output]
    if output.probabilities:
        task = f"classification, {K} classes" if output.exclusive else f"{K} labels, each by itself"
    else:
        task = f"regression of {abbreviate(model.targets)}" if model.targets else f"regression, {K} unnamed"
    inputs = describe_hashed(hashed["numbers"], hashed["texts"]) if hashed else ""
    adapted = ", adapted to each unit" if "accumulators" in model.states else ""
    classes = abbreviate(model.classes) if model.classes else "unnamed"
    running = "by running means and variances" if model.standardize else ""
    scaling_of_y = "y * scale + mean" if model.target_mean is not None else running or "none"
    return {
        "task": task,
        "network": f"{w.shape[1] - 1} inputs, {len(w)} hidden units, {K} output{'s' if K > 1 else ''}",
        "functions": f"{model.functions.hidden} hidden units, {model.functions.output} outputs",
        "w": f"{w.shape}, {w.dtype}",
        "v": f"{v.shape}, {v.dtype}",
        "learning rate": f"{model.learning_rate:.6g}{adapted}",
        "classes": classes if output.probabilities else "",
        "inputs": f"hashed; {inputs}" if hashed else "named" if model.features else "unnamed",
        "categories": "; ".join(f"{name!r}: {abbreviate(known)}" for name, known in (model.categories or {}).items()),
        "scaling": "(x - mean) / scale" if model.mean is not None else running or "none",
        "scaling of y": "" if output.probabilities else scaling_of_y,
        "trained": "" if model.losses is None else f"{len(model.losses):,} epochs; training can be resumed",
    }


def describe_in_full(model: Model) -> dict[str, Any]:
    """Return all that a model file tells but the weights."""
    found = {"n_inputs": model.w.shape[1] - 1, "n_hidden": len(model.w), "n_outputs": len(model.v)}
    found |= {"dtype": str(model.w.dtype), "adaptive": "accumulators" in model.states, **model.functions._asdict()}
    return found | {name: value for name, value in vars(model).items() if name in TOLD and value is not None}


def print_scaling(kind: str, names: list[str] | None, mean: np.ndarray | None, scale: np.ndarray | None) -> None:
    """Print mean and scale of the first inputs or targets."""
    if names:
        n = len(names)
        mean = np.zeros(n) if mean is None else mean
        scale = np.ones(n) if scale is None else scale
        rows = [(name, f"{mean[i]:.6g}", f"{scale[i]:.6g}") for i, name in enumerate(names[:MAX_INPUTS])]
        print_table([kind, "mean", "scale"], rows, note=f"and {n - MAX_INPUTS} more" if n > MAX_INPUTS else "")


def cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return found[1] if found else platform.processor() or platform.machine()

"""`cbackprop info`: the installation, or the contents of a model file."""

import platform
import re
from json import dumps
from pathlib import Path
from typing import Any

import numpy as np

import cbackprop
from cbackprop import Network
from cbackprop._catalog import OUTPUTS
from cbackprop.command.messages import abbreviate, describe_hashed, describe_task
from cbackprop.command.terminal import print_fields, print_table
from cbackprop.files.model_file import Model, load_model

NOT_TOLD = {"w", "v", "states", "training", "functions", "hidden", "eta", "share"}  # the last three are of ensembles
MAX_INPUTS = 20  # of a model, in the table; and targets


def run(model: Path | None, json: bool) -> None:
    """Describe a model file, or the installation."""
    found = None if model is None else load_model(model)
    if json:
        shown = installation() if found is None else describe_in_full(found)
        print(dumps(shown, ensure_ascii=False, default=lambda values: values.tolist()))
    elif found is None:
        print_fields(installation().items())
    else:
        print_fields((name, value) for name, value in describe(found).items() if value)
        print_scaling("input", found.features or (found.hash or {}).get("numbers"), found.mean, found.scale)
        print_scaling("target", found.targets, found.target_mean, found.target_scale)


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
    hashed, categories = model.hash, model.categories or {}
    inputs = f"hashed; {describe_hashed(hashed['numbers'], hashed['texts'])}" if hashed else "unnamed"
    running = "by running means and variances" if model.standardize else "none"
    scaling_of_y = "y * scale + mean" if model.target_mean is not None else running
    return {
        "task": describe_task(model),
        "network": repr(Network._of(model)),
        "functions": f"{model.functions.hidden} hidden units, {model.functions.output} outputs",
        "inputs": "named" if model.features else inputs,
        "categories": "; ".join(f"{name!r}: {abbreviate(known)}" for name, known in categories.items()),
        "scaling": "(x - mean) / scale" if model.mean is not None else running,
        "scaling of y": "" if OUTPUTS[model.functions.output].probabilities else scaling_of_y,
        "trained": "" if model.losses is None else f"{len(model.losses):,} epochs; training can be resumed",
    }


def describe_in_full(model: Model) -> dict[str, Any]:
    """Return all that a model file tells but the weights."""
    found = {"n_inputs": model.w.shape[1] - 1, "n_hidden": len(model.w), "n_outputs": len(model.v)}
    found |= {"dtype": str(model.w.dtype), "adaptive": "accumulators" in model.states, **model.functions._asdict()}
    return found | {name: value for name, value in vars(model).items() if name not in NOT_TOLD and value is not None}


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

"""`cbackprop info`: the installation, or the contents of a model file."""

import platform
import re
from pathlib import Path

import numpy as np

import cbackprop
from cbackprop._catalog import OUTPUTS
from cbackprop.command.messages import abbreviate, describe_hashed
from cbackprop.command.terminal import print_fields, print_table
from cbackprop.files.model_file import Model, load_model

MAX_INPUTS = 20  # of a model, in the table; and targets


def run(model: Path | None) -> None:
    """Describe a model file, or the installation."""
    if model is None:
        show_installation()
    else:
        show_model(model)


def show_installation() -> None:
    info = cbackprop.kernel_info()
    print_fields(
        [
            ("cbackprop", cbackprop.__version__),
            ("Python", platform.python_version()),
            ("NumPy", np.__version__),
            ("kernels", f"{info['variant']} (available: {', '.join(info['available'])})"),
            ("CPU", cpu_name()),
            ("CPU features", ", ".join(info["cpu"]) or "none used by the kernels"),
            ("compiler", info["compiler"]),
            ("processors", info["threads"]),
        ]
    )


def show_model(path: Path) -> None:
    model = load_model(path)
    w, v = model.w, model.v
    M, D, K = len(w), w.shape[1] - 1, len(v)
    regression = not OUTPUTS[model.functions.output].probabilities
    adapted = ", adapted to each unit" if "accumulators" in model.states else ""
    categories = "; ".join(f"{name!r}: {abbreviate(levels)}" for name, levels in (model.categories or {}).items())
    print_fields(
        [
            ("task", describe_task(model)),
            ("network", f"{D} inputs, {M} hidden units, {K} output{'s' if K > 1 else ''}"),
            ("functions", f"{model.functions.hidden} hidden units, {model.functions.output} outputs"),
            ("w", f"{w.shape}, {w.dtype}"),
            ("v", f"{v.shape}, {v.dtype}"),
            ("learning rate", f"{model.learning_rate:.6g}{adapted}"),
            *([] if regression else [("classes", abbreviate(model.classes) if model.classes else "unnamed")]),
            ("inputs", describe_inputs(model)),
            *([("categories", categories)] if categories else []),
            ("scaling", "(x - mean) / scale" if model.mean is not None else "none"),
            *([("scaling of y", "none" if model.target_mean is None else "y * scale + mean")] if regression else []),
            *([] if model.losses is None else [("trained", f"{len(model.losses):,} epochs; training can be resumed")]),
        ]
    )
    print_scaling("input", model.features or (model.hash or {}).get("numbers"), model.mean, model.scale)
    print_scaling("target", model.targets, model.target_mean, model.target_scale)


def describe_task(model: Model) -> str:
    """Tell what the model predicts."""
    K = len(model.v)
    output = OUTPUTS[model.functions.output]
    if not output.probabilities:
        return f"regression of {abbreviate(model.targets)}" if model.targets else f"regression, {K} unnamed"
    return f"classification, {K} classes" if output.exclusive else f"{K} labels, each by itself"


def describe_inputs(model: Model) -> str:
    if model.hash is None:
        return "named" if model.features else "unnamed"
    return f"hashed; {describe_hashed(model.hash['numbers'], model.hash['texts'])}"


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

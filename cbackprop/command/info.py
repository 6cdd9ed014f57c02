"""`cbackprop info`: the installation, or the contents of a model file."""

import platform
import re
from pathlib import Path

import numpy as np

import cbackprop
from cbackprop._model_file import load_model
from cbackprop.command.terminal import print_fields, print_table
from cbackprop.command.text import abbreviate

MAX_INPUTS = 20  # of a model, in the table


def run(model: Path | None) -> None:
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
    print_fields(
        [
            ("network", f"{D} inputs, {M} hidden units, {K} outputs"),
            ("w", f"{w.shape}, {w.dtype}"),
            ("v", f"{v.shape}, {v.dtype}"),
            ("learning rate", model.learning_rate),
            ("classes", abbreviate(model.classes) if model.classes else "unnamed"),
            ("inputs", "named" if model.features else "unnamed"),
            ("scaling", "(x - mean) / scale" if model.mean is not None else "none"),
            *([] if model.losses is None else [("trained", f"{len(model.losses):,} epochs; training can be resumed")]),
        ]
    )
    if model.features:
        mean = np.zeros(D) if model.mean is None else model.mean
        scale = np.ones(D) if model.scale is None else model.scale
        rows = [(name, f"{mean[i]:.6g}", f"{scale[i]:.6g}") for i, name in enumerate(model.features[:MAX_INPUTS])]
        print_table(["input", "mean", "scale"], rows, note=f"and {D - MAX_INPUTS} more" if D > MAX_INPUTS else "")


def cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return found[1] if found else platform.processor() or platform.machine()

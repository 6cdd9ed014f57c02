"""`cbackprop info`: what is installed here, or what a model file holds."""

import platform
import re
from pathlib import Path

import numpy as np

import cbackprop
from cbackprop._model_file import load_model
from cbackprop.command.common import few, show, summarize

LISTED = 20  # inputs of a model shown one by one


def run(model: Path | None) -> None:
    """Describe the installation or a model."""
    if model is None:
        installation()
    else:
        contents(model)


def installation() -> None:
    """Show what runs here."""
    info = cbackprop.kernel_info()
    summarize(
        [
            ("cbackprop", cbackprop.__version__),
            ("Python", platform.python_version()),
            ("NumPy", np.__version__),
            ("kernels", f"{info['variant']} (available: {', '.join(info['available'])})"),
            ("CPU", processor()),
            ("CPU features", ", ".join(info["cpu"]) or "none that kernels use"),
            ("compiler", info["compiler"]),
            ("processors", info["threads"]),
        ]
    )


def contents(path: Path) -> None:
    """Show what a model file holds."""
    model = load_model(path)
    w, v = model.w, model.v
    M, D, K = len(w), w.shape[1] - 1, len(v)
    summarize(
        [
            ("network", f"{D} inputs, {M} hidden units, {K} outputs"),
            ("w", f"{w.shape}, {w.dtype}"),
            ("v", f"{v.shape}, {v.dtype}"),
            ("learning rate", model.learning_rate),
            ("classes", few(model.classes) if model.classes else "not named"),
            ("inputs", "named" if model.features else "not named"),
            ("scaling", "(x - mean) / scale" if model.mean is not None else "none"),
            *([] if model.losses is None else [("learned", f"{len(model.losses):,} epochs; training may be resumed")]),
        ]
    )
    if model.features:
        mean = np.zeros(D) if model.mean is None else model.mean
        scale = np.ones(D) if model.scale is None else model.scale
        rows = [(name, f"{mean[i]:.6g}", f"{scale[i]:.6g}") for i, name in enumerate(model.features[:LISTED])]
        show(["input", "mean", "scale"], rows, note=f"and {D - LISTED} more" if D > LISTED else "")


def processor() -> str:
    """Find the processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return found[1] if found else platform.processor() or platform.machine()

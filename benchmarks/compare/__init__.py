"""The scripts behind each table of docs/measurements.md. Each compares alternatives within one run."""

import importlib
from collections.abc import Iterable
from typing import Any, NamedTuple

PEERS = {  # column: module in peers/
    "cbackprop": "library",
    "reference": "numpy_reference",
    "NumPy": "numpy_in_place",
    "NumPy, SciPy BLAS": "scipy_blas",
    "scikit-learn": "scikit_learn",
    "PyTorch": "torch_eager",
    "PyTorch by hand": "torch_by_hand",
    "JAX": "jax_scan",
    "numba": "numba_loops",
    "ONNX Runtime": "onnx_runtime",
}


class Timing(NamedTuple):
    """A row of the comparison: by column, the seconds of each repeat."""

    work: str
    dtype: str
    figures: dict[str, list[float]]
    unit: str = ""  # of the work, if it is not a sample
    quantity: str = "s"


def peers(names: Iterable[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The modules of the peers, and the import errors of those that are missing."""
    modules, missing = {}, {}
    for name in names:
        try:
            modules[name] = importlib.import_module(f"benchmarks.peers.{PEERS[name]}")
        except ImportError as error:
            missing[name] = str(error)
    return modules, missing

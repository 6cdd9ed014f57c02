"""Import times and installed sizes of packages."""

import importlib.metadata
import importlib.util
import io
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

IMPORTS = {
    "cbackprop": "import cbackprop",
    "NumPy": "import numpy",
    "scikit-learn": "from sklearn.neural_network import MLPClassifier",
    "PyTorch": "import torch",
    "JAX": "import jax.numpy",
    "numba": "import numba",
}
DISTRIBUTIONS = {"scikit-learn": "scikit-learn", "PyTorch": "torch", "JAX": "jax", "numba": "numba"}


def import_times(peers: list[str], repeats: int) -> dict[str, list[float]]:
    """Seconds in new processes, interleaved; the first round only fills the file cache."""
    code = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
    times: dict[str, list[float]] = {name: [] for name in IMPORTS if name in peers}
    for _ in range(repeats + 1):
        for name, repetitions in times.items():
            command = [sys.executable, "-c", code.format(IMPORTS[name])]
            repetitions.append(float(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout))
    return {name: repetitions[1:] for name, repetitions in times.items()}


def installed_sizes(peers: list[str]) -> dict[str, list[float]]:
    """MB of a distribution and its requirements, without those of NumPy and without bytecode."""
    shared = with_requirements("numpy")
    megabytes = {"cbackprop": [(own_size() + size_of(with_requirements("safetensors") - shared)) / 1e6]}
    for name, distribution in DISTRIBUTIONS.items():
        if name in peers:
            megabytes[name] = [size_of(with_requirements(distribution) - shared) / 1e6]
    return megabytes


def with_requirements(name: str) -> set[str]:
    """Normalized names of a distribution and all its requirements on this platform."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found, pending = set(), [name]
    while pending:
        name = canonicalize_name(pending.pop())
        if name not in found:
            found.add(name)
            requirements = map(Requirement, importlib.metadata.requires(name) or [])
            pending += [r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


def size_of(distributions: set[str]) -> int:
    files = [file for name in distributions for file in importlib.metadata.files(name) or []]
    paths = [Path(file.locate()) for file in files if file.suffix != ".pyc"]
    return sum(path.stat().st_size for path in paths if path.is_file())


def own_files() -> list[Path]:
    """The files of a cbackprop wheel, wherever the package is installed."""
    folder = Path(importlib.util.find_spec("cbackprop").origin).parent
    shipped = {".py", ".pyi", ".so", ".pyd"}
    return [path for path in folder.rglob("*") if path.suffix in shipped or path.name == "py.typed"]


def own_size() -> int:
    return sum(path.stat().st_size for path in own_files())


def wheel_size() -> int:
    """Bytes of those files, zipped as in a wheel."""
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in own_files():
            archive.write(path)
    return len(wheel.getvalue())

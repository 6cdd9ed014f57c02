"""Benchmarks: the asv suite, the regression check, and scripts that compare alternatives in one run. See README.md."""

import os
import sys

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}

# Settings of the user that could slow a library down or speed it up; each library runs with its own defaults.
EXTERNAL_SETTINGS = ("OPENBLAS_", "GOTO_", "MKL_", "BLIS_", "OMP_", "KMP_", "ATEN_", "TORCH_", "ONEDNN_", "DNNL_",
                     "XLA_", "JAX_", "NUMBA_", "NPY_", "PYTHONDONTWRITEBYTECODE")  # fmt: skip

# Libraries read the environment when they are imported, so it must be set before NumPy is.
NUMPY_IMPORTED_EARLY = "numpy" in sys.modules and any(os.environ.get(k) != value for k, value in ONE_THREAD.items())
for name in [name for name in os.environ if name.startswith(EXTERNAL_SETTINGS)]:
    del os.environ[name]
os.environ |= ONE_THREAD


def restart_pinned() -> bool:
    """Restart the program pinned to one processor and without CBACKPROP_ settings; whether pinning is possible."""
    if "CBACKPROP_COMPARE_CPUS" not in os.environ:
        cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CBACKPROP_")}
        environment["CBACKPROP_COMPARE_CPUS"] = ",".join(map(str, cpus))
        if cpus:
            os.sched_setaffinity(0, cpus[-1:])
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    return bool(os.environ["CBACKPROP_COMPARE_CPUS"])


def unpinned() -> int:
    """Let this process use all processors that the program was started with, and return their number."""
    if cpus := os.environ["CBACKPROP_COMPARE_CPUS"]:
        os.sched_setaffinity(0, map(int, cpus.split(",")))
        return len(os.sched_getaffinity(0))
    return 0

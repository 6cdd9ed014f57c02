"""Speed: the asv suite, the gate on it, and scripts that put things side by side. See README.md."""

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

# Settings from outside that could slow someone down, or speed them up: each library is to choose for itself.
FOREIGN = ("OPENBLAS_", "GOTO_", "MKL_", "BLIS_", "OMP_", "KMP_", "ATEN_", "TORCH_", "ONEDNN_", "DNNL_", "XLA_", "JAX_",
           "NUMBA_", "NPY_", "PYTHONDONTWRITEBYTECODE")  # fmt: skip

# Libraries read their settings as they are imported, so these have to be there before NumPy is.
TOO_LATE = "numpy" in sys.modules and any(os.environ.get(name) != value for name, value in ONE_THREAD.items())
for name in [name for name in os.environ if name.startswith(FOREIGN)]:
    del os.environ[name]
os.environ |= ONE_THREAD


def pinned() -> bool:
    """Go on in this same process as a new program, on one processor, with libraries told to use one thread."""
    if "CBACKPROP_COMPARE_CPUS" not in os.environ:
        cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CBACKPROP_")}
        environment["CBACKPROP_COMPARE_CPUS"] = ",".join(map(str, cpus))
        if cpus:
            os.sched_setaffinity(0, cpus[-1:])
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    return bool(os.environ["CBACKPROP_COMPARE_CPUS"])

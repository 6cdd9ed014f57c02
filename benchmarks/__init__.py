"""Speed: the asv suite, the gate on it, and two scripts, compare and engines. See README.md."""

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

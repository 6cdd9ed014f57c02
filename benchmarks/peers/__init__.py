"""The libraries to compare with, one in each file, and how to plug in a loop of your own: `--peer FILE.py`.

A peer is a module with some of these functions. Each gets a `benchmarks.work.Work`, and makes a `Job` of it:

    fit, fit_sparse, fit_ensemble    an epoch, or work.epochs, in batches of work.batch_size
    learn_one, learn_one_sparse      a call for each sample
    learn_from_c                     the same by a loop in C
    partial_fit_one                  the same by an estimator like those of scikit-learn
    predict_proba                    the outputs of all samples, in one call
    predict_proba_one                a call for each sample

What a peer lacks, or cannot do (`only`), leaves its cell empty. A file with `learn(x, t, w, v, learning_rate)` instead
learns, in order, all samples x (N, D) of the classes t (N,) into w (M, D+1) and v (K, M+1), whose last column is the
bias: sigmoid hidden units, softmax outputs, an update after each sample.
"""

import importlib
import runpy
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..work import DEFAULTS, Job, Work, in_place, only

PEERS = {  # column: module in this folder
    "cbackprop": "library",
    "reference": "numpy_reference",
    "NumPy": "numpy_in_place",
    "NumPy, SciPy BLAS": "scipy_blas",
    "scikit-learn": "scikit_learn",
    "PyTorch": "torch_eager",
    "PyTorch by hand": "torch_by_hand",
    "JAX": "jax_scan",
    "numba": "numba_loops",
    "C": "c_loops",
    "exported C": "exported_c",
    "genann": "genann",
    "FANN": "fann",
    "ONNX Runtime": "onnx_runtime",
    "SGDClassifier": "linear_classifier",
    "LogisticRegression": "linear_stream",
    "Vowpal Wabbit": "vowpal_wabbit",
    "Vowpal Wabbit --sgd": "vowpal_wabbit_sgd",
}


def peers(names: Iterable[str], files: Iterable[Path] = ()) -> tuple[dict[str, Any], dict[str, str]]:
    """The modules of the peers, and of files by their names, and the import errors of those that are missing."""
    modules, missing = {}, {}
    for name in names:
        try:
            modules[name] = importlib.import_module(f"{__name__}.{PEERS[name]}")
        except ImportError as error:
            missing[name] = str(error)
    return modules | {path.stem: from_file(path) for path in files}, missing


def from_file(path: Path) -> Any:
    module = SimpleNamespace(**runpy.run_path(str(path)))
    if not hasattr(module, "learn"):
        return module

    def fit(work: Work) -> Job:
        only(work.functions == DEFAULTS)
        return in_place(work, module.learn)

    return SimpleNamespace(fit=fit)

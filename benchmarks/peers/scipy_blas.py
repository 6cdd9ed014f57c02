"""NumPy in place, with updates by SciPy's BLAS: GER and GEMM add a product to the weights in one pass, which no NumPy
function does. The rest is that of numpy_in_place.py.
"""

from functools import partial

from scipy.linalg import blas

from . import numpy_in_place


class BlasUpdate:
    """weights <- weights - errorsᵀ inputs, errors (B, rows) and inputs (B, columns)."""

    def __init__(self, weights):
        self.weights_T = weights.T  # BLAS is column-major
        self.ger = blas.sger if weights.dtype == "float32" else blas.dger
        self.gemm = blas.sgemm if weights.dtype == "float32" else blas.dgemm

    def __call__(self, errors, inputs):
        if len(errors) == 1:
            self.ger(-1, inputs[0], errors[0], a=self.weights_T, overwrite_x=1, overwrite_y=1, overwrite_a=1)
        else:
            self.gemm(-1, inputs.T, errors.T, beta=1, c=self.weights_T, trans_b=1, overwrite_c=1)


fit, learn_one = (partial(make, Update=BlasUpdate) for make in (numpy_in_place.fit, numpy_in_place.learn_one))

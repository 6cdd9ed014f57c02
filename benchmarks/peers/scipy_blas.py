"""NumPy in place, with updates by SciPy's BLAS: GER and GEMM add a product to the weights in one pass, which no NumPy
function does. The rest is that of numpy_in_place.py.
"""

from functools import partial

from scipy.linalg import blas

from . import by_hand
from .numpy_in_place import NUMPY


def update_of(weights, errors, rate):
    weights_T, errors_T = weights.T, errors.T  # BLAS is column-major
    ger, gemm = (blas.sger, blas.sgemm) if weights.dtype == "float32" else (blas.dger, blas.dgemm)

    def update_by_one(x):
        ger(-1, x, errors, a=weights_T, overwrite_x=1, overwrite_y=1, overwrite_a=1)

    def update(x):
        gemm(-1, x.T, errors_T, beta=1, c=weights_T, trans_b=1, overwrite_c=1)

    return update if errors.ndim == 2 else update_by_one


SCIPY = NUMPY._replace(update=update_of)
fit, learn_one = partial(by_hand.fit, SCIPY), partial(by_hand.learn_one, SCIPY)

"""Random initial weights, which need no kernels."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from . import _layout as layout
from . import _validation as validate
from ._catalog import HIDDEN_FUNCTIONS
from ._names import Order


def init_weights(
    n_inputs: int,
    n_hidden: int,
    n_outputs: int,
    *,
    hidden: str = "sigmoid",
    dtype: DTypeLike = np.float64,
    order: Order = "C",
    rng: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Random initial weights that suit the hidden function.

    The weights of a layer are drawn uniformly from [-r, r] with r = c·sqrt(6 / (fan_in + fan_out)) (Glorot), where c is
    4 for sigmoid hidden units, whose slope at 0 is 1/4, and 1 for tanh and for the output layer. For ReLU, which is 0
    for half of all inputs, r = sqrt(6 / fan_in) (He). Biases are 0. The weights must be random: hidden units with equal
    weights have equal gradients and would stay equal.

    Parameters
    ----------
    n_inputs, n_hidden, n_outputs : int
        D, M and K, each at least 1.
    hidden : {"sigmoid", "tanh", "relu"}
        The hidden function of the network.
    dtype : {float64, float32}
        Data type of the weights, and so of all arithmetic with them.
    order : {"C", "F"}
        Order of w in memory: the inputs of a hidden unit side by side, or the hidden units of an input ("F"), which is
        several times as fast with sparse rows. With "F", each input of w and each row of v begins a line of the cache,
        if that takes little memory: the arrays are views, and the rest of a line is 0. The numbers are the same.
    rng : None, int or numpy.random.Generator
        Source of random numbers, as for `numpy.random.default_rng`.

    Returns
    -------
    w : ndarray of shape (M, D+1)
        Hidden weights, bias last.
    v : ndarray of shape (K, M+1)
        Output weights, bias last.

    References
    ----------
    X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
    equation 16. For the factor 4 of the logistic sigmoid: Y. Bengio, "Practical recommendations for gradient-based
    training of deep architectures", 2012, section 3.2. For ReLU: K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into
    rectifiers", ICCV 2015, equation 10.

    Examples
    --------
    >>> import cbackprop
    >>> w, v = cbackprop.init_weights(64, 32, 10, rng=0)
    >>> w.shape, v.shape
    ((32, 65), (10, 33))
    """
    D, M, K = validate.layer_sizes(n_inputs, n_hidden, n_outputs)
    h = HIDDEN_FUNCTIONS[validate.choice("hidden", hidden, HIDDEN_FUNCTIONS)]
    real = validate.float_dtype(dtype)
    generator = validate.generator(rng)
    w, v = layout.zeros((M, D + 1), (K, M + 1), real, validate.choice("order", order, validate.ORDERS))
    r_w, r_v = h.initial_ranges(D, M, K)
    for w_j in w:
        w_j[:D] = generator.uniform(-r_w, r_w, D)
    v[:, :M] = generator.uniform(-r_v, r_v, (K, M))
    return w, v

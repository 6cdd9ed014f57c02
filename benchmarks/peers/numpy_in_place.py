"""NumPy written for speed: by_hand.py with products by BLAS, rows split beforehand."""

from functools import partial

import numpy as np

from ..work import Job, Work, predicting, predicting_each, without_bias
from . import by_hand
from .by_hand import Library


def sigmoid(b):
    """1 / (1 + e^-b), in place."""
    np.negative(b, out=b)
    np.exp(b, out=b)
    np.add(b, 1, out=b)
    np.reciprocal(b, out=b)


def softmax(a):
    """In place, for one sample (K,)."""
    a -= np.maximum.reduce(a)
    np.exp(a, out=a)
    a /= np.add.reduce(a)


def softmax_rows(a):
    """In place, for a batch (B, K)."""
    a -= np.maximum.reduce(a, axis=1, keepdims=True)
    np.exp(a, out=a)
    a /= np.add.reduce(a, axis=1, keepdims=True)


def sigmoid_slope(z, out):
    np.subtract(1, z, out=out)
    np.multiply(out, z, out=out)


def relu(b):
    np.maximum(b, 0, out=b)


def identity(a):
    pass


HIDDEN = {"sigmoid": (sigmoid, sigmoid_slope), "relu": (relu, np.sign)}
OUTPUT = {"softmax": (softmax, softmax_rows), "linear": (identity, identity)}


def error_of(output, rate, n_dims):
    to_y = OUTPUT[output][n_dims - 1]

    def error(a, t):
        """a becomes rate (y - t)."""
        to_y(a)
        np.subtract(a, t, out=a)
        np.multiply(a, rate, out=a)

    return error


def update_of(weights, errors, rate):
    """weights <- weights - errorsᵀ inputs; the rate is in the errors."""
    change, errors_T = np.empty_like(weights), errors.reshape(-1, errors.shape[-1]).T

    def update_by_one(x):
        update(x[np.newaxis])

    def update(x):
        np.dot(errors_T, x, out=change)
        np.subtract(weights, change, out=weights)

    return update if errors.ndim == 2 else update_by_one


NUMPY = Library(np.asarray, np.dot, np.dot, np.multiply, np.copyto, HIDDEN, error_of, update_of)
fit, learn_one = partial(by_hand.fit, NUMPY), partial(by_hand.learn_one, NUMPY)


def predict_proba_one(work: Work) -> Job:
    (w, w_bias), (v, v_bias) = without_bias(work.w), without_bias(work.v)
    (hidden, _), (output, _) = HIDDEN[work.functions.hidden], OUTPUT[work.functions.output]
    z = np.empty(len(w), w.dtype)

    def predict(x_n):
        np.dot(w, x_n, out=z)
        np.add(z, w_bias, out=z)
        hidden(z)
        y_n = np.dot(v, z)
        y_n += v_bias
        output(y_n)
        return y_n

    return predicting_each(predict, list(work.x))


def predict_proba(work: Work) -> Job:
    (w, w_bias), (v, v_bias) = without_bias(work.w), without_bias(work.v)
    (hidden, _), (_, output) = HIDDEN[work.functions.hidden], OUTPUT[work.functions.output]
    z = np.empty((len(work.x), len(w)), w.dtype)

    def predict():
        np.dot(work.x, w.T, out=z)
        np.add(z, w_bias, out=z)
        hidden(z)
        y = np.dot(z, v.T)
        np.add(y, v_bias, out=y)
        output(y)
        return y

    return predicting(predict)

"""NumPy written for speed: every operation into an existing array, products by BLAS, rows split beforehand. The bias is
a column of w and v; x and z end in a 1, so that it needs no operation of its own.

Slower: one sample as a batch of one, which doubles the overhead; biases apart; new arrays.
"""

import numpy as np

from ..work import Job, Work, batches, each, learning, predicting, predicting_each, targets, with_one, without_bias


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


class WeightUpdate:
    """weights <- weights - errorsᵀ inputs, errors (B, rows) and inputs (B, columns)."""

    def __init__(self, weights):
        self.weights, self.change = weights, np.empty_like(weights)

    def __call__(self, errors, inputs):
        np.dot(errors.T, inputs, out=self.change)
        np.subtract(self.weights, self.change, out=self.weights)


def batch_update(w, v, B, learning_rate, functions, Update):
    """The update by a batch: x (B, D+1), t (B, K)."""
    M, K = len(w), len(v)
    z_and_one = np.ones((B, M + 1), w.dtype)
    z, b = z_and_one[:, :M], np.empty((B, M), w.dtype)
    y, e, slope = np.empty((B, K), w.dtype), np.empty((B, M), w.dtype), np.empty((B, M), w.dtype)
    w_T, v_T, v_of_z = w.T, v.T, v[:, :M]
    (hidden, derivative), (_, output) = HIDDEN[functions.hidden], OUTPUT[functions.output]
    update_w, update_v = Update(w), Update(v)

    def learn(x, t):
        np.dot(x, w_T, out=b)
        hidden(b)
        z[:] = b
        np.dot(z_and_one, v_T, out=y)
        output(y)
        np.subtract(y, t, out=y)
        np.multiply(y, learning_rate / B, out=y)
        np.dot(y, v_of_z, out=e)
        derivative(b, out=slope)
        np.multiply(e, slope, out=e)
        update_v(y, z_and_one)
        update_w(e, x)

    return learn


def online_update(w, v, learning_rate, functions, Update):
    """The update by one sample: x (1, D+1), t (K,). Vectors halve the overhead of NumPy."""
    M, K = len(w), len(v)
    z_and_one = np.ones(M + 1, w.dtype)
    z, y, e, slope = z_and_one[:M], np.empty(K, w.dtype), np.empty(M, w.dtype), np.empty(M, w.dtype)
    (hidden, derivative), (output, _) = HIDDEN[functions.hidden], OUTPUT[functions.output]
    z_row, y_row, e_row, v_of_z = z_and_one[np.newaxis], y[np.newaxis], e[np.newaxis], v[:, :M]
    update_w, update_v = Update(w), Update(v)

    def learn(x, t):
        np.dot(w, x[0], out=z)
        hidden(z)
        np.dot(v, z_and_one, out=y)
        output(y)
        np.subtract(y, t, out=y)
        np.multiply(y, learning_rate, out=y)
        np.dot(y, v_of_z, out=e)
        derivative(z, out=slope)
        np.multiply(e, slope, out=e)
        update_v(y_row, z_row)
        update_w(e_row, x)

    return learn


def fit(work: Work, Update=WeightUpdate) -> Job:
    w, v = work.w.copy(), work.v.copy()
    x, t = with_one(work.x), targets(work)
    if work.batch_size == 1:
        parts = [(x[n : n + 1], t[n]) for n in range(len(x))]
        learn = online_update(w, v, work.learning_rate, work.functions, Update)
    else:
        parts = [(x[part], t[part]) for part in batches(work)]
        learn = batch_update(w, v, work.batch_size, work.learning_rate, work.functions, Update)

    return learning(each(learn, parts, work.epochs), work, w, v)


def learn_one(work: Work, Update=WeightUpdate) -> Job:
    w, v = work.w.copy(), work.v.copy()
    learn = online_update(w, v, work.learning_rate, work.functions, Update)
    x_and_one = np.ones((1, w.shape[1]), w.dtype)
    x = x_and_one[0, :-1]

    def learn_copy(x_n, t_n):
        x[:] = x_n
        learn(x_and_one, t_n)

    return learning(each(learn_copy, list(zip(work.x, targets(work), strict=True))), work, w, v)


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

"""numba: the equations as loops, compiled with fastmath, so that sums are vectorized; in batches, products by BLAS."""

from functools import cache
from types import SimpleNamespace

import numba
import numpy as np

from ..work import Functions, Job, Work, each_target, with_one

MIN_WEIGHTS_BLAS = 64  # products by BLAS are faster than loops from there

compiled = numba.njit(fastmath=True, error_model="numpy", boundscheck=False)


@compiled
def sigmoid(b, one):
    return one / (one + np.exp(-b))


@compiled
def sigmoid_derivative(z, one):
    return z * (one - z)


@compiled
def relu(b, one):
    return max(b, one - one)


@compiled
def relu_derivative(z, one):
    return one if z > 0 else one - one


@compiled
def softmax(a, factor):
    """a (K,) becomes factor y."""
    max_a = a[0]
    for k in range(a.size):
        max_a = max(max_a, a[k])
    sum_exp = a.dtype.type(0)
    for k in range(a.size):
        a[k] = np.exp(a[k] - max_a)
        sum_exp += a[k]
    for k in range(a.size):
        a[k] *= factor / sum_exp


@compiled
def linear(a, factor):
    for k in range(a.size):
        a[k] *= factor


@compiled
def subtract_class(y, t, factor):
    y[t] -= factor


@compiled
def subtract_numbers(y, t, factor):
    for k in range(y.size):
        y[k] -= factor * t[k]


HIDDEN = {"sigmoid": (sigmoid, sigmoid_derivative), "relu": (relu, relu_derivative)}
OUTPUT = {"softmax": (softmax, subtract_class), "linear": (linear, subtract_numbers)}


@compiled
def update(weights, error, inputs):
    """weights <- weights - error inputsᵀ."""
    last = inputs.size
    for row in range(error.size):
        change = error[row]
        for column in range(last):
            weights[row, column] -= change * inputs[column]
        weights[row, last] -= change


@compiled
def subtract(weights, change):
    for row in range(weights.shape[0]):
        for column in range(weights.shape[1]):
            weights[row, column] -= change[row, column]


@cache
def loops(functions: Functions) -> SimpleNamespace:
    """The functions for a network, compiled with its functions as constants."""
    (h, derivative), (output, subtract_target) = HIDDEN[functions.hidden], OUTPUT[functions.output]

    @compiled
    def forward(x, w, v, z, y, factor):
        """y becomes factor times the outputs."""
        D, M, K, one = x.size, z.size, y.size, x.dtype.type(1)  # 1.0 would promote float32 to float64
        for j in range(M):
            b = w[j, D]
            for i in range(D):
                b += w[j, i] * x[i]
            z[j] = h(b, one)
        for k in range(K):
            a = v[k, M]
            for j in range(M):
                a += v[k, j] * z[j]
            y[k] = a
        output(y, factor)

    @compiled
    def learn(x, t, w, v, z, y, e, learning_rate):
        """y and e become the output and hidden errors, times the learning rate."""
        M, K, one = z.size, y.size, z.dtype.type(1)
        forward(x, w, v, z, y, learning_rate)
        subtract_target(y, t, learning_rate)
        for j in range(M):
            e[j] = 0
        for k in range(K):
            for j in range(M):
                e[j] += y[k] * v[k, j]
        for j in range(M):
            e[j] *= derivative(z[j], one)
        update(v, y, z)
        update(w, e, x)

    @compiled
    def learn_online(x, t, w, v, z, y, e, learning_rate):
        for n in range(len(x)):
            learn(x[n], t[n], w, v, z, y, e, learning_rate)

    @compiled
    def learn_batches_by_loops(x, t, weights, scratch, batch_size, epochs, factor):
        """For small networks: the innermost loops are over samples. x (D, N); z, y, e (M, B), (K, B), (M, B)."""
        (w, v), (z, y, e) = weights, scratch
        D, M, K, zero, one = len(x), len(w), len(v), x.dtype.type(0), x.dtype.type(1)
        for _ in range(epochs):
            for start in range(0, x.shape[1], batch_size):
                for j in range(M):
                    for n in range(batch_size):
                        b = w[j, D]
                        for i in range(D):
                            b += w[j, i] * x[i, start + n]
                        z[j, n] = h(b, one)
                for k in range(K):
                    for n in range(batch_size):
                        a = v[k, M]
                        for j in range(M):
                            a += v[k, j] * z[j, n]
                        y[k, n] = a
                for n in range(batch_size):
                    output(y[:, n], factor)
                    subtract_target(y[:, n], t[start + n], factor)
                for j in range(M):
                    for n in range(batch_size):
                        dz = zero
                        for k in range(K):
                            dz += y[k, n] * v[k, j]
                        e[j, n] = dz * derivative(z[j, n], one)
                for k in range(K):
                    for j in range(M):
                        gradient = zero
                        for n in range(batch_size):
                            gradient += y[k, n] * z[j, n]
                        v[k, j] -= gradient
                    v[k, M] -= y[k].sum()
                for j in range(M):
                    for i in range(D):
                        gradient = zero
                        for n in range(batch_size):
                            gradient += e[j, n] * x[i, start + n]
                        w[j, i] -= gradient
                    w[j, D] -= e[j].sum()

    @compiled
    def learn_batches_by_products(x, t, weights, scratch, epochs, factor):
        """For larger ones: products by SciPy's BLAS, the rest in loops. The last columns of x and z are 1."""
        (w, v), (dw, dv, z, b, y, dz) = weights, scratch
        batch_size, M, one = b.shape[0], b.shape[1], x.dtype.type(1)
        for _ in range(epochs):
            for start in range(0, len(x), batch_size):
                rows = x[start : start + batch_size]
                np.dot(rows, w.T, b)
                for n in range(batch_size):
                    for j in range(M):
                        z[n, j] = h(b[n, j], one)
                np.dot(z, v.T, y)
                for n in range(batch_size):
                    output(y[n], factor)
                    subtract_target(y[n], t[start + n], factor)
                np.dot(y, v, dz)
                for n in range(batch_size):
                    for j in range(M):
                        b[n, j] = dz[n, j] * derivative(z[n, j], one)
                np.dot(y.T, z, dv)
                np.dot(b.T, rows, dw)
                subtract(v, dv)
                subtract(w, dw)

    @compiled
    def predict_one(x, w, v, z):
        y = np.empty(len(v), x.dtype)
        forward(x, w, v, z, y, x.dtype.type(1))
        return y

    @compiled
    def predict(x, w, w_bias, v, v_bias):
        one = x.dtype.type(1)
        z = np.dot(x, w.T)
        for n in range(z.shape[0]):
            for j in range(z.shape[1]):
                z[n, j] = h(z[n, j] + w_bias[j], one)
        y = np.dot(z, v.T)
        for n in range(y.shape[0]):
            for k in range(y.shape[1]):
                y[n, k] += v_bias[k]
            output(y[n], one)
        return y

    return SimpleNamespace(
        learn=learn,
        learn_online=learn_online,
        learn_batches_by_loops=learn_batches_by_loops,
        learn_batches_by_products=learn_batches_by_products,
        predict_one=predict_one,
        predict=predict,
    )


def fit(work: Work) -> Job:
    return fit_online(work) if work.batch_size == 1 else fit_batches(work)


def fit_online(work: Work) -> Job:
    w, v = work.w.copy(), work.v.copy()
    z, y, e = (np.empty(size, w.dtype) for size in (len(w), len(v), len(w)))
    alpha, learn_online = w.dtype.type(work.learning_rate), loops(work.functions).learn_online

    def run():
        for _ in range(work.epochs):
            learn_online(work.x, work.t, w, v, z, y, e, alpha)

    return Job(run, lambda: (w, v), lambda: work.restore(w, v))


def fit_batches(work: Work) -> Job:
    w, v = work.w.copy(), work.v.copy()
    B, M, K = work.batch_size, len(w), len(v)
    factor, own = w.dtype.type(work.learning_rate / B), loops(work.functions)

    if w.size < MIN_WEIGHTS_BLAS:
        x, (z, y, e) = np.ascontiguousarray(work.x.T), (np.empty((rows, B), w.dtype) for rows in (M, K, M))

        def run():
            own.learn_batches_by_loops(x, work.t, (w, v), (z, y, e), B, work.epochs, factor)
    else:
        x, dw, dv = with_one(work.x), w.copy(), v.copy()
        z, b, y, dz = (np.ones((B, columns), w.dtype) for columns in (M + 1, M, K, M + 1))

        def run():
            own.learn_batches_by_products(x, work.t, (w, v), (dw, dv, z, b, y, dz), work.epochs, factor)

    return Job(run, lambda: (w, v), lambda: work.restore(w, v))


def learn_one(work: Work) -> Job:
    w, v = work.w.copy(), work.v.copy()
    z, y, e = (np.empty(size, w.dtype) for size in (len(w), len(v), len(w)))
    alpha, learn = w.dtype.type(work.learning_rate), loops(work.functions).learn
    samples = list(zip(work.x, each_target(work), strict=True))

    def run():
        for x_n, t_n in samples:
            learn(x_n, t_n, w, v, z, y, e, alpha)

    return Job(run, lambda: (w, v), lambda: work.restore(w, v))


def predict_proba_one(work: Work) -> Job:
    z, predict_one = np.empty(len(work.w), work.w.dtype), loops(work.functions).predict_one
    rows = list(work.x)
    y = []

    def run():
        y[:] = [predict_one(x_n, work.w, work.v, z) for x_n in rows]

    return Job(run, lambda: (y,))


def predict_proba(work: Work) -> Job:
    weights = [np.ascontiguousarray(part) for full in (work.w, work.v) for part in (full[:, :-1], full[:, -1])]
    predict = loops(work.functions).predict
    y = []

    def run():
        y[:] = [predict(work.x, *weights)]

    return Job(run, lambda: y)

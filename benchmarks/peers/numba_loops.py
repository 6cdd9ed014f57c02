"""numba: the equations as plain loops, compiled with fastmath, so that sums are vectorized; batches by BLAS.

Slower: slices of arrays, and calls with them, which cost tiny networks up to half of their time, so that the loops over
samples have neither, and what they share is written out; loops for batches, but of tiny networks.
"""

from functools import cache
from types import SimpleNamespace

import numba
import numpy as np

from ..work import (
    Functions,
    Job,
    Work,
    each_target,
    in_place,
    learning,
    network_by_network,
    predicting,
    with_one,
    without_bias,
)

MIN_SIZE_BLAS = 512  # hidden weights times samples of a batch: products by BLAS are faster than loops from there

compiled = numba.njit(fastmath=True, error_model="numpy", boundscheck=False)


@cache
def loops(functions: Functions) -> SimpleNamespace:
    """The functions for a network, compiled with its functions as constants, by which numba prunes the branches."""
    sigmoid, softmax = functions.hidden == "sigmoid", functions.output == "softmax"

    @compiled
    def outputs(a, factor):
        """Each row of a (B, K) becomes factor y."""
        for n in range(a.shape[0]):
            if softmax:
                max_a = a[n, 0]
                for k in range(a.shape[1]):
                    max_a = max(max_a, a[n, k])
                sum_exp = a.dtype.type(0)
                for k in range(a.shape[1]):
                    a[n, k] = np.exp(a[n, k] - max_a)
                    sum_exp += a[n, k]
                for k in range(a.shape[1]):
                    a[n, k] *= factor / sum_exp
            else:
                for k in range(a.shape[1]):
                    a[n, k] *= factor

    @compiled
    def errors(a, t, start, factor):
        """Each row of a (B, K) becomes factor (y - t)."""
        outputs(a, factor)
        for n in range(a.shape[0]):
            if softmax:
                a[n, t[start + n]] -= factor
            else:
                for k in range(a.shape[1]):
                    a[n, k] -= factor * t[start + n, k]

    @compiled
    def learn_online(x, t, w, v, learning_rate):
        (N, D), M, K = x.shape, w.shape[0], v.shape[0]
        zero, one = x.dtype.type(0), x.dtype.type(1)  # 1.0 would promote float32 to float64
        z, y, e = np.empty(M, x.dtype), np.empty(K, x.dtype), np.empty(M, x.dtype)
        for n in range(N):
            for j in range(M):
                b = w[j, D]
                for i in range(D):
                    b += w[j, i] * x[n, i]
                z[j] = one / (one + np.exp(-b)) if sigmoid else max(b, zero)
            for k in range(K):
                a = v[k, M]
                for j in range(M):
                    a += v[k, j] * z[j]
                y[k] = a
            if softmax:
                max_a = y[0]
                for k in range(K):
                    max_a = max(max_a, y[k])
                sum_exp = zero
                for k in range(K):
                    y[k] = np.exp(y[k] - max_a)
                    sum_exp += y[k]
                for k in range(K):
                    y[k] /= sum_exp
                y[t[n]] -= one
            else:
                for k in range(K):
                    y[k] -= t[n, k]
            for j in range(M):
                e[j] = zero
            for k in range(K):
                for j in range(M):
                    e[j] += y[k] * v[k, j]
            for k in range(K):
                change = learning_rate * y[k]
                for j in range(M):
                    v[k, j] -= change * z[j]
                v[k, M] -= change
            for j in range(M):
                change = learning_rate * e[j] * (z[j] * (one - z[j]) if sigmoid else one if z[j] > 0 else zero)
                for i in range(D):
                    w[j, i] -= change * x[n, i]
                w[j, D] -= change

    @compiled
    def learn_one(x, t, w, v, learning_rate):
        """x (1, D). A tuple takes the place of an array t, which Python would have to pass."""
        learn_online(x, (t,) if softmax else t.reshape((1, t.size)), w, v, learning_rate)

    @compiled
    def learn_batches_by_loops(x, t, w, v, batch_size, epochs, factor):
        """For tiny networks: the innermost loops are over samples. x (D, N)."""
        (D, N), M, K = x.shape, w.shape[0], v.shape[0]
        zero, one = x.dtype.type(0), x.dtype.type(1)
        z, y = np.empty((M, batch_size), x.dtype), np.empty((batch_size, K), x.dtype)
        e = np.empty_like(z)
        for _ in range(epochs):
            for start in range(0, N, batch_size):
                for j in range(M):
                    for n in range(batch_size):
                        b = w[j, D]
                        for i in range(D):
                            b += w[j, i] * x[i, start + n]
                        z[j, n] = one / (one + np.exp(-b)) if sigmoid else max(b, zero)
                for k in range(K):
                    for n in range(batch_size):
                        a = v[k, M]
                        for j in range(M):
                            a += v[k, j] * z[j, n]
                        y[n, k] = a
                errors(y, t, start, factor)
                for j in range(M):
                    for n in range(batch_size):
                        dz = zero
                        for k in range(K):
                            dz += y[n, k] * v[k, j]
                        e[j, n] = dz * (z[j, n] * (one - z[j, n]) if sigmoid else one if z[j, n] > 0 else zero)
                for k in range(K):
                    bias = zero
                    for n in range(batch_size):
                        bias += y[n, k]
                    v[k, M] -= bias
                    for j in range(M):
                        gradient = zero
                        for n in range(batch_size):
                            gradient += y[n, k] * z[j, n]
                        v[k, j] -= gradient
                for j in range(M):
                    bias = zero
                    for n in range(batch_size):
                        bias += e[j, n]
                    w[j, D] -= bias
                    for i in range(D):
                        gradient = zero
                        for n in range(batch_size):
                            gradient += e[j, n] * x[i, start + n]
                        w[j, i] -= gradient

    @compiled
    def learn_batches_by_products(x, t, w, v, batch_size, epochs, factor):
        """For larger ones: products by SciPy's BLAS, the rest in loops. The last column of x is 1, as is that of z."""
        N, M, K = x.shape[0], w.shape[0], v.shape[0]
        zero, one = x.dtype.type(0), x.dtype.type(1)
        b, z = np.empty((batch_size, M), x.dtype), np.ones((batch_size, M + 1), x.dtype)
        dz = np.empty_like(z)
        y, dw, dv = np.empty((batch_size, K), x.dtype), np.empty_like(w), np.empty_like(v)
        for _ in range(epochs):
            for start in range(0, N, batch_size):
                rows = x[start : start + batch_size]
                np.dot(rows, w.T, b)
                for n in range(batch_size):
                    for j in range(M):
                        z[n, j] = one / (one + np.exp(-b[n, j])) if sigmoid else max(b[n, j], zero)
                np.dot(z, v.T, y)
                errors(y, t, start, factor)
                np.dot(y, v, dz)
                for n in range(batch_size):
                    for j in range(M):
                        b[n, j] = dz[n, j] * (z[n, j] * (one - z[n, j]) if sigmoid else one if z[n, j] > 0 else zero)
                np.dot(y.T, z, dv)
                np.dot(b.T, rows, dw)
                for k in range(K):
                    for j in range(M + 1):
                        v[k, j] -= dv[k, j]
                for j in range(M):
                    for i in range(w.shape[1]):
                        w[j, i] -= dw[j, i]

    @compiled
    def predict_one(x, w, v):
        D, M, K = x.size, w.shape[0], v.shape[0]
        zero, one = x.dtype.type(0), x.dtype.type(1)
        z, y = np.empty(M, x.dtype), np.empty((1, K), x.dtype)
        for j in range(M):
            b = w[j, D]
            for i in range(D):
                b += w[j, i] * x[i]
            z[j] = one / (one + np.exp(-b)) if sigmoid else max(b, zero)
        for k in range(K):
            a = v[k, M]
            for j in range(M):
                a += v[k, j] * z[j]
            y[0, k] = a
        outputs(y, one)
        return y[0]

    @compiled
    def predict(x, w, w_bias, v, v_bias):
        zero, one = x.dtype.type(0), x.dtype.type(1)
        z = np.dot(x, w.T)
        for n in range(z.shape[0]):
            for j in range(z.shape[1]):
                b = z[n, j] + w_bias[j]
                z[n, j] = one / (one + np.exp(-b)) if sigmoid else max(b, zero)
        y = np.dot(z, v.T)
        for n in range(y.shape[0]):
            for k in range(y.shape[1]):
                y[n, k] += v_bias[k]
        outputs(y, one)
        return y

    return SimpleNamespace(
        learn_online=learn_online,
        learn_one=learn_one,
        learn_batches_by_loops=learn_batches_by_loops,
        learn_batches_by_products=learn_batches_by_products,
        predict_one=predict_one,
        predict=predict,
    )


def fit(work: Work) -> Job:
    own = loops(work.functions)
    if work.batch_size == 1:
        return in_place(work, own.learn_online)
    w, v, B = work.w.copy(), work.v.copy(), work.batch_size
    if w.size * B < MIN_SIZE_BLAS:
        learn, x = own.learn_batches_by_loops, np.ascontiguousarray(work.x.T)
    else:
        learn, x = own.learn_batches_by_products, with_one(work.x)
    factor = w.dtype.type(work.learning_rate / B)
    return learning(lambda: learn(x, work.t, w, v, B, work.epochs, factor), work, w, v)


fit_ensemble = network_by_network(fit)


def learn_one(work: Work) -> Job:
    w, v = work.w.copy(), work.v.copy()
    alpha, learn = w.dtype.type(work.learning_rate), loops(work.functions).learn_one
    samples = [(work.x[n : n + 1], t_n) for n, t_n in enumerate(each_target(work))]

    def run():
        for x_n, t_n in samples:
            learn(x_n, t_n, w, v, alpha)

    return learning(run, work, w, v)


def predict_proba_one(work: Work) -> Job:
    predict_one, rows = loops(work.functions).predict_one, list(work.x)
    return predicting(lambda: [predict_one(x_n, work.w, work.v) for x_n in rows])


def predict_proba(work: Work) -> Job:
    weights, predict = (*without_bias(work.w), *without_bias(work.v)), loops(work.functions).predict
    return predicting(lambda: predict(work.x, *weights))

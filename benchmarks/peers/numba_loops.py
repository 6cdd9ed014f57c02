"""numba: the equations as loops, compiled with fastmath, so that sums are vectorized; in batches, products by BLAS."""

import numba
import numpy as np

from ..work import Job, Work, with_one

MIN_WEIGHTS_BLAS = 64  # products by BLAS are faster than loops from there

compiled = numba.njit(fastmath=True, error_model="numpy", boundscheck=False)


@compiled
def forward(x, w, v, z, y):
    D, M, K, one = x.size, z.size, y.size, x.dtype.type(1)  # 1.0 would promote float32 to float64
    for j in range(M):
        b = w[j, D]
        for i in range(D):
            b += w[j, i] * x[i]
        z[j] = one / (one + np.exp(-b))
    max_a = v[0, M]
    for k in range(K):
        a = v[k, M]
        for j in range(M):
            a += v[k, j] * z[j]
        y[k] = a
        max_a = a if k == 0 else max(max_a, a)
    sum_exp = x.dtype.type(0)
    for k in range(K):
        y[k] = np.exp(y[k] - max_a)
        sum_exp += y[k]
    for k in range(K):
        y[k] /= sum_exp


@compiled
def errors(t, v, z, y, e):
    """y becomes y - t, e the hidden errors."""
    M, K, one = z.size, y.size, z.dtype.type(1)
    y[t] -= one
    for j in range(M):
        e[j] = 0
    for k in range(K):
        for j in range(M):
            e[j] += y[k] * v[k, j]
    for j in range(M):
        e[j] *= z[j] * (one - z[j])


@compiled
def update(weights, factor, error, inputs):
    """weights <- weights - factor error inputsᵀ."""
    last = inputs.size
    for row in range(error.size):
        change = factor * error[row]
        for column in range(last):
            weights[row, column] -= change * inputs[column]
        weights[row, last] -= change


@compiled
def learn(x, t, w, v, z, y, e, learning_rate):
    forward(x, w, v, z, y)
    errors(t, v, z, y, e)
    update(v, learning_rate, y, z)
    update(w, learning_rate, e, x)


@compiled
def learn_online(x, t, w, v, z, y, e, learning_rate):
    for n in range(len(x)):
        learn(x[n], t[n], w, v, z, y, e, learning_rate)


@compiled
def softmax_errors(t, a, factor):
    """a (B, K) becomes factor (y - t)."""
    B, K = a.shape
    for n in range(B):
        max_a = a[n, 0]
        for k in range(K):
            max_a = max(max_a, a[n, k])
        sum_exp = a.dtype.type(0)
        for k in range(K):
            a[n, k] = np.exp(a[n, k] - max_a)
            sum_exp += a[n, k]
        for k in range(K):
            a[n, k] *= factor / sum_exp
        a[n, t[n]] -= factor


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
                    z[j, n] = one / (one + np.exp(-b))
            for k in range(K):
                for n in range(batch_size):
                    a = v[k, M]
                    for j in range(M):
                        a += v[k, j] * z[j, n]
                    y[k, n] = a
            for n in range(batch_size):
                max_a = y[0, n]
                for k in range(K):
                    max_a = max(max_a, y[k, n])
                sum_exp = zero
                for k in range(K):
                    y[k, n] = np.exp(y[k, n] - max_a)
                    sum_exp += y[k, n]
                for k in range(K):
                    y[k, n] *= factor / sum_exp
                y[t[start + n], n] -= factor
            for j in range(M):
                for n in range(batch_size):
                    dz = zero
                    for k in range(K):
                        dz += y[k, n] * v[k, j]
                    e[j, n] = dz * z[j, n] * (one - z[j, n])
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
                    z[n, j] = one / (one + np.exp(-b[n, j]))
            np.dot(z, v.T, y)
            softmax_errors(t[start : start + batch_size], y, factor)
            np.dot(y, v, dz)
            for n in range(batch_size):
                for j in range(M):
                    b[n, j] = dz[n, j] * z[n, j] * (one - z[n, j])
            np.dot(y.T, z, dv)
            np.dot(b.T, rows, dw)
            subtract(v, dv)
            subtract(w, dw)


@compiled
def subtract(weights, change):
    for row in range(weights.shape[0]):
        for column in range(weights.shape[1]):
            weights[row, column] -= change[row, column]


@compiled
def probabilities(x, w, v, z):
    y = np.empty(len(v), x.dtype)
    forward(x, w, v, z, y)
    return y


@compiled
def all_probabilities(x, w, w_bias, v, v_bias):
    one = x.dtype.type(1)
    z = np.dot(x, w.T)
    for n in range(z.shape[0]):
        for j in range(z.shape[1]):
            z[n, j] = one / (one + np.exp(-(z[n, j] + w_bias[j])))
    y = np.dot(z, v.T)
    for n in range(y.shape[0]):
        sum_exp = x.dtype.type(0)
        for k in range(y.shape[1]):
            y[n, k] += v_bias[k]
        max_a = y[n].max()
        for k in range(y.shape[1]):
            y[n, k] = np.exp(y[n, k] - max_a)
            sum_exp += y[n, k]
        for k in range(y.shape[1]):
            y[n, k] /= sum_exp
    return y


def fit(work: Work) -> Job:
    return fit_online(work) if work.batch_size == 1 else fit_batches(work)


def fit_online(work: Work) -> Job:
    w, v = work.w.copy(), work.v.copy()
    z, y, e = (np.empty(size, w.dtype) for size in (len(w), len(v), len(w)))
    alpha = w.dtype.type(work.learning_rate)

    def run():
        for _ in range(work.epochs):
            learn_online(work.x, work.t, w, v, z, y, e, alpha)

    return Job(run, lambda: (w, v), lambda: work.restore(w, v))


def fit_batches(work: Work) -> Job:
    w, v = work.w.copy(), work.v.copy()
    B, M, K = work.batch_size, len(w), len(v)
    factor = w.dtype.type(work.learning_rate / B)

    if w.size < MIN_WEIGHTS_BLAS:
        x, (z, y, e) = np.ascontiguousarray(work.x.T), (np.empty((rows, B), w.dtype) for rows in (M, K, M))

        def run():
            learn_batches_by_loops(x, work.t, (w, v), (z, y, e), B, work.epochs, factor)
    else:
        x, dw, dv = with_one(work.x), w.copy(), v.copy()
        z, b, y, dz = (np.ones((B, columns), w.dtype) for columns in (M + 1, M, K, M + 1))

        def run():
            learn_batches_by_products(x, work.t, (w, v), (dw, dv, z, b, y, dz), work.epochs, factor)

    return Job(run, lambda: (w, v), lambda: work.restore(w, v))


def learn_one(work: Work) -> Job:
    w, v = work.w.copy(), work.v.copy()
    z, y, e = (np.empty(size, w.dtype) for size in (len(w), len(v), len(w)))
    alpha = w.dtype.type(work.learning_rate)
    samples = list(zip(work.x, work.t.tolist(), strict=True))

    def run():
        for x_n, t_n in samples:
            learn(x_n, t_n, w, v, z, y, e, alpha)

    return Job(run, lambda: (w, v), lambda: work.restore(w, v))


def predict_proba_one(work: Work) -> Job:
    z = np.empty(len(work.w), work.w.dtype)
    rows = list(work.x)
    y = []

    def run():
        y[:] = [probabilities(x_n, work.w, work.v, z) for x_n in rows]

    return Job(run, lambda: (y,))


def predict_proba(work: Work) -> Job:
    weights = [np.ascontiguousarray(part) for full in (work.w, work.v) for part in (full[:, :-1], full[:, -1])]
    y = []

    def run():
        y[:] = [all_probabilities(work.x, *weights)]

    return Job(run, lambda: y)

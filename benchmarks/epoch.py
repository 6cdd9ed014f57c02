"""A pass over many samples: online, in batches, and forward only; from the same seeded weights every time."""

import numpy as np

try:
    import cbackprop
except ImportError:  # a commit from before there was one
    cbackprop = None

DTYPES = ["float32", "float64"]
# D-M-K: samples in an epoch, so that it lasts a few milliseconds
ONLINE = {"2-2-3": 20_000, "64-32-10": 4_000, "784-16-10": 1_000, "784-100-10": 1_000, "784-1024-10": 200}
BATCHES = {"64-32-10": 8_192, "784-100-10": 2_048, "784-1024-10": 1_024}


class Epoch:
    """Data and weights of one network; what is measured is in the classes below."""

    number = 1

    def prepare(self, shape, dtype, N):
        if cbackprop is None or not hasattr(cbackprop, "fit"):
            raise NotImplementedError("no fit at this commit")
        D, M, K = map(int, shape.split("-"))
        rng = np.random.default_rng(0)
        self.x = rng.random((N, D)).astype(dtype)
        self.t = rng.integers(K, size=N)
        self.w, self.v = cbackprop.init_weights(D, M, K, dtype=dtype, rng=0)

    def fit(self, **options):
        return cbackprop.fit(self.x, self.t, self.w, self.v, learning_rate=0.01, shuffle=False, **options)


class Online(Epoch):
    params = (["auto", "direct", "blocked"], list(ONLINE), DTYPES)
    param_names = ("method", "shape", "dtype")

    def setup(self, method, shape, dtype):
        self.prepare(shape, dtype, ONLINE[shape])

    def time_epoch(self, method, shape, dtype):
        self.fit(method=method)


class OnlineThreads(Epoch):
    params = ([1, 2], ["784-100-10", "784-1024-10"], DTYPES)
    param_names = ("n_threads", "shape", "dtype")

    def setup(self, n_threads, shape, dtype):
        self.prepare(shape, dtype, ONLINE[shape])

    def time_epoch(self, n_threads, shape, dtype):
        self.fit(n_threads=n_threads)


class MiniBatch(Epoch):
    params = ([8, 32, 128, 1024], list(BATCHES), DTYPES)
    param_names = ("batch_size", "shape", "dtype")

    def setup(self, batch_size, shape, dtype):
        self.prepare(shape, dtype, BATCHES[shape])

    def time_epoch(self, batch_size, shape, dtype):
        self.fit(batch_size=batch_size)


class FullBatch(Epoch):
    """The article's experiment: 50 samples, batch gradient, 1000 iterations."""

    params = (DTYPES,)
    param_names = ("dtype",)

    def setup(self, dtype):
        self.prepare("2-2-3", dtype, 50)

    def time_1000_iterations(self, dtype):
        self.fit(batch_size=None, epochs=1000)


class Pass(Epoch):
    """What learns nothing: the activations, the loss, the gradient."""

    params = (list(BATCHES), DTYPES)
    param_names = ("shape", "dtype")

    def setup(self, shape, dtype):
        self.prepare(shape, dtype, BATCHES[shape])

    def time_forward(self, shape, dtype):
        cbackprop.forward(self.x, self.w, self.v)

    def time_cross_entropy(self, shape, dtype):
        cbackprop.cross_entropy(self.x, self.t, self.w, self.v)

    def time_gradient(self, shape, dtype):
        cbackprop.gradient(self.x, self.t, self.w, self.v)


class Memory(Epoch):
    params = (["784-1024-10"], DTYPES)
    param_names = ("shape", "dtype")

    def setup(self, shape, dtype):
        self.prepare(shape, dtype, ONLINE[shape])

    def peakmem_online(self, shape, dtype):
        self.fit()


class Difference(Epoch):
    """The engines against the NumPy reference: the largest difference of a weight after an epoch, beside its change."""

    params = (["direct", "blocked"], ["64-32-10", "784-100-10"], DTYPES)
    param_names = ("method", "shape", "dtype")

    def setup(self, method, shape, dtype):
        self.prepare(shape, dtype, 200)

    def track_online(self, method, shape, dtype):
        from cbackprop import reference

        start, w, v = self.w.copy(), self.w.astype(np.float64), self.v.astype(np.float64)
        reference.fit(self.x, self.t, w, v, learning_rate=0.01, shuffle=False)
        self.fit(method=method)
        return float(np.abs(self.w - w).max() / np.abs(w - start).max())

    track_online.unit = "of the largest change of a weight"

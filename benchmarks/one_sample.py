"""One-sample calls of Network from Python: a loop of CALLS of them, so divide by that."""

import numpy as np

try:
    from cbackprop import Network
except ImportError:  # a commit from before there was one
    Network = None

CALLS = 2_000


class OneSample:
    params = (["2-2-3", "64-32-10", "784-100-10"], ["float32", "float64"])
    param_names = ("shape", "dtype")
    number = 1

    def setup(self, shape, dtype):
        if Network is None:
            raise NotImplementedError("no Network at this commit")
        D, M, K = map(int, shape.split("-"))
        rng = np.random.default_rng(0)
        self.x = list(rng.random((CALLS, D)).astype(dtype))
        self.t = rng.integers(K, size=CALLS).tolist()
        self.network = Network(D, M, K, learning_rate=0.01, dtype=dtype, rng=0)

    def time_learn_one(self, shape, dtype):
        learn_one = self.network.learn_one
        for x_n, t_n in zip(self.x, self.t, strict=True):
            learn_one(x_n, t_n)

    def time_predict_one(self, shape, dtype):
        predict_one = self.network.predict_one
        for x_n in self.x:
            predict_one(x_n)

    def time_predict_proba_one(self, shape, dtype):
        predict_proba_one = self.network.predict_proba_one
        for x_n in self.x:
            predict_proba_one(x_n)

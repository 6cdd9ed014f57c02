"""Sparse rows of 50 non-zeros: an online epoch, mini-batches, predictions, and one sample from Python."""

import numpy as np

from .suite import ShortBenchmark, has_engine, landed

NON_ZEROS, SAMPLES, M, K = 50, 10_000, 16, 2


class Sparse(ShortBenchmark):
    """With w in both orders, in float32."""

    params = ([1_000, 2**18], ["C", "F"])
    param_names = ("columns", "order")

    def setup(self, D, order):
        has_engine("SparseEngine")
        sparse, cbackprop = landed("scipy.sparse"), landed("cbackprop")
        rng = np.random.default_rng(0)
        self.indices = np.sort(rng.integers(D, size=(SAMPLES, NON_ZEROS)), axis=1).astype(np.int32)
        self.values = np.full((SAMPLES, NON_ZEROS), NON_ZEROS**-0.5, np.float32)
        rows = np.arange(SAMPLES + 1) * NON_ZEROS
        self.x = sparse.csr_array((self.values.ravel(), self.indices.ravel(), rows), shape=(SAMPLES, D))
        self.t = rng.integers(K, size=SAMPLES)
        self.network = cbackprop.Network(D, M, K, order=order, dtype=np.float32, rng=0)

    def time_epoch(self, D, order):
        self.network.fit(self.x, self.t, rng=0)

    def time_epoch_of_batches(self, D, order):
        self.network.fit(self.x, self.t, batch_size=32, rng=0)

    def time_predict(self, D, order):
        self.network.predict(self.x)

    def time_learn_one_sparse(self, D, order):
        learn = self.network.learn_one_sparse
        for indices, values, t in zip(self.indices[:1000], self.values[:1000], self.t[:1000].tolist(), strict=True):
            learn(indices, values, t)

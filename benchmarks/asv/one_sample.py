"""One-sample calls of Network from Python: a loop of CALLS calls, so divide by that number."""

from benchmarks.work import random_work
from cbackprop import Network

from .suite import DTYPES, ShortBenchmark

CALLS = 2_000


class OneSample(ShortBenchmark):
    params = (["2-2-3", "64-32-10"], DTYPES)
    param_names = ("shape", "dtype")

    def setup(self, shape, dtype):
        work = random_work(shape, dtype, CALLS)
        self.x, self.t = list(work.x), work.t.tolist()
        self.network = Network.from_weights(work.w, work.v, learning_rate=work.learning_rate)

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

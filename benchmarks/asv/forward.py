"""Passes over many samples that leave the weights unchanged: activations, probabilities, loss, gradient."""

import cbackprop
from benchmarks.work import random_work

from .suite import DTYPES, VARIANTS, ShortBenchmark, use_variant

SAMPLES = {"64-32-10": 8_192, "784-100-10": 2_048}


class Forward(ShortBenchmark):
    params = (list(SAMPLES), DTYPES)
    param_names = ("shape", "dtype")

    def setup(self, shape, dtype):
        work = random_work(shape, dtype, SAMPLES[shape])
        self.x, self.t, self.w, self.v = work[:4]
        self.network = cbackprop.Network.from_weights(self.w, self.v)
        self.loss = getattr(cbackprop, "loss", None) or cbackprop.cross_entropy  # its name in early commits

    def time_forward(self, shape, dtype):
        cbackprop.forward(self.x, self.w, self.v)

    def time_predict_proba(self, shape, dtype):
        self.network.predict_proba(self.x)

    def time_loss(self, shape, dtype):
        self.loss(self.x, self.t, self.w, self.v)

    def time_gradient(self, shape, dtype):
        cbackprop.gradient(self.x, self.t, self.w, self.v)


class Variants(ShortBenchmark):
    """Probabilities with every instruction set."""

    params = (VARIANTS, DTYPES)
    param_names = ("variant", "dtype")

    def setup(self, variant, dtype):
        use_variant(variant, dtype)
        work = random_work("784-100-10", dtype, SAMPLES["784-100-10"])
        self.x, self.network = work.x, cbackprop.Network.from_weights(work.w, work.v)

    def time_predict_proba(self, variant, dtype):
        self.network.predict_proba(self.x)

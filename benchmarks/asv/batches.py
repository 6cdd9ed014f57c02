"""An epoch in mini-batches, plain and with sample weights, L2 or momentum; the full batch of the article."""

import numpy as np

from benchmarks.work import article_work, random_work

from .suite import DTYPES, VARIANTS, ShortBenchmark, fit, takes, use_variant

SAMPLES = {"64-32-10": 8_192, "784-100-10": 2_048, "784-1024-10": 1_024}


class MiniBatch(ShortBenchmark):
    params = ([32, 1024], list(SAMPLES), DTYPES)
    param_names = ("batch_size", "shape", "dtype")

    def setup(self, batch_size, shape, dtype):
        self.work = random_work(shape, dtype, SAMPLES[shape], batch_size)

    def time_epoch(self, batch_size, shape, dtype):
        fit(self.work)


class Variants(ShortBenchmark):
    """Batches of 128 with every instruction set."""

    params = (VARIANTS, DTYPES)
    param_names = ("variant", "dtype")

    def setup(self, variant, dtype):
        use_variant(variant, dtype)
        self.work = random_work("784-100-10", dtype, SAMPLES["784-100-10"], 128)

    def time_epoch(self, variant, dtype):
        fit(self.work)


class Options(ShortBenchmark):
    """Batches of 32 with sample weights, with an L2 penalty, with momentum."""

    params = (["sample_weight", "l2", "momentum"],)
    param_names = ("option",)

    def setup(self, option):
        import cbackprop

        takes(cbackprop.fit, option)
        self.work = random_work("64-32-10", "float64", SAMPLES["64-32-10"], 32)
        weights = np.random.default_rng(0).uniform(0.5, 1.5, len(self.work.x))
        self.options = {option: {"sample_weight": weights, "l2": 1e-4, "momentum": 0.9}[option]}

    def time_epoch(self, option):
        fit(self.work, **self.options)


class FullBatch(ShortBenchmark):
    """The article's experiment: 1000 iterations of the batch gradient of 50 samples."""

    params = (DTYPES,)
    param_names = ("dtype",)

    def setup(self, dtype):
        self.work = article_work(dtype)

    def time_1000_iterations(self, dtype):
        fit(self.work)

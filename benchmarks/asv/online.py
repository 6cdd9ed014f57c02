"""An online epoch, with an update after each sample, for each engine; its deviation from the reference."""

import numpy as np

from benchmarks.work import random_work

from .suite import DTYPES, VARIANTS, ShortBenchmark, fit, has_engine, use_variant

SAMPLES = {"2-2-3": 20_000, "64-32-10": 4_000, "784-100-10": 1_000, "784-1024-10": 200}  # a few milliseconds each


class Online(ShortBenchmark):
    params = (["auto", "direct", "blocked"], list(SAMPLES), DTYPES)
    param_names = ("method", "shape", "dtype")

    def setup(self, method, shape, dtype):
        if method == "blocked":
            has_engine("BlockedEngine")
        self.work = random_work(shape, dtype, SAMPLES[shape])

    def time_epoch(self, method, shape, dtype):
        fit(self.work, method=method)


SMALL = {"4-8-2": 20_000, "8-8-3": 20_000, "13-9-3": 20_000, "63-32-10": 4_000}


class SmallNetworks(ShortBenchmark):
    """An online epoch of networks that streams are made of, and of one off every multiple."""

    params = (list(SMALL), DTYPES)
    param_names = ("shape", "dtype")

    def setup(self, shape, dtype):
        self.work = random_work(shape, dtype, SMALL[shape])

    def time_epoch(self, shape, dtype):
        fit(self.work)


class Unscaled(ShortBenchmark):
    """An online epoch with inputs from 0 to 16, as the pixels of scikit-learn's digits: many hidden units saturate."""

    params = (DTYPES,)
    param_names = ("dtype",)

    def setup(self, dtype):
        work = random_work("64-32-10", dtype, SAMPLES["64-32-10"])
        self.work = work._replace(x=16 * work.x)

    def time_epoch(self, dtype):
        fit(self.work)


class Penalty(ShortBenchmark):
    """An online epoch without and with an L2 penalty."""

    params = ([0.0, 1e-4], ["64-32-10", "784-100-10"], DTYPES)
    param_names = ("l2", "shape", "dtype")

    def setup(self, l2, shape, dtype):
        self.work = random_work(shape, dtype, SAMPLES[shape])

    def time_epoch(self, l2, shape, dtype):
        fit(self.work, l2=l2)


class Variants(ShortBenchmark):
    """An online epoch with every instruction set."""

    params = (VARIANTS, ["64-32-10", "784-100-10"], DTYPES)
    param_names = ("variant", "shape", "dtype")

    def setup(self, variant, shape, dtype):
        use_variant(variant, dtype)
        self.work = random_work(shape, dtype, SAMPLES[shape])

    def time_epoch(self, variant, shape, dtype):
        fit(self.work)


class Difference:
    """The largest deviation of a weight after an epoch, divided by the largest change of a weight."""

    params = (["direct", "blocked"], DTYPES)
    param_names = ("method", "dtype")

    def setup(self, method, dtype):
        if method == "blocked":
            has_engine("BlockedEngine")
        self.work = random_work("64-32-10", dtype, 200)

    def track_difference_from_reference(self, method, dtype):
        from cbackprop import reference

        x, t, *start = (array.copy() for array in self.work[:4])
        w, v = (array.astype(np.float64) for array in start)
        reference.fit(x, t, w, v, learning_rate=self.work.learning_rate, shuffle=False)
        fit(self.work, method=method)
        apart, change = (
            max(np.abs(array - other).max() for array, other in zip((w, v), others, strict=True))
            for others in ((self.work.w, self.work.v), start)
        )
        return float(apart / change)

    track_difference_from_reference.unit = "of the largest change of a weight"

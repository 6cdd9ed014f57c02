"""Peak memory of a process that learns for an epoch, including NumPy, data and weights."""

from benchmarks.work import random_work

from .suite import DTYPES, fit


class Memory:
    params = ([1, 1024], DTYPES)
    param_names = ("batch_size", "dtype")

    def setup(self, batch_size, dtype):
        self.work = random_work("784-1024-10", dtype, 1024, batch_size)

    def peakmem_epoch(self, batch_size, dtype):
        fit(self.work)

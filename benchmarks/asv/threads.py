"""One thread and two: an online epoch, an epoch in batches, a forward pass. Two threads need two processors."""

import os

import cbackprop
from benchmarks.work import random_work

from .suite import DTYPES, ShortBenchmark, fit, takes


class Threads(ShortBenchmark):
    params = ([1, 2], ["784-300-10", "784-1024-10"], DTYPES)
    param_names = ("n_threads", "shape", "dtype")
    samples, batch_size = 1024, 1

    def setup(self, n_threads, shape, dtype):
        if n_threads > len(os.sched_getaffinity(0)):
            raise NotImplementedError(f"{n_threads} threads on fewer processors")
        self.work = random_work(shape, dtype, self.samples, self.batch_size)


class Online(Threads):
    samples = 400

    def time_epoch(self, n_threads, shape, dtype):
        fit(self.work, n_threads=n_threads)


class MiniBatch(Threads):
    batch_size = 1024

    def time_epoch(self, n_threads, shape, dtype):
        fit(self.work, n_threads=n_threads)


class Forward(Threads):
    def setup(self, n_threads, shape, dtype):
        takes(cbackprop.forward, "n_threads")
        super().setup(n_threads, shape, dtype)

    def time_forward(self, n_threads, shape, dtype):
        cbackprop.forward(self.work.x, self.work.w, self.work.v, n_threads=n_threads)

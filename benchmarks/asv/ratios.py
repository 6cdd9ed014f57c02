"""Machine-independent ratios: both sides are timed in turn in one process, and the minima compared."""

import numpy as np

from benchmarks import NUMPY_IMPORTED_EARLY
from benchmarks.work import Job, interleaved, random_work

from .suite import DTYPES, landed

REPEATS = 15  # of a few milliseconds, so that some are not interrupted
WORK = {  # name: function of a peer's module, D-M-K, samples, batch size
    "online 64-32-10": ("fit", "64-32-10", 500, 1),
    "online 784-100-10": ("fit", "784-100-10", 200, 1),
    "batches of 32, 784-100-10": ("fit", "784-100-10", 128, 32),
    "learn_one 64-32-10": ("learn_one", "64-32-10", 500, 1),
    "predict_proba_one 64-32-10": ("predict_proba_one", "64-32-10", 500, 1),
    "predict 784-100-10": ("predict_proba", "784-100-10", 256, 1),
}


def fastest(jobs):
    return [min(seconds) for seconds in interleaved(jobs, REPEATS).values()]


def library():
    if NUMPY_IMPORTED_EARLY:
        raise RuntimeError("NumPy was imported before it was limited to one thread; run `python -m benchmarks`")
    return landed("benchmarks.peers.library")


class Beside:
    """Speed relative to the readable NumPy reference and to numba loops."""

    params = (["numpy_reference", "numba_loops"], list(WORK))
    param_names = ("peer", "work")

    def setup(self, peer, work):
        self.kind, *sizes = WORK[work]
        self.peer = landed(f"benchmarks.peers.{peer}")
        self.work = random_work(sizes[0], "float32", *sizes[1:])

    def track_times_as_fast(self, peer, work):
        makers = {"own": library(), "peer": self.peer}
        own, other = fastest({name: getattr(module, self.kind)(self.work) for name, module in makers.items()})
        return other / own

    track_times_as_fast.unit = "times as fast"


class Rate:
    """Operations per second of 784-1024-10 relative to NumPy's matrix product, one thread each."""

    params = (["online", "batches of 128", "predict"], DTYPES)
    param_names = ("work", "dtype")

    def setup(self, work, dtype):
        self.work = random_work("784-1024-10", dtype, 128, 128 if work == "batches of 128" else 1)
        self.factors = np.random.default_rng(0).random((3, 512, 512)).astype(dtype)

    def track_part_of_matrix_product(self, work, dtype):
        a, b, c = self.factors
        (K, M), D, predicts = (len(self.work.v), len(self.work.w)), self.work.x.shape[1], work == "predict"
        jobs = {
            "own": (library().predict_proba if predicts else library().fit)(self.work),
            "product": Job(lambda: np.dot(a, b, out=c), lambda: (c,)),
        }
        own, product = fastest(jobs)
        operations = len(self.work.x) * M * (2 * (D + K) if predicts else 4 * D + 6 * K)
        return (operations / own) / (2 * len(a) ** 3 / product)

    track_part_of_matrix_product.unit = "of NumPy's matrix product"


class Call:
    """Nanoseconds that a call of `learn_one` adds to the update of its sample: 2-2-3, whose updates are short."""

    params = (DTYPES,)
    param_names = ("dtype",)

    def setup(self, dtype):
        self.work = random_work("2-2-3", dtype, 1_000)

    def track_overhead(self, dtype):
        epochs = 5  # so many that the call of fit itself is little
        kernel = library().fit(self.work._replace(epochs=epochs))
        call, kernel = fastest({"call": library().learn_one(self.work), "kernel": kernel})
        return (call - kernel / epochs) / len(self.work.x) * 1e9

    track_overhead.unit = "ns per call"

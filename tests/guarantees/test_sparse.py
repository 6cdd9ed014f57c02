"""Sparse rows: whatever a CSR matrix holds, no call crashes, and none needs a second copy of the weights.

The attributes of good matrices are replaced by up to three others: dtypes, lengths, dimensions, byte orders, indices
and row pointers out of range, numbers that are not finite. A call that succeeds nevertheless must have the result of
the same rows with their zeros. `nox -s address` runs this with every memory access checked.
"""

import sys
import threading
from contextlib import suppress

import numpy as np
import pytest

import cbackprop
from cbackprop import DivergenceError, Network, reference

sparse = pytest.importorskip("scipy.sparse")

PARTS = ("data", "indices", "indptr")
WRONG_INDICES = [-1, -(2**31), 2**31 - 1, 5, 6, 7, 2**62]
WRONG_NUMBERS = [np.nan, np.inf, -np.inf, 1e300, -1e38, 5e-324]
DTYPES = ["i1", "u1", "i4", "i8", "u8", "f2", "f4", "f8", "c16", "O", "?", ">i4", ">f8", "S4", "U2", "M8[s]"]


def good(rng):
    N, D = int(rng.integers(1, 9)), int(rng.integers(1, 7))
    counts = rng.integers(0, D + 2, N)
    index = rng.choice(["i4", "i8"])
    x = sparse.csr_array((N, D))
    x.indptr = np.concatenate([[0], counts.cumsum()]).astype(index)
    x.indices = rng.integers(D, size=counts.sum()).astype(index)
    x.data = rng.normal(size=counts.sum()).astype(rng.choice(["f4", "f8"]))
    return x


def placed(rng, array, part):
    array = array.copy()
    array[rng.integers(array.size)] = rng.choice(WRONG_NUMBERS if part == "data" else WRONG_INDICES)
    return array


CORRUPTIONS = [
    placed,
    placed,
    placed,
    lambda rng, array, part: array.astype(rng.choice(DTYPES)),
    lambda rng, array, part: array[: rng.integers(array.size + 1)],
    lambda rng, array, part: array[rng.integers(array.size + 1) :],
    lambda rng, array, part: np.resize(array, rng.integers(2 * array.size + 2)),
    lambda rng, array, part: np.repeat(array, 2)[:: rng.choice([2, -2])],
    lambda rng, array, part: array[:, np.newaxis],
    lambda rng, array, part: rng.permutation(array),
    lambda rng, array, part: np.ma.masked_array(array),
    lambda rng, array, part: np.frombuffer(b"0" + array.tobytes(), array.dtype, offset=1),
    lambda rng, array, part: rng.choice(np.array([None, 3, "text"], object)),
    lambda rng, array, part: array.tolist(),
]


def corrupt(rng, x):
    for _ in range(rng.integers(4)):
        part = rng.choice(PARTS)
        try:  # not every array can be corrupted in every way
            with np.errstate(all="ignore"):
                setattr(x, part, rng.choice(np.array(CORRUPTIONS, object))(rng, getattr(x, part), part))
        except (TypeError, ValueError, AttributeError, OverflowError, IndexError):
            pass


def dense(x, dtype):
    rows = np.zeros(x.shape, dtype)
    for n in range(x.shape[0]):
        for c in range(x.indptr[n], x.indptr[n + 1]):
            rows[n, x.indices[c]] += dtype.type(x.data[c])
    return rows


def contents(*values):
    arrays = [value for value in values if isinstance(value, np.ndarray) and not value.dtype.hasobject]
    return [array.tobytes() for array in arrays]


CALLS = {  # of a library, with x, t, w and v
    "forward": lambda library, x, t, w, v: library.forward(x, w, v).y,
    "loss": lambda library, x, t, w, v: library.loss(x, t, w, v),
    "gradient": lambda library, x, t, w, v: library.gradient(x, t, w, v)[0],
    "fit": lambda library, x, t, w, v: library.fit(x, t, w, v, rng=0).losses,
    "batches": lambda library, x, t, w, v: library.fit(x, t, w, v, batch_size=3, l2=0.1, rng=0).losses,
    "step": lambda library, x, t, w, v: library.step(x, t[0], w, v, 0.1),
}


@pytest.mark.guarantee("hostile sparse rows", slice=500, full=10_000)
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
def test_hostile_sparse_rows(repetitions, record_property):
    refused = 0
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        x = good(rng)
        N, D = x.shape
        dtype, M, K = np.dtype(rng.choice(["f4", "f8"])), int(rng.choice([1, 3, 17])), 2
        w, v = cbackprop.init_weights(D, M, K, dtype=dtype, order=str(rng.choice(["C", "F"])), rng=0)
        t = np.arange(N) % 2
        corrupt(rng, x)
        call = CALLS["step" if N == 1 and seed % 2 else rng.choice(["forward", "loss", "gradient", "fit", "batches"])]
        before, wanted = contents(w, v, *(getattr(x, part) for part in PARTS)), (w.copy(), v.copy())
        try:
            result = call(cbackprop, x, t, w, v)
        except (TypeError, ValueError, AttributeError, IndexError, DivergenceError) as error:
            after = contents(w, v, *(getattr(x, part) for part in PARTS))
            if isinstance(error, DivergenceError):
                assert np.isfinite(w).all()
                assert np.isfinite(v).all()
            else:
                assert after == before
            refused += 1
            continue
        rows = dense(x, dtype)
        expected = call(reference, rows[0] if call is CALLS["step"] else rows, t, *wanted)
        np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(w, wanted[0], rtol=1e-3, atol=1e-3)
    record_property("refused", f"{refused:,}")
    assert repetitions / 4 < refused < repetitions


@pytest.mark.guarantee("hostile sparse rows", slice=500, full=10_000)
def test_hostile_samples(repetitions):
    network = Network(6, 17, 2, order="F", dtype="float32", rng=0)
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        x = good(rng)
        corrupt(rng, x)
        before = contents(network.w, network.v)
        call = rng.choice([network.learn_one_sparse, network.predict_one_sparse, network.predict_proba_one_sparse])
        try:
            call(x.indices, x.data, *[1] * (call == network.learn_one_sparse))
        except (TypeError, ValueError, DivergenceError):
            assert contents(network.w, network.v) == before
        assert np.isfinite(network.w).all()


@pytest.mark.guarantee("hostile sparse rows", slice=50, full=10_000)
@pytest.mark.filterwarnings(
    "ignore:the root mean square", "ignore:Stochastic Optimizer", "ignore:overflow encountered in cast"
)
def test_hostile_rows_of_estimators(repetitions):
    """scikit-learn and SciPy take rows before the kernels do."""
    estimators = pytest.importorskip("cbackprop.sklearn")
    refused = 0
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        x = good(rng)
        N, D = x.shape
        y = np.arange(N) % 2
        model = estimators.BackpropClassifier(3, random_state=0, max_iter=2, early_stopping=bool(seed % 2))
        model.partial_fit(np.eye(D, dtype=rng.choice(["f4", "f8"])), np.arange(D) % 2, classes=[0, 1])
        corrupt(rng, x)
        network = model.network_
        before = contents(network.w, network.v, *(getattr(x, part) for part in PARTS))
        call = rng.choice(["fit", "partial_fit", "predict", "transform"])
        try:
            getattr(model, call)(x, *[y] * ("fit" in call))
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            assert model.network_ is network
            if not (call == "partial_fit" and "diverged" in str(error)):  # rows before that one have been learned
                assert contents(network.w, network.v, *(getattr(x, part) for part in PARTS)) == before
            refused += 1
        assert np.isfinite(model.network_.w).all()
    assert repetitions / 4 < refused < repetitions


@pytest.mark.guarantee("sparse rows that change", slice=5, full=500)
def test_rows_that_another_thread_changes(repetitions):
    """No weight is NaN, and nothing else is written to."""
    rng = np.random.default_rng(0)
    N, D = 20_000, 1000
    done = threading.Event()
    x = sparse.csr_array((np.ones(N * 10), rng.integers(D, size=N * 10), np.arange(N + 1) * 10), shape=(N, D))
    kept = x.indices.copy()

    def change():
        while not done.is_set():
            for wrong in (2**31 - 1, -1, -(2**31)):
                x.indices[::7] = wrong
            x.indices[:] = kept

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for turn in range(repetitions):
            w, v = cbackprop.init_weights(D, 16, 2, order="F", rng=0)
            with suppress(ValueError, DivergenceError):
                cbackprop.fit(x, np.arange(N) % 2, w, v, batch_size=(1, 8)[turn % 2], rng=0)
            assert np.isfinite(w).all()
            with suppress(ValueError):
                assert np.isfinite(cbackprop.forward(x, w, v).y).all()
    finally:
        done.set()
        thread.join()


@pytest.mark.guarantee("sparse rows: no copy of the weights")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak of memory from Linux")
def test_no_copy_of_the_weights(python, record_property):
    """w has 64 MiB; the rest, with the errors of a batch, far less."""
    result = python(
        """
import resource, numpy as np, scipy.sparse, cbackprop
D, N = 2**20, 1000
w, v = np.ones((16, D + 1), np.float32, order="F"), np.ones((2, 17), np.float32)
rng = np.random.default_rng(0)
x = scipy.sparse.csr_array((np.ones(N * 20), rng.integers(D, size=N * 20), np.arange(N + 1) * 20), shape=(N, D))
network = cbackprop.Network.from_weights(w, v)
network.learn_one_sparse([3], [1.0], 1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
cbackprop.fit(x, np.arange(N) % 2, w, v, epochs=2)
cbackprop.fit(x, np.arange(N) % 2, w, v, batch_size=100, l2=1e-3)
network.predict(x)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    )
    assert result.returncode == 0, result.stderr
    record_property("growth", f"{int(result.stdout):,} KiB")
    assert int(result.stdout) < 32 * 1024

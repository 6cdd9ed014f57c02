"""Bad inputs: no call crashes the process, and a call that raises leaves every byte of every array unchanged.

Networks have any output and hidden function; settings and sample weights lie at the edges of each dtype. Good arguments
of every public entry are corrupted in up to three places: type, memory order, strides, alignment, byte order, shape,
shared memory, values, masks, sizes up to the largest number, generators that shuffle wrongly. Calls that succeed
nevertheless are not counted; they must leave finite weights, return finite gradients and no NaN, and have used no
masked array. `nox -s address` runs this with every memory access checked.
"""

import operator

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import cbackprop
from cbackprop import DivergenceError, Ensemble, Network
from cbackprop._catalog import HIDDEN_FUNCTIONS, OUTPUTS

LEARNING = "epochs batch_size rng method n_threads callback sample_weight l2 momentum velocity checkpoint_every"
OF_ENSEMBLES = "epochs batch_size rng n_threads callback sample_weight l2 checkpoint_every"
ENTRIES = {  # positional arguments, and keyword arguments
    "init_weights": ("n_inputs n_hidden n_outputs", "hidden dtype rng"),
    "forward": ("x w v", "output hidden n_threads"),
    "loss": ("x t w v", "output hidden"),
    "gradient": ("x t w v", "output hidden"),
    "numerical_gradient": ("x t w v", "output hidden epsilon scheme"),
    "step": ("x_n t_n w v learning_rate", "sample_weight output hidden accumulators"),
    "fit": ("x t w v", f"output hidden learning_rate adaptive accumulators {LEARNING}"),
    "Network": ("n_inputs n_hidden n_outputs", "output hidden learning_rate dtype rng"),
    "Network.from_weights": ("w v", "output hidden learning_rate"),
    "network.learn_one": ("x_n t_n", "sample_weight"),
    "network.predict_one": ("x_n", ""),
    "network.predict_proba_one": ("x_n", ""),
    "network.fit": ("x t", LEARNING),
    "network.predict": ("x", "n_threads"),
    "network.predict_proba": ("x", "n_threads"),
    "network.loss": ("x t", ""),
    "network.gradient": ("x t", ""),
    "Ensemble": ("n_inputs n_hidden n_outputs", "output hidden learning_rates adaptive eta share dtype rng"),
    "ensemble.fit": ("x t", OF_ENSEMBLES),
    "ensemble.learn_one": ("x_n t_n", "sample_weight"),
    "ensemble.predict_one": ("x_n", ""),
    "ensemble.predict": ("x", "n_threads"),
    "ensemble.loss": ("x t", ""),
}


def call(entry, arguments):
    """Call a function of the package, or a method of a network with these weights, functions and learning rate."""
    positional, keywords = ({name: arguments[name] for name in names.split()} for names in ENTRIES[entry])
    where, _, method = entry.partition(".")
    if where == "network":
        settings = {name: arguments[name] for name in ("output", "hidden", "learning_rate", "accumulators")}
        network = Network.from_weights(arguments["w"], arguments["v"], **settings)
        function = getattr(network, method)
    elif where == "ensemble":
        function = getattr(arguments["ensemble"], method)
    else:
        function = operator.attrgetter(entry)(cbackprop)
    return function(*positional.values(), **keywords)


NEGATIVE = [0, -1, -(2**31), -(2**63), -(10**400), np.int8(-1)]
INTEGERS = st.sampled_from([*NEGATIVE, 2**31, 2**63, 2**64, 10**400, np.uint64(2**63)])
NO_NUMBERS = st.sampled_from(
    [None, "1", b"1", 1j, True, [], [1], {}, object(), print, np.array([1.0]), float("nan"), float("inf"), 1.5, -0.0]
)
DTYPES = st.sampled_from([*np.typecodes["All"].replace("V", ""), "S3", "U3", "V8", "M8[s]", "m8[D]", "i4,f8"])
VALUES = st.sampled_from([np.nan, np.inf, -np.inf, 1e300, -1e300, 1e38, 5e-324, -1.0, -0.0, 2.0**31, 0.3])


def edges(dtype, *others):
    """Settings at the edges of a dtype: those that round to 0, to a subnormal number or to 1, and huge ones."""
    finfo = np.finfo(dtype)
    below = float(np.nextafter(finfo.tiny, dtype.type(0)))  # the largest subnormal number
    small = [0.0, 1e-50, 5e-324, float(finfo.smallest_subnormal), below, float(finfo.tiny), float(finfo.eps)]
    return st.sampled_from([*others, *small, 1 - float(finfo.epsneg), 1 - 2**-53, 1.0, float(finfo.max), 1e300])


class Misleading(np.random.Generator):
    """Orders samples in ways of its own, which leave no permutation."""

    def permutation(self, N):
        return np.full(N, 10**9)

    def shuffle(self, order):
        order.resize(10, refcheck=False)


GENERATORS = st.builds(lambda: Misleading(np.random.PCG64(0)))


def good_targets(draw, output, N, K, dtype, rng):
    """Targets of N samples: what suits the output."""
    if output == "softmax":
        labels = rng.integers(K, size=N)
        return np.eye(K, dtype=dtype)[labels] if draw(st.booleans()) else labels
    rows = (rng.normal(size=(N, K)) if output == "linear" else rng.integers(3, size=(N, K)) / 2).astype(dtype)
    return rows[:, 0] if K == 1 and draw(st.booleans()) else rows


@st.composite
def good(draw, entry):
    """Arguments that every entry accepts, but for some of the settings."""
    D, M, K = (draw(st.sampled_from(sizes)) for sizes in ((1, 2, 3, 17), (1, 2, 5, 18), (1, 2, 3, 9)))
    N = draw(st.sampled_from((1, 2, 7, 20, 40)))
    dtype = np.dtype(draw(st.sampled_from(("float32", "float64"))))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    output = draw(st.sampled_from([*OUTPUTS]))
    if output == "softmax" and entry.lower().startswith("ensemble"):
        K = max(2, K)
    t = good_targets(draw, output, N, K, dtype, rng)
    w, v = rng.normal(size=(M, D + 1)).astype(dtype), rng.normal(size=(K, M + 1)).astype(dtype)
    usual = draw(st.booleans())
    momentum = draw(st.sampled_from((0.0, 0.5)) if usual else edges(dtype, 0.5))
    with_momentum = momentum >= float(np.finfo(dtype).smallest_subnormal)  # does not round to 0
    hidden = draw(st.sampled_from([*HIDDEN_FUNCTIONS]))
    adaptive = not with_momentum and draw(st.booleans())
    smallest, largest = float(np.finfo(dtype).smallest_subnormal), float(np.finfo(dtype).max)
    held = edges(dtype, 0.1).filter(lambda rate: smallest <= rate <= largest)
    rates = [0.01, 0.1 if usual else draw(held)]
    functions = {"output": output, "hidden": hidden, "adaptive": adaptive, "dtype": dtype}
    ensemble = None
    if entry.startswith("ensemble"):
        ensemble = Ensemble(D, M, K, learning_rates=rates, rng=rng, **functions)
        w, v = ensemble.w[1], ensemble.v[1]
    weights = [None, np.arange(N) + 1, np.full(N, draw(edges(dtype)))]
    if entry in ("step", "network.learn_one", "ensemble.learn_one"):
        weights = [1.0, 2, draw(edges(dtype))]
    return {
        "output": output,
        "hidden": hidden,
        "adaptive": adaptive,
        "accumulators": [np.zeros(M, dtype), np.zeros(K, dtype)] if adaptive else None,
        "ensemble": ensemble,
        "learning_rates": rates,
        "eta": draw(st.sampled_from((None, 0.5))),
        "share": draw(st.sampled_from((0.0, 0.01, 1.0))),
        "x": rng.normal(size=(N, D)).astype(dtype),
        "t": t,
        "x_n": rng.normal(size=D).astype(dtype),
        "t_n": t[0].item() if t.ndim == 1 else t[0],
        "w": w,
        "v": v,
        "learning_rate": 0.1 if usual else draw(edges(dtype, 0.1)),
        "epochs": 1,  # a later epoch that diverges would come after changes of the weights
        "batch_size": draw(st.sampled_from((1, 2, 16, None))),
        "n_threads": draw(st.sampled_from((1, 2))),
        "method": draw(st.sampled_from(("auto", "direct", "blocked"))),
        "scheme": draw(st.sampled_from(("central", "forward", "complex"))),
        "epsilon": None if usual else draw(edges(dtype, None)),
        "rng": 0,
        "callback": None,
        "sample_weight": weights[0] if usual else draw(st.sampled_from(weights)),
        "l2": draw(st.sampled_from((0.0, 0.1)) if usual else edges(dtype, 0.1)),
        "momentum": momentum,
        "velocity": [np.zeros_like(w), np.zeros_like(v)] if with_momentum else None,
        "checkpoint_every": 1,
        "dtype": dtype,
        "n_inputs": D,
        "n_hidden": M,
        "n_outputs": max(2, K),  # softmax outputs
    }


class Strange:
    """Claims to be an array, and is not."""

    def __array__(self, dtype=None, copy=None):
        raise ValueError("no array")

    def __len__(self):
        return 2**62


def placed(draw, array):
    """A copy with another number somewhere."""
    array = np.array(array, copy=True)
    array.reshape(-1)[draw(st.integers(0, array.size - 1))] = draw(VALUES if array.dtype.kind in "fc" else INTEGERS)
    return array


def locked(draw, array):
    array = np.array(array, copy=True)
    array.flags.writeable = False
    return array


def misaligned(draw, array):
    offset = draw(st.integers(1, 15))
    return np.frombuffer(bytearray(offset) + array.tobytes(), array.dtype, offset=offset).reshape(array.shape)


def scaled(draw, array):
    """With the largest or smallest numbers that are finite."""
    finfo = np.finfo(array.dtype)
    return array / np.abs(array).max() * draw(st.sampled_from([finfo.max, finfo.max / 4, finfo.max**0.5, finfo.tiny]))


def masked(draw, array):
    hidden = np.zeros(np.shape(array), bool)
    hidden.reshape(-1)[draw(st.integers(0, hidden.size - 1))] = True
    ways = [np.asanyarray, list, tuple] if array.ndim == 2 else [np.asanyarray]
    return draw(st.sampled_from(ways))(np.ma.masked_array(array, hidden))


def resized(draw, array):
    """With other numbers of rows or columns."""
    axis = draw(st.integers(0, array.ndim - 1))
    size = array.shape[axis]
    return array.take(draw(st.sampled_from([[], range(size - 1), [*range(size), 0]])), axis)


def one_of(*ways):
    return lambda draw, array: draw(st.sampled_from(ways))(array)


class Sub(np.ndarray):
    """Not NumPy's class."""


CORRUPTIONS = [
    placed,
    locked,
    misaligned,
    scaled,
    masked,
    resized,
    lambda draw, array: array.astype(draw(DTYPES)),
    lambda draw, array: array.astype(array.dtype.newbyteorder()),
    lambda draw, array: draw(st.sampled_from([None, "text", 1.0, {}, Strange(), [[1.0], [1.0, 2.0]], b"\0" * 8])),
    one_of(np.ma.masked_array, memoryview, np.ndarray.tolist, list, lambda array: array.view(Sub)),
    one_of(np.atleast_3d, lambda array: array[np.newaxis], np.ravel, np.transpose, lambda array: array[0]),
    one_of(
        np.asfortranarray,
        lambda array: array[::-1],
        lambda array: array[..., ::-1],
        lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
        lambda array: np.broadcast_to(array[:1], array.shape),
        lambda array: np.lib.stride_tricks.as_strided(
            array.copy(), strides=(array.itemsize,) * array.ndim
        ),  # rows overlap
    ),
]


def overlapping(draw, value, memory):
    """An array like value in the memory of the weights."""
    start = draw(st.integers(0, memory.size - value.size))
    return memory.reshape(-1)[start : start + value.size].reshape(value.shape)


def corrupted(draw, value, arguments):
    """An array with one or two defects."""
    for _ in range(draw(st.integers(1, 2))):
        try:  # not every array can be corrupted in every way
            with np.errstate(all="ignore"):
                if draw(st.integers(0, 9)) == 0:
                    value = overlapping(draw, np.asanyarray(value), arguments[draw(st.sampled_from("wv"))])
                else:
                    value = draw(st.sampled_from(CORRUPTIONS))(draw, np.asanyarray(value))
        except (TypeError, ValueError, IndexError, AttributeError, OverflowError, RuntimeError):
            break
    return value


def corrupt(draw, name, arguments):
    value = arguments[name]
    if name in ("x", "t", "x_n", "t_n", "w", "v", "sample_weight"):
        value = corrupted(draw, value, arguments)
    elif name in ("velocity", "accumulators") and isinstance(value, list) and len(value) == 2:
        value = [corrupted(draw, value[0], arguments), value[1]][:: draw(st.sampled_from((1, -1)))]
    elif name == "rng":
        value = draw(NO_NUMBERS | INTEGERS | GENERATORS)
    elif name == "dtype":
        value = draw(DTYPES | NO_NUMBERS)
    elif name == "callback":
        value = draw(st.sampled_from([1, "print", [], object()]))
    elif name.startswith("n_") or name == "epochs":
        value = draw(NO_NUMBERS | st.sampled_from(NEGATIVE))  # large ones take memory or time, and are no bad input
    else:
        value = draw(NO_NUMBERS | INTEGERS)
    arguments[name] = value


def hides(argument):
    """Whether a masked array is among the arguments."""
    return any(
        isinstance(each, np.ma.MaskedArray)
        for each in [argument, *(argument if type(argument) in (list, tuple) else [])]
    )


def contents(argument):
    """Every byte of an array, or of the arrays in a list, and of the arrays they are views of."""
    if isinstance(argument, Ensemble):
        states = argument._model().states
        argument = [argument.w, argument.v, *(array for pair in states.values() for array in pair)]
    if isinstance(argument, list):
        return [contents(each) for each in argument]
    if not isinstance(argument, np.ndarray) or argument.dtype.hasobject:
        return None
    while isinstance(argument.base, np.ndarray):
        argument = argument.base
    return argument.tobytes()


@pytest.mark.guarantee("bad inputs", slice=900, full=100_000)
@pytest.mark.filterwarnings(
    "ignore::numpy.exceptions.ComplexWarning", "ignore:Warning. converting a masked:UserWarning"
)
def test_bad_inputs(repetitions, record_property):
    refused = dict.fromkeys(ENTRIES, 0)

    @settings(
        max_examples=repetitions,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def check(data):
        entry = data.draw(st.sampled_from(list(ENTRIES)))
        names = " ".join(ENTRIES[entry]).split()
        if entry.startswith("network"):
            names += ["w", "v", "output", "hidden", "learning_rate", "accumulators"]
        arguments = data.draw(good(entry))
        for _ in range(data.draw(st.integers(0, 3))):
            corrupt(data.draw, data.draw(st.sampled_from(names)), arguments)
        if entry.startswith("ensemble"):
            names.append("ensemble")
        before = {name: contents(arguments[name]) for name in names}
        failure = None
        try:
            result = call(entry, arguments)
        except (TypeError, ValueError, DivergenceError) as error:
            failure = error
        if failure is None and entry.rpartition(".")[2] in ("step", "fit", "learn_one"):
            for array in (arguments["w"], arguments["v"], *(arguments["velocity"] or arguments["accumulators"] or [])):
                assert np.isfinite(array).all()
            if entry.startswith("ensemble"):
                assert np.isfinite(arguments["ensemble"].w).all()
                assert arguments["ensemble"].weights.sum() == pytest.approx(1)
        if failure is None:
            assert not any(hides(arguments[name]) for name in names)
            results = result if isinstance(result, tuple) else [result]
            if entry.endswith("gradient"):
                assert all(np.isfinite(array).all() for array in results)
            elif not entry.startswith(("Network", "Ensemble", "ensemble.fit")):
                assert not any(np.isnan(array).any() for array in results)
        assume(failure is not None)
        assert str(failure)
        assert {name: contents(arguments[name]) for name in names} == before
        refused[entry] += 1

    check()
    fewest = min(refused.values())
    record_property("refused", f"{sum(refused.values()):,} by {len(refused)} entries, each {fewest:,} or more")
    assert fewest > repetitions / 100

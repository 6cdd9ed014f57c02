"""Bad input: every public function names the argument, says what came, and leaves every array as it was.

The tables hold, for each kind of argument, ways to spoil a good one: what makes the bad value from the good values, the
error, and what of the bad value the message must tell. `cbackprop` and `cbackprop.reference` must say the same.
"""

import functools
import inspect
import re

import numpy as np
import pytest

import cbackprop
from cbackprop import DivergenceError, Network, _validation, reference

D, M, K, N = 3, 5, 7, 8  # all different, and from D + 1 and M + 1


def good(dtype):
    """Arguments that every function takes."""
    rng = np.random.default_rng(0)
    return {
        "x": rng.normal(size=(N, D)).astype(dtype),
        "t": np.arange(N) % K,
        "x_n": rng.normal(size=D).astype(dtype),
        "t_n": 2,
        "w": rng.normal(size=(M, D + 1)).astype(dtype),
        "v": rng.normal(size=(K, M + 1)).astype(dtype),
        "learning_rate": 0.1,
        "n_inputs": D,
        "n_hidden": M,
        "n_outputs": K,
    }


WRITING = ("step", "fit")


def misaligned(array):
    room = np.zeros(array.nbytes + 1, np.uint8)
    copy = room[1:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


class Unruly(np.ndarray):
    """Could do anything."""


class Failing:
    """Would be an array, but for an error of its own."""

    def __array__(self, dtype=None, copy=None):
        raise ValueError("the sensor is off")


def masked(array):
    """An array that hides its first number."""
    hidden = np.zeros(np.shape(array), bool)
    hidden[(0,) * hidden.ndim] = True
    return np.ma.masked_array(array, hidden)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def with_number(array, place, number):
    array = np.array(array, copy=True)
    array[place] = number
    return array


def wide(array):
    """The numbers of an array, with as many others between them."""
    return np.repeat(array, 2, axis=-1)[..., ::2]


LONGER = np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant  # not with every compiler


def beyond(array):
    """With a number first that the dtype of the weights cannot hold."""
    if array.dtype == np.float64 and not LONGER:
        pytest.skip("no number is beyond float64 here")
    large = np.longdouble("1e39" if array.dtype == np.float32 else "1e400")
    return with_number(array.astype(np.longdouble), (0,) * array.ndim, large)


def long(array):
    """In another type than double, if there is one."""
    if not LONGER:
        pytest.skip("long double is double here")
    return array.astype(np.longdouble)


# name: (bad value from the good array, error, what the message tells of it)
WEIGHTS = {
    "list": (lambda a: a.tolist(), TypeError, "list"),
    "None": (lambda a: None, TypeError, "NoneType"),
    "number": (lambda a: 1.0, TypeError, "float"),
    "text": (lambda a: "weights", TypeError, "str"),
    "memoryview": (memoryview, TypeError, "memoryview"),
    "masked": (lambda a: np.ma.masked_less(a, 0), TypeError, "MaskedArray"),
    "of a subclass": (lambda a: a.view(Unruly), TypeError, "Unruly"),
    "0-d": (lambda a: np.array(a[0, 0]), ValueError, "0 dimensions"),
    "1-d": (lambda a: a.ravel(), ValueError, "1 dimension"),
    "3-d": (lambda a: a[np.newaxis], ValueError, "3 dimensions"),
    "float16": (lambda a: a.astype(np.float16), TypeError, "f2"),
    "longdouble": (long, TypeError, np.dtype(np.longdouble).str),
    "int64": (lambda a: a.astype(np.int64), TypeError, "i8"),
    "bool": (lambda a: a > 0, TypeError, "b1"),
    "complex": (lambda a: a.astype(complex), TypeError, "c16"),
    "object": (lambda a: a.astype(object), TypeError, "O"),
    "swapped": (lambda a: a.astype(a.dtype.newbyteorder()), TypeError, "byte order"),
    "no rows": (lambda a: a[:0], ValueError, "(0, "),
    "no columns": (lambda a: a[:, :0].copy(), ValueError, ", 0)"),
    "bias only": (lambda a: a[:, :1].copy(), ValueError, ", 1)"),
    "strided": (wide, ValueError, "strides"),
    "fortran": (np.asfortranarray, ValueError, "strides"),
    "backwards": (lambda a: a[::-1], ValueError, "strides"),
    "broadcast": (lambda a: np.broadcast_to(a[0], a.shape), ValueError, "strides (0, "),
    "misaligned": (misaligned, ValueError, "misaligned"),
    "other dtype": (lambda a: a.astype("f4" if a.dtype == "f8" else "f8"), TypeError, "float32"),
}
NUMBERS = {  # inputs, of any number of dimensions
    "None": (lambda a: None, TypeError, "object"),
    "text": (lambda a: a.astype(str).tolist(), TypeError, "<U"),
    "bytes": (lambda a: a.astype("S8"), TypeError, "S8"),
    "complex": (lambda a: a + 1j, TypeError, "complex"),
    "object": (lambda a: a.astype(object), TypeError, "object"),
    "dates": (lambda a: np.zeros(a.shape, "M8[s]"), TypeError, "datetime64"),
    "dictionary": (lambda a: {"a": 1}, TypeError, "object"),
    "masked": (masked, TypeError, "MaskedArray"),
    "error of its own": (lambda a: Failing(), ValueError, "the sensor is off"),
    "error of an element": (lambda a: [Failing()] * len(a), ValueError, "the sensor is off"),
    "beyond integers": (lambda a: (np.zeros(a.shape, object) + 10**400).tolist(), TypeError, "object"),
    "0-d": (lambda a: 1.0, ValueError, "0 dimensions"),
    "fewer dimensions": (lambda a: a[0], ValueError, "dimensions"),
    "more dimensions": (lambda a: a[np.newaxis], ValueError, "dimensions"),
    "empty": (lambda a: a[:0], ValueError, "(0,"),
    "too few": (lambda a: a[..., :-1], ValueError, str(D - 1)),
    "too many": (lambda a: np.concatenate([a, a], axis=-1), ValueError, str(2 * D)),
    "nan first": (lambda a: with_number(a, (0,) * a.ndim, np.nan), ValueError, "0] is nan"),
    "nan last": (lambda a: with_number(a, (-1,) * a.ndim, np.nan), ValueError, f"{D - 1}] is nan"),
    "inf": (lambda a: with_number(a, (0,) * a.ndim, np.inf), ValueError, "0] is inf"),
    "-inf in strides": (lambda a: wide(with_number(a, (-1,) * a.ndim, -np.inf)), ValueError, f"{D - 1}] is -inf"),
    "beyond the dtype": (beyond, ValueError, "0] is "),
}
ROWS = {  # inputs of several samples
    "no columns": (lambda a: a[:, :0], ValueError, ", 0)"),
    "ragged": (lambda a: [[1.0] * D, [1.0]], ValueError, "ragged"),
    "one masked": (lambda a: [*a[1:], masked(a[0])], TypeError, f"[{N - 1}] is a MaskedArray"),
    "empty list": (lambda a: [], ValueError, "1 dimension"),
    "nan in the middle": (lambda a: with_number(a, (2, 1), np.nan), ValueError, "[2, 1] is nan"),
}
LABELS = {  # class indices of N samples
    "below": (lambda t: with_number(t, 3, -1), ValueError, "[3] is -1"),
    "above": (lambda t: with_number(t, 2, K), ValueError, f"[2] is {K}"),
    "2**31": (lambda t: with_number(t, 0, 2**31), ValueError, str(2**31)),
    "-2**63": (lambda t: with_number(t, 0, -(2**63)), ValueError, str(-(2**63))),
    "2**63": (lambda t: with_number(t.astype(np.uint64), 0, 2**63), ValueError, str(2**63)),
    "2**70": (lambda t: [2**70] * N, TypeError, "object"),
    "float": (lambda t: t.astype(float), TypeError, "float64"),
    "float nan": (lambda t: t * np.nan, TypeError, "float64"),
    "text": (lambda t: t.astype(str), TypeError, "<U"),
    "complex": (lambda t: t.astype(complex), TypeError, "complex128"),
    "object": (lambda t: t.astype(object), TypeError, "object"),
    "None": (lambda t: None, ValueError, "0 dimensions"),
    "one for all": (lambda t: 1, ValueError, "0 dimensions"),
    "too few": (lambda t: t[:-1], ValueError, str(N - 1)),
    "too many": (lambda t: np.append(t, 0), ValueError, str(N + 1)),
    "empty": (lambda t: t[:0], ValueError, "0 rows"),
    "ragged": (lambda t: [[0], [0, 1]], ValueError, "ragged"),
    "masked": (masked, TypeError, "MaskedArray"),
    "error of its own": (lambda t: Failing(), ValueError, "the sensor is off"),
}
ONE_HOT = {  # rows of targets
    "half": (lambda r: r / 2, ValueError, "sums to 0.5"),
    "zero": (lambda r: r * 0, ValueError, "sums to 0"),
    "two": (lambda r: with_number(r, (3, slice(2)), 1), ValueError, "[3] is"),
    "nearly": (lambda r: r * (1 + 1 / 512), ValueError, "sums to 1.001953"),
    "negative": (lambda r: with_number(r * 0, (slice(None), slice(2)), (1.5, -0.5)), ValueError, "of them negative"),
    "nan": (lambda r: with_number(r, (4, 1), np.nan), ValueError, "nan"),
    "inf": (lambda r: with_number(r, (4, 1), np.inf), ValueError, "inf"),
    "complex": (lambda r: r.astype(complex), TypeError, "complex128"),
    "text": (lambda r: r.astype(str), TypeError, "<U"),
    "too few columns": (lambda r: r[:, 1:], ValueError, f"{K - 1} columns"),
    "too many columns": (lambda r: np.hstack([r, r[:, :1] * 0]), ValueError, f"{K + 1} columns"),
    "too few rows": (lambda r: r[1:], ValueError, f"{N - 1} rows"),
    "no columns": (lambda r: r[:, :0], ValueError, "0 columns"),
    "3-d": (lambda r: r[np.newaxis], ValueError, "3 dimensions"),
    "masked": (masked, TypeError, "MaskedArray"),
    "one masked": (lambda r: (masked(r[0]), *r[1:]), TypeError, "[0] is a MaskedArray"),
}
LABEL = {  # the class index of one sample
    "below": (lambda t: -1, ValueError, "-1"),
    "above": (lambda t: K, ValueError, str(K)),
    "above, NumPy": (lambda t: np.uint8(K), ValueError, str(K)),
    "2**31": (lambda t: 2**31, ValueError, str(2**31)),
    "2**63": (lambda t: 2**63, ValueError, str(2**63)),
    "-2**63": (lambda t: -(2**63), ValueError, str(-(2**63))),
    "float": (lambda t: 2.0, TypeError, "float64"),
    "nan": (lambda t: np.nan, TypeError, "float64"),
    "text": (lambda t: "2", TypeError, "<U1"),
    "None": (lambda t: None, TypeError, "object"),
    "complex": (lambda t: 2j, TypeError, "complex128"),
    "ragged": (lambda t: [[1.0], [1.0, 2.0]], ValueError, f"ragged; it must be a class index or a row of {K}"),
    "masked": (masked, TypeError, "MaskedArray"),
    "error of its own": (lambda t: Failing(), ValueError, "the sensor is off"),
}
ROW = {  # the row of targets of one sample
    "half": (lambda r: r / 2, ValueError, "sums to 0.5"),
    "negative": (lambda r: [1.5, -0.5, *[0] * (K - 2)], ValueError, "none of them negative"),
    "nan": (lambda r: with_number(r, 0, np.nan), ValueError, "nan"),
    "too few columns": (lambda r: r[1:], ValueError, str(K - 1)),
    "too many columns": (lambda r: [*r, 0], ValueError, str(K + 1)),
    "2-d": (lambda r: np.array([r]), ValueError, "2 dimensions"),
    "empty": (lambda r: [], ValueError, "0"),
    "text": (lambda r: ["a"] * K, TypeError, "<U1"),
    "masked": (masked, TypeError, "MaskedArray"),
}
RATES = {
    "nan": (np.nan, ValueError),
    "inf": (np.inf, ValueError),
    "-inf": (-np.inf, ValueError),
    "zero": (0, ValueError),
    "minus zero": (-0.0, ValueError),
    "negative": (-0.1, ValueError),
    "NumPy nan": (np.float32("nan"), ValueError),
    "beyond float": (10**400, ValueError),
    "text": ("0.1", TypeError),
    "None": (None, TypeError),
    "complex": (0.1j, TypeError),
    "bool": (True, TypeError),
    "list": ([0.1], TypeError),
    "array": (np.array([0.1]), TypeError),
}
EPSILONS = {name: case for name, case in RATES.items() if name != "None"} | {"subnormal": (1e-320, ValueError)}
COUNTS = {
    "zero": (0, ValueError),
    "negative": (-1, ValueError),
    "float": (2.0, TypeError),
    "text": ("2", TypeError),
    "bool": (True, TypeError),
    "list": ([2], TypeError),
    "nan": (np.nan, TypeError),
}
GENERATORS = {
    "text": ("seed", TypeError),
    "negative": (-1, ValueError),
    "float": (1.5, TypeError),
    "floats": ([1.5, 2.5], TypeError),
    "object": (object, TypeError),
}
PARTS = {
    "nan": (np.nan, ValueError),
    "negative": (-0.1, ValueError),
    "infinite": (np.inf, ValueError),
    "beyond float": (10**400, ValueError),
    "text": ("0.5", TypeError),
    "None": (None, TypeError),
    "bool": (True, TypeError),
    "list": ([0.5], TypeError),
}
SAMPLE_WEIGHTS = {
    "short": (np.ones(N - 1), ValueError),
    "rows": (np.ones((N, 1)), ValueError),
    "number": (1.0, ValueError),
    "negative": (-np.ones(N), ValueError),
    "nan": (np.full(N, np.nan), ValueError),
    "zeros": (np.zeros(N), ValueError),
    "text": (["1"] * N, TypeError),
    "complex": (np.ones(N, complex), TypeError),
    "subnormal": (np.full(N, 5e-324), ValueError),
    "masked": (masked(np.ones(N)), TypeError),
    "error of its own": (Failing(), ValueError),
}
CHOICES = {
    "unknown": ("fast", ValueError),
    "None": (None, ValueError),
    "number": (1, ValueError),
    "list": (["auto"], ValueError),
}
COUNTS_OR_NONE = COUNTS | {"None": (None, TypeError)}
NEW = {
    **dict.fromkeys(("n_inputs", "n_hidden", "n_outputs"), COUNTS_OR_NONE),
    "rng": GENERATORS,
    "dtype": {
        "int": (np.int64, TypeError),
        "half": (np.float16, TypeError),
        "complex": (complex, TypeError),
        "swapped": (np.dtype(float).newbyteorder(), TypeError),
        "unknown": ("float65", TypeError),
        "object": (object, TypeError),
        "number": (64, TypeError),
    },
}
OF_FIT = {
    "epochs": COUNTS_OR_NONE,
    "batch_size": COUNTS,
    "n_threads": COUNTS_OR_NONE,
    "method": CHOICES,
    "rng": GENERATORS,
    "shuffle": {"number": (1, TypeError), "text": ("False", TypeError), "None": (None, TypeError)},
    "callback": {"number": (3, TypeError), "text": ("print", TypeError)},
    "l2": PARTS,
    "momentum": PARTS | {"above 1": (1.1, ValueError)},
}
RATE = {"learning_rate": RATES}
FUNCTIONS = {  # of both libraries: positional arguments, and bad values of settings
    "forward": ("x w v", {"n_threads": COUNTS_OR_NONE}),
    "loss": ("x t w v", {}),
    "gradient": ("x t w v", {}),
    "numerical_gradient": ("x t w v", {"epsilon": EPSILONS, "scheme": CHOICES | {"other": ("backward", ValueError)}}),
    "step": ("x_n t_n w v learning_rate", RATE),
    "fit": ("x t w v", RATE | OF_FIT),
    "init_weights": ("n_inputs n_hidden n_outputs", NEW),
}
ENTRIES = FUNCTIONS | {  # and the methods of a network
    "Network": ("n_inputs n_hidden n_outputs", RATE | NEW),
    "Network.from_weights": ("w v", RATE),
    "Network.learn_one": ("x_n t_n", {}),
    "Network.predict_one": ("x_n", {}),
    "Network.predict_proba_one": ("x_n", {}),
    "Network.fit": ("x t", OF_FIT),
    "Network.predict": ("x", {"n_threads": COUNTS}),
    "Network.predict_proba": ("x", {"n_threads": COUNTS}),
    "Network.loss": ("x t", {}),
    "Network.gradient": ("x t", {}),
}


def positional(entry, arguments):
    return [arguments[name] for name in ENTRIES[entry][0].split()]


def one_hot(arguments):
    return np.eye(K, dtype=arguments["w"].dtype)[arguments["t"]]


def cases():
    """(entry, argument, kind of the good value it is made from, what is wrong): each with its line of a table."""
    tables = {
        "w": [("w", {name: bad for name, bad in WEIGHTS.items() if name != "fortran"})],  # the other order of w
        "v": [("v", WEIGHTS)],
        "x": [("x", NUMBERS | ROWS)],
        "x_n": [("x_n", NUMBERS)],
        "t": [("t", LABELS), ("rows", ONE_HOT)],
        "t_n": [("t_n", LABEL), ("row", ROW)],
    }
    for entry, (names, settings) in ENTRIES.items():
        for argument in names.split():
            for kind, table in tables.get(argument, ()):
                if kind in "wv" and entry in WRITING:
                    table = table | {"read-only": (read_only, ValueError, "read-only")}
                for wrong, line in table.items():
                    yield pytest.param(entry, argument, kind, *line, id=f"{entry}-{kind}-{wrong}")
        for argument, table in settings.items():
            for wrong, (value, error) in table.items():
                line = (lambda _, value=value: value, error, "" if callable(value) else str(value))
                yield pytest.param(entry, argument, argument, *line, id=f"{entry}-{argument}-{wrong}")


def good_value(kind, arguments):
    if kind == "rows":
        return one_hot(arguments)
    if kind == "row":
        return one_hot(arguments)[0]
    return arguments.get(kind)


def run(library, entry, arguments):
    """Call a function of a library, or a method of a network with these weights."""
    names, settings = ENTRIES[entry]
    owner, _, name = entry.rpartition(".")
    if owner:
        owner = Network if name == "from_weights" else Network.from_weights(arguments["w"], arguments["v"])
    keywords = {name: arguments[name] for name in settings.keys() - names.split() if name in arguments}
    return getattr(owner or library, name)(*positional(entry, arguments), **keywords)


def call(library, entry, arguments):
    """The error that comes; all arrays among the arguments must be what they were."""
    arrays = [*positional(entry, arguments), arguments["w"], arguments["v"]]
    before = [contents(array) for array in arrays]
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is looked at by the caller
        run(library, entry, arguments)
    assert [contents(array) for array in arrays] == before
    return caught.value


def contents(argument):
    """Every byte of an array and of what it is a view of."""
    if not isinstance(argument, np.ndarray):
        return None
    base = argument
    while isinstance(base.base, np.ndarray):
        base = base.base
    return argument.tobytes(), base.tobytes()


def assert_message(error, kind, name, came):
    """The error is of this kind, not of one below it, and its message names the argument and what came."""
    assert type(error) is kind, repr(error)
    assert re.search(rf"(?<!\w){name}(?!\w)", str(error)), f"{name} is not named: {error}"
    assert came in str(error), f"{came!r} is not reported: {error}"
    assert re.search(r"must|expected|need", str(error)), f"what is needed is not reported: {error}"


VELOCITIES = {
    "one": (lambda w, v: (w.copy(),), TypeError),
    "an array": (lambda w, v: w.copy(), TypeError),
    "lists": (lambda w, v: (w.tolist(), v.tolist()), TypeError),
    "swapped": (lambda w, v: (v.copy(), w.copy()), ValueError),
    "another shape": (lambda w, v: (w[:, 1:].copy(), v.copy()), ValueError),
    "another dtype": (lambda w, v: (w.astype("f2"), v.astype("f2")), TypeError),
    "long": (lambda w, v: (w.repeat(2, axis=0), v.copy()), ValueError),
    "read-only": (lambda w, v: (read_only(w), v.copy()), ValueError),
    "strided": (lambda w, v: (np.repeat(w, 2, axis=1)[:, ::2], v.copy()), ValueError),
    "misaligned": (lambda w, v: (misaligned(w), v.copy()), ValueError),
    "the weights": (lambda w, v: (w, v), ValueError),
    "nan": (lambda w, v: (with_number(w, (0, 0), np.nan), v.copy()), ValueError),
    "masked": (lambda w, v: (masked(w), v.copy()), TypeError),
}


def test_velocity_beside_what_is_read(dtype):
    rng = np.random.default_rng(0)
    for library in (cbackprop, reference):
        for lies in ("x", "sample_weight"):
            arguments = good(dtype)
            room = rng.normal(size=M * (D + 1) + K * (M + 1) + 2).astype(dtype)  # like w, then like v
            u_w, u_v = room[: M * (D + 1)].reshape(M, D + 1), np.zeros_like(arguments["v"])
            inside = {"x": room[: N * D].reshape(N, D), "sample_weight": np.abs(room[:N], out=room[:N])}
            options = {"x": arguments["x"], "sample_weight": np.ones(N, dtype)} | {lies: inside[lies]}
            before = [contents(array) for array in (room, arguments["w"], arguments["v"])]
            reported = r"velocity\[0\] overlaps x, t or sample_weight in memory; it must be a separate array"
            with pytest.raises(ValueError, match=reported):
                library.fit(
                    t=arguments["t"], w=arguments["w"], v=arguments["v"], momentum=0.5, velocity=(u_w, u_v), **options
                )
            assert [contents(array) for array in (room, arguments["w"], arguments["v"])] == before


@pytest.mark.parametrize("momentum", [0, 1e-50])
def test_velocity_without_momentum(library, momentum):
    arguments = good(np.float32)
    velocity = np.ones_like(arguments["w"]), np.ones_like(arguments["v"])
    with pytest.raises(ValueError, match="velocity is given and momentum is 0 in float32"):
        library.fit(*positional("fit", arguments), velocity=velocity, momentum=momentum, batch_size=2)
    assert all((layer == 1).all() for layer in velocity)


@pytest.mark.parametrize(("entry", "argument", "kind", "make", "error", "came"), list(cases()))
def test_bad_argument(dtype, entry, argument, kind, make, error, came):
    arguments = good(dtype)
    arguments[argument] = make(good_value(kind, arguments))
    ours = call(cbackprop, entry, arguments)
    # the parameters of methods are called x and t, for one sample too
    assert_message(ours, error, argument if entry in FUNCTIONS else argument.removesuffix("_n"), came)
    if entry in FUNCTIONS and argument in inspect.signature(getattr(reference, entry)).parameters:
        theirs = call(reference, entry, arguments)
        assert (type(theirs), str(theirs)) == (type(ours), str(ours))


@pytest.mark.parametrize("entry", ENTRIES)
def test_good_arguments_pass(library, dtype, entry):
    # the tables start from arguments that work
    arguments = good(dtype)
    before = contents(arguments["w"]), contents(arguments["v"])
    result = run(library if entry in FUNCTIONS else cbackprop, entry, arguments)
    if not entry.startswith("Network"):
        numbers = result.losses if entry == "fit" else result if isinstance(result, tuple) else [result]
        assert all(np.isfinite(part).all() for part in numbers)
    changes = entry.rpartition(".")[2] in ("step", "fit", "learn_one")
    assert ((contents(arguments["w"]), contents(arguments["v"])) != before) == changes


@pytest.mark.parametrize(("make", "error"), VELOCITIES.values(), ids=VELOCITIES)
def test_bad_velocity(dtype, make, error):
    arguments = good(dtype)
    velocity = make(arguments["w"], arguments["v"])
    check_fit(arguments, error, r"velocity.* must ", momentum=0.5, velocity=velocity)


@pytest.mark.parametrize(("value", "error"), SAMPLE_WEIGHTS.values(), ids=SAMPLE_WEIGHTS)
def test_bad_sample_weight(dtype, value, error):
    check_fit(good(dtype), error, r"sample_weight.* must ", sample_weight=value)


@pytest.mark.parametrize("batch_size", [1, 2, None])
def test_a_weight_of_0_hides_no_bad_row(dtype, batch_size):
    arguments = good(dtype)
    arguments["x"][:2] = np.nan
    settings = {"batch_size": batch_size, "shuffle": False, "sample_weight": np.arange(N) > 1}
    check_fit(arguments, ValueError, r"x\[0, 0\] is nan", **settings)


def check_fit(arguments, error, message, **settings):
    """`fit` of both libraries raises the error and changes nothing."""
    four = positional("fit", arguments)
    before = [contents(array) for array in four]
    for library in (cbackprop, reference):
        with pytest.raises(error, match=message) as caught:
            library.fit(*four, **settings)
        assert type(caught.value) is error
        assert [contents(array) for array in four] == before


@pytest.mark.parametrize("row", range(N))
def test_every_row_of_targets_is_looked_at(monkeypatch, dtype, row):
    # where there are so many classes that a slice holds one row only
    monkeypatch.setattr(_validation, "SLICE", K - 1)
    arguments = good(dtype)
    arguments["t"] = with_number(one_hot(arguments), row, 1)
    assert_message(call(cbackprop, "loss", arguments), ValueError, "t", f"[{row}] is")


@pytest.mark.parametrize("value", [1e-60, 1e60], ids=["rounds to 0", "rounds to infinity"])
@pytest.mark.parametrize("function", WRITING)
def test_rate_that_float32_cannot_hold(function, value):
    arguments = good(np.float32) | {"learning_rate": value}
    assert_message(call(cbackprop, function, arguments), ValueError, "learning_rate", repr(value))
    assert_message(call(reference, function, arguments), ValueError, "learning_rate", repr(value))


@pytest.mark.parametrize("setting", ["momentum", "l2"])
@pytest.mark.parametrize("batch_size", [1, 2, None])
@pytest.mark.parametrize("method", ["auto", "direct", "blocked"])
def test_settings_that_round_to_0_are_0(setting, batch_size, method):
    for library in (cbackprop, reference):
        tiny, zero = good(np.float32), good(np.float32)
        for arguments, value in ((tiny, 1e-50), (zero, 0.0)):
            four = (arguments[name] for name in "xtwv")
            settings = {setting: value, "batch_size": batch_size} | ({"method": method} if library is cbackprop else {})
            library.fit(*four, rng=0, epochs=3, **settings)
        assert [contents(tiny[name]) for name in "wv"] == [contents(zero[name]) for name in "wv"]


def test_momentum_that_rounds_to_0_needs_no_room():
    w, v = cbackprop.init_weights(784, 100, 10, dtype=np.float32, rng=0)
    x, t = np.zeros((100, 784), np.float32), np.zeros(100, int)
    assert cbackprop.fit(x, t, w, v, batch_size=16, momentum=1e-50).epochs == 1


def test_momentum_that_rounds_to_1(dtype):
    # 1 may be; what is above 1 may not, nor what is below 0, even where it would round to them
    for library in (cbackprop, reference):
        nearly, one = good(dtype), good(dtype)
        for arguments, momentum in ((nearly, 1 - 2.0**-60), (one, 1)):
            library.fit(*positional("fit", arguments), batch_size=2, rng=0, epochs=3, momentum=momentum)
        assert [contents(nearly[name]) for name in "wv"] == [contents(one[name]) for name in "wv"]
        for momentum in (1 + 2.0**-40, -1e-60):
            error = call(library, "fit", good(dtype) | {"momentum": momentum})
            assert_message(error, ValueError, "momentum", repr(momentum))


@pytest.mark.parametrize("scheme", ["central", "forward"])
@pytest.mark.parametrize("layer", ["w", "v"])
def test_distance_that_is_lost_beside_a_weight(dtype, layer, scheme):
    # the difference would be divided by 0
    arguments = good(dtype) | {"scheme": scheme}
    arguments[layer][2, 1] = 2.0**100
    for library in (cbackprop, reference):
        error = call(library, "numerical_gradient", arguments)
        assert_message(error, ValueError, "epsilon", f"{layer}[2, 1] = {arguments[layer][2, 1]}")


# ------------------------------------------------------------------------------------------ arguments that do not fit


def weights_of_one_buffer(dtype):
    room = np.random.default_rng(0).normal(size=M * (D + 1) + K * (M + 1)).astype(dtype)
    return room, room[: M * (D + 1)].reshape(M, D + 1), room[M * (D + 1) :].reshape(K, M + 1)


OVERLAPS = {
    "the same": lambda room: (room[:20].reshape(4, 5), room[:25].reshape(5, 5)),
    "one number": lambda room: (room[:16].reshape(4, 4), room[15:40].reshape(5, 5)),
    "inside": lambda room: (room.reshape(1, -1)[:, 2:4], room[:26].reshape(13, 2)),
}


@pytest.mark.parametrize("overlap", OVERLAPS.values(), ids=OVERLAPS.keys())
@pytest.mark.parametrize("function", ["forward", "loss", "gradient", "numerical_gradient", "step", "fit"])
def test_overlapping_weights(dtype, function, overlap):
    w, v = overlap(np.arange(41, dtype=dtype))
    width, classes = w.shape[1] - 1, len(v)
    arguments = good(dtype) | {"x": np.ones((N, width)), "x_n": np.ones(width), "w": w, "v": v}
    arguments |= {"t": np.zeros(N, int) + classes - 1, "t_n": 0}
    for library in (cbackprop, reference):
        error = call(library, function, arguments)
        assert_message(error, ValueError, "w", "overlap")
        assert_message(error, ValueError, "v", "overlap")


def test_neighboring_weights_do_not_overlap(dtype):
    _room, w, v = weights_of_one_buffer(dtype)
    w_alone, v_alone = w.copy(), v.copy()
    arguments = good(dtype)
    for library in (cbackprop, reference):
        library.fit(arguments["x"], arguments["t"], w, v, rng=0)
        library.fit(arguments["x"], arguments["t"], w_alone, v_alone, rng=0)
        np.testing.assert_array_equal(w, w_alone)
        np.testing.assert_array_equal(v, v_alone)


def overlapping_inputs(argument, layer, dtype):
    """Inputs or targets that lie, as they are, in the memory of w or v."""
    arguments = good(dtype)
    numbers = arguments[layer].reshape(-1)
    if argument == "x":
        arguments["x"] = numbers[: len(numbers) // D * D].reshape(-1, D)
        arguments["t"] = np.arange(len(arguments["x"])) % K
    elif argument == "x_n":
        arguments["x_n"] = numbers[3 : 3 + D]
    else:
        rows = numbers[: len(numbers) // K * K].reshape(-1, K)
        rows[:] = 1 / K
        arguments["t"], arguments["t_n"] = rows, rows[0]
        arguments["x"] = np.ones((len(rows), D), dtype)
    return arguments


@pytest.mark.parametrize("layer", ["w", "v"])
@pytest.mark.parametrize(("function", "argument"), [("fit", "x"), ("fit", "t"), ("step", "x_n"), ("step", "t_n")])
def test_inputs_that_overlap_weights_to_be_updated(dtype, function, argument, layer):
    arguments = overlapping_inputs(argument, layer, dtype)
    for library in (cbackprop, reference):
        assert_message(call(library, function, arguments), ValueError, argument, "overlaps")


@pytest.mark.parametrize("layer", ["w", "v"])
@pytest.mark.parametrize("argument", ["x", "t"])
def test_inputs_may_overlap_weights_that_are_only_read(dtype, argument, layer):
    arguments = overlapping_inputs(argument, layer, dtype)
    copies = {name: np.copy(value) for name, value in arguments.items()}
    for library in (cbackprop, reference):
        for function in ("loss", "gradient"):
            np.testing.assert_equal(run(library, function, arguments), run(library, function, copies))


def test_weights_that_do_not_fit_each_other(dtype):
    arguments = good(dtype)
    arguments["v"] = np.ones((K, M + 2), dtype)
    for function in ("forward", "loss", "gradient", "numerical_gradient", "step", "fit"):
        for library in (cbackprop, reference):
            assert_message(call(library, function, arguments), ValueError, "v", str((K, M + 2)))


@pytest.mark.parametrize("layer", ["w", "v"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_fit_refuses_weights_that_are_not_finite(dtype, layer, number):
    arguments = good(dtype)
    arguments[layer][2, 1] = number
    for library in (cbackprop, reference):
        assert_message(call(library, "fit", arguments), ValueError, layer, f"[2, 1] is {number}")


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("function", ["forward", "loss", "gradient", "numerical_gradient"])
def test_no_result_is_nan_for_weights_that_are_not_finite(library, dtype, function, number):
    arguments = good(dtype)
    arguments["v"][:, 1] = number
    assert_message(call(library, function, arguments), ValueError, "v", f"[0, 1] is {number}")


@pytest.mark.parametrize("samples", [1, N, 5 * N])
@pytest.mark.parametrize("classes", [2, 3, K, 20])
def test_no_result_is_nan_for_weights_that_are_too_large(library, dtype, classes, samples):
    huge = np.finfo(dtype).max * 0.9
    w, v = np.ones((M, D + 1), dtype), np.full((classes, M + 1), -huge, dtype)
    v[-1] = huge
    x, t = np.ones((samples, D)), np.zeros(samples, int)
    works = [lambda: library.forward(x, w, v)]
    works += [
        functools.partial(getattr(library, name), x, t, w, v) for name in FUNCTIONS if FUNCTIONS[name][0] == "x t w v"
    ]
    if library is cbackprop:
        network = Network.from_weights(w, v)
        works += [lambda: network.predict(x), lambda: network.predict_proba(x), lambda: network.loss(x, t)]
        works += [lambda: network.predict_one(x[0]), lambda: network.predict_proba_one(x[0])]
    for work in works:
        before = contents(w), contents(v)
        try:
            assert work() == np.inf  # E
        except (ValueError, DivergenceError) as error:
            assert re.search("overflow|diverged|lost beside", str(error))  # noqa: PT017 - E may also be infinite
        assert (contents(w), contents(v)) == before


@pytest.mark.parametrize("scheme", ["central", "forward", "complex"])
def test_a_distance_at_which_sums_overflow(library, dtype, scheme):
    arguments = good(dtype)
    with pytest.raises(ValueError, match=r"epsilon is 1e\+308; .* overflow"):
        library.numerical_gradient(*positional("fit", arguments), epsilon=1e308, scheme=scheme)


def test_weights_without_a_complex_step_are_reported_as_too_large(library):
    x, t, w = np.ones((2, D)), [0, 1], np.ones((M, D + 1))
    v = np.array([[-1.7e308] * (M + 1), [1.7e308] * (M + 1)])
    with pytest.raises(ValueError, match="w and v are too large"):
        library.numerical_gradient(x, t, w, v, scheme="complex")


def test_more_weights_than_can_be_addressed(library):
    for sizes in ((10**30, 1, 1), (1, 10**30, 1), (1, 1, 10**30), (2**60, 1, 1), (2**31, 2**31, 2**31)):
        with pytest.raises(ValueError, match="n_inputs, n_hidden and n_outputs are"):
            library.init_weights(*sizes)


class Misleading(np.random.Generator):
    """Takes samples from outside of any array."""

    def permutation(self, N):
        return np.full(N, 10**9)


def test_the_order_of_samples_is_a_permutation(library):
    arguments, honest = good("float64"), good("float64")
    library.fit(*positional("fit", arguments), rng=Misleading(np.random.PCG64(0)))
    library.fit(*(honest[name] for name in "xtwv"), rng=np.random.Generator(np.random.PCG64(0)))
    assert contents(arguments["w"]) == contents(honest["w"])


SHUFFLES = {
    "above": lambda order: order.__setitem__(-1, N),
    "below": lambda order: order.__setitem__(0, -1),
    "twice": lambda order: order.__setitem__(0, order[1]),
    "too few": lambda order: order.resize(N - 1, refcheck=False),
    "another shape": lambda order: setattr(order, "shape", (2, N // 2)),
    "another type": lambda order: setattr(order, "dtype", np.float64),
}


@pytest.mark.parametrize("shuffle", SHUFFLES.values(), ids=SHUFFLES)
@pytest.mark.filterwarnings("ignore:Setting the (shape|dtype):DeprecationWarning")
def test_a_shuffle_that_leaves_no_permutation(library, shuffle):
    rng = type("Shuffler", (np.random.Generator,), {"shuffle": lambda self, order: shuffle(order)})
    arguments = good("float64")
    four = [arguments[name] for name in "xtwv"]
    before = [contents(array) for array in four]
    with pytest.raises(ValueError, match=r"rng is a Shuffler, whose shuffle must leave a permutation of 0\.\.7"):
        library.fit(*four, rng=rng(np.random.PCG64(0)))
    assert [contents(array) for array in four] == before


def test_a_shuffle_in_another_way(library):
    backwards = type("Backwards", (np.random.Generator,), {"shuffle": lambda self, order: order[::-1].sort()})
    arguments, wanted = good("float64"), good("float64")
    library.fit(*positional("fit", arguments), rng=backwards(np.random.PCG64(0)))
    library.fit(wanted["x"][::-1], wanted["t"][::-1], wanted["w"], wanted["v"], shuffle=False)
    assert contents(arguments["w"]) == contents(wanted["w"])


def test_an_order_that_is_changed_later(library):
    orders = []
    rng = type("Keeping", (np.random.Generator,), {"shuffle": lambda self, order: orders.append(order)})
    drawn = _validation.order(rng(np.random.PCG64(0)), N)
    orders[0][:] = 10**9
    assert drawn.tolist() == list(range(N))


# ---------------------------------------------------------------------------------------------- what must go through


@pytest.mark.parametrize("function", ["loss", "forward", "gradient", "numerical_gradient"])
def test_read_only_weights_can_be_read(library, dtype, function):
    arguments = good(dtype)
    locked = arguments | {name: read_only(arguments[name]) for name in ("x", "w", "v")}
    np.testing.assert_equal(run(library, function, locked), run(library, function, arguments))


SOFT = {
    "float64": lambda rows: rows,
    "float32": lambda rows: rows.astype(np.float32),
    "list": lambda rows: rows.tolist(),
}


@pytest.mark.parametrize("given", SOFT.values(), ids=SOFT.keys())
@pytest.mark.parametrize("classes", [2, 5, 100])
def test_probabilities_of_any_precision_are_targets(dtype, classes, given):
    # rows that sum to 1 as far as their own precision goes are targets for weights of any precision
    rng = np.random.default_rng(0)
    t = given(rng.dirichlet(np.ones(classes), 200))
    w, v = cbackprop.init_weights(D, M, classes, dtype=dtype, rng=0)
    x = np.ones((200, D))
    assert cbackprop.loss(x, t, w, v) == pytest.approx(reference.loss(x, t, w, v), rel=1e-5)
    cbackprop.step(x[0], t[0], w, v, 0.1)


def test_probabilities_may_be_negative_by_rounding(library, dtype):
    arguments = good(dtype.name)
    rows = np.tile(np.eye(K, dtype=dtype)[0], (N, 1))
    rounded = rows.copy()
    rounded[:, 1] = -8 * np.finfo(dtype).eps  # as of a difference, or of a product of matrices
    losses = [library.loss(arguments["x"], t, arguments["w"], arguments["v"]) for t in (rows, rounded)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    library.step(arguments["x_n"], rounded[0], arguments["w"], arguments["v"], 0.1)


def test_memory_mapped_weights(tmp_path, dtype):
    arguments = good(dtype)
    mapped = {}
    for name in ("w", "v"):
        arguments[name].tofile(tmp_path / name)
        mapped[name] = np.memmap(tmp_path / name, dtype, "r+", shape=arguments[name].shape)
    for library in (cbackprop, reference):
        library.fit(arguments["x"], arguments["t"], arguments["w"], arguments["v"], rng=0)
        library.fit(arguments["x"], arguments["t"], mapped["w"], mapped["v"], rng=0)
    for name in ("w", "v"):
        np.testing.assert_array_equal(np.fromfile(tmp_path / name, dtype), arguments[name].ravel())


def test_weights_that_are_mapped_twice_overlap(library, tmp_path):
    # in the file; their addresses differ
    ones = np.ones(2 * M * (D + 1) + K * (M + 1))
    ones.tofile(tmp_path / "weights")

    def mapped(shape, start, mode="r+"):
        return np.memmap(tmp_path / "weights", ones.dtype, mode, 8 * start, shape)

    w, v, x = mapped((M, D + 1), 0), mapped((K, M + 1), M * (D + 1)), np.ones((2, D))
    library.fit(x, [0, 1], w, v)  # neighbors
    before = (tmp_path / "weights").read_bytes()
    with pytest.raises(ValueError, match="w and v overlap"):
        library.fit(x, [0, 1], w, mapped((K, M + 1), M * (D + 1) - 1))
    with pytest.raises(ValueError, match="x overlaps"):
        library.fit(mapped((2, D), 0, "r"), [0, 1], w, v)
    with pytest.raises(ValueError, match=r"velocity\[1\] overlaps"):
        library.fit(x, [0, 1], w, v, momentum=0.5, velocity=(np.ones_like(w), np.asarray(mapped(v.shape, 0))[:]))
    assert (tmp_path / "weights").read_bytes() == before
    library.fit(mapped((2, D), 0, "c"), [0, 1], w, v)  # a copy, as soon as one of them is written to


# -------------------------------------------------------------------------------------------------------- the network


@pytest.mark.parametrize(("rate", "error"), RATES.values(), ids=RATES.keys())
def test_a_rate_is_checked_when_it_is_set(rate, error):
    network = Network(D, M, K, learning_rate=0.25)
    with pytest.raises(error) as caught:
        network.learning_rate = rate
    assert_message(caught.value, error, "learning_rate", str(rate))
    assert network.learning_rate == 0.25


def test_learning_from_the_weights_own_memory(dtype):
    # x lies before w, reaches into it, lies in w, in v, or reaches beyond
    room = np.random.default_rng(0).normal(size=D + M * (D + 1) + K * (M + 1) + D).astype(dtype)
    w, v = room[D : D + M * (D + 1)].reshape(M, D + 1), room[D + M * (D + 1) : -D].reshape(K, M + 1)
    network = Network.from_weights(w, v)
    for start in range(1, room.size - D):
        x, before = room[start : start + D], room.tobytes()
        with pytest.raises(ValueError, match="overlaps") as caught:
            network.learn_one(x, 0)
        assert_message(caught.value, ValueError, "x", "overlaps")
        assert room.tobytes() == before
        network.predict_one(x)  # reading does no harm
    for neighbor in (room[:D], room[-D:]):
        network.learn_one(neighbor, 0)


@pytest.mark.parametrize("layer", ["w", "v"])
def test_a_network_with_read_only_weights_predicts_but_does_not_learn(dtype, layer):
    arguments = good(dtype)
    wanted = Network.from_weights(arguments["w"], arguments["v"])
    network = Network.from_weights(**{name: arguments[name].copy() for name in "wv"})
    getattr(network, layer).flags.writeable = False
    assert network.predict_one(arguments["x_n"]) == wanted.predict_one(arguments["x_n"])
    np.testing.assert_array_equal(network.predict(arguments["x"]), wanted.predict(arguments["x"]))
    assert network.loss(arguments["x"], arguments["t"]) == wanted.loss(arguments["x"], arguments["t"])
    for learn in (
        lambda: network.learn_one(arguments["x_n"], 0),
        lambda: network.fit(arguments["x"], arguments["t"]),
    ):
        with pytest.raises(ValueError, match="read-only") as caught:
            learn()
        assert_message(caught.value, ValueError, layer, "read-only")
    np.testing.assert_array_equal(network.w, arguments["w"])


@pytest.mark.parametrize("layer", ["w", "v"])
def test_weights_whose_shape_was_changed(layer):
    network = Network(D, M, K, order="C", rng=0)
    weights = getattr(network, layer)
    rows, columns = weights.shape
    weights.resize((rows - 1, columns), refcheck=False)
    for use in (lambda: network.learn_one([0.0] * D, 0), lambda: network.predict_one([0.0] * D)):
        with pytest.raises(ValueError, match="shape") as caught:
            use()
        assert_message(caught.value, ValueError, layer, str((rows - 1, columns)))


BEFORE_INIT = """
from cbackprop import Network
network = Network.__new__(Network)
for use in (lambda: network.learn_one([1.0], 0), lambda: network.predict_one([1.0]),
            lambda: network.predict_proba_one([1.0]), lambda: network.predict([[1.0]]), lambda: network.dtype):
    try:
        use()
    except (TypeError, ValueError, RuntimeError, AttributeError):
        pass
    else:
        raise AssertionError("an empty network did something")
"""


def test_a_network_that_was_never_initialized_does_not_crash(python):
    result = python(BEFORE_INIT)
    assert (result.returncode, result.stderr) == (0, "")


# ------------------------------------------------------------------------- good input, that is taken for what it is


def test_a_velocity_is_taken_as_it_is():
    arguments = good("float64")
    u = np.zeros((M, D + 1)), np.ones((K, M + 1))
    states = _validation.states(u, 0.5, None, False, arguments["w"], arguments["v"], ())
    assert list(states) == ["velocity"]
    assert all(a is b for a, b in zip(states["velocity"], u, strict=True))


def test_rows_of_half_precision_sum_to_1_in_half_precision(library):
    arguments = good("float64")
    rows = np.full((N, K), 1 / K, np.float16)  # sums to 1.0004
    exact = np.full((N, K), 1 / K)
    losses = [library.loss(arguments["x"], t, arguments["w"], arguments["v"]) for t in (rows, exact)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_sample_weights_whose_sum_is_beyond_the_dtype(library, dtype):
    arguments = good(dtype.name)
    with pytest.raises(ValueError, match="sample_weight adds up to more than"):
        library.fit(*positional("fit", arguments), sample_weight=[np.finfo(dtype).max / 4] * N)
    just = np.zeros(N, dtype)
    just[0] = np.finfo(dtype).max
    assert _validation.sample_weight(just, N, arguments["w"], arguments["v"]) is just


def test_the_ends_of_a_range_belong_to_it(library, dtype):
    arguments = good(dtype.name)
    x, t, w, v = (arguments[name] for name in "xtwv")
    before = contents(w)
    weights = np.full(N, np.finfo(dtype).tiny)
    library.fit(x, t, w, v, batch_size=None, learning_rate=1, momentum=1, sample_weight=weights)
    assert contents(w) != before


def test_the_first_negative_sample_weight_is_named(library):
    arguments = good("float64")
    with pytest.raises(ValueError, match=r"sample_weight\[2\] is -1"):
        library.fit(*positional("fit", arguments), sample_weight=[0.5, 0, -1, -2, 1, 1, 1, 1])


@pytest.mark.parametrize(("scheme", "lost", "kept"), [("forward", 1e-16, 2e-16), ("central", 0.5e-16, 1e-16)])
def test_a_distance_is_lost_where_the_scheme_loses_it(scheme, lost, kept):
    ones = np.ones((1, 2))  # 1 + 1e-16 is 1, and 1 - 1e-16 is not
    _validation.check_epsilon(kept, ones, ones, scheme)
    with pytest.raises(ValueError, match=r"lost beside w\[0, 0\]"):
        _validation.check_epsilon(lost, ones, ones, scheme)


def test_inputs_converted_in_parts(monkeypatch, layout):
    monkeypatch.setattr(_validation, "PART", 20)
    x = np.arange(70.0).reshape(10, 7)
    for dtype in ("float64", "float32", "int8"):
        usable = _validation.converted(np.asarray(layout(x.astype(dtype))), np.dtype(np.float64))
        np.testing.assert_array_equal(usable, x)
        assert usable.flags.c_contiguous
        assert usable.flags.aligned
        assert usable.dtype == np.float64
    assert _validation.converted(usable, usable.dtype) is usable


# ---------------------------------------------------------------------------------------------- hidden and output


@pytest.mark.parametrize("function", ["loss", "gradient", "numerical_gradient", "fit"])
@pytest.mark.parametrize(
    ("output", "t", "message"),
    [
        ("linear", np.full((4, 2), np.inf), "t[0, 0] is inf; it must be finite"),
        ("linear", np.zeros(4), "t has 1 dimension; it must have 2, (N, 2), since v has 2 rows"),
        ("linear", np.zeros((4, 3)), "t has 3 columns; it must have 2"),
        ("logistic", np.eye(4, 2) * 1.5, "t[0, 0] is 1.5; a target of logistic outputs must lie in 0..1, because"),
        ("logistic", np.eye(4, 2) - 0.25, "t[0, 1] is -0.25; a target of logistic outputs must lie in 0..1, because"),
        ("softmax", np.full((4, 2), 0.75), "sums to 1.5; a row of targets must be probabilities that sum to 1"),
        ("tanh", np.eye(4, 2), "output is 'tanh'; it must be one of 'softmax', 'linear', 'logistic'"),
    ],
)
def test_targets_that_do_not_suit_the_output(library, function, output, t, message):
    w, v = cbackprop.init_weights(3, 5, 2, rng=0)
    before = w.tobytes(), v.tobytes()
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(library, function)(np.ones((4, 3)), t, w, v, output=output)
    assert (w.tobytes(), v.tobytes()) == before


@pytest.mark.parametrize("hidden", ["Sigmoid", "", None, 1, b"tanh"])
def test_unknown_hidden_function(library, hidden):
    w, v = cbackprop.init_weights(3, 5, 2, rng=0)
    x, t = np.ones((4, 3)), np.eye(4, 2) + 0.5 * np.eye(4, 2)[::-1]
    for call in (
        lambda: library.init_weights(3, 5, 2, hidden=hidden),
        lambda: library.forward(x, w, v, hidden=hidden),
        lambda: library.step(x[0], 0, w, v, 0.1, hidden=hidden),
        lambda: library.fit(x, t, w, v, output="linear", hidden=hidden),
        lambda: Network(3, 5, 2, hidden=hidden),
        lambda: Network.from_weights(w, v, hidden=hidden),
    ):
        with pytest.raises(ValueError, match=f"hidden is {re.escape(repr(hidden))}; it must be one of 'sigmoid'"):
            call()

"""Bad input: every public function names the argument, says what came, and leaves every array as it was.

The tables hold, for each kind of argument, ways to spoil a good one: what makes the bad value from the good values, the
error, and what of the bad value the message must tell.
"""

import functools
import inspect
import re
from contextlib import suppress

import numpy as np
import pytest

import cbackprop
from cbackprop import DivergenceError, Network

D, M, K, N = 3, 5, 7, 8  # all different, and from D + 1 and M + 1


def good(dtype="float64"):
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
    "number": (lambda a: 1.0, TypeError, "float"),
    "masked": (lambda a: np.ma.masked_less(a, 0), TypeError, "MaskedArray"),
    "of a subclass": (lambda a: a.view(Unruly), TypeError, "Unruly"),
    "0-d": (lambda a: np.array(a[0, 0]), ValueError, "0 dimensions"),
    "1-d": (lambda a: a.ravel(), ValueError, "1 dimension"),
    "3-d": (lambda a: a[np.newaxis], ValueError, "3 dimensions"),
    "float16": (lambda a: a.astype(np.float16), TypeError, "f2"),
    "longdouble": (long, TypeError, np.dtype(np.longdouble).str),
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
    "object": (lambda a: a.astype(object), TypeError, "object"),
    "dates": (lambda a: np.zeros(a.shape, "M8[s]"), TypeError, "datetime64"),
    "masked": (masked, TypeError, "MaskedArray"),
    "error of its own": (lambda a: Failing(), ValueError, "the sensor is off"),
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
    "-2**63": (lambda t: with_number(t, 0, -(2**63)), ValueError, str(-(2**63))),
    "2**63": (lambda t: with_number(t.astype(np.uint64), 0, 2**63), ValueError, str(2**63)),
    "2**70": (lambda t: [2**70] * N, TypeError, "object"),
    "float": (lambda t: t.astype(float), TypeError, "float64"),
    "text": (lambda t: t.astype(str), TypeError, "<U"),
    "None": (lambda t: None, ValueError, "0 dimensions"),
    "too few": (lambda t: t[:-1], ValueError, str(N - 1)),
    "empty": (lambda t: t[:0], ValueError, "0 rows"),
    "ragged": (lambda t: [[0], [0, 1]], ValueError, "ragged"),
    "masked": (masked, TypeError, "MaskedArray"),
    "error of its own": (lambda t: Failing(), ValueError, "the sensor is off"),
}
ONE_HOT = {  # rows of targets
    "two": (lambda r: with_number(r, (3, slice(2)), 1), ValueError, "[3] is"),
    "nearly": (lambda r: r * (1 + 1 / 512), ValueError, "sums to 1.001953"),
    "negative": (
        lambda r: with_number(r * 0, (slice(None), slice(2)), (1.5, -0.5)),
        ValueError,
        "has a negative number",
    ),
    "nan": (lambda r: with_number(r, (4, 1), np.nan), ValueError, "nan"),
    "text": (lambda r: r.astype(str), TypeError, "<U"),
    "too few columns": (lambda r: r[:, 1:], ValueError, f"{K - 1} columns"),
    "too few rows": (lambda r: r[1:], ValueError, f"{N - 1} rows"),
    "3-d": (lambda r: r[np.newaxis], ValueError, "3 dimensions"),
    "masked": (masked, TypeError, "MaskedArray"),
    "one masked": (lambda r: (masked(r[0]), *r[1:]), TypeError, "[0] is a MaskedArray"),
}
LABEL = {  # the class index of one sample
    "below": (lambda t: -1, ValueError, "-1"),
    "above": (lambda t: K, ValueError, str(K)),
    "2**63": (lambda t: 2**63, ValueError, str(2**63)),
    "-2**63": (lambda t: -(2**63), ValueError, str(-(2**63))),
    "float": (lambda t: 2.0, TypeError, "float64"),
    "text": (lambda t: "2", TypeError, "<U1"),
    "None": (lambda t: None, TypeError, "object"),
    "ragged": (lambda t: [[1.0], [1.0, 2.0]], ValueError, f"ragged; it must be a class index or a row of {K}"),
    "masked": (masked, TypeError, "MaskedArray"),
    "error of its own": (lambda t: Failing(), ValueError, "the sensor is off"),
}
ROW = {  # the row of targets of one sample
    "negative": (lambda r: [1.5, -0.5, *[0] * (K - 2)], ValueError, "has a negative number"),
    "negative array": (lambda r: np.array([1.5, -0.5, *[0] * (K - 2)], r.dtype), ValueError, "has a negative number"),
    "half an array": (lambda r: r / 2, ValueError, "sums to 0.5"),
    "too few columns": (lambda r: r[1:], ValueError, str(K - 1)),
    "too many columns": (lambda r: [*r, 0], ValueError, str(K + 1)),
    "2-d": (lambda r: np.array([r]), ValueError, "2 dimensions"),
    "empty": (lambda r: [], ValueError, "0"),
    "masked": (masked, TypeError, "MaskedArray"),
}
NOT_POSITIVE = {  # values, errors, and what the message tells of them, unless it is the value
    "nan": (np.nan, ValueError),
    "inf": (np.inf, ValueError),
    "zero": (0, ValueError),
    "negative": (-0.1, ValueError),
    "beyond float": (10**400, ValueError),
    "text": ("0.1", TypeError),
    "complex": (0.1j, TypeError),
    "bool": (True, TypeError),
    "array": (np.array([0.1]), TypeError),
}
NONE = {"None": (None, TypeError)}
COUNTS = {
    "zero": (0, ValueError),
    "negative": (-1, ValueError),
    "float": (2.0, TypeError),
    "text": ("2", TypeError),
    "bool": (True, TypeError),
}
PARTS = NONE | {name: bad for name, bad in NOT_POSITIVE.items() if name != "zero"}
CHOICES = {
    "unknown": ("fast", ValueError),
    "None": (None, ValueError),
    "list": (["auto"], ValueError),
}
VELOCITIES = {  # from w and v
    "one": (lambda w, v: (w.copy(),), TypeError, "is tuple"),
    "lists": (lambda w, v: (w.tolist(), v.tolist()), TypeError, "[0] is a list"),
    "swapped": (lambda w, v: (v.copy(), w.copy()), ValueError, f"({K}, {M + 1})"),
    "another dtype": (lambda w, v: (w.astype("f2"), v.astype("f2")), TypeError, "f2"),
    "long": (lambda w, v: (w.copy(), v.repeat(2, axis=0)), ValueError, f"[1] is {{dtype}} ({2 * K}, "),
    "read-only": (lambda w, v: (w.copy(), read_only(v)), ValueError, "[1] is read-only"),
    "strided": (lambda w, v: (wide(w), v.copy()), ValueError, "strides"),
    "misaligned": (lambda w, v: (misaligned(w), v.copy()), ValueError, "misaligned"),
    "the weights": (lambda w, v: (w, v), ValueError, "[0] overlaps"),
    "nan": (lambda w, v: (with_number(w, (2, 1), np.nan), v.copy()), ValueError, "[0][2, 1] is nan"),
    "masked": (lambda w, v: (masked(w), v.copy()), TypeError, "MaskedArray"),
}
SAMPLE_WEIGHTS = {
    "short": (np.ones(N - 1), ValueError, f"{N - 1} entries"),
    "rows": (np.ones((N, 1)), ValueError, "2 dimensions"),
    "negative": ([0.5, 0, -1, -2, 1, 1, 1, 1], ValueError, "[2] is -1"),
    "nan": (np.full(N, np.nan), ValueError, "[0] is nan"),
    "zeros": (np.zeros(N), ValueError, "0 everywhere"),
    "complex": (np.ones(N, complex), TypeError, "complex128"),
    "subnormal": (np.full(N, 5e-324), ValueError, ""),
    "sum": ([np.finfo("f4").max / 4] * N, ValueError, "more than the largest float32"),
    "masked": (masked(np.ones(N)), TypeError, "MaskedArray"),
    "error of its own": (Failing(), ValueError, "the sensor is off"),
}
SETTINGS = {
    "learning_rate": NOT_POSITIVE | NONE,
    "epsilon": NOT_POSITIVE | {"subnormal": (1e-320, ValueError)},
    "scheme": CHOICES | {"other": ("backward", ValueError)},
    **dict.fromkeys(("n_inputs", "n_hidden", "n_outputs", "epochs", "n_threads"), COUNTS | NONE),
    "batch_size": COUNTS,
    "method": CHOICES,
    **dict.fromkeys(("hidden", "output"), CHOICES | {"case": ("Softmax", ValueError), "bytes": (b"tanh", ValueError)}),
    "rng": {
        "text": ("seed", TypeError),
        "negative": (-1, ValueError),
        "float": (1.5, TypeError),
        "floats": ([1.5, 2.5], TypeError),
        "object": (object, TypeError, ""),
    },
    "dtype": {
        "int": (np.int64, TypeError, "int64"),
        "half": (np.float16, TypeError, "float16"),
        "complex": (complex, TypeError, "complex128"),
        "swapped": (np.dtype(float).newbyteorder(), TypeError),
        "unknown": ("float65", TypeError),
        "object": (object, TypeError, "object"),
        "number": (64, TypeError),
    },
    "shuffle": NONE | {"number": (1, TypeError), "text": ("False", TypeError)},
    "callback": {"number": (3, TypeError), "text": ("print", TypeError)},
    "l2": PARTS,
    "momentum": PARTS | {"above 1": (1.1, ValueError)},
    "velocity": VELOCITIES,
    "sample_weight": SAMPLE_WEIGHTS,
}
OF_FIT = "epochs batch_size n_threads method rng shuffle callback l2 momentum velocity sample_weight"
KINDS = "hidden output"
FUNCTIONS = {  # positional arguments, and settings
    "forward": ("x w v", f"n_threads {KINDS}"),
    "loss": ("x t w v", KINDS),
    "gradient": ("x t w v", KINDS),
    "numerical_gradient": ("x t w v", f"epsilon scheme {KINDS}"),
    "step": ("x_n t_n w v learning_rate", f"learning_rate {KINDS}"),
    "fit": ("x t w v", f"learning_rate {OF_FIT} {KINDS}"),
    "init_weights": ("n_inputs n_hidden n_outputs", "n_inputs n_hidden n_outputs hidden rng dtype"),
}
ENTRIES = FUNCTIONS | {  # and the methods of a network
    "Network": ("n_inputs n_hidden n_outputs", f"n_inputs n_hidden n_outputs learning_rate rng dtype {KINDS}"),
    "Network.from_weights": ("w v", f"learning_rate {KINDS}"),
    "Network.learn_one": ("x_n t_n", ""),
    "Network.predict_one": ("x_n", ""),
    "Network.predict_proba_one": ("x_n", ""),
    "Network.fit": ("x t", OF_FIT),
    "Network.predict": ("x", "n_threads"),
    "Network.predict_proba": ("x", "n_threads"),
    "Network.loss": ("x t", ""),
    "Network.gradient": ("x t", ""),
}
OF_NETWORKS = [entry for entry in ENTRIES if entry.startswith("Network.") and entry != "Network.from_weights"]
LEARNING = ("step", "fit", "learn_one")
READING = [entry for entry in FUNCTIONS if FUNCTIONS[entry][0].startswith("x ") and entry != "fit"]
ARRAYS = {  # by kind of the good value: the argument, and what is wrong
    "w": ("w", {name: bad for name, bad in WEIGHTS.items() if name != "fortran"}),  # the other order of w
    "v": ("v", WEIGHTS | {"not fitting": (lambda a: np.ones((K, M + 2), a.dtype), ValueError, str((K, M + 2)))}),
    "x": ("x", NUMBERS | ROWS),
    "x_n": ("x_n", NUMBERS),
    "t": ("t", LABELS),
    "rows": ("t", ONE_HOT),
    "t_n": ("t_n", LABEL),
    "row": ("t_n", ROW),
}


def positional(entry, arguments):
    return [arguments[name] for name in ENTRIES[entry][0].split()]


def one_hot(arguments):
    return np.eye(K, dtype=arguments["w"].dtype)[arguments["t"]]


def good_value(kind, arguments):
    if kind in ("rows", "row"):
        return one_hot(arguments) if kind == "rows" else one_hot(arguments)[0]
    return arguments[kind]


def run(entry, arguments):
    """Call a function, or a method of a network with these weights."""
    names, settings = ENTRIES[entry]
    owner, _, name = entry.rpartition(".")
    if owner:
        owner = Network if name == "from_weights" else Network.from_weights(arguments["w"], arguments["v"])
    keywords = {name: arguments[name] for name in set(settings.split()) - set(names.split()) if name in arguments}
    if "velocity" in keywords:
        keywords.setdefault("momentum", 0.5)
    return getattr(owner or cbackprop, name)(*positional(entry, arguments), **keywords)


def call(entry, arguments):
    """The error that comes; all arrays among the arguments must be what they were."""
    arrays = [*positional(entry, arguments), arguments["w"], arguments["v"]]
    before = [contents(array) for array in arrays]
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is looked at by the caller
        run(entry, arguments)
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


def assert_refused(entry, arguments, name, error, *told):
    """The message of the error names the argument, what came and what is needed."""
    ours = call(entry, arguments)
    assert type(ours) is error, (entry, ours)
    # the parameters of methods are called x and t, for one sample too
    name = name if entry in FUNCTIONS else name.removesuffix("_n")
    assert re.search(rf"(?<!\w){name}(?!\w)", str(ours)), f"{entry}: {name} is not named: {ours}"
    assert all(came in str(ours) for came in told), f"{entry}: {told} are not reported: {ours}"
    assert re.search(r"must|expected|need", str(ours)), f"{entry}: what is needed is not reported: {ours}"


@pytest.mark.parametrize(("kind", "wrong"), [(kind, wrong) for kind in ARRAYS for wrong in ARRAYS[kind][1]])
def test_bad_array(dtype, kind, wrong):
    argument, table = ARRAYS[kind]
    make, error, came = table[wrong]
    for entry in ENTRIES:
        if argument in ENTRIES[entry][0].split():
            arguments = good(dtype)
            arguments[argument] = make(good_value(kind, arguments))
            assert_refused(entry, arguments, argument, error, came)


@pytest.mark.parametrize(("name", "wrong"), [(name, wrong) for name in SETTINGS for wrong in SETTINGS[name]])
def test_bad_setting(name, wrong):
    value, error, *told = SETTINGS[name][wrong]
    for entry in ENTRIES:
        if name in ENTRIES[entry][1].split():
            arguments = good("float32")
            made = value(arguments["w"], arguments["v"]) if inspect.isfunction(value) else value
            came = told[0].format(dtype="float32") if told else str(made)
            assert_refused(entry, arguments | {name: made}, name, error, came)


@pytest.mark.parametrize("entry", ENTRIES)
def test_good_arguments_pass(dtype, entry):
    # the tables start from arguments that work
    arguments = good(dtype)
    before = contents(arguments["w"]), contents(arguments["v"])
    result = run(entry, arguments)
    if entry in FUNCTIONS:
        numbers = result.losses if entry == "fit" else result if isinstance(result, tuple) else [result]
        assert all(np.isfinite(part).all() for part in numbers)
    changes = entry.rpartition(".")[2] in LEARNING
    assert ((contents(arguments["w"]), contents(arguments["v"])) != before) == changes


@pytest.mark.parametrize("layer", ["w", "v"])
def test_read_only_weights(layer):
    for entry in (*FUNCTIONS, *OF_NETWORKS):
        arguments = good()
        wanted = arguments | {layer: arguments[layer].copy()}
        arguments[layer] = read_only(arguments[layer])
        if entry.rpartition(".")[2] in LEARNING:
            assert_refused(entry, arguments, layer, ValueError, "read-only")
        elif layer in FUNCTIONS.get(entry, ("w v",))[0].split():
            np.testing.assert_equal(run(entry, arguments), run(entry, wanted))


@pytest.mark.parametrize("rows", [1, 3], ids=["C", "F"])
def test_every_place_is_looked_at(monkeypatch, rows):
    # also where an array is searched or converted in parts
    monkeypatch.setattr("cbackprop._validation.arrays.SLICE", 2)
    monkeypatch.setattr("cbackprop._validation.arrays.PART", 5)
    for n, i in np.ndindex(N, D):
        arguments = good()
        arguments["x"] = with_number(np.require(arguments["x"], requirements="CF"[rows // 3]), (n, i), np.nan)
        assert_refused("fit", arguments | {"sample_weight": np.ones(N)}, "x", ValueError, f"[{n}, {i}] is nan")
        arguments = good() | {"t": with_number(good()["t"], n, K)}
        assert_refused("loss", arguments, "t", ValueError, f"[{n}] is {K}")
    for j, i in np.ndindex(M, D + 1):
        arguments = good()
        room = np.zeros((D + 1, 16)).T[:M] if rows == 3 else np.zeros((M, D + 1))
        room[...] = arguments["w"]
        room[j, i] = np.inf
        assert_refused("fit", arguments | {"w": room}, "w", ValueError, f"w[{j}, {i}] is inf")


@pytest.mark.parametrize("batch_size", [1, 2, None])
def test_a_weight_of_0_hides_no_bad_row(batch_size):
    arguments = good()
    arguments["x"][:2] = np.nan
    settings = {"batch_size": batch_size, "shuffle": False, "sample_weight": np.arange(N) > 1}
    assert_refused("fit", arguments | settings, "x", ValueError, "[0, 0] is nan")


@pytest.mark.parametrize("value", [1e-60, 1e60], ids=["rounds to 0", "rounds to infinity"])
@pytest.mark.parametrize("function", ["step", "fit"])
def test_rate_that_float32_cannot_hold(function, value):
    assert_refused(function, good("float32") | {"learning_rate": value}, "learning_rate", ValueError, repr(value))


@pytest.mark.parametrize("setting", ["momentum", "l2"])
@pytest.mark.parametrize("batch_size", [1, 2, None])
def test_settings_that_round_to_0_are_0(setting, batch_size):
    settings = {"batch_size": batch_size, "rng": 0, "epochs": 3}
    for method in ("auto", "direct", "blocked"):
        tiny, zero = good("float32"), good("float32")
        for arguments, value in ((tiny, 1e-50), (zero, 0.0)):
            cbackprop.fit(*positional("fit", arguments), **{setting: value}, **settings, method=method)
        assert [contents(tiny[name]) for name in "wv"] == [contents(zero[name]) for name in "wv"]
    velocity = tuple(np.ones_like(good("float32")[name]) for name in "wv")
    arguments = good("float32") | {"velocity": velocity, "momentum": 1e-50}
    assert_refused("fit", arguments, "velocity", ValueError, "is given and momentum is 0 in float32")


def test_momentum_that_rounds_to_0_needs_no_room():
    w, v = cbackprop.init_weights(784, 100, 10, dtype=np.float32, rng=0)
    x, t = np.zeros((100, 784), np.float32), np.zeros(100, int)
    assert cbackprop.fit(x, t, w, v, batch_size=16, momentum=1e-50).epochs == 1


def test_momentum_that_rounds_to_1(dtype):
    # 1 may be; what is above 1 may not, nor what is below 0, even where it would round to them
    nearly, one = good(dtype), good(dtype)
    for arguments, momentum in ((nearly, 1 - 2.0**-60), (one, 1)):
        cbackprop.fit(*positional("fit", arguments), batch_size=2, rng=0, epochs=3, momentum=momentum)
    assert [contents(nearly[name]) for name in "wv"] == [contents(one[name]) for name in "wv"]
    for momentum in (1 + 2.0**-40, -1e-60):
        assert_refused("fit", good(dtype) | {"momentum": momentum}, "momentum", ValueError, repr(momentum))


@pytest.mark.parametrize("scheme", ["central", "forward"])
@pytest.mark.parametrize("layer", ["w", "v"])
def test_distance_that_is_lost_beside_a_weight(dtype, layer, scheme):
    # the difference would be divided by 0
    arguments = good(dtype) | {"scheme": scheme}
    arguments[layer][2, 1] = 2.0**100
    told = f"{layer}[2, 1] = {arguments[layer][2, 1]}"
    assert_refused("numerical_gradient", arguments, "epsilon", ValueError, told)
    lost, kept = {"forward": (1e-16, 2e-16), "central": (0.5e-16, 1e-16)}[scheme]  # 1 + 1e-16 is 1, 1 - 1e-16 is not
    arguments = good() | {"w": np.ones((M, D + 1)), "v": np.ones((K, M + 1)), "scheme": scheme, "epsilon": lost}
    assert_refused("numerical_gradient", arguments, "epsilon", ValueError, "lost beside w[0, 0]")
    run("numerical_gradient", arguments | {"epsilon": kept})


def test_one_sample_in_place_of_many():
    for entry in (*READING, "fit", "Network.predict", "Network.predict_proba", "Network.loss", "Network.fit"):
        told = f"x has 1 dimensions; it must have 2: (N, {D}); for one sample, use x[None]", "predict_proba_one"
        assert_refused(entry, good() | {"x": np.ones(D)}, "x", ValueError, *told)


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("output", "sofmax", "softmax"),
        ("output", "Linear", "linear"),
        ("output", "tree", None),
        ("hidden", "RELU", "relu"),
        ("hidden", None, None),
        ("order", "f", "F"),
        ("learning_rate", "Auto", "auto"),
        ("learning_rate", "fast", None),
    ],
)
def test_misspelled_names(name, value, meant):
    with pytest.raises((TypeError, ValueError), match=f"^{name} is {value!r}; it must be ") as caught:
        Network(D, M, K, **{name: value})
    asked = re.findall("; did you mean '(.*)'[?]$", str(caught.value))
    assert asked == ([] if meant is None else [meant])


# ------------------------------------------------------------------------------------------ arguments that do not fit


OVERLAPS = {
    "the same": lambda room: (room[:20].reshape(4, 5), room[:25].reshape(5, 5)),
    "one number": lambda room: (room[:16].reshape(4, 4), room[15:40].reshape(5, 5)),
    "inside": lambda room: (room.reshape(1, -1)[:, 2:4], room[:26].reshape(13, 2)),
}


@pytest.mark.parametrize("overlap", OVERLAPS.values(), ids=OVERLAPS)
def test_overlapping_weights(dtype, overlap):
    w, v = overlap(np.arange(41, dtype=dtype))
    width, classes = w.shape[1] - 1, len(v)
    arguments = good(dtype) | {"x": np.ones((N, width)), "x_n": np.ones(width), "w": w, "v": v}
    arguments |= {"t": np.zeros(N, int) + classes - 1, "t_n": 0}
    for function in (*READING, "step", "fit"):
        assert_refused(function, arguments, "w", ValueError, "w and v overlap")


def test_neighboring_weights_do_not_overlap(dtype):
    room, arguments = np.zeros(M * (D + 1) + K * (M + 1), dtype), good(dtype)
    w, v = room[: M * (D + 1)].reshape(M, D + 1), room[M * (D + 1) :].reshape(K, M + 1)
    w[...], v[...] = arguments["w"], arguments["v"]
    cbackprop.fit(arguments["x"], arguments["t"], w, v, rng=0)
    cbackprop.fit(*positional("fit", arguments), rng=0)
    np.testing.assert_array_equal(w, arguments["w"])
    np.testing.assert_array_equal(v, arguments["v"])


@pytest.mark.parametrize("layer", ["w", "v"])
@pytest.mark.parametrize("argument", ["x", "t", "x_n", "t_n"])
def test_inputs_that_overlap_weights(dtype, argument, layer):
    """Inputs or targets that lie, as they are, in the memory of w or v, may only be read with them."""
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
    assert_refused("step" if "_n" in argument else "fit", arguments, argument, ValueError, "overlaps")
    copies = {name: np.copy(value) for name, value in arguments.items()}
    for function in ("loss", "gradient"):
        np.testing.assert_equal(run(function, arguments), run(function, copies))


@pytest.mark.parametrize("lies", ["x", "sample_weight"])
def test_velocity_beside_what_is_read(lies):
    arguments = good()
    room = np.random.default_rng(0).normal(size=M * (D + 1) + N)  # like w
    inside = {"x": room[: N * D].reshape(N, D), "sample_weight": np.abs(room[:N], out=room[:N])}
    arguments["velocity"] = room[: M * (D + 1)].reshape(M, D + 1), np.zeros_like(arguments["v"])
    arguments |= {"sample_weight": np.ones(N), lies: inside[lies]}
    before = contents(room)
    assert_refused("fit", arguments, "velocity", ValueError, "[0] overlaps x, t or sample_weight in memory")
    assert contents(room) == before


@pytest.mark.parametrize("layer", ["w", "v"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(dtype, layer, number):
    arguments = good(dtype)
    arguments[layer][2, 1] = number
    assert_refused("fit", arguments, layer, ValueError, f"[2, 1] is {number}")
    arguments["v"][:, 1] = number
    for function in READING:  # no result is NaN
        call(function, arguments)
        assert_refused(function, good(dtype) | {"v": arguments["v"]}, "v", ValueError, f"[0, 1] is {number}")


@pytest.mark.parametrize(("classes", "samples"), [(2, 1), (3, N), (K, 5 * N), (20, N)])
def test_no_result_is_nan_for_weights_that_are_too_large(variant, dtype, classes, samples):
    huge = np.finfo(dtype).max * 0.9
    w, v = np.ones((M, D + 1), dtype), np.full((classes, M + 1), -huge, dtype)
    v[-1] = huge
    arguments = good(dtype) | {"x": np.ones((samples, D)), "t": np.zeros(samples, int), "w": w, "v": v}
    methods = ("predict", "predict_proba", "loss", "predict_one", "predict_proba_one")
    for entry in (*READING, "fit", *(f"Network.{name}" for name in methods)):
        before = contents(w), contents(v)
        try:
            assert run(entry, arguments) == np.inf  # E
        except (ValueError, DivergenceError) as error:
            assert re.search("overflow|diverged|lost beside", str(error))  # noqa: PT017 - E may also be infinite
        assert (contents(w), contents(v)) == before


@pytest.mark.parametrize("scheme", ["central", "forward", "complex"])
def test_a_distance_at_which_sums_overflow(dtype, scheme):
    arguments = good(dtype) | {"epsilon": 1e308, "scheme": scheme}
    assert_refused("numerical_gradient", arguments, "epsilon", ValueError, "is 1e+308; ", "overflow")


def test_weights_without_a_complex_step_are_reported_as_too_large():
    v = np.array([[-1.7e308] * (M + 1), [1.7e308] * (M + 1)])
    arguments = good() | {"x": np.ones((2, D)), "t": [0, 1], "w": np.ones((M, D + 1)), "v": v, "scheme": "complex"}
    assert_refused("numerical_gradient", arguments, "w", ValueError, "w and v are too large")


@pytest.mark.parametrize(
    "sizes", [(10**30, 1, 1), (1, 10**30, 1), (1, 1, 10**30), (2**60, 1, 1), (2**31, 2**31, 2**31)]
)
def test_more_weights_than_can_be_addressed(sizes):
    with pytest.raises(ValueError, match="n_inputs, n_hidden and n_outputs are"):
        cbackprop.init_weights(*sizes)


# ---------------------------------------------------------------------------------------------- what must go through


class Misleading(np.random.Generator):
    """Takes samples from outside of any array."""

    def permutation(self, N):
        return np.full(N, 10**9)

    def shuffle(self, order):
        order[:] = 10**9


def test_the_order_of_samples_is_a_permutation():
    weights = []
    for kind in (Misleading, np.random.Generator):
        arguments = good()
        cbackprop.fit(*positional("fit", arguments), rng=kind(np.random.PCG64(0)))
        weights.append(contents(arguments["w"]))
    assert weights[0] == weights[1]


@pytest.mark.parametrize(("of_x", "of_t"), [("f8", "i1"), ("f4", "u8"), ("f2", "i4"), ("i1", "i8")])
def test_inputs_of_any_layout_and_type(monkeypatch, layout, of_x, of_t):
    monkeypatch.setattr("cbackprop._validation.arrays.PART", 5)  # numbers that are converted at a time
    arguments = good()
    x, t, w, v = np.arange(N * D).reshape(N, D), arguments["t"], arguments["w"], arguments["v"]
    a = cbackprop.forward(layout(x.astype(of_x)), w, v).a
    np.testing.assert_array_equal(a, cbackprop.forward(x, w, v).a)
    assert cbackprop.loss(layout(x.astype(of_x)), layout(t.astype(of_t)), w, v) == cbackprop.loss(x, t, w, v)


SOFT = {
    "float64": lambda rows: rows,
    "float32": lambda rows: rows.astype(np.float32),
    "float16": lambda rows: rows.astype(np.float16),
    "list": lambda rows: rows.tolist(),
    "rounded": lambda rows: rows - 8 * np.finfo(np.float64).eps * (rows == 0),  # of a difference: below 0
}


@pytest.mark.parametrize("given", SOFT)
@pytest.mark.parametrize("classes", [2, 5, 100])
def test_probabilities_of_any_precision_are_targets(dtype, classes, given):
    # rows that sum to 1 as far as their own precision goes are targets for weights of any precision
    rows = np.random.default_rng(0).dirichlet(np.ones(classes), 200)
    rows[0] = np.eye(classes)[0]
    t = SOFT[given](rows)
    w, v = cbackprop.init_weights(D, M, classes, dtype=dtype, rng=0)
    x = np.ones((200, D))
    losses = [cbackprop.loss(x, targets, w, v) for targets in (t, rows)]
    np.testing.assert_allclose(losses, losses[-1], rtol=1e-3 if given == "float16" else 1e-5)
    cbackprop.step(x[0], t[0], w, v, 0.1)


def test_the_ends_of_a_range_belong_to_it(dtype):
    arguments, weights = good(dtype), np.full(N, np.finfo(dtype).tiny)
    before = contents(arguments["w"])
    four = positional("fit", arguments)
    cbackprop.fit(*four, batch_size=None, learning_rate=1, momentum=1, sample_weight=weights)
    assert contents(arguments["w"]) != before
    largest = with_number(np.zeros(N, dtype), 0, np.finfo(dtype).max)
    with suppress(DivergenceError):
        cbackprop.fit(*four, sample_weight=largest)
    with pytest.raises(ValueError, match="sample_weight adds up to more than"):
        cbackprop.fit(*four, sample_weight=[np.finfo(dtype).max / 4] * N)


def mapped(path, like, start=0, mode="r+"):
    return np.memmap(path, like.dtype, mode, like.itemsize * start, like.shape)


def test_memory_mapped_weights(tmp_path, dtype):
    arguments = good(dtype)
    w, v = arguments["w"], arguments["v"]
    np.concatenate([w.ravel(), v.ravel()]).tofile(tmp_path / "wv")
    w_mapped, v_mapped = mapped(tmp_path / "wv", w), mapped(tmp_path / "wv", v, w.size)
    cbackprop.fit(arguments["x"], arguments["t"], w, v, rng=0)
    cbackprop.fit(arguments["x"], arguments["t"], w_mapped, v_mapped, rng=0)
    np.testing.assert_array_equal(np.fromfile(tmp_path / "wv", dtype), np.concatenate([w.ravel(), v.ravel()]))


def test_weights_that_are_mapped_twice_overlap(tmp_path):
    # in the file; their addresses differ
    path, like_w, like_v, x = tmp_path / "weights", np.ones((M, D + 1)), np.ones((K, M + 1)), np.ones((2, D))
    np.ones(2 * M * (D + 1) + K * (M + 1)).tofile(path)
    w, v = mapped(path, like_w), mapped(path, like_v, like_w.size)
    arguments = good() | {"x": x, "t": [0, 1], "w": w, "v": v}
    assert_refused("fit", arguments | {"v": mapped(path, like_v, like_w.size - 1)}, "w", ValueError, "w and v overlap")
    assert_refused("fit", arguments | {"x": mapped(path, x, mode="r")}, "x", ValueError, "overlaps")
    velocity = np.ones_like(w), np.asarray(mapped(path, like_v))[:]
    assert_refused("fit", arguments | {"velocity": velocity}, "velocity", ValueError, "[1] overlaps")
    cbackprop.fit(x, [0, 1], w, v)  # neighbors
    cbackprop.fit(mapped(path, x, mode="c"), [0, 1], w, v)  # a copy, as soon as one of them is written to


# -------------------------------------------------------------------------------------------------------- the network


def test_a_rate_is_checked_when_it_is_set():
    network = Network(D, M, K, learning_rate=0.25)
    for rate, error, *_ in SETTINGS["learning_rate"].values():
        with pytest.raises(error, match=r"learning_rate is .*; it must be ") as caught:
            network.learning_rate = rate
        assert type(caught.value) is error
        assert network.learning_rate == 0.25


def test_learning_from_the_weights_own_memory(dtype):
    # x lies before w, reaches into it, lies in w, in v, or reaches beyond
    room = np.random.default_rng(0).normal(size=D + M * (D + 1) + K * (M + 1) + D).astype(dtype)
    w, v = room[D : D + M * (D + 1)].reshape(M, D + 1), room[D + M * (D + 1) : -D].reshape(K, M + 1)
    network = Network.from_weights(w, v)
    for start in range(1, room.size - D):
        x, before = room[start : start + D], room.tobytes()
        with pytest.raises(ValueError, match=r"^x overlaps the weights in memory; it must"):
            network.learn_one(x, 0)
        assert room.tobytes() == before
        network.predict_one(x)  # reading does no harm
    for neighbor in (room[:D], room[-D:]):
        network.learn_one(neighbor, 0)


@pytest.mark.parametrize("layer", ["w", "v"])
def test_weights_whose_shape_was_changed(layer):
    network = Network(D, M, K, order="C", rng=0)
    weights = getattr(network, layer)
    rows, columns = weights.shape
    weights.resize((rows - 1, columns), refcheck=False)
    for use in (lambda: network.learn_one([0.0] * D, 0), lambda: network.predict_one([0.0] * D)):
        with pytest.raises(ValueError, match=rf"{layer}\b.*shapes? .*{re.escape(str((rows - 1, columns)))}"):
            use()


def test_a_network_that_was_never_initialized_does_not_crash():
    network = Network.__new__(Network)
    uses = (functools.partial(getattr(network, f"{name}_one"), [1.0]) for name in ("predict", "predict_proba"))
    for use in (*uses, lambda: network.learn_one([1.0], 0), lambda: network.predict([[1.0]]), lambda: network.dtype):
        with pytest.raises((TypeError, RuntimeError, AttributeError)):
            use()


# ---------------------------------------------------------------------------------------------- hidden and output


@pytest.mark.parametrize(
    ("output", "t", "message"),
    [
        ("linear", np.full((4, 2), np.inf), "t[0, 0] is inf; it must be finite"),
        ("linear", np.zeros(4), "t has 1 dimension; it must have 2, (N, 2), since v has 2 rows"),
        ("linear", np.zeros((4, 3)), "t has 3 columns; it must have 2"),
        ("logistic", np.eye(4, 2) * 1.5, "t[0, 0] is 1.5; a target of logistic outputs must lie in 0..1, because"),
        ("logistic", np.eye(4, 2) - 0.25, "t[0, 1] is -0.25; a target of logistic outputs must lie in 0..1, because"),
        ("softmax", np.full((4, 2), 0.75), "sums to 1.5; a row of targets must be probabilities that sum to 1"),
    ],
)
def test_targets_that_do_not_suit_the_output(output, t, message):
    w, v = cbackprop.init_weights(3, 5, 2, rng=0)
    before = w.tobytes(), v.tobytes()
    for function in ("loss", "gradient", "numerical_gradient", "fit"):
        with pytest.raises(ValueError, match=re.escape(message)):
            getattr(cbackprop, function)(np.ones((4, 3)), t, w, v, output=output)
    assert (w.tobytes(), v.tobytes()) == before

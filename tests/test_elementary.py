"""e^x and log(1 + x) of the kernels, in units in the last place (ULP), of vectors and of single numbers.

The bounds are those stated in kernels/elementary.pxi: half an ULP for the last rounding, and the rest for the reduced
argument and the series.
"""

import numpy as np
import pytest

BOUND = 1.1  # ULP, of e^x
LOG_BOUND = 2  # ULP, of log(1 + x)
LARGEST = {"float32": 87.0, "float64": 708.0}  # arguments of e^x

pytestmark = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="long double has no more digits than double here"
)


def exact(x):
    """e^x with more digits than x has."""
    return np.exp(x.astype(np.float64 if x.dtype == np.float32 else np.longdouble))


def ulp(dtype, value):
    """Distance of the numbers of `dtype` around value, which has more digits; where subnormal, that of the smallest."""
    finfo = np.finfo(dtype)
    exponent = np.maximum(np.frexp(value)[1] - 1, finfo.minexp)
    return np.ldexp(np.longdouble(1), exponent - finfo.nmant)


def errors(kernels, x):
    """Errors of e^x in ULP; results that would be subnormal must be 0."""
    x = np.ascontiguousarray(x, kernels.DTYPE)
    x = x[x <= LARGEST[kernels.DTYPE.name]]
    e, wanted = kernels.elementary_of("exp", x), exact(x)
    tiny = np.finfo(kernels.DTYPE).tiny
    assert ((e == 0) | (e >= tiny)).all()
    assert (e[wanted < tiny] == 0).all()
    normal = wanted > 1.0001 * np.longdouble(tiny)  # the argument at which results become 0 has few digits
    return np.abs(e[normal].astype(np.longdouble) - wanted[normal]) / ulp(kernels.DTYPE, wanted[normal])


def around(points, dtype, steps):
    """Each point and its neighbors, `steps` on each side."""
    points = np.asarray(points, dtype)
    bits = points.view(f"i{dtype.itemsize}")[:, np.newaxis] + np.arange(-steps, steps + 1)
    return bits.ravel().astype(f"i{dtype.itemsize}").view(dtype)


def edges(dtype):
    """The largest argument of e^x, and where it would be subnormal and is 0."""
    return np.array([LARGEST[dtype.name], np.finfo(dtype).minexp * np.log(np.longdouble(2))]).astype(dtype)


def test_long_double_is_exact_enough():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-746, 708, 200), rng.normal(size=100), edges(np.dtype(np.float64))])
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(40):
        for number, value in zip(x, exact(x), strict=True):
            mantissa, exponent = np.frexp(value)
            high = float(mantissa)
            got = (mpmath.mpf(high) + mpmath.mpf(float(mantissa - high))) * mpmath.mpf(2) ** int(exponent)
            assert abs(got / mpmath.exp(float(number)) - 1) < 2.0**-60


def test_dense_sample(kernels):
    if kernels.DTYPE.name == "float32":  # every 1999th of all numbers, with every exponent and sign
        bits = np.arange(0, 2**32, 1999, dtype=np.uint64).astype(np.uint32)
        x = bits.view(np.float32)
        x = x[np.isfinite(x) & (np.abs(x) < 200)]
    else:
        rng = np.random.default_rng(1)
        small = rng.choice([-1, 1], 50_000) * 2.0 ** rng.uniform(-1074, 9.5, 50_000)
        x = np.concatenate([rng.uniform(-746, 708, 100_000), rng.normal(size=50_000), small])
    worst = errors(kernels, x).max()
    assert worst <= BOUND


def test_breakpoints(kernels):
    # x / ln 2 is rounded to an integer, and half of that again: the argument left over is longest around k + 1/2
    halves = np.arange(np.finfo(kernels.DTYPE).minexp - 60, np.finfo(kernels.DTYPE).maxexp + 2, 0.5)
    x = around(halves[halves != 0] * np.log(2.0), kernels.DTYPE, 20)
    assert errors(kernels, x).max() <= BOUND


def test_edges(kernels):
    x = around(edges(kernels.DTYPE), kernels.DTYPE, 2000)
    results = kernels.elementary_of("exp", x)
    assert (results == 0).any()  # and others
    assert ((results > 0) & (results < 1.002 * np.finfo(kernels.DTYPE).tiny)).any()
    assert errors(kernels, x).max() <= BOUND


def test_below_the_edge(kernels):
    finfo = np.finfo(kernels.DTYPE)
    low = np.array([1.2 * finfo.minexp, -1e4, -1e10, -1e30, finfo.min], kernels.DTYPE)
    result = kernels.elementary_of("exp", low)
    assert (result == 0).all()
    assert not np.signbit(result).any()


SPECIAL = {
    "zero": (0.0, 1.0),
    "minus-zero": (-0.0, 1.0),
    "minus-infinity": (-np.inf, 0.0),
    "nan": (np.nan, np.nan),
    "subnormal": ("smallest_subnormal", 1.0),
    "underflow": ("min", 0.0),
}


@pytest.mark.parametrize(("special", "wanted"), SPECIAL.values(), ids=SPECIAL.keys())
def test_special_values_at_every_position(kernels, special, wanted):
    if isinstance(special, str):
        special = getattr(np.finfo(kernels.DTYPE), special)
    plain = kernels.DTYPE.type(0.5)
    for size in range(1, 2 * kernels.LANES_IN_REGISTER + 2):
        for place in range(size):
            x = np.full(size, plain)
            x[place] = special
            e = kernels.elementary_of("exp", x)
            np.testing.assert_array_equal(e[place], kernels.DTYPE.type(wanted))
            others = np.delete(e, place).astype(np.float64)
            assert (np.abs(others - np.exp(0.5)) <= BOUND * np.finfo(kernels.DTYPE).eps).all()


# -------------------------------------------------------------------------------------------------------- log(1 + x)


def log_errors(kernels, x):
    x = np.ascontiguousarray(x, kernels.DTYPE)
    wide = np.float64 if kernels.DTYPE.name == "float32" else np.longdouble
    wanted = np.log1p(x.astype(wide)).astype(np.longdouble)
    return np.abs(kernels.elementary_of("log1p", x).astype(np.longdouble) - wanted) / ulp(kernels.DTYPE, wanted)


def test_log_of_a_dense_sample(kernels):
    # what softmax leaves beside its 1 lies between 0 and the number of classes
    if kernels.DTYPE.name == "float32":
        x = np.arange(0, np.float32(1e6).view(np.uint32), 997, dtype=np.uint32).view(np.float32)
    else:
        rng = np.random.default_rng(2)
        x = np.concatenate([rng.uniform(0, 3, 100_000), 2.0 ** rng.uniform(-1074, 20, 100_000)])
    assert log_errors(kernels, x).max() <= LOG_BOUND


def test_log_at_its_breakpoints(kernels):
    # 1 + x is split at sqrt(2) times a power of two; and where 1 swallows x
    eps = np.finfo(kernels.DTYPE).eps
    points = [*(np.sqrt(2) * 2.0 ** np.arange(20) - 1), *(2.0 ** np.arange(1, 20) - 1), eps / 2, eps, 2 * eps, 1.0]
    assert log_errors(kernels, around(points, kernels.DTYPE, 500)).max() <= LOG_BOUND


@pytest.mark.parametrize("special", [0.0, "smallest_subnormal", "tiny", 1e-30])
def test_log_of_tiny_numbers_at_every_position(kernels, special):
    # log(1 + x) is x then, to the last bit
    number = kernels.DTYPE.type(getattr(np.finfo(kernels.DTYPE), special) if isinstance(special, str) else special)
    for size in range(1, 2 * kernels.LANES_IN_REGISTER + 2):
        for place in range(size):
            x = np.full(size, kernels.DTYPE.type(1.5))
            x[place] = number
            log = kernels.elementary_of("log1p", x)
            assert log[place] == number
            assert log_errors(kernels, x).max() <= LOG_BOUND


def test_expm1(kernels):
    # below 2 ULP; near 0 as accurate as elsewhere
    rng = np.random.default_rng(0)
    x = -np.concatenate([10.0 ** rng.uniform(-30, 2.5, 5000), rng.uniform(0, 2, 5000), [0.0]]).astype(kernels.DTYPE)
    got, wanted = kernels.elementary_of("expm1", x), np.expm1(x.astype(np.longdouble))
    assert (np.abs(got - wanted) <= 2 * np.spacing(np.abs(wanted.astype(kernels.DTYPE)))).all()
    for size in range(1, 2 * kernels.LANES_IN_REGISTER):
        special = np.full(size, -np.inf, kernels.DTYPE)
        assert (kernels.elementary_of("expm1", special) == -1).all()
        assert np.isnan(kernels.elementary_of("expm1", special * np.nan)).all()

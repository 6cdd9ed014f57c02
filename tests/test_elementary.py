"""e^x and log(1 + x) of the kernels, in units in the last place (ULP), of vectors and of single numbers.

The bounds are those stated in kernels/elementary.pxi: half an ULP for the last rounding, and the rest for the reduced
argument and the series.
"""

import numpy as np
import pytest

BOUNDS = {"exp": 1.1, "log1p": 2, "expm1": 2}  # ULP
LARGEST = {"float32": 87.0, "float64": 708.0}  # arguments of e^x

pytestmark = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="long double has no more digits than double here"
)


def ulp(dtype, value):
    """Distance of the numbers of `dtype` around value, which has more digits; where subnormal, that of the smallest."""
    finfo = np.finfo(dtype)
    exponent = np.where(value == 0, finfo.minexp, np.maximum(np.frexp(value)[1] - 1, finfo.minexp))
    return np.ldexp(np.longdouble(1), exponent - finfo.nmant)


def errors(kernels, name, x):
    """Errors in ULP; results of e^x that would be subnormal must be 0."""
    x = np.ascontiguousarray(x, kernels.DTYPE)
    x = x[x <= LARGEST[kernels.DTYPE.name]] if name == "exp" else x
    got, wanted = kernels.elementary_of(name, x), getattr(np, name)(x.astype(np.longdouble))
    if name == "exp":
        tiny = np.finfo(kernels.DTYPE).tiny
        assert ((got == 0) | (got >= tiny)).all()
        assert (got[wanted < tiny] == 0).all()
        normal = wanted > 1.0001 * np.longdouble(tiny)  # the argument at which results become 0 has few digits
        got, wanted = got[normal], wanted[normal]
    return np.abs(got.astype(np.longdouble) - wanted) / ulp(kernels.DTYPE, wanted)


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
        for number, value in zip(x, np.exp(x.astype(np.longdouble)), strict=True):
            mantissa, exponent = np.frexp(value)
            high = float(mantissa)
            got = (mpmath.mpf(high) + mpmath.mpf(float(mantissa - high))) * mpmath.mpf(2) ** int(exponent)
            assert abs(got / mpmath.exp(float(number)) - 1) < 2.0**-60


def samples(dtype):
    """Functions and arguments: of any size, and where functions or their results may be least accurate."""
    finfo, rng = np.finfo(dtype), np.random.default_rng(1)
    if dtype == np.float32:  # numbers with every exponent and sign
        every = np.arange(0, 2**32, 1999, dtype=np.uint64).astype(np.uint32).view(np.float32)
        yield "exp", every[np.isfinite(every) & (np.abs(every) < 200)]
        yield "log1p", np.arange(0, np.float32(1e6).view(np.uint32), 997, dtype=np.uint32).view(np.float32)
    else:
        small = rng.choice([-1, 1], 50_000) * 2.0 ** rng.uniform(-1074, 9.5, 50_000)
        yield "exp", np.concatenate([rng.uniform(-746, 708, 100_000), rng.normal(size=50_000), small])
        # what softmax leaves beside its 1 lies between 0 and the number of classes
        yield "log1p", np.concatenate([rng.uniform(0, 3, 100_000), 2.0 ** rng.uniform(-1074, 20, 100_000)])
    # x / ln 2 is rounded to an integer, and half of that again: the argument left over is longest around k + 1/2
    halves = np.arange(finfo.minexp - 60, finfo.maxexp + 2, 0.5)
    yield "exp", around(halves[halves != 0] * np.log(2.0), dtype, 20)
    yield "exp", around(edges(dtype), dtype, 2000)
    # 1 + x is split at sqrt(2) times a power of two; and where 1 swallows x
    points = [*(np.sqrt(2) * 2.0 ** np.arange(20) - 1), *(2.0 ** np.arange(1, 20) - 1), 1.0]
    yield "log1p", around(np.append(points, [finfo.eps / 2, finfo.eps, 2 * finfo.eps]), dtype, 500)
    # near 0 as accurate as elsewhere
    yield "expm1", -np.concatenate([10.0 ** rng.uniform(-30, 2.5, 5000), rng.uniform(0, 2, 5000), [0.0]])


def test_errors(kernels):
    for name, x in samples(kernels.DTYPE):
        assert errors(kernels, name, x).max() <= BOUNDS[name], name


def test_errors_of_exponentials_in_range(kernels):
    dtype = kernels.DTYPE
    for x in (x.astype(dtype) for name, x in samples(dtype) if name == "exp"):
        x = x[np.abs(x) <= LARGEST[dtype.name]]
        wanted = np.exp(x.astype(np.longdouble))
        error = np.abs(kernels.elementary_of("exp_in_range", x) - wanted) / ulp(dtype, wanted)
        assert error.max() <= 1.5


def test_edges(kernels):
    results = kernels.elementary_of("exp", around(edges(kernels.DTYPE), kernels.DTYPE, 2000))
    assert (results == 0).any()  # and others
    assert ((results > 0) & (results < 1.002 * np.finfo(kernels.DTYPE).tiny)).any()


def test_below_the_edge(kernels):
    finfo = np.finfo(kernels.DTYPE)
    low = np.array([1.2 * finfo.minexp, -1e4, -1e10, -1e30, finfo.min], kernels.DTYPE)
    result = kernels.elementary_of("exp", low)
    assert (result == 0).all()
    assert not np.signbit(result).any()


SPECIAL = [  # functions, arguments and results
    ("exp", 0.0, 1.0),
    ("exp", -0.0, 1.0),
    ("exp", -np.inf, 0.0),
    ("exp", np.nan, np.nan),
    ("exp", "smallest_subnormal", 1.0),
    ("exp", "min", 0.0),
    # log(1 + x) is x then, to the last bit
    *(("log1p", number, number) for number in (0.0, "smallest_subnormal", "tiny", 1e-30)),
    ("expm1", -np.inf, -1.0),
    ("expm1", np.nan, np.nan),
]


@pytest.mark.parametrize(("name", "special", "wanted"), SPECIAL)
def test_special_values_at_every_position(kernels, name, special, wanted):
    plain, dtype = {"exp": 0.5, "log1p": 1.5, "expm1": -0.5}[name], kernels.DTYPE.type
    special, wanted = (getattr(np.finfo(dtype), n) if isinstance(n, str) else dtype(n) for n in (special, wanted))
    of_plain = getattr(np, name)(np.longdouble(plain))
    for size in range(1, 2 * kernels.LANES_IN_REGISTER + 2):
        for place in range(size):
            x = np.full(size, dtype(plain))
            x[place] = special
            results = kernels.elementary_of(name, x)
            np.testing.assert_array_equal(results[place], wanted)
            others = np.delete(results, place)
            assert (np.abs(others - of_plain) <= BOUNDS[name] * ulp(dtype, of_plain)).all()

"""Each equation of kernels/equations.pxi, compiled: against examples by hand, 50 digits longhand, and the reference.

SIZES includes rows shorter than a vector, and longer ones on and off the multiples of one and of four vectors.
The means (2) and (3) are those of engines: test_engines.py.

Bounds count rounding errors: each operation may add u = eps / 2, relative to its result. A sum of n products may be off
by (n + 1) u times the sum of their absolute values, in any order.
"""

import functools
import itertools
import math

import numpy as np
import pytest

from cbackprop import reference
from cbackprop._catalog import OUTPUTS

mpmath = pytest.importorskip("mpmath")

SIZES = [1, 2, 3, 7, 8, 16, 17, 33, 64, 131]


@pytest.fixture
def rng():
    return np.random.default_rng(20240229)


@pytest.fixture
def eps(kernels):
    return float(np.finfo(kernels.DTYPE).eps)


EQUATIONS = {  # the left side, and the symbols on the right
    "hidden_sum": ("b", "w x"),
    "hidden_output": ("z", "b"),
    "hidden_derivative": ("h'", "z"),
    "output_sum": ("a", "v z"),
    "output": ("y", "a"),
    "sample_error": ("E_n", "t a"),
    "output_error": ("error", "y t"),
    "gradient_v": ("dv", "y t z"),
    "gradient_w": ("dw", "e x"),
    "hidden_error": ("e", "y t v z"),
    "update_v": ("v", "v y t z alpha_v"),
    "update_w": ("w", "w e x alpha_w"),
}
SYMBOLS = {"x": "D", "w": "MD", "v": "KM", "b": "M", "z": "M", "e": "M", "alpha_w": "M"}  # sizes; of others, K


def compute(kernels, equation, *right, **functions):
    """The left side of an equation, from its symbols."""
    if equation not in EQUATIONS:
        return getattr(kernels, equation)(*right)
    left, symbols = EQUATIONS[equation]
    symbols, sizes = dict(zip(symbols.split(), right, strict=True)), dict.fromkeys("DMK", 1)
    for symbol, each in symbols.items():
        for n, size in enumerate(SYMBOLS.get(symbol, "K")):
            sizes[size] = each.shape[n] - n
    equations = kernels.Equations(*sizes.values(), **functions)
    for symbol, each in symbols.items():
        equations[symbol] = each
    result = equations.compute(left)
    return result.item() if left == "E_n" else result


def array(kernels, numbers):
    return np.array(numbers, kernels.DTYPE)


digits = np.frompyfunc(lambda number: mpmath.mpf(float(number)), 1, 1)


@pytest.fixture(autouse=True)
def fifty_digits():
    with mpmath.workdps(50):
        yield


LN_2, LN_3, LN_5 = map(math.log, (2, 3, 5))
BY_HAND = [  # equation, its arguments, and its result
    ("hidden_sum", ([[2, 0.5, 10], [-1, 1, 0.25]], [3, -4]), [14, -6.75]),  # 2·3 + 0.5·(-4) + bias 10
    ("hidden_output", ([0, LN_3, -LN_3],), [1 / 2, 3 / 4, 1 / 4]),  # e^ln 3 = 3
    ("hidden_derivative", ([0, 0.25, 0.5, 1],), [0, 0.1875, 0.25, 0]),
    ("hidden_derivative tanh", ([0, 0.5, -0.5, 1],), [1, 0.75, 0.75, 0]),
    ("hidden_derivative relu", ([0, 0.5, -0.5, 1],), [0, 1, 0, 1]),
    ("output_sum", ([[4, 8, -3], [2, -4, 0.5]], [0.5, 0.25]), [1, 0.5]),  # (13)  4·0.5 + 8·0.25 - 3
    ("output", ([0, LN_2, LN_5],), [1 / 8, 2 / 8, 5 / 8]),  # (7)
    # (7) (8)  y_i (1 - y_i) on the diagonal, -y_i y_k beside it
    ("softmax_derivative_of", ([1 / 2, 1 / 4, 1 / 4],), np.array([[4, -2, -2], [-2, 3, -1], [-2, -1, 3]]) / 16),
    ("sample_error", ([1, 0, 0], [0, LN_2, LN_5]), math.log(8)),  # (1)  y = 1/8, 2/8, 5/8
    ("sample_error", ([0.5, 0.25, 0.25], [0, LN_2, LN_5]), (11 * LN_2 - LN_5) / 4),
    ("output_error", ([0.5, 0.25, 0.25], [0, 1, 0]), [0.5, -0.75, 0.25]),  # (12)
    # (16)  y - t = 1/2 and -1/2; the last column is the bias, whose input z_M is 1
    ("gradient_v", ([0.75, 0.25], [0.25, 0.75], [0.25, 0.75]), [[0.125, 0.375, 0.5], [-0.125, -0.375, -0.5]]),
    ("gradient_w", ([0.5, -2], [3, 0.25, -4]), [[1.5, 0.125, -2, 0.5], [-6, -0.5, 8, -2]]),  # (18)
    # (18)  e_j: (0.5·2 - 1·3)·3/16 and (0.5·8 - 1·(-4))·1/4; biases not used
    ("hidden_error", ([0.75, 0], [0.25, 1], [[2, 8, 1e6], [3, -4, -1e6]], [0.25, 0.5]), [-0.375, 2]),
    # (17)  v_kj - alpha_k (y_k - t_k) z_j with alpha = 2 and 4, y - t = 1/2 and -1/2, z = 1/4; then the bias
    ("update_v", ([[1, 2], [3, 4]], [0.75, 0.25], [0.25, 0.75], [0.25], [2, 4]), [[0.75, 1], [3.5, 6]]),
    # (17)  w_ji - alpha_j e_j x_i with alpha = 1/2 and 1; then the bias
    ("update_w", ([[1, 2, 3], [4, 5, 6]], [2, -4], [3, -1], [0.5, 1]), [[-2, 3, 2], [16, 1, 10]]),
    # (9 + 1 + 4 + 1) / 4, of x = 3, -1, 2 and the bias; 1 + 2^2 3.75; 8 / sqrt(16)
    ("mean_square_of", ([3, -1, 2],), 3.75),
    ("sum_of_squares_of", (1, 2, 3.75), 16),
    ("adaptive_rate_of", (8, 16), 2),
    ("adaptive_rate_of", (1, 0), 1e5),
]


@pytest.mark.parametrize(("name", "arguments", "wanted"), BY_HAND, ids=[name for name, *_ in BY_HAND])
def test_by_hand(kernels, eps, name, arguments, wanted):
    equation, *hidden = name.split()
    right = [array(kernels, each) if isinstance(each, list) else each for each in arguments]
    got = compute(kernels, equation, *right, **({"hidden": hidden[0]} if hidden else {}))
    # some roundings of e^a and log; 1e-10 is added to a sum of squares
    rtol = {"hidden_output": 3, "output": 5, "sample_error": 6, "adaptive_rate_of": 1e-6 / eps}.get(name, 0) * eps
    np.testing.assert_allclose(got, wanted, rtol=rtol)


# ------------------------------------------------------------------------------------------------------------ hidden


SUMS = {"hidden_sum": reference.hidden_sums, "output_sum": reference.output_sums}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SUMS)
def test_sums(kernels, rng, eps, name, size):
    rows = rng.normal(size=(7, size + 1)).astype(kernels.DTYPE)  # some of them are summed together
    inputs = rng.normal(size=size).astype(kernels.DTYPE)
    got, of_reference = compute(kernels, name, rows, inputs), SUMS[name](inputs[np.newaxis], rows)[0]
    products = digits(rows) * digits(np.append(inputs, 1))
    bound = (size + 2) * eps / 2 * np.abs(products).sum(axis=1)
    assert (np.abs(got - products.sum(axis=1)) <= bound).all()
    assert (np.abs(got - of_reference) <= 2 * bound).all()
    # a row gives the same bits whatever its neighbors
    assert got.tolist() == [compute(kernels, name, row[np.newaxis], inputs)[0] for row in rows]


@pytest.mark.parametrize("name", SUMS)
def test_every_product_is_in_the_sum_once(kernels, name):
    # powers of two that no other term can compensate; exact in both precisions. So a derivative of a sum to a weight is
    # its input, and 1 to the bias: (14) (15)
    for size in SIZES:
        rows, inputs = 4 * np.eye(size + 1, dtype=kernels.DTYPE), (2 ** (np.arange(size) % 7)).astype(kernels.DTYPE)
        assert compute(kernels, name, rows, inputs).tolist() == [*(4 * inputs), 4]


@pytest.mark.parametrize("name", SUMS)
def test_infinite_weights_stay_infinite(kernels, name):
    for size in SIZES:
        rows = np.ones((size + 1, size + 1), kernels.DTYPE)
        np.fill_diagonal(rows, np.inf)
        assert (compute(kernels, name, rows, np.ones(size, kernels.DTYPE)) == np.inf).all()


# h in units of the last place of z. Sigmoid: e^b has an error of 1.1 ULP, the sum and the quotient half a ULP each, a
# ULP being up to eps. tanh: e^x - 1 has one of 1.2 ULP, which z = d / (2 - d) doubles at most, and the difference and
# the quotient half a ULP each. max(0, b) is exact
HIDDEN = {
    "sigmoid": (lambda b: 1 / (1 + mpmath.exp(-b)), 2.1),
    "tanh": (mpmath.tanh, 3.5),
    "relu": (lambda b: max(b, 0), 0),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_hidden_functions(kernels, rng, eps, hidden, size):
    (exact, ulps), (h, h_derivative) = HIDDEN[hidden], reference.HIDDEN_FUNCTIONS[hidden]
    b = (rng.normal(size=size) * rng.choice([1e-20, 0.1, 1, 10, 30])).astype(kernels.DTYPE)
    z = compute(kernels, "hidden_output", b, hidden=hidden)
    for ours, number in zip(z, b, strict=True):
        wanted = float(exact(mpmath.mpf(float(number))))
        assert abs(float(ours) - wanted) <= ulps * eps * abs(wanted)
    np.testing.assert_allclose(z, h(b), rtol=(ulps + 2) * eps)
    np.testing.assert_allclose(compute(kernels, "hidden_derivative", z, hidden=hidden), h_derivative(z), rtol=eps)
    if size >= kernels.LANES_IN_REGISTER:  # shorter ones are computed one by one, which may round differently
        for number in b[:9]:
            assert len(set(compute(kernels, "hidden_output", np.full(size, number), hidden=hidden))) == 1


LIMITS = {"sigmoid": (0, 0.5, 1), "tanh": (-1, 0, 1), "relu": (0, 0, np.inf)}  # of h, and h(0)


@pytest.mark.parametrize("hidden", LIMITS)
def test_special_values_of_hidden_functions(kernels, hidden):
    (least, middle, most), huge = LIMITS[hidden], float(np.finfo(kernels.DTYPE).max)
    pairs = [(np.inf, most), (-np.inf, least), (0.0, middle), (-0.0, middle), (np.nan, np.nan)]
    if hidden != "relu":
        pairs += [(huge, most), (-huge, least), (1e4, most), (-1e4, least)]
    if hidden == "sigmoid":  # where results would be subnormal
        pairs += [(np.log(2.0) * (np.finfo(kernels.DTYPE).minexp - 5), 0)]
    for size in (1, kernels.LANES_IN_REGISTER, kernels.LANES_IN_REGISTER + 1):
        for b, wanted in pairs:
            z = compute(kernels, "hidden_output", np.full(size, b, kernels.DTYPE), hidden=hidden)
            np.testing.assert_array_equal(z, np.full(size, wanted, kernels.DTYPE))


# ------------------------------------------------------------------------------------------------------------ output


def softmax_of_mpmath(a):
    e = [mpmath.exp(float(number)) for number in a]
    return [number / sum(e) for number in e]


@pytest.mark.parametrize(("size", "scale"), [(size, (0.1, 1, 20)[n % 3]) for n, size in enumerate(SIZES)])
def test_softmax(kernels, rng, eps, size, scale):
    a = (rng.normal(size=size) * scale).astype(kernels.DTYPE)
    y = compute(kernels, "output", a)
    # e^d is off by 1.1 ULP, whatever d = a_k - max_a: exp_diff corrects the rounding of d. The sum adds up to K u, and
    # its terms their own; then the quotient
    bound = (2 * 1.1 + size / 2 + 3) * eps
    tiny = float(np.finfo(kernels.DTYPE).tiny)  # below it results are 0
    np.testing.assert_allclose(y.astype(float), list(map(float, softmax_of_mpmath(a))), rtol=bound, atol=1.0001 * tiny)
    bound_of_reference = bound + float(np.ptp(a)) * eps  # which does not correct it
    np.testing.assert_allclose(y, reference.softmax(a[np.newaxis])[0], rtol=2 * bound_of_reference, atol=1.0001 * tiny)
    assert abs(float(y.astype(np.float64).sum()) - 1) <= size * eps


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10])
def test_softmax_derivative_is_the_derivative(kernels, rng, eps, size):
    a = rng.normal(size=size).astype(kernels.DTYPE)
    derivative = kernels.softmax_derivative_of(compute(kernels, "output", a))
    for k in range(size):
        moved = a.astype(np.complex128)
        moved[k] += 1e-20j
        y = np.exp(moved) / np.exp(moved).sum()
        np.testing.assert_allclose(derivative[:, k], y.imag / 1e-20, atol=(8 + size) * eps)
    y = compute(kernels, "output", a)
    np.testing.assert_allclose(derivative, reference.softmax_derivative(y), atol=eps)


# ------------------------------------------------------------------------------------------------------------- error


@functools.cache  # the kernels of all variants get the same numbers
def exact_error(output, t, a):
    """E_n as it is defined, in 120 digits: enough for e^a of every a in both precisions."""
    pairs = [(mpmath.mpf(t_k), mpmath.mpf(a_k)) for t_k, a_k in zip(t, a, strict=True)]
    if output == "softmax":
        total = mpmath.log(sum(mpmath.exp(a_k) for _, a_k in pairs))
        return sum(t_k * (total - a_k) for t_k, a_k in pairs)
    if output == "linear":
        return sum((a_k - t_k) ** 2 for t_k, a_k in pairs) / 2
    return sum(mpmath.log(1 + mpmath.exp(a_k)) - t_k * a_k for t_k, a_k in pairs)


# each output with two scales for each size, but a single class, which has no error
ERRORS = itertools.product(OUTPUTS, enumerate((1, 2, 3, 4, 5, 10, 31, 100, 300)), (0, 1))
ERRORS = [(output, size, (0.01, 0.1, 1, 10, 30)[(n + 2 * second) % 5]) for output, (n, size), second in ERRORS]


@pytest.mark.parametrize(("output", "size", "scale"), [case for case in ERRORS if case[:2] != ("softmax", 1)])
def test_errors_are_right_to_4_ulp(kernels, rng, eps, targets, output, size, scale):
    a = (rng.normal(size=size) * scale).astype(kernels.DTYPE)
    rows = targets(output, 1, size, kernels.DTYPE, rng)
    if output == "softmax":  # right, wrong, and soft targets, which add a sum
        rows = [*np.eye(size, dtype=kernels.DTYPE)[[0, size - 1, a.argmax(), a.argmin()]], *rows]
    for t in rows:
        with mpmath.workdps(120):
            wanted = exact_error(output, tuple(t.tolist()), tuple(a.tolist()))
            error = abs(mpmath.mpf(float(compute(kernels, "sample_error", t, a, output=output))) - wanted)
        soft = output == "softmax" and t.max() < 1
        allowed = 4 * float(np.spacing(kernels.DTYPE.type(float(wanted)))) + soft * (size / 2 + 1) * eps * wanted
        assert error <= allowed
        if output != "softmax":
            of_reference = reference.OUTPUTS[output][1](t[np.newaxis], a[np.newaxis])[0]
            assert of_reference == pytest.approx(float(wanted), rel=(4 + size) * eps)


@pytest.mark.parametrize("size", [1, 4, 5, 31])
@pytest.mark.parametrize("output", ["linear", "logistic"])
def test_other_outputs(kernels, rng, eps, output, size):
    a = (rng.normal(size=size) * 10).astype(kernels.DTYPE)
    y = compute(kernels, "output", a, output=output)
    if output == "linear":
        np.testing.assert_array_equal(y, a)
    else:  # as for the sigmoid
        np.testing.assert_allclose(y, [float(1 / (1 + mpmath.exp(-float(number)))) for number in a], rtol=2.1 * eps)
    np.testing.assert_allclose(y, reference.OUTPUTS[output][0](a[np.newaxis])[0], rtol=4.2 * eps)


@pytest.mark.parametrize("output", OUTPUTS)
def test_nan_reaches_the_error(kernels, rng, output):
    for size in (1, 2, 4, 5, 9, 33):
        for place in range(size):
            a = rng.normal(size=size).astype(kernels.DTYPE)
            a[place] = np.nan
            assert np.isnan(compute(kernels, "sample_error", np.full(size, 1 / size, kernels.DTYPE), a, output=output))


@pytest.mark.parametrize("output", OUTPUTS)
def test_padding_adds_nothing(kernels, rng, targets, output):
    for size in (5, 7, 9, 33):
        a, t = rng.normal(size=size).astype(kernels.DTYPE), targets(output, 1, size, kernels.DTYPE, rng)[0]
        wanted = reference.OUTPUTS[output][1](t[np.newaxis].astype(float), a[np.newaxis].astype(float))[0]
        assert compute(kernels, "sample_error", t, a, output=output) == pytest.approx(
            wanted, rel=8 * float(np.finfo(kernels.DTYPE).eps)
        )


def test_errors_of_certain_logistic_outputs(kernels):
    # right and certain: 0; wrong and certain: |a|; a sum that overflows is infinite, not NaN
    huge = float(np.finfo(kernels.DTYPE).max)
    for size in (1, 5, 300):
        a = np.full(size, 1000, kernels.DTYPE)
        assert compute(kernels, "sample_error", np.ones(size, kernels.DTYPE), a, output="logistic") == 0
        assert compute(kernels, "sample_error", np.zeros(size, kernels.DTYPE), a, output="logistic") == 1000 * size
        assert compute(kernels, "sample_error", np.zeros(size, kernels.DTYPE), -a, output="logistic") == 0
    for output, t in (("linear", -1), ("logistic", 0)):
        a = np.full(300, huge, kernels.DTYPE)
        assert compute(kernels, "sample_error", np.full(300, t, kernels.DTYPE), a, output=output) == np.inf


LARGE = [  # sums in units of 1e308 or 1e38; y; E_n for the first class, in that unit or as it is
    ([1, -1, 0], [1, 0, 0], 0, 0),
    ([-1, 1, 0], [0, 1, 0], 2, 0),
    ([0, 1, 0], [0, 1, 0], 1, 0),
    ([-1, 0, 0], [0, 0.5, 0.5], 1, 0),
    ([1, 1, -1], [0.5, 0.5, 0], 0, math.log(2)),
    ([-1, -1, -1], [1 / 3, 1 / 3, 1 / 3], 0, math.log(3)),
    ([1] * 13, [1 / 13] * 13, 0, math.log(13)),
    ([-1] * 12 + [1], [0] * 12 + [1], 2, 0),
    ([0, 1] + [-1] * 20 + [1, 0], [0, 0.5] + [0] * 20 + [0.5, 0], 1, 0),
]


@pytest.mark.parametrize("samples", [1, 20])
@pytest.mark.parametrize(("sums", "y", "units", "rest"), LARGE)
def test_networks_with_sums_close_to_overflow(library, dtype, sums, y, units, rest, samples):
    unit = dtype.type(1e308 if dtype == np.float64 else 1e38)
    M, K = 5, len(sums)
    x, t, w, v = np.ones((samples, 2)), np.zeros(samples, int), np.zeros((M, 3), dtype), np.zeros((K, M + 1), dtype)
    w[:, -1] = np.array([1, -1, 0, 1, -1]) * unit
    v[:, -1] = sums
    v[:, -1] *= unit
    activations = library.forward(x, w, v)
    assert (activations.b == w[:, -1]).all()
    assert (activations.z == [1, 0, 0.5, 1, 0]).all()
    assert (activations.a == v[:, -1]).all()
    assert (activations.y == np.array(y, dtype)).all()
    loss = library.loss(x, t, w, v)
    if samples == 1 or units == 0:  # the mean of more than one other loss is beyond float64, as 2e308 is
        wanted = units * float(unit) + rest
        assert loss == pytest.approx(wanted, rel=(4 if samples == 1 else 8) * float(np.finfo(dtype).eps), abs=0)
    assert not np.isnan(loss)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 40])
def test_finite_arguments_never_give_nan(kernels, rng, eps, size):
    finfo = np.finfo(kernels.DTYPE)
    edge = [0.0, float(finfo.tiny), float(finfo.smallest_subnormal), 1.0, 88.0, 89.0, 105.0, 709.0, 710.0, 746.0]
    edge += [1e30, float(finfo.max)]
    for _ in range(70):
        a = array(kernels, rng.choice(edge, size) * rng.choice([-1, 1], size))
        z = compute(kernels, "hidden_output", a)
        assert ((z >= 0) & (z <= 1)).all()
        y = compute(kernels, "output", a)
        assert ((y >= 0) & (y <= 1)).all()
        assert abs(float(y.astype(float).sum()) - 1) <= size * eps
        for t in (np.eye(size, dtype=kernels.DTYPE)[0], np.full(size, 1 / size, kernels.DTYPE)):
            assert compute(kernels, "sample_error", t, a) >= 0


# --------------------------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("size", [2, 3, 5, 17])
def test_output_error_is_the_chain_rule(kernels, rng, eps, size):
    # (5) (6)  -sum_l t_l / y_l dy_l/da_k with (7) (8); (9)-(11)  y_k sum_l t_l - t_k, whatever sum_l t_l is
    y = compute(kernels, "output", rng.normal(size=size).astype(kernels.DTYPE))
    t = rng.uniform(size=size)
    derivative = kernels.softmax_derivative_of(y).astype(float)
    chain = [-sum(t[l] / float(y[l]) * derivative[l, k] for l in range(size)) for k in range(size)]
    np.testing.assert_allclose(chain, y * t.sum() - t, atol=4 * size * eps)
    t = (t / t.sum()).astype(kernels.DTYPE)
    chain = [-sum(float(t[l] / y[l]) * derivative[l, k] for l in range(size)) for k in range(size)]
    np.testing.assert_allclose(chain, compute(kernels, "output_error", y, t), atol=4 * size * eps)


@pytest.mark.parametrize("size", SIZES)
def test_gradients_are_products(kernels, rng, size):
    # (4)  (12) times (15), and (18): one product each, with the same bits
    y, t, e = rng.normal(size=(3, 5)).astype(kernels.DTYPE)
    inputs = rng.normal(size=size).astype(kernels.DTYPE)
    for got, errors in (
        (compute(kernels, "gradient_v", y, t, inputs), y - t),
        (compute(kernels, "gradient_w", e, inputs), e),
    ):
        np.testing.assert_array_equal(got, np.outer(errors, np.append(inputs, kernels.DTYPE.type(1))))
    of_reference = reference.gradient_v(reference.output_errors(y, t)[np.newaxis], inputs[np.newaxis])
    np.testing.assert_array_equal(compute(kernels, "gradient_v", y, t, inputs), of_reference)


@pytest.mark.parametrize(("size", "classes"), [(size, (1, 2, 10)[n % 3]) for n, size in enumerate(SIZES)])
def test_hidden_error(kernels, rng, eps, size, classes):
    y, t = rng.uniform(size=(2, classes)).astype(kernels.DTYPE)
    v = rng.normal(size=(classes, size + 1)).astype(kernels.DTYPE)
    z = rng.uniform(size=size).astype(kernels.DTYPE)
    products, slope = digits(y - t)[:, np.newaxis] * digits(v[:, :-1]), digits(z) * (1 - digits(z))
    # the sum; then 1 - z, z (1 - z) and the last product, a rounding each
    bound = (classes + 5) * eps / 2 * np.abs(products).sum(axis=0) * slope
    assert (np.abs(compute(kernels, "hidden_error", y, t, v, z) - products.sum(axis=0) * slope) <= bound).all()


# ------------------------------------------------------------------------------------------------------------ updates


@pytest.mark.parametrize("size", SIZES)
def test_adaptive_rates(kernels, rng, eps, size):
    x = rng.normal(size=size).astype(kernels.DTYPE)
    s, e, alpha = (float(number) for number in rng.random(3).astype(kernels.DTYPE))
    mean = ((digits(x) ** 2).sum() + 1) / (size + 1)
    # a sum of squares, its quotient, three operations more; half of each relative error in the root, and a quotient
    assert abs(kernels.mean_square_of(x) - mean) <= eps * (size + 3) / 2 * mean
    square = kernels.sum_of_squares_of(s, e, float(mean))
    assert abs(square - (s + e**2 * mean)) <= 2 * eps * (s + e**2 * mean)
    rate = alpha / mpmath.sqrt(mpmath.mpf(s) + mpmath.mpf(float(kernels.DTYPE.type(1e-10))))
    assert abs(kernels.adaptive_rate_of(alpha, s) - rate) <= 2 * eps * rate


def assert_updated(got, weights, errors, inputs, alpha, eps):
    """Longhand (17). A product of three numbers is rounded twice, their difference once."""
    change = np.outer(digits(alpha) * digits(errors), digits(np.append(inputs, 1)))
    wanted = digits(weights) - change
    assert got.shape == weights.shape
    assert (np.abs(got - wanted) <= eps / 2 * (np.abs(wanted) * (1 + eps) + 3 * np.abs(change))).all()


@pytest.mark.parametrize("size", SIZES)
def test_updates(kernels, rng, eps, size):
    weights = rng.normal(size=(3, size + 1)).astype(kernels.DTYPE)
    y, t, alpha = rng.uniform(size=(3, 3)).astype(kernels.DTYPE)
    z, x = rng.uniform(size=size).astype(kernels.DTYPE), rng.normal(size=size).astype(kernels.DTYPE)
    assert_updated(compute(kernels, "update_v", weights, y, t, z, alpha), weights, y - t, z, alpha, eps)
    assert_updated(compute(kernels, "update_w", weights, y, x, alpha), weights, y, x, alpha, eps)
    np.testing.assert_array_equal(compute(kernels, "update_v", weights, y, y, z, alpha), weights)
    np.testing.assert_array_equal(compute(kernels, "update_w", weights, y, x, 0 * alpha), weights)


# ---------------------------------------------------------------------------------------------------------- bad shapes


@pytest.mark.parametrize("symbol", [*SYMBOLS, "a", "y", "t", "alpha_v"])
def test_wrong_shapes_are_errors(kernels, symbol):
    sizes = {"D": 4, "M": 3, "K": 2}
    equations = kernels.Equations(*sizes.values())
    good = np.ones([sizes[size] + n for n, size in enumerate(SYMBOLS.get(symbol, "K"))], kernels.DTYPE)
    equations[symbol] = good
    for wrong in (good[:0], good[..., :0], good[1:], np.concatenate([good, good]), good[np.newaxis], None):
        with pytest.raises(AssertionError):
            equations[symbol] = wrong


@pytest.mark.parametrize("wrong", [np.zeros(0), None])
def test_no_inputs_have_no_mean_square(kernels, wrong):
    with pytest.raises((AssertionError, TypeError)):
        kernels.mean_square_of(None if wrong is None else wrong.astype(kernels.DTYPE))

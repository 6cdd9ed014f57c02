"""Gradients of whole networks, by every function that has them, against two kinds of numerical differentiation.

Exact gradients are those of a complex step, written out here: it takes no difference, so it is exact to rounding.
Backpropagation must agree with it to 1e-13 in float64, relative to the largest derivative of a layer, and to 2e-6 in
float32, whose eps is 5e8 times larger. Central differences must approach it with order 2, which fails if either is
wrong.
"""

import functools
import itertools
import math

import numpy as np
import pytest

import cbackprop
from cbackprop import Network
from cbackprop._catalog import HIDDEN_FUNCTIONS, OUTPUTS
from cbackprop._functions import error_and_gradient
from cbackprop._validation import Functions

AGREEMENT = {"float64": 1e-13, "float32": 2e-6}
SHAPES = [
    (1, 1, 2),
    (1, 2, 3),
    (2, 1, 2),
    (2, 2, 3),
    (3, 3, 3),
    (5, 3, 2),
    (7, 13, 5),
    (13, 7, 3),
    (17, 5, 11),
    (3, 37, 2),
]
RANDOM = [tuple(map(int, shape)) for shape in np.random.default_rng(3).integers((1, 1, 2), (24, 40, 9), (6, 3))]
FEW, MANY = 6, 70  # one by one; and in several blocks
SAMPLES = (1, FEW, MANY)
DTYPES = np.dtype("float32"), np.dtype("float64")


def paired(first, second):
    """Every pair of two settings, with the two precisions in turn, so that each comes with every value of both."""
    return [(one, other, DTYPES[(n + m) % 2]) for n, one in enumerate(first) for m, other in enumerate(second)]


FUNCTIONS = itertools.product(OUTPUTS, HIDDEN_FUNCTIONS)
# every pair of functions with all numbers of samples and both precisions, the shapes in turn
CASES = zip(itertools.cycle([*SHAPES, *RANDOM]), itertools.product(DTYPES, FUNCTIONS, SAMPLES), strict=False)
CASES = [(shape, dtype, samples, *functions) for shape, (dtype, functions, samples) in CASES]
CASE = "shape", "dtype", "samples", "output", "hidden"


@functools.cache
def problem(shape, dtype):
    """x, t, w, v: soft targets, and class indices where t has one dimension. Weights of order 1, so lr = 1 bites."""
    D, M, K = shape
    rng = np.random.default_rng([D, M, K])
    # for every output; powers of two as denominators: rows sum to 1 in both precisions
    t = rng.multinomial(16, np.full(K, 1 / K), MANY) / 16
    w, v = rng.normal(size=(M, D + 1)) / math.sqrt(D), rng.normal(size=(K, M + 1))
    x, t, w, v = (array.astype(dtype) for array in (rng.normal(size=(MANY, D)), t, w, v))
    for array in (x, t, w, v):
        array.flags.writeable = False  # shared between tests, which copy what they change
    return x, t, w, v


@pytest.fixture(scope="module")
def exact(complex_step):
    """A function for the gradient by a complex step, in float64 whatever the dtype of the weights."""

    @functools.cache
    def gradient(shape, dtype, samples, output="softmax", hidden="sigmoid"):
        x, t, w, v = (array.astype(np.float64) for array in problem(shape, dtype))
        return complex_step[1](x[:samples], t[:samples], w, v, output, hidden)

    return gradient


def assert_agree(got, wanted, dtype, rounding=(0.0, 0.0)):
    """Both layers; `rounding` is the error of storing the weights."""
    for layer in (0, 1):
        error = np.abs(got[layer].astype(np.float64) - wanted[layer])
        assert (error <= AGREEMENT[dtype.name] * np.abs(wanted[layer]).max() + rounding[layer]).all()


@pytest.mark.parametrize(CASE, CASES)
def test_loss_and_gradient(library, mean_error, exact, shape, dtype, samples, output, hidden):
    x, t, w, v = problem(shape, dtype)
    functions, data = {"output": output, "hidden": hidden}, (x[:samples], t[:samples])
    dw, dv = library.gradient(*data, w, v, **functions)
    assert dw.dtype == dv.dtype == dtype
    assert_agree((dw, dv), exact(shape, dtype, samples, output, hidden), dtype)
    E = mean_error(*(array.astype(np.float64) for array in (*data, w, v)), **functions)
    loss = library.loss(*data, w, v, **functions)
    assert loss == pytest.approx(E, rel=AGREEMENT[dtype.name])
    if library is cbackprop:
        with_gradient, *_ = error_and_gradient(*data, w, v, Functions(**functions))
        assert with_gradient == pytest.approx(loss, rel=float(8 * np.finfo(dtype).eps))


def change(learn, shape, dtype, samples):
    """What learning at rate 1 returns, what it subtracts from weights, and its rounding: at most once a sample."""
    x, t, w, v = problem(shape, dtype)
    new = w.copy(), v.copy()
    result, pairs = learn(x[:samples], t[:samples], *new), list(zip((w, v), new, strict=True))
    got = [old.astype(np.float64) - now for old, now in pairs]
    return result, got, [samples * np.spacing(np.maximum(np.abs(old), np.abs(now))) for old, now in pairs]


def steps(library, learning_rate, weight=1.0, **functions):
    """Functions that learn sample by sample, without `fit`, and return the last E_n."""

    def step(x, t, w, v):
        settings = {"learning_rate": learning_rate, "sample_weight": weight} | functions
        return [library.step(*sample, w, v, **settings) for sample in zip(x, t, strict=True)][-1]

    def learn_one(x, t, w, v):
        network = Network.from_weights(w, v, learning_rate=learning_rate, **functions)
        return [network.learn_one(*sample, weight) for sample in zip(x, t, strict=True)][-1]

    return [step, learn_one] if library is cbackprop else [step]


@pytest.mark.parametrize("weight", [1.0, 0.25, 0.0])
@pytest.mark.parametrize(CASE, [case for case in CASES if case[2] == 1])
def test_step_at_rate_1(library, mean_error, exact, shape, dtype, samples, output, hidden, weight):
    # (17) takes the gradient of one sample, and its weight is a factor of the rate
    x, t, *weights = problem(shape, dtype)
    E = mean_error(*(array.astype(np.float64) for array in (x[:1], t[:1], *weights)), output, hidden)
    wanted = [weight * gradient for gradient in exact(shape, dtype, 1, output, hidden)]
    for learn in steps(library, 1, weight, output=output, hidden=hidden):
        E_n, got, rounding = change(learn, shape, dtype, 1)
        assert E_n == pytest.approx(E, rel=AGREEMENT[dtype.name])
        assert_agree(got, wanted, dtype, rounding)


@pytest.mark.parametrize(CASE, CASES[::2])
def test_fit_at_rate_1(engine, exact, shape, dtype, samples, output, hidden):
    # (17) with the gradient (3): a single sample is a batch of one
    def learn(x, t, w, v):
        batch_size = 1 if samples == 1 else None
        engine.fit(x, t, w, v, learning_rate=1, batch_size=batch_size, output=output, hidden=hidden)

    _, got, rounding = change(learn, shape, dtype, samples)
    assert_agree(got, exact(shape, dtype, samples, output, hidden), dtype, rounding)


def test_class_indices_are_rows_with_a_1(library, dtype):
    x, _t, w, v = problem((7, 13, 5), dtype)
    labels = np.arange(MANY) % 5
    rows = np.eye(5, dtype=dtype)[labels]
    for of_labels, of_rows in zip(library.gradient(x, labels, w, v), library.gradient(x, rows, w, v), strict=True):
        np.testing.assert_array_equal(of_labels, of_rows)
    assert library.loss(x, labels, w, v) == library.loss(x, rows, w, v)


@pytest.mark.parametrize("samples", SAMPLES)
@pytest.mark.parametrize(("shape", "part"), [((1, 1, 2), 0.1), ((2, 5, 3), 0.6), ((3, 18, 9), 0.99)])
def test_a_gradient_that_overflows(variant, dtype, shape, samples, part):
    # x v_00 does; b and a are 0, so that E is finite
    D, M, K = shape
    x, v_00 = 2.0 ** int((1.08 - part) * np.finfo(dtype).maxexp), 2.0 ** int(part * np.finfo(dtype).maxexp)
    x, t = np.full((samples, D), x), [1] * samples
    w, v = np.zeros((M, D + 1), dtype), np.zeros((K, M + 1), dtype)
    v[0, 0], v[0, -1] = v_00, -v_00 / 2
    assert cbackprop.loss(x, t, w, v) == pytest.approx(math.log(K))
    with pytest.raises(ValueError, match=f"w and v are too large for x: sums overflow {dtype}; they, or x, must"):
        cbackprop.gradient(x, t, w, v)


@pytest.mark.parametrize("samples", [FEW, MANY])
def test_equal_weights_get_equal_gradients(variant, dtype, samples):
    # by symmetry, and to the last bit: in whole vectors and in the tail
    x, t = (array[:samples] for array in problem((7, 13, 5), dtype)[:2])
    dw, dv = cbackprop.gradient(x, t, np.ones((13, 8), dtype), np.ones((5, 14), dtype))
    assert (dw == dw[0]).all()
    assert (dv[:, :-1] == dv[:, :1]).all()


# ------------------------------------------------------------------------------------------- numerical differentiation


def few(shape, dtype):
    x, t, w, v = problem(shape, dtype)
    return x[:FEW], t[:FEW], w, v


def worst(numerical, analytic):
    return np.array([np.linalg.norm(n - a) for n, a in zip(numerical, analytic, strict=True)])


# in float64: at 1e-3 the rounding of a float32 loss is larger than what a central difference leaves out. For forward
# differences two finer distances: what comes next in the error is only one power of epsilon smaller
@pytest.mark.parametrize(("scheme", "order", "epsilons"), [("central", 2, (1e-1, 1e-3)), ("forward", 1, (1e-3, 1e-5))])
@pytest.mark.parametrize(("output", "hidden"), [*itertools.product(OUTPUTS, ("sigmoid", "tanh"))])
@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 2, 3), (7, 13, 5), (3, 37, 2)])
def test_order_of_differences(variant, shape, output, hidden, scheme, order, epsilons):
    arguments, functions = few(shape, np.dtype(np.float64)), {"output": output, "hidden": hidden}
    analytic = cbackprop.gradient(*arguments, **functions)
    coarse, fine = (
        worst(cbackprop.numerical_gradient(*arguments, epsilon=size, scheme=scheme, **functions), analytic)
        for size in epsilons
    )
    layers = slice(1 if (output, scheme) == ("linear", "central") else 2)  # a central difference of a square is exact
    np.testing.assert_allclose(np.log10(coarse / fine)[layers] / 2, order, atol=0.05)


# At the default distance: eps to the power 2/3 and 1/2 is 4e-11 and 1.5e-8 (float64), 2.4e-5 and 3.5e-4 (float32).
# Times 50: E, weights and inputs are of order 1, but E is rounded, and higher derivatives exceed the first.
DIFFERENCES = {
    ("central", "float64"): 2e-9,
    ("forward", "float64"): 1e-6,
    ("complex", "float64"): 1e-13,
    ("central", "float32"): 1e-3,
    ("forward", "float32"): 2e-2,
    ("complex", "float32"): 1e-7,  # computed in double precision, rounded once
}


@pytest.mark.parametrize(("shape", "scheme", "dtype"), paired(SHAPES[3:7], ("central", "forward", "complex")))
def test_numerical_gradient(library, exact, shape, dtype, scheme):
    arguments = few(shape, dtype)
    before = [array.tobytes() for array in arguments]
    numerical = library.numerical_gradient(*arguments, scheme=scheme)
    for got, wanted, weights in zip(numerical, exact(shape, dtype, FEW), arguments[2:], strict=True):
        assert got.shape == weights.shape
        assert got.dtype == dtype
        assert np.abs(got - wanted).max() <= DIFFERENCES[scheme, dtype.name]
    assert [array.tobytes() for array in arguments] == before


@pytest.mark.parametrize("epsilon", [0.5, 1e-3])
def test_numerical_gradient_is_its_formula(variant, mean_error, epsilon):
    # E is of order 1 here: its rounding, divided by epsilon
    x, t, w, v = few((3, 3, 3), np.dtype(np.float64))
    central = cbackprop.numerical_gradient(x, t, w, v, epsilon=epsilon)
    forward = cbackprop.numerical_gradient(x, t, w, v, epsilon=epsilon, scheme="forward")
    for layer, weights in enumerate((w, v)):
        for place in np.ndindex(weights.shape):
            moved = [w.copy(), v.copy()]
            moved[layer][place] += epsilon
            above = mean_error(x, t, *moved)
            moved[layer][place] = weights[place] - epsilon
            below = mean_error(x, t, *moved)
            assert central[layer][place] == pytest.approx((above - below) / (2 * epsilon), rel=0, abs=1e-14 / epsilon)
            wanted = (above - mean_error(x, t, w, v)) / epsilon
            assert forward[layer][place] == pytest.approx(wanted, rel=0, abs=1e-14 / epsilon)


def test_numerical_gradient_divides_by_the_rounded_distance(variant):
    # near 1000 the numbers of float32 are 6.1e-5 apart: 1e-4 becomes 1.22e-4. Sums are equal, so the derivatives are
    # 1/3 - t_k, to the rounding of E, 1e-7, divided by the distance
    w, v = np.ones((1, 2), np.float32), np.zeros((3, 2), np.float32)
    v[:, -1] = 1000
    for scheme in ("central", "forward"):
        _dw, dv = cbackprop.numerical_gradient([[0.0]], [0], w, v, epsilon=1e-4, scheme=scheme)
        np.testing.assert_allclose(dv[:, -1], [-2 / 3, 1 / 3, 1 / 3], rtol=1e-2)


def test_complex_step_does_not_depend_on_its_size(exact):
    arguments = few((5, 3, 2), np.dtype(np.float64))
    for size in (1e-8, 1e-20, 1e-100):
        numerical = cbackprop.numerical_gradient(*arguments, epsilon=size, scheme="complex")
        assert_agree(numerical, exact((5, 3, 2), np.dtype(np.float64), FEW), np.dtype(np.float64))


def test_complex_step_of_weights_without_a_gradient():
    # and without a warning, which would be an error here
    x, t, w, v = few((5, 3, 2), np.dtype(np.float64))
    dw, dv = cbackprop.numerical_gradient(x, t, np.full_like(w, 1e300), v, scheme="complex")
    assert not dw.any()
    assert np.isfinite(dv).all()


# ---------------------------------------------------------------------------------------------------------- the old v


@functools.cache
def by_hand(shape, dtype, learning_rate, old_v=True):
    """The article's training step in Python floats, sample by sample: (1) forward, (2) v, (3) w, (4) store."""
    x, t, w, v = (array.astype(float).tolist() for array in few(shape, dtype))
    for x_n, t_n in zip(x, t, strict=True):
        x_n = [*x_n, 1.0]
        z = [1 / (1 + math.exp(-math.fsum(w_ji * x_i for w_ji, x_i in zip(w_j, x_n, strict=True)))) for w_j in w]
        z.append(1.0)
        e = [math.exp(math.fsum(v_kj * z_j for v_kj, z_j in zip(v_k, z, strict=True))) for v_k in v]
        error = [e_k / math.fsum(e) - t_k for e_k, t_k in zip(e, t_n, strict=True)]
        v_new = [
            [v_kj - learning_rate * error_k * z_j for v_kj, z_j in zip(v_k, z, strict=True)]
            for v_k, error_k in zip(v, error, strict=True)
        ]
        v_used = v if old_v else v_new
        back = [math.fsum(error[k] * v_used[k][j] for k in range(len(v))) for j in range(len(w))]
        w = [
            [w_ji - learning_rate * back[j] * z[j] * (1 - z[j]) * x_i for w_ji, x_i in zip(w[j], x_n, strict=True)]
            for j in range(len(w))
        ]
        v = v_new
    return np.array(w), np.array(v)


@pytest.mark.parametrize(
    ("shape", "learning_rate", "dtype"), paired([(1, 1, 2), (2, 2, 3), (5, 17, 3), (19, 3, 2)], [1, 8])
)
def test_updates_take_the_old_v(engine, dtype, shape, learning_rate):
    x, t, *start = few(shape, dtype)
    w_old, v_old = by_hand(shape, dtype, learning_rate)
    w_new, _ = by_hand(shape, dtype, learning_rate, old_v=False)
    # six updates at a large rate, rounded: measured up to 21 eps; what a new v would change is far more
    bound = 200 * np.finfo(dtype).eps * max(1, np.abs(w_old).max())
    assert np.abs(w_new - w_old).max() > 20 * bound
    fit = functools.partial(engine.fit, learning_rate=learning_rate, shuffle=False)
    for learn in (fit, *steps(engine.library, learning_rate)):
        w, v = (array.copy() for array in start)
        learn(x, t, w, v)
        assert np.abs(w - w_old).max() <= bound
        assert np.abs(v - v_old).max() <= bound * max(1, np.abs(v_old).max())

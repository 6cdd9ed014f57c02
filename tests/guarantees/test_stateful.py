"""Any sequence of calls: the weights stay finite and agree with the NumPy reference; other arrays stay unchanged.

Networks have any output and hidden function. Settings lie at the edges of each dtype, sizes at those of vectors and
blocks. Each call runs with the library and, from copies of the same weights, with the reference; both must succeed with
close results, or raise the same type of error.
`nox -s address` runs this with every memory access checked.

The tolerance is measured by stochastic arithmetic: the reference runs three more times with each z, each operand of a
sum, and each sum that is subnormal, changed by one rounding. What this changes, rounding in another order may change as
well. Results are not compared if it changes them by the square root of a rounding or more, or if sums may overflow,
which depends on their order.
"""

import collections
import copy
import functools
import gc
import itertools
import pickle
import signal
import threading
import time
from contextlib import nullcontext
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

import cbackprop
from cbackprop import DivergenceError, Network, _dispatch, init_weights, reference
from cbackprop import _validation as validate
from cbackprop._catalog import HIDDEN_FUNCTIONS, OUTPUTS
from cbackprop._settings import Settings

STEPS = 25  # calls in a sequence
FACTOR = 100  # between the rounding errors of the library and those measured
ERRORS = (DivergenceError, ValueError, TypeError, RuntimeError, OSError)


def outcome(call):
    """The type of the error that a call raises, or None, and its results as arrays."""
    try:
        result = call()
    except ERRORS as error:
        return next(kind for kind in ERRORS if isinstance(error, kind)), []
    if isinstance(result, cbackprop.History):
        result = result.losses
    return None, [np.asarray(each) for each in (result if isinstance(result, tuple) else (result,)) if each is not None]


def defined(*results):
    """Results of the reference, which overflow where the library raises ValueError."""
    if not all(np.isfinite(result).all() for result in results):
        raise ValueError
    return results


def with_roundings(rng):
    """Patch the reference so that each operand of a sum is changed by one rounding, up or down."""

    def changed(array):
        signs = rng.integers(2, size=array.shape, dtype=np.int8) * 2 - 1
        return array * (1 + np.finfo(array.dtype).eps * signs).astype(array.dtype)

    def with_changes(function):
        return lambda *arrays: underflowed(function(*map(changed, arrays)))

    def hidden_function(name, h, derivative):
        most = np.inf if name == "relu" else 1
        return (lambda b: changed(h(b)).clip(-most, most)), derivative  # near 1, 1 - z is left with few digits

    def underflowed(sums):
        return sums + rng.choice([-1, 1], sums.shape).astype(sums.dtype) * np.finfo(sums.dtype).smallest_subnormal

    def update(weights, derivative, learning_rate):
        weights -= weights.dtype.type(learning_rate) * changed(derivative)

    names = "hidden_sums", "output_sums", "output_errors", "gradient_w", "gradient_v"
    patches = {name: with_changes(getattr(reference, name)) for name in names}
    functions = {name: hidden_function(name, *both) for name, both in reference.HIDDEN_FUNCTIONS.items()}
    return patch.multiple(reference, update=update, HIDDEN_FUNCTIONS=functions, **patches)


def largest(*arrays):
    return max((float(np.abs(array).max(initial=0)) for array in arrays), default=0.0)


def apart(arrays, others):
    """The largest difference of each pair of arrays."""
    with np.errstate(all="ignore"):
        return [float(np.abs(one - other).max(initial=0)) for one, other in zip(arrays, others, strict=True)]


WIDTHS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 63, 64, 65)
SEEDS = st.integers(0, 99)
FUNCTIONS = {"output": st.sampled_from([*OUTPUTS]), "hidden": st.sampled_from([*HIDDEN_FUNCTIONS])}
ONE_IN_FOUR = st.sampled_from((True, False, False, False))
EDGES = {  # of a dtype
    "smallest": lambda finfo: finfo.smallest_subnormal,
    "normal": lambda finfo: finfo.tiny,
    "1 - eps": lambda finfo: 1 - finfo.epsneg,
    "root of the largest": lambda finfo: finfo.max**0.5,
    "largest": lambda finfo: finfo.max,
}
EDGE = st.sampled_from((0.0, 1.0, 1e3, 1e300, *EDGES))


def setting(*usual):
    """Three times in four a usual value, else one at an edge."""
    return ONE_IN_FOUR.flatmap(lambda edge: EDGE if edge else st.sampled_from(usual))


RATE, X_SCALE = setting(0.01, 0.1, 0.5), setting(1.0, 30.0)
LEARNING = st.fixed_dictionaries(
    {
        "learning_rate": RATE,
        "momentum": setting(0.0, 0.0, 0.5),
        "l2": setting(0.0, 0.0, 0.01),
        "batch_size": st.sampled_from((1, 1, 2, "lanes - 1", "lanes", "lanes + 1", 64, "N - 1", "N", None)),
    }
)
ROWS = st.sampled_from((1, 2, 7, 8, 9, 15, 16, 17, 33, 65))


class Sequence(RuleBasedStateMachine):
    """A network, and the arrays that nothing may change."""

    use_variant = folder = done = targets = None  # set by the test

    # ----------------------------------------------------------------------------------------------------- the state

    @initialize(
        variant=st.sampled_from(_dispatch.available_variants()),
        dtype=st.sampled_from(("float32", "float64")),
        sizes=st.tuples(st.sampled_from(WIDTHS), st.sampled_from(WIDTHS), st.sampled_from((1, 2, 3, 4, 5, 8, 9, 17))),
        seed=SEEDS,
        **FUNCTIONS,
    )
    def start(self, variant, dtype, sizes, seed, output, hidden):
        self.use_variant(variant)
        self.finfo, self.sizes, self.unchanged = np.finfo(dtype), sizes, collections.deque(maxlen=20)
        self.path = self.folder / "network.safetensors"
        self.path.unlink(missing_ok=True)
        self.begin(seed, output, hidden)

    @rule(seed=SEEDS, **FUNCTIONS)
    def begin(self, seed, output, hidden):
        """Go on with another network of that size."""
        self.output, self.hidden, self.functions = output, hidden, {"output": output, "hidden": hidden}
        weights = init_weights(*self.sizes, hidden=hidden, dtype=self.finfo.dtype, rng=seed)
        self.hold(Network.from_weights(*weights, **self.functions))
        for ours, theirs in zip(self.weights, self.initial(seed), strict=True):
            assert ours.tobytes() == theirs.tobytes()

    def initial(self, rng, sizes=None):
        return reference.init_weights(*(sizes or self.sizes), hidden=self.hidden, dtype=self.finfo.dtype, rng=rng)

    def hold(self, network):
        self.network, self.velocity = network, None
        self.weights = network.w, network.v

    def protect(self, *arrays):
        """Remember arrays that no later call may change."""
        self.unchanged += [(array, array.tobytes()) for array in arrays]

    def value(self, drawn):
        """The number that a drawn setting stands for."""
        return float(EDGES[drawn](self.finfo)) if drawn in EDGES else drawn

    def data(self, N, seed, x_scale=1.0, soft=False):
        """x and t, protected: labels, or any targets that suit the output."""
        (D, _, K), rng, scale = self.sizes, np.random.default_rng([N, seed]), self.value(x_scale)
        with np.errstate(over="ignore"):
            x = (rng.normal(size=(N, D)) * scale).clip(-self.finfo.max, self.finfo.max).astype(self.finfo.dtype)
        if soft or self.output == "linear":
            t = self.targets(self.output, N, K, self.finfo.dtype, rng)
        else:
            t = rng.integers(K, size=N) if self.output == "softmax" else rng.integers(2, size=(N, K))
        if self.output != "softmax" and K == 1 and seed % 2:
            t = t[:, 0]
        self.protect(x, t)
        return x, t

    def sample(self, seed, x_scale=1.0, soft=False):
        """x and t of one sample."""
        (x,), t = self.data(1, seed, x_scale, soft)
        return x, t[0].item() if t.ndim == 1 else t[0]

    def learning(self, N, batch_size, **rates):
        """The settings of `fit` that drawn ones stand for."""
        lanes = _dispatch.kernels(self.finfo.dtype).LANES_IN_REGISTER
        sizes = {"lanes - 1": lanes - 1, "lanes": lanes, "lanes + 1": lanes + 1, "N": N, "N - 1": max(1, N - 1)}
        return {name: self.value(rate) for name, rate in rates.items()} | {
            "batch_size": sizes.get(batch_size, batch_size)
        }

    def check(self, N, velocity=(), **settings):
        """Raise the ValueError of the library for settings that it refuses: the reference checks none."""
        others = {"method": "auto", "adaptive": False, "shuffle": True}
        functions = validate.Functions(**self.functions)
        checked = Settings.validated(self.finfo.dtype, np.empty(N), functions, **others, **settings)
        validate.states(velocity or None, checked.momentum, None, False, *self.weights, ())

    @invariant()
    def weights_are_finite_and_other_arrays_unchanged(self):
        for array in (*self.weights, *(self.velocity or ())):
            assert np.isfinite(array).all()
        assert self.network.w is self.weights[0]
        assert self.network.v is self.weights[1]
        for array, before in self.unchanged:
            assert array.tobytes() == before

    def agree(self, ours, theirs, *, x, written=(), epochs=1, updates=1, rate=0.0, l2=0.0):
        """Call ours() and theirs(*copies of the written arrays), from the same weights, and compare."""
        before = [array.copy() for array in written]
        kind, results = outcome(ours)
        runs = []
        for noise in (0, 1, 2, 3):
            copies = [array.copy() for array in before]
            changes = with_roundings(np.random.default_rng(noise)) if noise else nullcontext()
            with changes, np.errstate(all="ignore"):
                runs.append((*outcome(lambda copies=copies: theirs(*copies)), copies))
        if kind is not None and (kind is not DivergenceError or epochs == 1):
            assert [array.tobytes() for array in written] == [array.tobytes() for array in before]
        self.done["calls"] += 1
        if kind == runs[0][0] and self.close([*results, *written], runs, x, rate, updates):
            return
        self.done["not compared"] += 1
        assert kind in (None, ValueError, DivergenceError)
        weights, theirs = before[:2] or self.weights, runs[0][0]
        excused = self.sensitive(runs) or self.may_vanish(x) or self.may_overflow(x, weights, rate, updates, l2)
        assert excused, f"not {theirs} but {kind}"

    def close(self, arrays, runs, x, rate, updates):
        kind, results, copies = runs[0]
        exact = [*results, *copies]
        noisy = [[*more, *changed] for other, more, changed in runs[1:] if other == kind]
        roundings = [max(pair) for pair in zip(*(apart(exact, each) for each in noisy), strict=True)]
        roundings = roundings or [0.0] * len(exact)
        eps = updates**0.5 * float(self.finfo.eps)  # roundings of each update have random signs
        # kernels take what is below the smallest normal number for 0
        small = updates * float(self.finfo.tiny) * (1 + rate) * (1 + largest(x)) * (1 + largest(*arrays))
        return all(
            difference <= FACTOR * (measured + eps * largest(array) + small)
            for difference, measured, array in zip(apart(exact, arrays), roundings, exact, strict=True)
        )

    def sensitive(self, runs):
        """Whether roundings change the outcome, or some result by the square root of a rounding."""
        kind, results, copies = runs[0]
        exact, limit = [*results, *copies], float(self.finfo.eps) ** 0.5
        return any(
            other != kind
            or not all(
                difference <= limit * largest(array)
                for difference, array in zip(apart(exact, [*more, *changed]), exact, strict=True)
            )
            for other, more, changed in runs[1:]
        )

    def may_vanish(self, x):
        """Whether the sign of a sum, on which ReLU's derivative depends, may be lost: kernels take subnormals for 0."""
        return self.hidden == "relu" and largest(x) < 2.0**20 * float(self.finfo.tiny)

    def may_overflow(self, x, weights, rate=0.0, updates=0, l2=0.0):
        """Whether a bound on the sums exceeds what the dtype can hold."""
        (D, M, K), (w, v) = self.sizes, map(largest, weights)
        inputs, step_w, step_v = 1 + largest(x), 0.0, 0.0
        for update in range(updates + 1):
            b = w * inputs * (D + 1)
            z = max(1, b) if self.hidden == "relu" else 1
            a = v * z * (M + 1)
            error = 10 + a if self.output == "linear" else 1  # targets are normal
            if update < updates:  # velocity adds up
                step_w, step_v = step_w + rate * (error * v * K * inputs + l2 * w), step_v + rate * (error * z + l2 * v)
                w, v = w + step_w, v + step_v
        loss = K * error * error if self.output == "linear" else a
        return not max(b, a, loss, error * v * K * inputs, l2 * max(w, v)) <= float(self.finfo.max) / 64

    # ------------------------------------------------------------------------------------------------------- learning

    @rule(
        N=ROWS,
        seed=SEEDS,
        soft=st.booleans(),
        epochs=st.sampled_from((1, 1, 2, 3)),
        method=st.sampled_from(("auto", "direct", "blocked")),
        n_threads=st.sampled_from((1, 2)),
        weighted=st.booleans(),
        keep_velocity=st.booleans(),
        as_method=st.booleans(),
        x_scale=X_SCALE,
        drawn=LEARNING,
    )
    def fit(self, N, seed, soft, epochs, method, n_threads, weighted, keep_velocity, as_method, x_scale, drawn):
        x, t = self.data(N, seed, x_scale, soft)
        rates = self.learning(N, **drawn)
        if weighted and rates["learning_rate"] * rates["l2"] < self.finfo.tiny:
            rates["l2"] = 0.0  # the kernels take this product for 0, and the reference divides it by a small weight
        options = rates | {"epochs": epochs, "rng": seed}
        if weighted:
            edges = [0.0, float(self.finfo.tiny), 1.0, 2.0]
            options["sample_weight"] = np.random.default_rng(seed).choice(edges, N).astype(self.finfo.dtype)
            options["sample_weight"][0] = 1
            self.protect(options["sample_weight"])
        written = list(self.weights)
        if keep_velocity:
            self.velocity = self.velocity or tuple(map(np.zeros_like, self.weights))
            written += self.velocity

        def ours():
            velocity = {"velocity": self.velocity} if keep_velocity else {}
            engine = {"method": method, "n_threads": n_threads}
            if not as_method:
                return cbackprop.fit(x, t, *self.weights, **self.functions, **options, **engine, **velocity)
            self.network.learning_rate = options["learning_rate"]
            others = {name: value for name, value in options.items() if name != "learning_rate"}
            return self.network.fit(x, t, **others, **engine, **velocity)

        def theirs(w, v, *velocity):
            self.check(N, velocity, **rates)
            return reference.fit(x, t, w, v, **self.functions, **options, velocity=velocity or None)

        updates = epochs * -(-N // (options["batch_size"] or N))
        rate, l2 = rates["learning_rate"], rates["l2"]
        if weighted and options["batch_size"] != 1:
            l2 /= float(self.finfo.tiny)  # by the smallest weight of a batch
        self.agree(ours, theirs, x=x, written=written, epochs=epochs, updates=updates, rate=rate, l2=l2)

    @rule(seed=SEEDS, soft=st.booleans(), rate=RATE, x_scale=X_SCALE, weight=setting(1.0, 0.5), one=st.booleans())
    def step(self, seed, soft, rate, x_scale, weight, one):
        (x, t), rate, weight = self.sample(seed, x_scale, soft), self.value(rate), self.value(weight)

        def ours():
            if not one:
                return cbackprop.step(x, t, *self.weights, rate, sample_weight=weight, **self.functions)
            self.network.learning_rate = rate
            return self.network.learn_one(x, t, weight)

        def theirs(w, v):
            validate.learning_rate(rate, w.dtype)
            validate.weight(weight, w.dtype)
            return reference.step(x, t, w, v, rate, sample_weight=weight, **self.functions)

        self.agree(ours, theirs, x=x, written=self.weights, rate=rate * weight)

    # ------------------------------------------------------------------------------------------------------ evaluation

    @rule(N=ROWS, seed=SEEDS, soft=st.booleans(), x_scale=X_SCALE, n_threads=st.sampled_from((1, 2)))
    def evaluate(self, N, seed, soft, x_scale, n_threads):
        x, t = self.data(N, seed, x_scale, soft)
        (w, v), network, K = self.weights, self.network, self.sizes[2]
        forward = functools.partial(cbackprop.forward, w=w, v=v, n_threads=n_threads, **self.functions)

        def of_reference(x):
            activations = reference.forward(x, w, v, **self.functions)
            return defined(activations.y) and activations

        y, y_one = network.predict_proba, network.predict_proba_one
        if self.output == "linear":
            y, y_one = (lambda x: network.predict(x).reshape(N, K)), lambda x: np.reshape(network.predict_one(x), K)
        self.agree(lambda: forward(x), lambda: of_reference(x), x=x)
        self.agree(lambda: y(x), lambda: of_reference(x).y, x=x)
        self.agree(lambda: y_one(x[0]), lambda: of_reference(x[:1]).y[0], x=x)
        self.agree(lambda: network.loss(x, t), lambda: reference.loss(x, t, w, v, **self.functions), x=x)
        self.agree(
            lambda: network.gradient(x, t),
            lambda: defined(*reference.gradient(x, t, w, v, **self.functions)),
            x=x,
        )
        if not self.may_overflow(x, self.weights):
            decided = self.decided(forward(x))
            assert np.array_equal(network.predict(x), decided)
            if self.output == "softmax":
                y_0 = y_one(x[0])  # in which several may be largest
                assert y_0[network.predict_one(x[0])] == y_0.max()
            elif self.output == "logistic":
                assert np.array_equal(np.reshape(network.predict_one(x[0]), K), y_one(x[0]) >= 0.5)

    def decided(self, activations):
        """What is predicted."""
        y, a, _z, _b = activations
        if self.output == "softmax":
            return a.argmax(axis=1)
        decided = y if self.output == "linear" else y >= 0.5
        return decided[:, 0] if decided.shape[1] == 1 else decided

    # ---------------------------------------------------------------------------------------------------------- copies

    @rule(way=st.sampled_from(("file", "pickle", "deepcopy")))
    def replace(self, way):
        """Go on with a copy; nothing may change the original any more."""
        self.protect(*self.weights)
        if way == "file":
            self.network.save(self.path)
            again = Network.load(self.path)
        elif way == "pickle":
            again = pickle.loads(pickle.dumps(self.network))
        else:
            again = copy.deepcopy(self.network)
        assert repr(again) == repr(self.network)
        for ours, theirs in zip((again.w, again.v), self.weights, strict=True):
            assert ours.tobytes() == theirs.tobytes()
            assert not np.shares_memory(ours, theirs)
        self.hold(again)

    # --------------------------------------------------------------------------------------------------------- signals

    @rule(
        N=ROWS,
        seed=SEEDS,
        wait=st.sampled_from((0, 1e-4, 3e-4, 1e-3, 3e-3)),
        momentum=st.sampled_from((0.0, 0.5)),
        batch_size=st.sampled_from((1, 2, 8, None)),
        n_threads=st.sampled_from((1, 2)),
        call=st.sampled_from(("fit", "checkpoint", "learn_one", "save", "forward", "gradient", "none")),
    )
    def interrupt(self, N, seed, wait, momentum, batch_size, n_threads, call):
        """A signal amid calls of a kind, or between calls: the weights are finite, and a following call works."""
        (x, t), (x_n, t_n) = self.data(N, seed), self.sample(seed)
        path, network = self.folder / "interrupted", self.network
        path.unlink(missing_ok=True)
        fit = functools.partial(
            network.fit, x, t, epochs=10**6, batch_size=batch_size, momentum=momentum, n_threads=n_threads, rng=seed
        )
        calls = {
            "fit": fit,
            "checkpoint": functools.partial(fit, checkpoint=path),
            "learn_one": lambda: network.learn_one(x_n, t_n),
            "save": lambda: network.save(path),
            "forward": lambda: network.predict(x, n_threads=n_threads),
            "gradient": lambda: network.gradient(x, t),
            "none": lambda: None,
        }
        network.learning_rate = 1e-3

        def press():
            time.sleep(wait)
            signal.raise_signal(signal.SIGINT)

        presser = threading.Thread(target=press)
        gc.disable()  # an exception in a callback of the collector would be lost
        try:
            presser.start()
            for _ in itertools.count():
                if outcome(calls[call])[0] is not None:  # the weights are too large
                    presser.join()
        except KeyboardInterrupt:
            self.done["interrupts"] += 1
        finally:
            gc.enable()
        presser.join()
        self.weights_are_finite_and_other_arrays_unchanged()
        if path.exists():
            Network.load(path)
        self.agree(
            lambda: cbackprop.step(x_n, t_n, *self.weights, 0.1, **self.functions),
            lambda w, v: reference.step(x_n, t_n, w, v, 0.1, **self.functions),
            x=x_n,
            written=self.weights,
            rate=0.1,
        )


@pytest.mark.guarantee("any sequence of calls", slice=200, full=10_000)
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # of a signal between `open` and `with`
def test_any_sequence_of_calls(repetitions, use_variant, targets, ctrl_c, tmp_path, record_property):
    done = collections.Counter()
    functions = {"use_variant": staticmethod(use_variant), "targets": staticmethod(targets)}
    attributes = functions | {"folder": tmp_path, "done": done}
    run_state_machine_as_test(
        type("Sequence", (Sequence,), attributes),
        settings=settings(
            max_examples=repetitions // STEPS,
            stateful_step_count=STEPS,
            phases=[Phase.generate],  # to shrink a sequence takes longer than pytest's timeout
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    record_property("compared", f"{done['calls'] - done['not compared']:,} of {done['calls']:,}")
    record_property("interrupts", f"{done['interrupts']:,}")
    assert done["not compared"] < done["calls"] / 10

"""Any sequence of calls of models that learn: estimators of River, scikit-learn and Dask, and ensembles.

Each model has a twin, which receives neither the calls that the model refuses nor interrupts, and is never restored.
After each step the two agree in every bit: attributes, weights, statistics, and the predictions for probes. A step is a
call with arguments of any kind, the change of a parameter, restoring the model from a copy, or a call during which
KeyboardInterrupt is raised, at one of its instructions or by a timer. After an interrupt the model is as before the
call, or as after it, or has learned its first samples.

A sequence follows from its kind and number: `Sequence(kind, number, folder).run()` repeats one that failed.
"""

import copy
import gc
import math
import operator
import pickle
import random
import signal
import sys
import time
from typing import NamedTuple

import numpy as np
import pytest

from cbackprop import DivergenceError, Ensemble, Network

pytest.importorskip("distributed")
pytest.importorskip("pandas")
pytest.importorskip("river")
import dask
import dask.array as da
import joblib
import pandas as pd
from scipy.sparse import csr_array

import cbackprop.dask
import cbackprop.river
import cbackprop.sklearn

STEPS = 25  # in a sequence
ERRORS = (TypeError, ValueError, DivergenceError, MemoryError)
UNOBSERVED = {"_one_sample", "_parameters_are_valid", "_room", "_values", "lent"}  # caches, views, and room to grow


def bits(thing):
    """All that can be observed of an object, in a form that can be compared."""
    if isinstance(thing, np.ndarray) and thing.dtype != object:
        return thing.dtype.str, thing.shape, thing.tobytes()
    if isinstance(thing, Network):
        return bits((thing.w, thing.v, thing.accumulators, thing.learning_rate, thing.functions))
    if isinstance(thing, (pd.DataFrame, pd.Series)):
        return bits(thing.to_numpy()), repr(thing.index), repr(getattr(thing, "columns", None))
    if isinstance(thing, np.random.Generator):
        return repr(thing.bit_generator.state)
    if isinstance(thing, dict):
        return {str(name): bits(value) for name, value in thing.items() if name not in UNOBSERVED}
    if isinstance(thing, (list, tuple)):
        return list(map(bits, thing))
    if hasattr(thing, "state"):  # of a scaler
        return bits(thing.state)
    return bits(vars(thing)) if type(thing).__module__.startswith("cbackprop.") else repr(thing)


def differences(ours, theirs, path=""):
    """Where two results of `bits` differ."""
    if ours == theirs:
        return []
    if type(ours) is type(theirs) is dict and ours.keys() == theirs.keys():
        return [each for name in ours for each in differences(ours[name], theirs[name], f"{path}.{name}")]
    if type(ours) is type(theirs) is list and len(ours) == len(theirs):
        return [
            each for n, pair in enumerate(zip(ours, theirs, strict=True)) for each in differences(*pair, f"{path}[{n}]")
        ]
    return [f"{path}: {ours} and {theirs}" if Refusal in (type(ours), type(theirs)) else path]


class Call(NamedTuple):
    """A method of a model, with arguments."""

    method: str
    arguments: tuple = ()
    keywords: dict = {}  # noqa: RUF012 # never changed

    def __call__(self, model):
        return operator.methodcaller(self.method, *self.arguments, **self.keywords)(model)


class Refusal(NamedTuple):
    """An error of a call."""

    kind: str
    message: str


def outcome(call, model):
    """The result of a call, or its refusal."""
    try:
        return bits(call(model))
    except ERRORS as error:
        return Refusal(type(error).__name__, str(error))


def set_parameter(model, name, value):
    if hasattr(model, "set_params"):
        model.set_params(**{name: value})
    else:
        setattr(model, name, value)


def refused(result):
    return isinstance(result, Refusal)


class Interrupt:
    """KeyboardInterrupt at the n-th instruction of cbackprop, or some seconds after the start of a call."""

    def __init__(self, n=None, wait=None):
        self.n, self.wait = n, wait
        self.seen, self.raised = 0, False  # instructions

    def fire(self, where):
        self.raised = where
        raise KeyboardInterrupt

    def trace(self, frame, event, argument):
        if not frame.f_globals.get("__name__", "").startswith("cbackprop."):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.seen += 1
            if self.seen == self.n:
                self.fire(f"{frame.f_code.co_qualname}, line {frame.f_lineno}")
        return self.trace

    def call(self, function):
        if self.wait is None:
            before = sys.gettrace()
            sys.settrace(self.trace)
            try:
                return function()
            finally:
                sys.settrace(before)
        handler = signal.signal(signal.SIGALRM, lambda *_: self.ended or self.fire("any moment"))
        timer = signal.setitimer(signal.ITIMER_REAL, self.wait)
        gc.disable()  # an exception in a callback of the collector would be lost
        try:
            try:
                return function()
            finally:
                self.ended = True
        finally:
            gc.enable()
            signal.setitimer(signal.ITIMER_REAL, *timer)  # that of pytest's timeout
            signal.signal(signal.SIGALRM, handler)

    ended = False


# --------------------------------------------------------------------------------------------------------------- kinds

STRANGE = (
    math.nan,
    math.inf,
    1e10,
    -1e10,
    1e-310,
    1e300,
    1.7e308,
    "text",
    None,
    [1.0],
    True,
    1j,
    np.float32(2),
)
NO_ROWS = (None, "text", 3, [], {}, [[1.0]], np.ones(3), np.ones((2, 3)), pd.DataFrame())
COUNTS = (0, 1, -1, "x", 2**60, 2.5, 5)
RATES = ("auto", "Auto", 0, -1, 1e300, math.nan, 0.05)

RIVER_EDGES = {
    "n_hidden": COUNTS,
    "learning_rate": RATES,
    "hidden": ("relu", "tanh", "unknown", 3),
    "seed": (3, -1, "x", 2**70),
    "n_features": (*COUNTS, None),
}
SKLEARN_EDGES = {
    "hidden_layer_sizes": (*COUNTS, (3, 3), (4,)),
    "activation": ("relu", "logistic", "unknown"),
    "alpha": (0.0, 0.1, -1, math.nan, "x", 1e300),
    "batch_size": (*COUNTS, "auto", None),
    "learning_rate": ("constant", "invscaling", "adaptive", "unknown"),
    "learning_rate_init": RATES,
    "power_t": (0.0, 2.0, 1e300, -1, "x"),
    "max_iter": (1, 2, 0, -1, "x"),
    "shuffle": (False, True, "x"),
    "random_state": (3, -1, "x", 2**70),
    "tol": (0.0, -1, math.nan),
    "warm_start": (True, False, "x"),
    "momentum": (0.0, 0.5, 1, 1.5, math.nan),
    "early_stopping": (True, False, "x"),
    "n_threads": (1, 2, 0, "x"),
}
MEMBERS_EDGES = {"learning_rates": ([0.1, 0.2], (1, 2, 3), [0.1, math.nan], [0, 1], "x", 3, [1e300, 1.0])}


class Kind:
    """Draws models of a kind and calls of them."""

    edges: dict  # values of parameters
    may_change = ()  # parameters, after learning

    def __init__(self, draw):
        self.draw, self.choice = draw, draw.choice

    def one_in(self, n):
        return self.draw.randrange(n) == 0

    def numbers(self, *shape):
        return np.reshape([self.draw.gauss(0, 1) for _ in range(math.prod(shape))], shape)

    def learning(self):
        """A call that should succeed."""
        raise NotImplementedError

    def call(self):
        """A call of any kind."""
        raise NotImplementedError

    def prefixes(self, call):
        """Calls that learn only the first samples."""
        return []


class River(Kind):
    edges = RIVER_EDGES
    may_change = ("learning_rate",)

    def new(self):
        self.hashed = self.one_in(3)
        rate, hidden = self.choice(("auto", 0.1)), self.choice((None, "relu"))
        parameters = {
            "n_hidden": self.choice((1, 3)),
            "learning_rate": rate,
            "hidden": hidden,
            "seed": self.choice((0, 1)),
        }
        return parameters | {"n_features": self.choice((4, 16)) if self.hashed else None}

    def x(self):
        names = self.draw.sample("abc", self.choice((3, 3, 2, 1)))
        names += [f"new {self.draw.randrange(20)}"] * self.one_in(6)
        return {name: "text" if self.hashed and self.one_in(4) else self.draw.gauss(0, 1) for name in names}

    def y(self):
        raise NotImplementedError

    strange_y = (*STRANGE, 10**400)

    def learning(self):
        if self.many and self.one_in(3):
            N = self.choice((1, 2, 5))
            columns = [*"abc", *["new 7"] * self.one_in(4)]
            return Call("learn_many", (pd.DataFrame(self.numbers(N, len(columns)), columns=columns), self.column(N)))
        weight = {} if self.one_in(2) else {"w": self.choice((0, 0.5, 3.0, 1e-310, 1e3))}
        return Call("learn_one", (self.x(), self.y()), weight)

    def column(self, N):
        return pd.Series([self.y() for _ in range(N)])

    def call(self):
        method, (x, *others), keywords = self.choice((self.learning(), self.learning(), *self.probes()))
        y, strange = others, self.draw.randrange(12)
        if strange == 0:
            x = self.choice(NO_ROWS)
        elif strange == 1 and isinstance(x, dict):
            x = x | {self.choice("abz"): self.choice((*STRANGE, 10**400))}
        elif strange == 1 and isinstance(x, pd.DataFrame):
            x = x.assign(**{self.choice("abz"): [self.choice(STRANGE)] * len(x)})
        elif strange == 2 and y:
            y = [self.column(3) if method == "learn_many" and self.one_in(2) else self.choice(self.strange_y)]
        elif strange == 3 and method == "learn_one":
            keywords = {"w": self.choice((*STRANGE, -1))}
        elif strange == 4 and method == "learn_many":
            x, y = x[:0], [y[0][:0]]
        elif strange == 5:
            return Call("__getattribute__", (self.choice(("network", "networks", "weights", "features")),))
        return Call(method, (x, *y), keywords)

    def prefixes(self, call):
        if call.method == "learn_many":
            x, y = call.arguments
            return [Call("learn_many", (x[:n], y[:n])) for n in range(1, len(x))]
        return []

    many = True

    def probes(self):
        x = {"a": 0.5, "b": -1.0, "c": 2.0}
        frame = pd.DataFrame([x, x | {"b": 0.0}])
        methods = ("predict_one", "predict_proba_one", "predict_many", "predict_proba_many")
        cls = self.cls
        return [Call(name, (x if "one" in name else frame,)) for name in methods if hasattr(cls, name)]


class RiverClassifier(River):
    cls = cbackprop.river.BackpropClassifier

    def y(self):
        return self.choice((*"ppqq", 0, f"label {self.draw.randrange(9)}"))


class RiverRegressor(River):
    cls = cbackprop.river.BackpropRegressor

    def y(self):
        return self.draw.gauss(0, 1)


class RiverMultiTarget(River):
    cls, many = cbackprop.river.BackpropMultiTargetRegressor, False

    def y(self):
        return {name: self.value() for name in self.draw.sample("pqrs", self.choice((2, 2, 1, 3)))}

    def value(self):
        return self.draw.gauss(0, 1)

    strange_y = (*STRANGE, *({"p": value} for value in STRANGE), {})


class RiverMultiLabel(RiverMultiTarget):
    cls = cbackprop.river.BackpropMultiLabelClassifier

    def value(self):
        return self.one_in(2)


class Sklearn(Kind):
    edges = SKLEARN_EDGES
    may_change = tuple(set(SKLEARN_EDGES) - {"hidden_layer_sizes", "activation"})

    def new(self):
        self.dtype, self.classes = self.choice((np.float64, np.float32)), list("pqr")
        rate = self.choice(("auto", 0.1))
        return {
            "hidden_layer_sizes": 3,
            "learning_rate_init": rate,
            "max_iter": 2,
            "random_state": self.draw.randrange(9),
        }

    def x(self, N):
        return self.numbers(N, 3).astype(self.dtype)

    def learning(self):
        N = self.choice((1, 1, 2, 5))
        x = csr_array(self.x(N)) if self.one_in(4) else self.x(N)
        return Call("partial_fit", (x, self.y(N)), self.options())

    def options(self):
        return {}

    def call(self):
        method, (x, *y), keywords = self.choice((self.learning(), self.learning(), *self.probes()))
        strange = self.draw.randrange(12)
        if strange == 0:
            x = self.choice(NO_ROWS)
        elif strange == 1:
            x = x.toarray() if isinstance(x, csr_array) else x.copy()
            x[-1, 1] = self.choice((math.nan, math.inf, 1e10, 1e300, 1e-310))
        elif strange == 2:
            x = self.x(7)
        elif strange == 3 and y:
            y = [self.choice([y[0][:-1], *NO_ROWS, *([each] for each in STRANGE)])]
        elif strange == 4 and y:
            weights = (0, 1e300, -1, math.nan, 0.5)
            keywords = keywords | {"sample_weight": [self.choice(weights) for _ in range(x.shape[0])]}
        elif strange in (5, 6) and y:
            return Call("fit", (self.x(6), self.y(6)))
        return Call(method, (x, *y), keywords)

    def check_interrupted_fit(self, model):
        """`fit` ends as if its epochs had been fewer; the last may be incomplete."""
        assert np.isfinite(model.network_.w).all()
        assert np.isfinite(model.network_.v).all()
        if not model.warm_start:
            assert (len(model.loss_curve_), model.t_ % 6) == (model.n_iter_, 0)
            assert model.loss_curve_[-1:] == [model.loss_] * bool(model.n_iter_)

    def probes(self):
        x = np.array([[0.5, -1, 2], [0, 1, -0.5]])
        return [Call(name, (x,)) for name in ("predict", "predict_proba", "transform") if hasattr(self.cls, name)]


class SklearnClassifier(Sklearn):
    cls = cbackprop.sklearn.BackpropClassifier
    edges = SKLEARN_EDGES | {"class_weight": ("balanced", None, {"p": 2.0}, "x")}
    may_change = (*Sklearn.may_change, "class_weight")

    def y(self, N):
        return np.array([self.choice(self.classes) for _ in range(N)])

    def options(self):
        if self.one_in(8):
            self.classes = sorted({*self.classes, self.choice("abxyz")})
        return {"classes": list(self.classes)}


class SklearnRegressor(Sklearn):
    cls = cbackprop.sklearn.BackpropRegressor

    def y(self, N):
        return self.numbers(N)


class Dask(Sklearn):
    edges = {
        name: SKLEARN_EDGES[name]
        for name in ("hidden_layer_sizes", "activation", "max_iter", "shuffle", "random_state", "tol", "n_threads")
    } | {"learning_rate_init": RATES[2:], "batch_size": (*COUNTS, None), "local_epochs": COUNTS}
    may_change = tuple(edges)

    def new(self):
        self.dtype, self.classes = self.choice((np.float64, np.float32)), list("pqr")
        return {"hidden_layer_sizes": 3, "max_iter": 2, "random_state": self.draw.randrange(9)}

    def learning(self):
        N = self.choice((3, 5))
        return Call("fit", (da.from_array(self.x(N), chunks=(2, -1)), da.from_array(self.y(N), chunks=2)))

    def call(self):
        method, (x, *y), keywords = self.choice((self.learning(), *self.probes()))
        strange = self.draw.randrange(10)
        if strange == 0:
            x = self.choice(NO_ROWS)
        elif strange == 1:
            x = da.from_array(self.x(5) * self.choice((math.nan, 1e200)), chunks=(2, -1))
        elif strange == 2 and y:
            y = [self.choice((y[0][:-1], *NO_ROWS))]
        return Call(method, (x, *y), keywords)


class DaskClassifier(Dask):
    cls = cbackprop.dask.BackpropClassifier
    y = SklearnClassifier.y


class DaskRegressor(Dask):
    cls = cbackprop.dask.BackpropRegressor
    y = SklearnRegressor.y


class Members(Kind):
    cls = Ensemble
    edges = MEMBERS_EDGES
    may_change = ("learning_rates",)

    def new(self):
        self.dtype, self.output = self.choice((np.float64, np.float32)), self.choice(("softmax", "linear", "logistic"))
        parameters = {
            "n_inputs": 3,
            "n_hidden": 3,
            "n_outputs": 3,
            "rng": 0,
            "output": self.output,
            "dtype": self.dtype,
        }
        hidden = [self.choice(("relu", "tanh", "sigmoid")) for _ in range(2)]
        return parameters | {"learning_rates": [0.1, 0.3], "hidden": hidden, "adaptive": self.one_in(2)}

    def t(self, *shape):
        if self.output == "softmax":
            return np.reshape([self.draw.randrange(3) for _ in range(math.prod(shape))], shape)
        t = self.numbers(*shape, 3)
        return t if self.output == "linear" else (t > 0).astype(float)

    def learning(self):
        way = self.draw.randrange(3)
        if way == 0:
            N = self.choice((1, 2, 5, 40))
            options = {
                "epochs": self.choice((1, 2)),
                "batch_size": self.choice((1, 2, None)),
                "rng": self.draw.randrange(9),
            }
            x = self.numbers(N, 3)
            return Call("fit", (csr_array(x) if self.one_in(4) else x, self.t(N)), options)
        t = self.t()
        weight = {} if self.one_in(2) else {"sample_weight": self.choice((0, 0.5, 3.0, 1e3))}
        if way == 1:
            return Call("learn_one_sparse", (np.array([2, 0]), self.numbers(2), t[()]), weight)
        return Call("learn_one", (self.numbers(3), t[()]), weight)

    def call(self):
        method, arguments, keywords = self.choice((self.learning(), self.learning(), *self.probes()))
        if self.one_in(3):
            place = self.draw.randrange(len(arguments))
            strange = self.choice((*STRANGE, *NO_ROWS, self.numbers(3) * 1e30, self.numbers(3) * 1e300))
            arguments = *arguments[:place], strange, *arguments[place + 1 :]
        elif self.one_in(6) and "sample_weight" in keywords:
            keywords = {"sample_weight": self.choice(STRANGE)}
        return Call(method, arguments, keywords)

    def prefixes(self, call):
        return [call._replace(keywords=call.keywords | {"epochs": 1})] if call.method == "fit" else []

    def probes(self):
        x = np.array([0.5, -1, 2])
        t = np.zeros(1, int) if self.output == "softmax" else np.ones((1, 3))
        return [Call("predict_one", (x,)), Call("predict", (x[np.newaxis],)), Call("loss", (x[np.newaxis], t))]


class Future(NamedTuple):
    """A result that is known."""

    result: object
    key: str = ""


class Client:
    """A client of Dask whose only worker is the caller."""

    def submit(self, function, *arguments, workers=None, allow_other_workers=None, pure=None):
        def known(value):
            return (
                [each.result for each in value]
                if isinstance(value, list) and value and isinstance(value[0], Future)
                else getattr(value, "result", value)
            )

        return Future(function(*map(known, arguments)))

    def map(self, function, futures):
        return [self.submit(function, each) for each in futures]

    def compute(self, tasks):
        return list(map(Future, dask.compute(*tasks)))

    def gather(self, futures):
        return [each.result for each in futures]

    def who_has(self, futures):
        return {}

    nthreads = dict


# ----------------------------------------------------------------------------------------------------------- sequences


def restored(way, model, folder):
    """Models restored from a copy, and the memory that the copy is in, if others may read it."""
    if way == "deepcopy":
        return [copy.deepcopy(model)], []
    if way in range(2, 6):
        return [pickle.loads(pickle.dumps(model, way))], []
    if way in (bytes, bytearray):
        buffers = []
        data = pickle.dumps(model, 5, buffer_callback=buffers.append)
        memory = [way(each.raw()) for each in buffers]
        return [pickle.loads(data, buffers=memory) for _ in range(2)], memory
    path = folder / "model.joblib"
    path.unlink(missing_ok=True)  # others may have mapped it
    joblib.dump(model, path)
    return [joblib.load(path, mmap_mode=way)], [path.read_bytes()] if way is None else [np.memmap(path, mode="r")]


WAYS = ("deepcopy", 2, 3, 4, 5, bytes, bytearray, None, "r", "c")


class Sequence:
    """Steps with a model and its twin."""

    def __init__(self, kind, number, folder):
        self.name, self.folder = f"Sequence({kind.__name__}, {number}, folder)", folder
        self.draw = random.Random(self.name)
        self.kind = kind(self.draw)
        self.parameters = self.kind.new()
        self.model, self.twin = kind.cls(**self.parameters), kind.cls(**self.parameters)
        self.learned = False

    def run(self, ways=("call", "call", "interrupt", "restore", "change")):
        for step in range(STEPS):
            self.doing = ""
            try:
                getattr(self, self.draw.choice(ways))()
            except Exception as error:
                error.add_note(f"step {step} of {self.name}: {self.doing}")
                raise

    def state(self, model):
        with np.errstate(all="ignore"):
            return bits(model) | {"predictions": [outcome(call, model) for call in self.kind.probes()]}

    def agree(self, ours, theirs, what):
        assert ours == theirs, f"{what}: {differences(ours, theirs)[:8]}"

    def call(self):
        call = self.kind.call()
        self.doing, arguments = call, bits(call)
        result = outcome(call, self.model)
        if not refused(result):
            self.agree(result, outcome(call, self.twin), "results differ")
            self.learned |= call.method in ("learn_one", "learn_many", "fit", "partial_fit", "learn_one_sparse")
        self.agree(
            self.state(self.model), self.state(self.twin), f"after {result!r}" if refused(result) else "after a call"
        )
        assert bits(call) == arguments

    def interrupt(self):
        call = self.kind.call() if self.draw.randrange(4) == 0 else self.kind.learning()
        before, after, counter = self.state(self.twin), copy.deepcopy(self.twin), Interrupt()
        started = time.perf_counter()
        result = counter.call(lambda: outcome(call, after))
        wait, timed = self.draw.random(), self.draw.randrange(4) == 0 or not counter.seen
        seconds = max(1e-6, wait * (time.perf_counter() - started))
        interrupt = Interrupt(wait=seconds) if timed else Interrupt(1 + int(wait * counter.seen))
        interrupted = False
        try:
            interrupt.call(lambda: outcome(call, self.model))
        except KeyboardInterrupt:
            interrupted = True
        self.doing = f"interrupted at {interrupt.raised}, {call}"
        now, finished = self.state(self.model), self.state(after)
        if interrupted and now == before:
            return
        if interrupt.raised and not interrupted and call.method == "fit" and isinstance(self.kind, Sklearn):
            self.kind.check_interrupted_fit(self.model)
            after, finished = copy.deepcopy(self.model), now
        for prefix in self.kind.prefixes(call) if now != finished else ():
            part = copy.deepcopy(self.twin)
            outcome(prefix, part)
            if self.state(part) == now:
                after, finished = part, now
        found = differences(now, before)[:8], differences(now, finished)[:8]
        assert now == finished, f"neither as before: {found[0]}, nor as after: {found[1]}"
        self.twin = after
        self.learned |= not refused(result)

    def restore(self):
        way, call = self.draw.choice(WAYS), self.kind.learning()
        self.doing = f"restored by {way!r}, {call}"
        again, memory = restored(way, self.model, self.folder)
        models, kept, before = [*again, self.model], list(map(bytes, memory)), self.state(self.twin)
        for model in models:
            self.agree(self.state(model), before, "restored")
        result = outcome(call, self.twin)
        after = self.state(self.twin)
        for n, learner in enumerate(models):
            ours = outcome(call, learner)
            self.agree(ours, result, f"learner {n}")
            for m, model in enumerate(models):
                self.agree(self.state(model), after if m <= n else before, f"model {m} after learner {n}")
            assert list(map(bytes, memory)) == kept, f"learner {n} has changed the memory of the copy"
        self.learned |= not refused(result)
        self.model = self.draw.choice(models)

    def change(self):
        name, call = self.draw.choice(list(self.kind.edges)), self.kind.learning()
        value, old = self.draw.choice(self.kind.edges[name]), getattr(self.model, name)
        self.doing = f"{name}={value!r} after {'learning' if self.learned else 'nothing'}, {call}"
        if refused(outcome(call, copy.deepcopy(self.twin))):
            return

        def changed(model):
            set_parameter(model, name, value)
            for probe in self.kind.probes():
                result = outcome(probe, model)
                assert result == outcome(probe, self.twin) or (refused(result) and name in result.message), result
            return call(model)

        result = outcome(changed, self.model)
        if refused(result):
            assert name in result.message or result.kind in ("DivergenceError", "MemoryError"), result
            set_parameter(self.model, name, old)
            self.agree(self.state(self.model), self.state(self.twin), f"refused by {result!r}")
            return
        if self.learned:
            assert name in self.kind.may_change or repr(value) == repr(old), f"{name} was changed without an error"
        self.parameters |= {name: value}
        if not self.learned:
            theirs = outcome(lambda _: setattr(self, "twin", self.kind.cls(**self.parameters)), None)
            assert not refused(theirs), f"set, but refused by the constructor: {theirs!r}"
            theirs = outcome(call, self.twin)
        else:
            theirs = outcome(changed, self.twin)
        self.agree(result, theirs, "results differ")
        self.agree(self.state(self.model), self.state(self.twin), "changed")
        self.learned = True

    def learn_elsewhere(self):
        """A model learns in another process as it does here."""
        call = self.kind.learning()

        def learned(model, call):  # pickled by value: a worker may be unable to import this module
            call(model)
            return model

        elsewhere = joblib.Parallel(2, max_nbytes=1)(
            [joblib.delayed(learned)(self.model, operator.methodcaller(call.method, *call.arguments, **call.keywords))]
        )
        self.agree(self.state(self.model), self.state(self.twin), "here")
        outcome(call, self.model)
        self.agree(self.state(elsewhere[0]), self.state(self.model), "elsewhere")


KINDS = (
    RiverClassifier,
    RiverRegressor,
    RiverMultiTarget,
    RiverMultiLabel,
    SklearnClassifier,
    SklearnRegressor,
    DaskClassifier,
    DaskRegressor,
    Members,
)


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    monkeypatch.setattr(cbackprop.dask, "get_client", Client)
    with dask.config.set(scheduler="synchronous"):
        yield


pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="there are no timers that send signals"),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.parametrize("kind", KINDS),
]


@pytest.mark.guarantee("any sequence of calls: estimators", slice=200, full=10_000)
def test_any_sequence_of_calls(repetitions, kind, tmp_path):
    for number in range(repetitions // STEPS):
        sequence = Sequence(kind, number, tmp_path)
        sequence.run()
    sequence.learn_elsewhere()


@pytest.mark.guarantee("Ctrl-C: estimators", slice=100, full=10_000)
def test_ctrl_c(repetitions, kind, tmp_path):
    for number in range(repetitions // STEPS):
        Sequence(kind, number, tmp_path).run(("interrupt", "interrupt", "interrupt", "call"))

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
from cbackprop._stream import Stream

STEPS = 25  # in a sequence
ERRORS = (TypeError, ValueError, DivergenceError, MemoryError)
# caches, views, and room to grow
UNOBSERVED = {"_parameters_are_valid", "_rooms", "lent", "one_sample", "rate", "_values"}


def bits(thing):
    """All that can be observed of an object, in a form that can be compared."""
    if isinstance(thing, np.ndarray) and thing.dtype != object:
        return thing.dtype.str, thing.shape, thing.tobytes()
    if isinstance(thing, Network):
        return bits((thing.w, thing.v, thing.accumulators, thing.functions))  # the rate is that of the model
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
    if isinstance(thing, Stream):
        return bits((thing.growing, thing.__reduce__()[1][1:]))
    return bits(vars(thing)) if type(thing).__module__.startswith("cbackprop.") else repr(thing)


class Refusal(NamedTuple):
    """An error of a call."""

    kind: str
    message: str


class Call(NamedTuple):
    """A method of a model, with arguments."""

    method: str
    arguments: tuple = ()
    keywords: dict = {}  # noqa: RUF012 # never changed

    def __call__(self, model):
        return operator.methodcaller(self.method, *self.arguments, **self.keywords)(model)


def outcome(call, model):
    """The result of a call, or its refusal."""
    try:
        return bits(call(model))
    except ERRORS as error:
        return Refusal(type(error).__name__, str(error))


class Interrupt:
    """KeyboardInterrupt at the n-th instruction of cbackprop, or some seconds after the start of a call."""

    def __init__(self, n=None, wait=None):
        self.n, self.wait = n, wait
        self.seen, self.raised, self.ended = 0, None, False  # instructions, where

    def fire(self, where):
        self.raised = where
        raise KeyboardInterrupt

    def trace(self, frame, event, argument):
        if not frame.f_globals.get("__name__", "").startswith("cbackprop."):
            return None
        frame.f_trace_opcodes = True
        self.seen += event == "opcode"
        if event == "opcode" and self.seen == self.n:
            self.fire(f"{frame.f_code.co_qualname}, line {frame.f_lineno}")
        return self.trace

    def call(self, function, *arguments):
        if self.wait is None:
            before = sys.gettrace()
            sys.settrace(self.trace)
            try:
                return function(*arguments)
            finally:
                sys.settrace(before)
        handler = signal.signal(signal.SIGALRM, lambda *_: self.ended or self.fire("any moment"))
        timer = signal.setitimer(signal.ITIMER_REAL, self.wait)
        gc.disable()  # an exception in a callback of the collector would be lost
        try:
            try:
                return function(*arguments)
            finally:
                self.ended = True
        finally:
            gc.enable()
            signal.setitimer(signal.ITIMER_REAL, *timer)  # that of pytest's timeout
            signal.signal(signal.SIGALRM, handler)


# --------------------------------------------------------------------------------------------------------------- kinds

FLOATS = (math.nan, math.inf, 1e10, 1e-310, 1e300, 1.7e308)
STRANGE = (*FLOATS, "text", None, [1.0], {}, True, 1j, np.float32(2), np.ones(3), np.ones((2, 3)), pd.DataFrame())
COUNTS = (0, 1, -1, "x", 2**60, 2.5, 5)
RATES = ("auto", "Auto", 0, -1, 1e300, math.nan, 0.05)

EDGES_OF_RIVER = {
    "n_hidden": COUNTS,
    "learning_rate": RATES,
    "hidden": ("relu", "tanh", "unknown", 3),
    "seed": (3, -1, "x", 2**70),
    "n_features": (*COUNTS, None),
}
EDGES_OF_BOTH = {  # scikit-learn's and Dask's
    "hidden_layer_sizes": (*COUNTS, (3, 3), (4,)),
    "activation": ("relu", "logistic", "unknown"),
    "batch_size": COUNTS,
    "max_iter": (1, 2, 0, -1, "x"),
    "shuffle": (False, True, "x"),
    "random_state": (3, -1, "x", 2**70),
    "tol": (0.0, -1, math.nan),
    "n_threads": (1, 2, 0, "x"),
}
EDGES_OF_SKLEARN = EDGES_OF_BOTH | {
    "alpha": (0.0, 0.1, -1, math.nan, "x", 1e300),
    "learning_rate": ("constant", "invscaling", "adaptive", "unknown"),
    "learning_rate_init": RATES,
    "power_t": (0.0, 2.0, 1e300, -1, "x"),
    "warm_start": (True, False, "x"),
    "momentum": (0.0, 0.5, 1, 1.5, math.nan),
    "early_stopping": (True, False, "x"),
}
EDGES_OF_DASK = EDGES_OF_BOTH | {"learning_rate_init": RATES[2:], "local_epochs": COUNTS}
EDGES_OF_MEMBERS = {"learning_rates": ([0.1, 0.2], (1, 2, 3), [0.1, math.nan], [0, 1], "x", 3, [1e300, 1.0])}


class Kind:
    """Draws models of a kind and calls of them.

    A subclass has the class of the models, the values of their parameters, and those that may change after learning.
    """

    timed = True  # whether signals may come at any moment
    sparse = False  # whether rows are

    def __init__(self, draw):
        self.draw, self.choice = draw, draw.choice
        self.dtype, self.classes = self.choice((np.float64, np.float32)), list("pqr")

    def one_in(self, n):
        return self.draw.randrange(n) == 0

    def numbers(self, *shape):
        return np.reshape([self.draw.gauss(0, 1) for _ in range(math.prod(shape))], shape)

    def call(self):
        """A call of any kind."""
        call = self.choice((self.learning(), self.learning(), *self.others(), *self.probes()))
        if self.one_in(2) or call.method == "__getattribute__":
            return call
        place = self.draw.randrange(len(call.arguments) + len(call.keywords))
        if place >= len(call.arguments):
            return call._replace(keywords=call.keywords | {list(call.keywords)[-1]: self.choice(STRANGE)})
        arguments = list(call.arguments)
        arguments[place] = self.strange(arguments[place])
        return call._replace(arguments=tuple(arguments))

    def strange(self, argument):
        """Another argument, which may be like the given one."""
        value = self.choice(FLOATS)
        if self.one_in(3):
            return self.choice(STRANGE)
        if isinstance(argument, dict):
            return argument | {self.choice([*argument, "z"]): self.choice((*STRANGE, 10**400))}
        if isinstance(argument, pd.DataFrame) and self.one_in(2):
            return argument.assign(**{self.choice("abz"): [self.choice(STRANGE)] * len(argument)})
        if isinstance(argument, csr_array):
            return csr_array(argument.toarray()[: self.choice((None, -1))] * np.array([1, value, 1]))
        if isinstance(argument, (da.Array, np.ndarray)) and argument.ndim == 2 and self.one_in(2):
            return argument * np.array([1, value, 1])
        return argument[:-1] if hasattr(argument, "__getitem__") and np.ndim(argument) else value

    def others(self):
        """Further calls."""
        return ()

    def prefixes(self, call):
        """Calls that learn only the first samples."""
        return ()


class River(Kind):
    edges, may_change, many = EDGES_OF_RIVER, ("learning_rate",), True

    def new(self):
        self.hashed = self.one_in(3)
        rate, hidden, size = self.choice(("auto", 0.1)), self.choice((None, "relu")), self.choice((4, 16))
        parameters = {"n_hidden": self.choice((1, 3)), "learning_rate": rate, "hidden": hidden, "seed": 0}
        return parameters | {"n_features": size if self.hashed else None}

    def x(self):
        names = self.draw.sample("abc", self.choice((3, 3, 2, 1)))
        names += [f"new {self.draw.randrange(20)}"] * self.one_in(6)
        return {name: "text" if self.hashed and self.one_in(4) else self.draw.gauss(0, 1) for name in names}

    def learning(self):
        if self.many and self.one_in(3):
            N, columns = self.choice((1, 2, 5)), [*"abc", *["new 7"] * self.one_in(4)]
            x = pd.DataFrame(self.numbers(N, len(columns)), columns=columns)
            return Call("learn_many", (x, pd.Series([self.y() for _ in range(N)])))
        return Call("learn_one", (self.x(), self.y()), {"w": self.choice((1.0, 1.0, 0, 0.5, 3.0, 1e-310, 1e3))})

    def others(self):
        empty = [call._replace(arguments=(call.arguments[0][:0],)) for call in self.probes() if "many" in call.method]
        return *empty, Call("__getattribute__", (self.choice(("network", "networks", "weights")),))

    def prefixes(self, call):
        if call.method == "learn_many":
            x, y = call.arguments
            return [Call("learn_many", (x[:n], y[:n])) for n in range(1, len(x))]
        return ()

    def probes(self):
        x = {"a": 0.5, "b": -1.0, "c": 2.0}
        rows = pd.DataFrame([x, x | {"b": 0.0}])
        names = "predict_one", "predict_proba_one", "predict_many", "predict_proba_many"
        return [Call(name, (x if "one" in name else rows,)) for name in names if hasattr(self.cls, name)]


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
        return {name: self.draw.gauss(0, 1) for name in self.draw.sample("pqrs", self.choice((2, 2, 1, 3)))}


class RiverMultiLabel(RiverMultiTarget):
    cls = cbackprop.river.BackpropMultiLabelClassifier

    def y(self):
        return {name: number > 0 for name, number in super().y().items()}


class Sklearn(Kind):
    edges, may_change = EDGES_OF_SKLEARN, {*EDGES_OF_SKLEARN, "class_weight"} - {"hidden_layer_sizes", "activation"}

    def new(self):
        rate, seed = self.choice(("auto", 0.1)), self.draw.randrange(9)
        self.sparse = self.one_in(4)  # or not, for all calls: the order of sums depends on the first
        return {"hidden_layer_sizes": 3, "learning_rate_init": rate, "max_iter": 2, "random_state": seed}

    def x(self, N):
        x = self.numbers(N, 3).astype(self.dtype)
        return csr_array(x) if self.sparse else x

    def learning(self):
        N = self.choice((1, 1, 2, 5))
        return Call("partial_fit", (self.x(N), self.y(N)), self.options())

    def options(self):
        return {}

    def others(self):
        weights = [self.choice((0, 1e300, -1, math.nan, 0.5)) for _ in range(2)]
        weighted = Call("partial_fit", (self.x(2), self.y(2)), self.options() | {"sample_weight": weights})
        return weighted, Call("fit", (self.x(6), self.y(6)))

    def probes(self):
        x = np.array([[0.5, -1, 2], [0, 1, -0.5]])
        return [Call(name, (x,)) for name in ("predict", "predict_proba", "transform") if hasattr(self.cls, name)]


class SklearnClassifier(Sklearn):
    cls = cbackprop.sklearn.BackpropClassifier
    edges = EDGES_OF_SKLEARN | {"class_weight": ("balanced", None, {"p": 2.0}, "x")}

    def y(self, N):
        return np.array([self.choice(self.classes) for _ in range(N)])

    def options(self):
        self.classes = sorted({*self.classes, *self.choice("abxyz") * self.one_in(8)})
        return {"classes": self.classes}


class SklearnRegressor(Sklearn):
    cls = cbackprop.sklearn.BackpropRegressor

    def y(self, N):
        return self.numbers(N)


class Dask(Sklearn):
    edges, may_change = EDGES_OF_DASK, EDGES_OF_DASK
    timed = False  # an interrupt amid Dask's own code may become another error

    def new(self):
        return {"hidden_layer_sizes": 3, "max_iter": 2, "random_state": self.draw.randrange(9)}

    def learning(self):
        N = self.choice((3, 5))
        return Call("fit", (da.from_array(self.x(N), chunks=(2, -1)), da.from_array(self.y(N), chunks=2)))

    def others(self):
        return ()


class DaskClassifier(Dask):
    cls, y = cbackprop.dask.BackpropClassifier, SklearnClassifier.y


class DaskRegressor(Dask):
    cls, y = cbackprop.dask.BackpropRegressor, SklearnRegressor.y


class Members(Kind):
    cls, edges, may_change = Ensemble, EDGES_OF_MEMBERS, EDGES_OF_MEMBERS

    def new(self):
        self.output = self.choice(("softmax", "linear", "logistic"))
        hidden = [self.choice(("relu", "tanh", "sigmoid")) for _ in range(2)]
        parameters = {"n_inputs": 3, "n_hidden": 3, "n_outputs": 3, "learning_rates": [0.1, 0.3], "hidden": hidden}
        return parameters | {"output": self.output, "dtype": self.dtype, "adaptive": self.one_in(2), "rng": 0}

    def t(self, N):
        if self.output == "softmax":
            return np.array([self.draw.randrange(3) for _ in range(N)])
        return self.numbers(N, 3) if self.output == "linear" else self.numbers(N, 3) > 0

    def learning(self):
        N, way, options = self.choice((1, 2, 5, 40)), self.draw.randrange(3), {"rng": self.draw.randrange(9)}
        options |= {"batch_size": self.choice((1, 2, None)), "epochs": self.choice((1, 2))}
        x, t, weight = self.numbers(N, 3), self.t(N), {"sample_weight": self.choice((1.0, 0, 0.5, 3.0, 1e3))}
        if way == 0:
            return Call("fit", (csr_array(x) if self.one_in(4) else x, t), options)
        if way == 1:
            return Call("learn_one_sparse", (np.array([2, 0]), x[0, :2], t[0]), weight)
        return Call("learn_one", (x[0], t[0]), weight)

    def prefixes(self, call):
        return [call._replace(keywords=call.keywords | {"epochs": 1})] if call.method == "fit" else ()

    def probes(self):
        x, t = np.array([[0.5, -1, 2]]), np.zeros(1, int) if self.output == "softmax" else np.ones((1, 3))
        return [Call("predict_one", (x[0],)), Call("predict", (x,)), Call("loss", (x, t))]


class Future(NamedTuple):
    """A result that is known."""

    result: object
    key: str = ""


class Client:
    """A client of Dask whose only worker is the caller."""

    nthreads = who_has = staticmethod(lambda *_: {})

    def submit(self, function, *arguments, workers=None, allow_other_workers=None, pure=None):
        return Future(function(*self.gather(arguments)))

    def map(self, function, futures):
        return [self.submit(function, each) for each in futures]

    def compute(self, tasks):
        return list(map(Future, dask.compute(*tasks)))

    def gather(self, values):
        return [self.gather(each) if type(each) is list else getattr(each, "result", each) for each in values]


# ----------------------------------------------------------------------------------------------------------- sequences

WAYS = ("deepcopy", 2, 3, 4, 5, bytes, bytearray, None, "r", "c")


def restored(way, model, path):
    """Models restored from a copy, and the memory of the copy."""
    if way == "deepcopy":
        return [copy.deepcopy(model)], []
    if way in range(2, 6):
        return [pickle.loads(pickle.dumps(model, way))], []
    if way in (bytes, bytearray):
        buffers = []
        data = pickle.dumps(model, 5, buffer_callback=buffers.append)
        memory = [way(each.raw()) for each in buffers]
        return [pickle.loads(data, buffers=memory) for _ in range(2)], memory
    path.unlink(missing_ok=True)  # others may have mapped it
    joblib.dump(model, path)
    return [joblib.load(path, mmap_mode=way)], [np.memmap(path, mode="r")]


class Sequence:
    """Steps with a model and its twin."""

    def __init__(self, kind, number, folder):
        self.name, self.path = f"Sequence({kind.__name__}, {number}, folder)", folder / "model.joblib"
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
        rates = bits(model.learning_rates) if isinstance(model, Ensemble) else None
        return bits(model) | {"rates": rates, "predictions": [outcome(call, model) for call in self.kind.probes()]}

    def twins_agree(self, what):
        assert self.state(self.model) == self.state(self.twin), what

    def call(self):
        call = self.doing = self.kind.call()
        arguments, result = bits(call), outcome(call, self.model)
        if not (refused := isinstance(result, Refusal)):
            assert result == outcome(call, self.twin)
            self.learned |= "learn" in call.method or "fit" in call.method
        if isinstance(call.arguments[0], pd.DataFrame) and not len(call.arguments[0]) and "_many" in call.method:
            assert not refused or call.method == "learn_many", result
        self.twins_agree(result if refused else "after a call")
        assert bits(call) == arguments

    def interrupt(self):
        call = self.kind.call() if self.draw.randrange(4) == 0 else self.kind.learning()
        before, after, counter = self.state(self.twin), copy.deepcopy(self.twin), Interrupt()
        started = time.perf_counter()
        result = counter.call(outcome, call, after)
        share, seconds = self.draw.random(), time.perf_counter() - started
        timed = self.draw.randrange(4) == 0 and self.kind.timed
        interrupt = Interrupt(wait=max(1e-6, share * seconds)) if timed else Interrupt(1 + int(share * counter.seen))
        ended = True
        try:
            interrupt.call(outcome, call, self.model)
        except KeyboardInterrupt:
            ended = False
        self.doing = f"interrupted at {interrupt.raised}, {call}"
        now, finished = self.state(self.model), self.state(after)
        if now == before and not ended:
            return
        if ended and interrupt.raised and call.method == "fit" and isinstance(self.kind, Sklearn):
            self.check_interrupted_fit()
            after, finished = copy.deepcopy(self.model), now
        for prefix in self.kind.prefixes(call) if now != finished else ():
            part = copy.deepcopy(self.twin)
            outcome(prefix, part)
            if self.state(part) == now:
                after, finished = part, now
        assert now == finished, "neither as before nor as after"
        self.twin = after
        self.learned |= not isinstance(result, Refusal)

    def check_interrupted_fit(self):
        """`fit` of scikit-learn's estimators ends as if its epochs had been fewer; the last may be incomplete."""
        model = self.model
        assert np.isfinite(model.network_.w).all()
        assert np.isfinite(model.network_.v).all()
        if not model.warm_start:
            assert len(model.loss_curve_) == model.n_iter_
            assert not model.n_iter_ or model.loss_curve_[-1] == model.loss_

    def restore(self):
        way, call = self.draw.choice(WAYS), self.kind.learning()
        self.doing = f"restored by {way!r}, {call}"
        again, memory = restored(way, self.model, self.path)
        models, kept, before = [*again, self.model], list(map(bytes, memory)), self.state(self.twin)
        assert all(self.state(model) == before for model in models)
        result = outcome(call, self.twin)
        after = self.state(self.twin)
        for n, learner in enumerate(models):
            assert outcome(call, learner) == result, f"learner {n}"
            for m, model in enumerate(models):
                assert self.state(model) == (after if m <= n else before), f"model {m} after learner {n}"
            assert list(map(bytes, memory)) == kept, f"learner {n} has changed the memory of the copy"
        self.learned |= not isinstance(result, Refusal)
        self.model = self.draw.choice(models)

    def change(self):
        """Set a parameter: the model refuses it by name, or goes on as one that was created with it."""
        name, call = self.draw.choice(list(self.kind.edges)), self.kind.learning()
        value, old = self.draw.choice(self.kind.edges[name]), getattr(self.model, name)
        learned = self.learned and getattr(self.model, "_growing", True) is not None  # frames may have had no rows
        self.doing = f"{name}={value!r} after {'learning' if learned else 'nothing'}, {call}"
        if isinstance(outcome(call, copy.deepcopy(self.twin)), Refusal):
            return

        def set_to(model, value):
            model.set_params(**{name: value}) if hasattr(model, "set_params") else setattr(model, name, value)

        def changed(model):
            set_to(model, value)
            for probe in self.kind.probes():
                result = outcome(probe, model)
                assert result == outcome(probe, self.twin) or name in result.message
            return call(model)

        result = outcome(changed, self.model)
        if isinstance(result, Refusal):
            assert any(text in result.message for text in (name, "diverged", "so many weights")), result
            set_to(self.model, old)
            self.twins_agree(result)
            return
        if learned:
            assert name in self.kind.may_change or repr(value) == repr(old), f"{name} was changed without an error"
            assert result == outcome(changed, self.twin)
        else:
            self.twin = self.kind.cls(**self.parameters | {name: value})
            assert result == outcome(call, self.twin)
        self.parameters |= {name: value}
        self.learned = True
        self.twins_agree("changed")

    def learn_elsewhere(self):
        """A model learns in another process as it does here."""
        call = self.kind.learning()

        def learned(model, call):  # pickled by value: the other process may be unable to import this module
            call(model)
            return model

        sent = operator.methodcaller(call.method, *call.arguments, **call.keywords)
        (elsewhere,) = joblib.Parallel(2, max_nbytes=1)([joblib.delayed(learned)(self.model, sent)])
        self.twins_agree("sent")
        outcome(call, self.model)
        assert self.state(elsewhere) == self.state(self.model)


KINDS = [RiverClassifier, RiverRegressor, RiverMultiTarget, RiverMultiLabel]
KINDS += [SklearnClassifier, SklearnRegressor, DaskClassifier, DaskRegressor, Members]

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="there are no timers that send signals"),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.parametrize("kind", KINDS),
]


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    monkeypatch.setattr("cbackprop.dask._estimators.get_client", Client)
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.mark.guarantee("any sequence of calls: estimators", slice=100, full=10_000)
def test_any_sequence_of_calls(repetitions, kind, tmp_path):
    for number in range(repetitions // STEPS):
        sequence = Sequence(kind, number, tmp_path)
        sequence.run()
    if not isinstance(sequence.kind, Dask):  # which needs a client there
        sequence.learn_elsewhere()


@pytest.mark.guarantee("Ctrl-C: estimators", slice=50, full=10_000)
def test_ctrl_c(repetitions, kind, tmp_path):
    for number in range(repetitions // STEPS):
        Sequence(kind, number, tmp_path).run(("interrupt", "interrupt", "interrupt", "call"))

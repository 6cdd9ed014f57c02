"""What the models have in common: a network that grows with its stream, by single samples or by data frames."""

from collections.abc import Callable, Hashable, Mapping
from itertools import islice, pairwise, repeat
from numbers import Real
from operator import itemgetter
from sys import float_info
from typing import Any

import numpy as np
from river import base, utils

from cbackprop import Network
from cbackprop import _validation as validate
from cbackprop._growth import Growing, Row
from cbackprop._parameters import describe as describe_by
from cbackprop._stream import Stream
from cbackprop.river import _samples as samples

ATTEMPTS = 100  # to learn or predict between other calls that learn, in signal handlers or other threads
BUSY = "other threads let this model learn all the time: let one of them call it at a time"
FIXED = ("n_hidden", "hidden", "seed", "n_features")  # parameters of a model that has learned

describe = describe_by("""
n_hidden : int or "auto"
    M, the number of hidden units. "auto" is 16 with a number as the learning rate, or if names are hashed; otherwise
    the mixture has networks of 8, 32 and 128.
learning_rate : float or "auto"
    "auto": a mixture of networks whose rates adapt, on standardized inputs and, if they are numbers, targets; see the
    notes of `BackpropClassifier`, and docs/guides/auto.md. A number: α of (17) of one network, on inputs and targets as
    they are. That may be changed at any time.
hidden : {"sigmoid", "tanh", "relu"}
    The hidden function. By default, "auto" mixes networks with tanh and with ReLU; with a number, classifiers have
    sigmoid and regressors tanh.
seed : int
    Seed of the initial weights.
n_features : int
    Number of inputs to which names are hashed, as by scikit-learn's FeatureHasher, which must be installed: no new
    name takes memory, and values may be strings. By default, each name gets an input of its own.
""")


class StreamNetwork(base.Estimator):
    """A network that grows with the outputs of a stream and, unless their names are hashed, with its features.

    A subclass says which targets of the network stand for y, and what its outputs mean.
    """

    _output: str  # of the network
    _hidden: str  # the default hidden function with a constant rate
    _hasher: samples.Hasher | None  # of names
    _entropy: Any  # the seed as an integer

    def __init__(
        self,
        n_hidden: int | str = "auto",
        learning_rate: float | str = "auto",
        hidden: str | None = None,
        seed: int | None = None,
        n_features: int | None = None,
    ) -> None:
        self._stream = Stream()
        self.n_hidden = n_hidden
        self.learning_rate = learning_rate
        self.hidden = hidden
        self.seed = seed
        self.n_features = n_features
        self._values: Any = (0, None)  # how many features there are, and a function that returns their values

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a parameter, with what follows from it, unless the model has learned with another value."""
        if name not in FIXED:
            super().__setattr__(name, value)
            return
        if self._growing is not None and value != getattr(self, name):
            raise ValueError(
                f"{name} is {value!r}, and the model has learned with {getattr(self, name)!r}, which cannot "
                f"change: set {name} before it learns, or clone it to begin anew"
            )
        changed = {name: value}
        if name == "n_features":
            changed["_hasher"] = None if value is None else samples.Hasher(value)
        elif name == "seed":
            changed["_entropy"] = _entropy(value)
        self.__dict__.update(changed)  # at once

    @property
    def _growing(self) -> Growing | None:
        """What has learned; None before the first sample."""
        return self._stream.growing

    @property
    def _known_outputs(self) -> dict[Any, int]:
        """Indices of the outputs that have been learned."""
        n_outputs, outputs = self._stream.names[1], self._stream.outputs
        return outputs if len(outputs) == n_outputs else dict(islice(outputs.items(), n_outputs))

    @property
    def _outputs(self) -> list[Any]:
        """Names of the outputs that have been learned."""
        return self._stream.labels[: self._stream.names[1]]

    @property
    def network(self) -> Network | None:
        """The current network, of a mixture the one with the largest weight; None before the first sample.

        It is replaced by a larger one when features or outputs appear. Those of a mixture take standardized inputs and
        predict standardized numbers.
        """
        return None if self._growing is None else self._growing.lend().network

    @property
    def networks(self) -> list[Network]:
        """All current networks: those of the mixture, or the only one."""
        return [] if self._growing is None else self._growing.lend().networks

    @property
    def weights(self) -> np.ndarray:
        """The weight of each network in the mixture; their sum is 1."""
        return np.empty(0) if self._growing is None else self._growing.weights

    @property
    def features(self) -> list[Any]:
        """Names of the inputs, in the order of the columns of w; empty if names are hashed."""
        return list(self._stream.features)[: self._stream.names[0]]

    @property
    def _mutable_attributes(self) -> set[str]:
        return {"learning_rate"}

    def learn_one(self, x: Mapping[Hashable, Any], y: Any, w: float = 1.0) -> None:
        """Learn from one sample.

        Parameters
        ----------
        x : dict
            Values of the features by name: numbers or, if names are hashed, strings, too.
        y : hashable, float or dict
            What to learn: the label, the number, or the targets or labels by name.
        w : float
            Weight of the sample: a factor of the learning rate, at least 0.
        """
        weight = 1.0
        if not (type(w) is float and w == 1):
            weight = validate.in_range("w", w, float_info.max, validate.FLOATS[1])
        _retry(self._learn_one, x, y, weight)

    def _learn_one(self, x: Mapping[Hashable, Any], y: Any, weight: float) -> bool:
        """Learn from one sample, unless the model learns meanwhile, in a signal handler or another thread."""
        version, growing = self._stream.version, self._stream.growing
        row, features = self._inputs(x, growing)
        t, missing, outputs = self._target(y)
        if growing is None or features or outputs or growing.rate is not self.learning_rate:
            growing = self._sized(growing, len(features), len(outputs), len(row[0]) if self._hasher else None)
        try:
            sample = growing.row(row), t, missing
            return self._stream.learn(version, (features, outputs), growing, sample, weight)
        except ValueError:
            self._check_values(x)  # raises an error that names the feature
            raise

    def _target(self, y: Any) -> tuple[Any, np.ndarray | None, list[Any]]:
        """The target of the network for y, which parts of it are missing, and the names of additional outputs."""
        raise NotImplementedError

    def _sized(self, growing: Growing | None, new_features: int, new_outputs: int, non_zeros: int | None) -> Growing:
        """What learns, if there are no new names, else something larger.

        If names are hashed, `non_zeros` is their number in the first sample.
        """
        learned = self._stream.names
        names = learned[0] + new_features, learned[1] + new_outputs
        # a network needs an input and an output even if samples have no features, or no outputs with names
        D, K = self.n_features or names[0] or 1, names[1] or 1
        seed = [self._entropy, D, K]  # the same after learn_one and learn_many, and after failed calls
        auto = validate.is_auto("learning_rate", self.learning_rate)
        if growing is None:
            if not (auto or isinstance(self.learning_rate, Real)):
                raise TypeError(f"learning_rate is {self.learning_rate!r}; it must be a number, or 'auto'")
            hidden = self._hidden if self.hidden is None and not auto else self.hidden
            any_width = validate.is_auto("n_hidden", self.n_hidden)
            sizes = D, None if any_width else validate.count("n_hidden", self.n_hidden), K
            return Growing.new(names, sizes, self._output, hidden, self.learning_rate, seed, non_zeros)
        if auto != (growing.inputs is not None):
            raise ValueError(
                f"learning_rate is {self.learning_rate!r}, and the model has learned with "
                f"{'a number' if auto else repr('auto')}; a model keeps to either: clone it to begin anew"
            )
        if growing.names != names:
            growing = growing.grown(names, D, K, seed)
        if not auto and growing.network.learning_rate != self.learning_rate:
            growing.network.learning_rate = self.learning_rate  # type: ignore[assignment]
        growing.rate = self.learning_rate
        return growing

    def _row_of_known(self, x: Mapping[Hashable, Any], growing: Growing | None) -> Row | None:
        """Inputs of a sample that has exactly the known features, all of them numbers; otherwise None."""
        if self._hasher:
            return self._hasher.row(x)
        if growing is None:
            return None
        n_features, _ = growing.names
        try:
            if len(x) != n_features:
                return None
            known, values = self._values
            if known != n_features:
                values = itemgetter(*islice(self._stream.features, n_features))
                self._values = n_features, values
            row = np.array(values(x))
        except (LookupError, TypeError, ValueError):
            return None
        if len(x) == 1:  # whose value does not come in a tuple
            row = row[np.newaxis]
        if row.ndim != 1 or row.dtype.kind not in "biuf":
            return None
        return row.astype(np.float64, copy=False)

    def _inputs(self, x: Mapping[Hashable, Any], growing: Growing | None) -> tuple[Row, list[Any]]:
        """Inputs of a sample, and the names of new features, whose indices come last."""
        row = self._row_of_known(x, growing)
        if row is not None:
            return row, []
        try:
            values = np.array(list(x.values()) if isinstance(x, dict) else None)
        except ValueError:  # a value is a sequence
            values = np.array(None)
        if values.ndim != 1 or values.dtype.kind not in "biuf":
            x = samples.numbers_by_name(x)
            values = np.array(list(x.values()))
        n_features = 0 if growing is None else growing.names[0]
        inputs = np.fromiter(map(self._stream.features.get, x, repeat(n_features)), np.intp, len(values))
        unknown = (inputs >= n_features).nonzero()[0]
        new = []
        if len(unknown):
            names = list(x)
            new = samples.new_names((names[n] for n in unknown), ())
            places = {name: i for i, name in enumerate(new, n_features)}
            inputs[unknown] = [places[names[n]] for n in unknown]
        order = inputs.argsort()
        return (inputs[order], values[order].astype(np.float64, copy=False)), new

    def _predicted(self, method: str, x: Mapping[Hashable, Any]) -> Any:
        """What a method of the network predicts for a sample; None before the first sample."""
        for _ in range(ATTEMPTS):
            growing = self._stream.growing
            if growing is None:
                return None
            row, new = self._inputs(x, growing)
            if new:
                inputs, values = row
                row = inputs[: -len(new)], values[: -len(new)]
                if not np.isfinite(values[-len(new) :]).all():
                    samples.numbers_by_name(x)  # raises an error that names the feature
            try:
                y = growing.predict_one(row, method)
            except ValueError:
                self._check_values(x)  # raises an error that names the feature
                raise
            if growing is self._stream.growing:  # else its memory may be that of what has grown from it
                return y
        raise RuntimeError(BUSY)

    def _check_values(self, x: Any) -> None:
        """Raise an error that names the first feature whose value is no number or, if names are hashed, string."""
        check: Callable[[Any], Any] = self._hasher.check if self._hasher else samples.numbers_by_name
        check(x)


class MiniBatchNetwork(StreamNetwork):
    """A network that learns from data frames and predicts for them, too."""

    def _targets(self, y: list[Any]) -> tuple[np.ndarray, list[Any]]:
        """The targets for several y, and the names of additional outputs."""
        raise NotImplementedError

    def learn_many(self, X: Any, y: Any) -> None:
        """Learn from the rows of a data frame in their order, with the updates of `learn_one`.

        Parameters
        ----------
        X : DataFrame of shape (N, D)
            Data frame of pandas or another library supported by River, with finite numbers or, if names are hashed,
            strings.
        y : Series of shape (N,)
            What to learn: labels or numbers.
        """
        _retry(self._learn_rows, X, y)

    def _learn_rows(self, X: Any, y: Any) -> bool:
        """Learn from the rows of a data frame, unless the model learns meanwhile."""
        version, before = self._stream.version, self._stream.growing
        x, features = self._rows(X, add=True)
        N = x.shape[0]
        values = utils.dataframe.into_series(y).to_list()
        if len(values) != N:
            raise ValueError(f"X has {N} rows and y {len(values)}; they must have the same number")
        if N == 0:
            return True
        known = 0 if before is None else before.names[1]
        t, outputs = self._targets(values)
        # number of additional outputs at each row: a class exists from its first sample on
        added = np.maximum.accumulate(np.maximum(t + 1 - known, 0)) if outputs else np.zeros(N, int)
        edges = [0, *(np.flatnonzero(np.diff(added)) + 1).tolist(), N]
        hashed = self._hasher is not None
        saved = [] if before is None else before.saved(np.unique(x.indices) if hashed else slice(None))
        if before is not None and features:
            before.lend()  # it may predict until all rows have been learned: leave its bias where it is

        def learn() -> Growing | None:
            growing = before
            for start, stop in pairwise(edges):
                growing = self._sized(growing, len(features), int(added[start]), int(x.indptr[1]) if hashed else None)
                growing.learn_many(x[start:stop], t[start:stop])
            return growing

        return self._stream.learn(version, (features, outputs), learn, saved=saved)

    def _rows(self, X: Any, *, add: bool = False) -> tuple[Any, list[Any]]:
        """The inputs of the rows of a data frame and, if these are to be added, the names of new ones, at the end."""
        if self._hasher:
            return self._hasher.rows(X), []
        columns, N = samples.columns_by_name(X)
        features = self.features
        new = samples.new_names(columns, set(features)) if add else []
        x = np.zeros((N, max(1, len(features) + len(new))))
        for i, name in enumerate([*features, *new]):
            if name in columns:
                x[:, i] = columns[name]
        return x, new

    def _predicted_many(self, X: Any) -> np.ndarray | None:
        """y for the rows of a data frame; None before the first sample."""
        growing = self._growing
        return None if growing is None else growing.predict(self._rows(X)[0])

    @staticmethod
    def _series(values: Any, X: Any) -> Any:
        """A series of the library of a data frame, with its index."""
        return utils.dataframe.to_native_series(values, name=None, like=utils.dataframe.into_frame(X))


def _retry(learn: Callable[..., bool], *given: Any) -> None:
    """Call what learns unless the model learns meanwhile, until it has learned."""
    for _ in range(ATTEMPTS):
        if learn(*given):
            return
    raise RuntimeError(BUSY)


def _entropy(seed: Any) -> Any:
    """The seed as an integer, drawn if it is None."""
    try:
        return np.random.SeedSequence(seed).entropy
    except (TypeError, ValueError) as error:
        raise type(error)(f"seed is {seed!r}; it must be None or an integer of at least 0") from None

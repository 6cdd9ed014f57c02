"""River classifiers and regressors, which learn samples, features, classes and targets as they appear in a stream.

Requires the extra `river`: ``pip install "cbackprop[river]"``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from itertools import islice, pairwise, repeat
from math import isfinite
from numbers import Real
from operator import itemgetter
from sys import float_info
from typing import Any

import numpy as np

from cbackprop import Network
from cbackprop import _validation as validate
from cbackprop._catalog import OUTPUTS
from cbackprop._extras import require
from cbackprop._growth import Growing, Row
from cbackprop._stream import Stream

require("river", "river")
from river import base, utils  # noqa: E402
from scipy.sparse import csr_array  # noqa: E402

NUMBERS = {bool, float, int, np.float64}  # the most frequent types of the values of features
MAX_NUMERIC_CLASSES = 1000  # more are hardly classes
ATTEMPTS = 100  # to learn or predict between other calls that learn, in signal handlers or other threads
BUSY = "other threads let this model learn all the time: let one of them call it at a time"
FIXED = ("n_hidden", "hidden", "seed", "n_features")  # parameters of a model that has learned


class _StreamNetwork(base.Estimator):
    """A network that grows with the outputs of a stream and, unless their names are hashed, with its features.

    A subclass says which targets of the network stand for y, and what its outputs mean.
    """

    _output: str  # of the network
    _hidden: str  # the default hidden function with a constant rate
    _hash: Any  # of a name, if names are hashed, else None
    _entropy: Any  # the seed as an integer

    def __init__(
        self,
        n_hidden: int = 16,
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
            changed["_hash"] = _hash_function(value)
        elif name == "seed":
            changed["_entropy"] = _entropy(value)
        self.__dict__.update(changed)  # at once

    @property
    def _growing(self) -> Growing | None:
        """What has learned; None before the first sample."""
        return self._stream.growing

    @property
    def _learned_names(self) -> tuple[int, int]:
        """How many features and outputs have been learned."""
        return (0, 0) if self._stream.growing is None else self._stream.growing.names

    @property
    def _known_features(self) -> dict[Any, int]:
        """Indices of the features that have been learned."""
        n_features, features = self._learned_names[0], self._stream.features
        return features if len(features) == n_features else dict(islice(features.items(), n_features))

    @property
    def _known_outputs(self) -> dict[Any, int]:
        """Indices of the outputs that have been learned."""
        n_outputs, outputs = self._learned_names[1], self._stream.outputs
        return outputs if len(outputs) == n_outputs else dict(islice(outputs.items(), n_outputs))

    @property
    def network(self) -> Network | None:
        """The current network, of a mixture the one with the largest weight.

        It is replaced by a larger one when features or outputs appear. Those of a mixture take standardized inputs and
        predict standardized numbers.
        """
        growing = self._growing
        if growing is None:
            return None
        growing.lent = True
        return growing.network

    @property
    def networks(self) -> list[Network]:
        """All current networks: those of the mixture, or the only one."""
        growing = self._growing
        if growing is None:
            return []
        growing.lent = True
        return growing.networks

    @property
    def weights(self) -> np.ndarray:
        """The weight of each network in the mixture; their sum is 1."""
        return np.empty(0) if self._growing is None else self._growing.weights

    @property
    def features(self) -> list[Any]:
        """Names of the inputs, in the order of the columns of w; empty if names are hashed."""
        return list(self._stream.features)[: self._learned_names[0]]

    @property
    def _mutable_attributes(self) -> set[str]:
        return {"learning_rate"}

    def learn_one(self, x: Mapping[Hashable, Any], y: Any, w: float = 1.0) -> None:
        """Learn from one sample.

        A call that raises leaves the model unchanged.

        Parameters
        ----------
        x : dict
            Values of the features by name: numbers or, if names are hashed, strings, too.
        y : hashable, float or dict
            What to learn: the label, the number, or the targets or labels by name.
        w : float
            Weight of the sample: a factor of the learning rate, at least 0.

        Raises
        ------
        TypeError
            If x is not a dict, y is of another type, w is not a number, or a name that is to be hashed is not a str.
        ValueError
            If the value of a feature is not a finite number, y does not have a value to learn, or w is negative or not
            finite.
        DivergenceError
            If the error or an updated weight would not be finite.
        RuntimeError
            If the model is learning in another thread.
        """
        weight = 1.0
        if not (type(w) is float and w == 1):
            weight = validate.in_range("w", w, float_info.max, validate.FLOATS[1])
        for _ in range(ATTEMPTS):
            if self._learn_one(x, y, weight):
                return
        raise RuntimeError(BUSY)

    def _learn_one(self, x: Mapping[Hashable, Any], y: Any, weight: float) -> bool:
        """Learn from one sample, unless the model learns meanwhile, in a signal handler or another thread."""
        version, growing = self._stream.version, self._stream.growing
        features: list[Any] = []
        row = self._row_of_known(x, growing)
        if row is None:  # new or missing names
            inputs, values, features = self._inputs(x, growing)
            row = inputs, values
        t, outputs = self._target(y)
        if growing is None or features or outputs or growing.rate is not self.learning_rate:
            growing = self._sized(growing, len(features), len(outputs), len(row[0]) if self._hash else None)
        if type(row) is tuple:
            row = growing.row(row)
        try:
            return self._stream.learn_one(version, growing, (features, outputs), (row, t, self._missing(t)), weight)
        except ValueError:
            self._check_values(x)  # raises an error that names the feature
            raise

    def _target(self, y: Any) -> tuple[Any, list[Any]]:
        """The target of the network for y, and the names of the outputs that it needs in addition."""
        raise NotImplementedError

    def _targets(self, y: list[Any]) -> tuple[np.ndarray, list[Any]]:
        """The targets for several y, and the names of additional outputs."""
        raise NotImplementedError

    def _missing(self, t: Any) -> np.ndarray | None:
        """Which targets are not to be learned, if any."""
        return None

    def _learn_many(self, X: Any, y: Any) -> None:
        for _ in range(ATTEMPTS):
            if self._learn_rows(X, y):
                return
        raise RuntimeError(BUSY)

    def _learn_rows(self, X: Any, y: Any) -> bool:
        """Learn from the rows of a data frame, unless the model learns meanwhile."""
        version, before = self._stream.version, self._stream.growing
        x, features = self._rows(X)
        N, D = x.shape
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
        trained = np.append(np.unique(x.indices), D) if self._hash else slice(None)  # columns of w
        arrays, scalers = ([], []) if before is None else before.saved(trained)
        if before is not None and features:
            before.lent = True  # it may predict until all rows have been learned: leave its bias where it is

        def learn() -> Growing | None:
            growing = before
            for start, stop in pairwise(edges):
                growing = self._sized(
                    growing, len(features), int(added[start]), int(x.indptr[1]) if self._hash else None
                )
                growing.activate()
                growing.learn_many(x[start:stop], t[start:stop])
            return growing

        return self._stream.learn_many(version, (features, outputs), learn, arrays, scalers)

    def _sized(self, growing: Growing | None, new_features: int, new_outputs: int, non_zeros: int | None) -> Growing:
        """What learns, if there are no new names, else something larger.

        If names are hashed, `non_zeros` is their number in the first sample.
        """
        learned = self._learned_names
        names = learned[0] + new_features, learned[1] + new_outputs
        # a network needs an input and an output even if samples have no features, or no outputs with names
        D, K = self.n_features or names[0] or 1, names[1] or 1
        auto = isinstance(self.learning_rate, str) and self.learning_rate == "auto"
        if growing is None:
            M, seed = self.n_hidden, self._seed(D, K)
            if auto:
                return Growing.new_mixture(names, D, M, K, self._output, self.hidden, seed, non_zeros)
            if not isinstance(self.learning_rate, Real):
                raise TypeError(f"learning_rate is {self.learning_rate!r}; it must be a number, or 'auto'")
            hidden = self._hidden if self.hidden is None else self.hidden
            return Growing.new(names, D, M, K, self._output, hidden, self.learning_rate, seed)
        if auto != (growing.inputs is not None):
            raise ValueError(
                f"learning_rate is {self.learning_rate!r}, and the model has learned with "
                f"{'a number' if auto else repr('auto')}; a model keeps to either: clone it to begin anew"
            )
        if growing.names != names:
            growing = growing.grown(names, D, K, self._seed(D, K))
        if not auto and growing.network.learning_rate != self.learning_rate:
            growing.network.learning_rate = self.learning_rate  # type: ignore[assignment]
        growing.rate = self.learning_rate
        return growing

    def _seed(self, D: int, K: int) -> list[Any]:
        """Seed of new weights, which are the same after learn_one and learn_many, and after failed calls."""
        return [self._entropy, D, K]

    def _row_of_known(self, x: Mapping[Hashable, Any], growing: Growing | None) -> Row | None:
        """Inputs of a sample that has exactly the known features, all of them numbers; otherwise None."""
        if self._hash:
            return self._hashed(x)
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

    def _hashed(self, x: Mapping[Any, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Indices and values of a sample, as by scikit-learn's FeatureHasher but for their order."""
        names: Collection[Any] = x
        try:
            numbers: Iterable[Any] = x.values()
            types = set(map(type, numbers))
            if types == {str}:  # a shortcut
                names, numbers = list(map("%s=%s".__mod__, x.items())), repeat(1.0)
            elif not types <= NUMBERS:
                names, numbers = [], []
                for name, value in x.items():
                    text = isinstance(value, str)
                    names.append(f"{name}={value}" if text else name)
                    numbers.append(1.0 if text else _number(value))
            values = np.fromiter(numbers, np.float64, len(x))
        except (AttributeError, OverflowError):
            self._check_values(x)  # raises an error: x is not a dict, or a number is too large
            raise
        try:
            hashes = np.fromiter(map(self._hash, map(str.encode, names)), np.int64, len(x))
        except (TypeError, UnicodeEncodeError):
            name = next(n for n in names if not isinstance(n, str) or n.encode(errors="ignore").decode() != n)
            raise TypeError(f"feature {name!r} cannot be hashed; its name must be a str, without surrogates") from None
        return np.abs(hashes) % self.n_features, values * np.copysign(1.0, hashes)

    def _inputs(self, x: Mapping[Hashable, Any], growing: Growing | None) -> tuple[np.ndarray, np.ndarray, list[Any]]:
        """Indices of the features of a sample, sorted; their numbers; and the names of new ones, which come last."""
        try:
            values = np.array(list(x.values()) if isinstance(x, dict) else None)
        except ValueError:  # a value is a sequence
            values = np.array(None)
        if values.ndim != 1 or values.dtype.kind not in "biuf":
            x = _numbers(x)
            values = np.array(list(x.values()))
        n_features = 0 if growing is None else growing.names[0]
        inputs = np.fromiter(map(self._stream.features.get, x, repeat(n_features)), np.intp, len(values))
        unknown = (inputs >= n_features).nonzero()[0]
        new = []
        if len(unknown):
            names = list(x)
            new = _sorted(names[n] for n in unknown)
            places = {name: i for i, name in enumerate(new, n_features)}
            inputs[unknown] = [places[names[n]] for n in unknown]
        order = inputs.argsort()
        return inputs[order], values[order].astype(np.float64, copy=False), new

    def _predicted(self, method: str, x: Mapping[Hashable, Any]) -> Any:
        """What a method of the network predicts for a sample."""
        for _ in range(ATTEMPTS):
            growing = self._stream.growing
            row = self._row_of_known(x, growing)
            if row is None:
                inputs, values, new = self._inputs(x, growing)
                known = len(inputs) - len(new)
                row = inputs[:known], values[:known]
                if new and not np.isfinite(values[known:]).all():
                    _numbers(x)  # raises an error that names the feature
            try:
                y = getattr(growing, method)(row)
            except ValueError:
                self._check_values(x)  # raises an error that names the feature
                raise
            if growing is self._stream.growing:  # else its memory may be that of what has grown from it
                return y
        raise RuntimeError(BUSY)

    def _check_values(self, x: Any, place: str = "") -> None:
        """Raise an error that names the first feature whose value is no number or, if names are hashed, string."""
        if self._hash and hasattr(x, "items"):
            x = {name: value for name, value in x.items() if not isinstance(value, str)}
        _numbers(x, place=place)

    def _rows(self, X: Any) -> tuple[Any, list[Any]]:
        """The inputs of the rows of a data frame, and the names of new ones, which come last."""
        if not self._hash:
            columns, N = _columns(X)
            new = _new(columns, self._known_features)
            return _matrix(columns, [*self.features, *new], N), new
        frame = utils.dataframe.into_frame(X)
        rows = []
        for n, x in enumerate(frame.iter_rows(named=True)):
            rows.append(self._hashed(x))
            if not np.isfinite(rows[n][1]).all():
                self._check_values(x, f" in row {n}")
        indices = np.array([i for i, _ in rows], np.intp).ravel()
        values = np.array([x for _, x in rows], np.float64).ravel()
        bounds = np.arange(len(rows) + 1) * len(frame.columns)
        return csr_array((values, indices, bounds), (len(rows), self.n_features)), []

    def _matrix(self, X: Any) -> Any:
        """The known inputs of the rows of a data frame."""
        if self._hash:
            return self._rows(X)[0]
        columns, N = _columns(X)
        return _matrix(columns, self.features, N)


class BackpropClassifier(_StreamNetwork, base.MiniBatchClassifier):
    """Classifier with one hidden layer and softmax outputs, updated (17) after each sample.

    By default, it takes inputs as they come: it standardizes them, and chooses learning rates by itself. A feature that
    is missing from a sample counts as 0. New features and classes get random initial weights; the other weights keep
    their bits. Predictions use only features and labels seen in training: before training, the predicted label is None,
    and the predicted probabilities are empty.

    Parameters
    ----------
    n_hidden : int
        M, the number of hidden units.
    learning_rate : float or "auto"
        "auto": a mixture of four networks whose rates adapt, on standardized inputs; see the notes. A number: α of (17)
        of one network, on inputs as they are. That may be changed at any time.
    hidden : {"sigmoid", "tanh", "relu"}, optional
        The hidden function. By default, "auto" mixes networks with tanh and with ReLU, and a number takes sigmoid.
    seed : int, optional
        Seed of the initial weights.
    n_features : int, optional
        Number of inputs to which names are hashed, as by scikit-learn's FeatureHasher, so that no new name takes
        memory. By default, each name gets an input of its own.

    Raises
    ------
    TypeError, ValueError
        If seed is neither None nor a non-negative integer, or n_features neither None nor a positive one.
    ModuleNotFoundError
        If names are to be hashed and scikit-learn is not installed.

    Attributes
    ----------
    network : Network or None
        The current network, which is replaced by a larger one when new features or classes appear. Of a mixture: the
        one with the largest weight.
    networks : list of Network
        All of them. Those of a mixture take standardized inputs.
    weights : ndarray
        The weight of each in the mixture.

    Notes
    -----
    With "auto", four networks learn every sample: with tanh and with ReLU, at rates of 0.1 and of 0.3, which adapt to
    each unit (row-wise AdaGrad, see `cbackprop.fit`). Their predictions are averaged, with weights that depend on their
    losses so far (see `cbackprop.Ensemble`). A network that diverges is left out.

    Inputs are standardized by running means and variances, which follow the last 1,000 samples or so, and limited to 5
    standard deviations. So a sample takes time for all known features, not only for its own.

    Hashed inputs are scaled only: a value x_i becomes x_i / √q_i · (n / c_i)^(1/4) if c_i of the n samples so far have
    feature i, whose mean square is q_i. A rare feature takes larger steps, like with the AdaGrad of each feature. The
    rates are 0.03 and 0.1 then.

    Examples
    --------
    >>> from river import datasets, evaluate, metrics
    >>> from cbackprop.river import BackpropClassifier
    >>> accuracy, stream = metrics.Accuracy(), datasets.Phishing()
    >>> model = BackpropClassifier(seed=0)
    >>> evaluate.progressive_val_score(stream, model, accuracy).get() > 0.89
    True
    """

    _output, _hidden = "softmax", "sigmoid"

    @property
    def classes(self) -> list[Any]:
        """Labels, in the order of the rows of v."""
        return self._stream.labels[: self._learned_names[1]]

    @property
    def _multiclass(self) -> bool:
        return True

    def _target(self, y: Hashable) -> tuple[int, list[Any]]:
        _, n_outputs = self._learned_names
        try:
            k = self._stream.outputs.get(y, n_outputs)
        except TypeError:  # not hashable: _new_labels raises
            k = n_outputs
        return (k, []) if k < n_outputs else (n_outputs, _new_labels([y], self._known_outputs))

    def _targets(self, y: list[Any]) -> tuple[np.ndarray, list[Any]]:
        known = self._known_outputs
        new = _new_labels(y, known)
        indices = known | {label: k for k, label in enumerate(new, len(known))}
        return np.array([indices[label] for label in y]), new

    def predict_one(self, x: Mapping[Hashable, Any], **kwargs: Any) -> Any:
        """Most probable label.

        Parameters
        ----------
        x : dict
            Values of the features by name. Unknown features are ignored; missing ones count as 0.

        Returns
        -------
        hashable or None
            The label; None before training.

        Raises
        ------
        TypeError
            If x is not a dict.
        ValueError
            If the value of a feature is not a finite number.
        """
        if self._stream.growing is None:
            return None
        return self._stream.labels[self._predicted("predict_one", x)]

    def predict_proba_one(self, x: Mapping[Hashable, Any], **kwargs: Any) -> dict[Any, float]:
        """Probability of each known label.

        Parameters
        ----------
        x : dict
            Values of the features by name, as for `predict_one`.

        Returns
        -------
        dict
            Probabilities by label, which sum to 1; empty before training.

        Raises
        ------
        TypeError
            If x is not a dict.
        ValueError
            If the value of a feature is not a finite number.
        """
        if self._stream.growing is None:
            return {}
        y = self._predicted("predict_proba_one", x).tolist()
        return dict(zip(self._stream.labels, y, strict=False))  # labels that are being added have no probability yet

    def learn_many(self, X: Any, y: Any) -> None:
        """Learn from the rows of a data frame in their order, with the updates of `learn_one`.

        A call that raises leaves the model unchanged.

        Parameters
        ----------
        X : DataFrame of shape (N, D)
            Data frame of pandas or another library supported by River, with finite numbers only.
        y : Series of shape (N,)
            Labels.

        Raises
        ------
        TypeError
            If a label is not hashable.
        ValueError
            If a column does not hold finite numbers, a label is None or NaN, or X and y differ in length.
        DivergenceError
            If the error or a weight is no longer finite.
        """
        self._learn_many(X, y)

    def predict_proba_many(self, X: Any) -> Any:
        """Probability of each known label, for each row of a data frame.

        Parameters
        ----------
        X : DataFrame
            Data frame, as for `learn_many`.

        Returns
        -------
        DataFrame
            Data frame of the same library with the same index and one column per label.

        Raises
        ------
        ValueError
            If a column does not hold finite numbers.
        """
        frame = utils.dataframe.into_frame(X)
        growing = self._growing
        if growing is None:
            return utils.dataframe.to_native_frame(np.empty((len(frame), 0)), like=frame, columns=[])
        probabilities = dict(zip(self.classes, growing.predict_proba(self._matrix(X)).T, strict=True))
        return utils.dataframe.to_native_frame(probabilities, like=frame)

    def predict_many(self, X: Any) -> Any:
        """Most probable label of each row of a data frame.

        Parameters
        ----------
        X : DataFrame
            Data frame, as for `learn_many`.

        Returns
        -------
        Series
            Labels, in a series of the same library with the same index; None before training.

        Raises
        ------
        ValueError
            If a column does not hold finite numbers.
        """
        growing = self._growing
        if growing is None:
            labels = [None] * len(X)
        else:
            labels = [self._stream.labels[k] for k in growing.predict(self._matrix(X)).tolist()]
        return utils.dataframe.to_native_series(labels, name=None, like=utils.dataframe.into_frame(X))


class BackpropRegressor(_StreamNetwork, base.MiniBatchRegressor):
    """Regressor with one hidden layer and a linear output, updated (17) after each sample.

    The error is half the square of the difference; with a number as the learning rate, the target should be about as
    large as 1: scale it with River's TargetStandardScaler. A feature that is missing from a sample counts as 0. New
    features get random initial weights; the other weights keep their bits. Before training, the prediction is 0.

    Parameters
    ----------
    n_hidden : int
        M, the number of hidden units.
    learning_rate : float or "auto"
        "auto": a mixture of four networks whose rates adapt, on standardized inputs and targets; see the notes. A
        number: α of (17) of one network, on inputs and targets as they are. That may be changed at any time. Updates of
        v can grow without bound if α is above 2 / (1 + sum of z_j**2), which is at least 2 / (1 + M) for sigmoid and
        tanh units.
    hidden : {"sigmoid", "tanh", "relu"}, optional
        The hidden function. By default, "auto" mixes networks with tanh and with ReLU, and a number takes tanh.
    seed : int, optional
        Seed of the initial weights.
    n_features : int, optional
        Number of inputs to which names are hashed, as by scikit-learn's FeatureHasher, so that no new name takes
        memory. By default, each name gets an input of its own.

    Raises
    ------
    TypeError, ValueError
        If seed is neither None nor a non-negative integer, or n_features neither None nor a positive one.
    ModuleNotFoundError
        If names are to be hashed and scikit-learn is not installed.

    Attributes
    ----------
    network : Network or None
        The current network, which is replaced by a larger one when new features appear. Of a mixture: the one with the
        largest weight.
    networks : list of Network
        All of them. Those of a mixture take standardized inputs and predict standardized numbers.
    weights : ndarray
        The weight of each in the mixture.

    Notes
    -----
    "auto" is explained in the notes of `BackpropClassifier`. Targets are standardized like inputs.

    Examples
    --------
    >>> from river import datasets, evaluate, metrics
    >>> from cbackprop.river import BackpropRegressor
    >>> error, stream = metrics.MAE(), datasets.TrumpApproval()
    >>> model = BackpropRegressor(seed=0)
    >>> evaluate.progressive_val_score(stream, model, error).get() < 0.4
    True
    """

    _output, _hidden = "linear", "tanh"

    def _target(self, y: Any) -> tuple[np.ndarray, list[Any]]:
        if not isfinite(t := _number(y)):
            raise ValueError(f"y is {y!r}; it must be a finite number")
        return np.array([t]), []

    def _targets(self, y: list[Any]) -> tuple[np.ndarray, list[Any]]:
        t = np.array([_number(value) for value in y])
        if not (finite := np.isfinite(t)).all():
            n = int(finite.argmin())
            raise ValueError(f"y is {y[n]!r} in row {n}; it must be a finite number")
        return t, []

    def predict_one(self, x: Mapping[Hashable, Any]) -> float:
        """Predicted number.

        Parameters
        ----------
        x : dict
            Values of the features by name. Unknown features are ignored; missing ones count as 0.

        Returns
        -------
        float
            The output of the network; 0 before training.

        Raises
        ------
        TypeError
            If x is not a dict.
        ValueError
            If the value of a feature is not a finite number.
        """
        if self._stream.growing is None:
            return 0.0
        return self._predicted("predict_one", x)

    def learn_many(self, X: Any, y: Any) -> None:
        """Learn from the rows of a data frame in their order, with the updates of `learn_one`.

        A call that raises leaves the model unchanged.

        Parameters
        ----------
        X : DataFrame of shape (N, D)
            Data frame of pandas or another library supported by River, with finite numbers only.
        y : Series of shape (N,)
            Numbers to learn.

        Raises
        ------
        ValueError
            If a column or y does not hold finite numbers, or X and y differ in length.
        DivergenceError
            If the error or a weight is no longer finite.
        """
        self._learn_many(X, y)

    def predict_many(self, X: Any) -> Any:
        """Predicted number for each row of a data frame.

        Parameters
        ----------
        X : DataFrame
            Data frame, as for `learn_many`.

        Returns
        -------
        Series
            Numbers, in a series of the same library with the same index; 0 before training.

        Raises
        ------
        ValueError
            If a column does not hold finite numbers.
        """
        numbers = np.zeros(len(X)) if self._growing is None else self._growing.predict(self._matrix(X))
        return utils.dataframe.to_native_series(numbers, name=None, like=utils.dataframe.into_frame(X))


class _MultiOutputs(_StreamNetwork):
    """A network with an output for each name in y. An output whose name is missing from y does not learn."""

    def _numbers_by_name(self, y: Any) -> dict[Hashable, float]:
        raise NotImplementedError

    def _target(self, y: Any) -> tuple[np.ndarray, list[Any]]:
        numbers = self._numbers_by_name(y)
        known = self._known_outputs
        new = _new(numbers, known)
        indices = known | {name: k for k, name in enumerate(new, len(known))}
        t = np.full(max(1, len(indices)), np.nan)
        for name, number in numbers.items():
            t[indices[name]] = number
        return t, new

    @property
    def _method(self) -> str:
        """The method of the network that returns y."""
        return "predict_proba_one" if OUTPUTS[self._output].probabilities else "predict_one"

    def _missing(self, t: np.ndarray) -> np.ndarray | None:
        missing = np.isnan(t)
        return missing if missing.any() else None

    def _predict_one(self, x: Mapping[Hashable, Any]) -> dict[Any, float]:
        if self._stream.growing is None:
            return {}
        y = np.atleast_1d(self._predicted(self._method, x)).tolist()
        return dict(zip(self._stream.labels, y, strict=False))


class BackpropMultiTargetRegressor(_MultiOutputs, base.MultiTargetRegressor):  # type: ignore[misc]
    """Regressor of several targets by name: one network, whose hidden layer all targets share.

    Outputs are linear; the error is half the sum of the squared differences, so with a number as the learning rate,
    scale the targets to about 1. Each sample gives its targets as a dict: new targets become new outputs, and a target
    that is missing from a sample is not learned from it. A feature that is missing counts as 0. New features and
    targets get random initial weights; the other weights keep their bits. Predictions hold the targets seen in
    training; before it, they are empty.

    Parameters
    ----------
    n_hidden : int
        M, the number of hidden units.
    learning_rate : float or "auto"
        "auto": a mixture of four networks whose rates adapt, on standardized inputs and targets; see the notes. A
        number: α of (17) of one network, on inputs and targets as they are. That may be changed at any time. Updates of
        v can grow without bound if α is above 2 / (1 + sum of z_j**2), which is at least 2 / (1 + M) for sigmoid and
        tanh units.
    hidden : {"sigmoid", "tanh", "relu"}, optional
        The hidden function. By default, "auto" mixes networks with tanh and with ReLU, and a number takes tanh.
    seed : int, optional
        Seed of the initial weights.
    n_features : int, optional
        Number of inputs to which names are hashed, as by scikit-learn's FeatureHasher, so that no new name takes
        memory. By default, each name gets an input of its own.

    Raises
    ------
    TypeError, ValueError
        If seed is neither None nor a non-negative integer, or n_features neither None nor a positive one.
    ModuleNotFoundError
        If names are to be hashed and scikit-learn is not installed.

    Attributes
    ----------
    network : Network or None
        The current network, which is replaced by a larger one when new features or targets appear. Of a mixture: the
        one with the largest weight.
    networks : list of Network
        All of them. Those of a mixture take standardized inputs and predict standardized numbers.
    weights : ndarray
        The weight of each in the mixture.

    Examples
    --------
    >>> from cbackprop.river import BackpropMultiTargetRegressor
    >>> model = BackpropMultiTargetRegressor(seed=0)
    >>> for _ in range(200):
    ...     for x in (-1.0, 0.0, 1.0):
    ...         model.learn_one({"x": x}, {"double": 2 * x, "square": x * x})
    >>> y = model.predict_one({"x": -1.0})
    >>> {target: round(number, 1) for target, number in y.items()}
    {'double': -2.0, 'square': 1.0}
    """

    _output, _hidden = "linear", "tanh"

    @property
    def targets(self) -> list[Any]:
        """Names of the targets, in the order of the rows of v."""
        return self._stream.labels[: self._learned_names[1]]

    def _numbers_by_name(self, y: Any) -> dict[Hashable, float]:
        return _numbers(y, "y", "target")

    def predict_one(self, x: Mapping[Hashable, Any]) -> dict[Any, float]:
        """Predicted number for each known target.

        Parameters
        ----------
        x : dict
            Values of the features by name. Unknown features are ignored; missing ones count as 0.

        Returns
        -------
        dict
            Numbers by target; empty before training.

        Raises
        ------
        TypeError
            If x is not a dict.
        ValueError
            If the value of a feature is not a finite number.
        """
        return self._predict_one(x)


class BackpropMultiLabelClassifier(_MultiOutputs, base.MultiLabelClassifier):
    """Classifier of labels that may hold together: one network, whose hidden layer all labels share.

    Outputs are logistic, each the probability of one label. Each sample gives its labels as a dict of True and False:
    new labels become new outputs, and a label that is missing from a sample is not learned from it. A feature that is
    missing counts as 0. New features and labels get random initial weights; the other weights keep their bits.
    Predictions hold the labels seen in training; before it, they are empty.

    Parameters
    ----------
    n_hidden : int
        M, the number of hidden units.
    learning_rate : float or "auto"
        "auto": a mixture of four networks whose rates adapt, on standardized inputs; see the notes. A number: α of (17)
        of one network, on inputs as they are. That may be changed at any time.
    hidden : {"sigmoid", "tanh", "relu"}, optional
        The hidden function. By default, "auto" mixes networks with tanh and with ReLU, and a number takes sigmoid.
    seed : int, optional
        Seed of the initial weights.
    n_features : int, optional
        Number of inputs to which names are hashed, as by scikit-learn's FeatureHasher, so that no new name takes
        memory. By default, each name gets an input of its own.

    Raises
    ------
    TypeError, ValueError
        If seed is neither None nor a non-negative integer, or n_features neither None nor a positive one.
    ModuleNotFoundError
        If names are to be hashed and scikit-learn is not installed.

    Attributes
    ----------
    network : Network or None
        The current network, which is replaced by a larger one when new features or labels appear. Of a mixture: the
        one with the largest weight.
    networks : list of Network
        All of them. Those of a mixture take standardized inputs.
    weights : ndarray
        The weight of each in the mixture.

    Examples
    --------
    >>> from cbackprop.river import BackpropMultiLabelClassifier
    >>> model = BackpropMultiLabelClassifier(seed=0)
    >>> for _ in range(200):
    ...     for x in (-1.0, 0.0, 1.0):
    ...         model.learn_one({"x": x}, {"positive": x > 0, "zero": x == 0})
    >>> model.predict_one({"x": 1.0})
    {'positive': True, 'zero': False}
    """

    _output, _hidden = "logistic", "sigmoid"

    @property
    def labels(self) -> list[Any]:
        """Names of the labels, in the order of the rows of v."""
        return self._stream.labels[: self._learned_names[1]]

    def _numbers_by_name(self, y: Any) -> dict[Hashable, float]:
        return _numbers(y, "y", "label", _truth, "True or False")

    def predict_proba_one(self, x: Mapping[Hashable, Any], **kwargs: Any) -> dict[Any, dict[bool, float]]:
        """Probability that each known label holds, and that it does not.

        Parameters
        ----------
        x : dict
            Values of the features by name. Unknown features are ignored; missing ones count as 0.

        Returns
        -------
        dict
            Dicts of the probabilities of False and True by label; empty before training.

        Raises
        ------
        TypeError
            If x is not a dict.
        ValueError
            If the value of a feature is not a finite number.
        """
        return {label: {False: 1 - y, True: y} for label, y in self._predict_one(x).items()}

    def predict_one(self, x: Mapping[Hashable, Any], **kwargs: Any) -> dict[Any, bool]:
        """Whether each known label holds: if its probability is at least 1/2.

        Parameters
        ----------
        x : dict
            Values of the features by name, as for `predict_proba_one`.

        Returns
        -------
        dict
            True or False by label; empty before training.

        Raises
        ------
        TypeError
            If x is not a dict.
        ValueError
            If the value of a feature is not a finite number.
        """
        return {label: y >= 0.5 for label, y in self._predict_one(x).items()}


def _hash_function(n_features: Any) -> Any:
    """The function that hashes names to indices, or None if they are not to be hashed."""
    if n_features is None:
        return None
    validate.count("n_features", n_features)
    return require("sklearn.utils", "sklearn").murmurhash3_32


def _entropy(seed: Any) -> Any:
    """The seed as an integer, drawn if it is None."""
    try:
        return np.random.SeedSequence(seed).entropy
    except (TypeError, ValueError) as error:
        raise type(error)(f"seed is {seed!r}; it must be None or an integer of at least 0") from None


def _number(value: Any) -> float:
    """The value as a float; NaN if it is not a number."""
    try:
        return np.nan if isinstance(value, (str, bytes)) else float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def _truth(value: Any) -> float:
    """1 for True and 0 for False; NaN for any other value."""
    number = _number(value)
    return number if number in (0, 1) else np.nan


def _numbers(
    values: Any,
    argument: str = "x",
    kind: str = "feature",
    convert: Callable[[Any], float] = _number,
    needed: str = "a finite number",
    place: str = "",
) -> dict[Hashable, float]:
    """Validated numbers by name."""
    if not hasattr(values, "items"):  # dicts of River are not instances of Mapping
        raise TypeError(f"{argument} is a {type(values).__name__}; it must be a dict of values by {kind} name")
    numbers = {}
    for name, value in values.items():
        number = convert(value)
        if not isfinite(number):
            remedy = ""
            if kind == "feature" and isinstance(value, str):
                remedy = ": encode text, for example with River's OneHotEncoder, or hash names: n_features=2**18"
            elif value is None or (isinstance(value, float) and value != value):
                remedy = f": leave out {kind}s that are missing"
                if kind == "feature":
                    remedy += ", or use River's StatImputer"
            raise ValueError(f"{kind} {name!r} is {value!r}{place}; it must be {needed}{remedy}")
        numbers[name] = number
    return numbers


def _new(names: Iterable[Any], known: Collection[Any]) -> list[Any]:
    """Names that are not known, sorted."""
    return _sorted(name for name in names if name not in known)


def _sorted(names: Iterable[Any]) -> list[Any]:
    """Names in an order that does not depend on that of the sample, even if they cannot be compared."""
    return sorted(names, key=repr)


def _columns(X: Any) -> tuple[dict[Any, np.ndarray], int]:
    """Validated columns of a data frame, and its number of rows."""
    frame = utils.dataframe.into_frame(X)
    columns = {}
    for name, series in zip(frame.columns, frame.iter_columns(), strict=True):
        column = series.to_numpy()
        if column.dtype.kind not in "biuf":
            raise ValueError(f"feature {name!r} has dtype {column.dtype}; it must hold numbers")
        if not (finite := np.isfinite(column)).all():
            n = int(finite.argmin())
            raise ValueError(f"feature {name!r} is {column[n]} in row {n}; it must be a finite number")
        columns[name] = column
    return columns, len(frame)


def _matrix(columns: Mapping[Any, np.ndarray], features: list[Any], N: int) -> np.ndarray:
    x = np.zeros((N, max(1, len(features))))
    for i, name in enumerate(features):
        if name in columns:
            x[:, i] = columns[name]
    return x


def _new_labels(labels: Iterable[Any], known: Collection[Any]) -> list[Any]:
    """New labels in the order in which they appear."""
    try:
        new = [label for label in dict.fromkeys(labels) if label not in known]
    except TypeError as error:
        raise TypeError(f"y is not a label: {error}; it must be hashable") from None
    for k, label in enumerate(new, len(known)):
        if label is None or label != label:
            raise ValueError(f"y is {label!r}; it must be a label")
        if isinstance(label, Real) and (label % 1 or k >= MAX_NUMERIC_CLASSES):
            found = "is not a whole number" if label % 1 else f"would be class {k + 1}, which suggests that it is none"
            raise ValueError(
                f"y is {label!r}, which {found}: to predict numbers, use BackpropRegressor; if they are labels, make "
                "them strings"
            )
    return new

"""River classifier, which learns samples, features and classes as they appear in a stream.

Requires the extra `river`: ``pip install "cbackprop[river]"``.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from itertools import pairwise
from operator import itemgetter
from typing import Any

import numpy as np

from cbackprop import Network, fit
from cbackprop._extras import require
from cbackprop._growth import grown

require("river", "river")
from river import base, utils  # noqa: E402

# Scale of the initial hidden weights relative to `init_weights`: smaller ones make fewer errors on the first samples,
# which count in the evaluation of a stream.
HIDDEN_WEIGHT_SCALE = 0.5


class BackpropClassifier(base.MiniBatchClassifier):
    """Classifier with one sigmoid hidden layer and softmax outputs, updated (17) after each sample.

    A feature that is missing from a sample counts as 0. New features and classes get random initial weights; the other
    weights keep their bits. Predictions use only features and labels seen in training: before training, the predicted
    label is None, and the predicted probabilities are empty.

    Parameters
    ----------
    n_hidden : int
        M, the number of hidden units.
    learning_rate : float
        α of (17). It may be changed at any time.
    seed : int, optional
        Seed of the initial weights.

    Raises
    ------
    TypeError, ValueError
        If seed is neither None nor a non-negative integer.

    Attributes
    ----------
    network : Network or None
        The current network, which is replaced by a larger one when new features or classes appear.
    classes : list
        Labels, in the order of the rows of v.

    Examples
    --------
    >>> from river import datasets, evaluate, metrics, preprocessing
    >>> from cbackprop.river import BackpropClassifier
    >>> model = preprocessing.StandardScaler() | BackpropClassifier(seed=0)
    >>> accuracy = evaluate.progressive_val_score(datasets.Phishing(), model, metrics.Accuracy())
    >>> accuracy.get() > 0.88
    True
    """

    def __init__(self, n_hidden: int = 16, learning_rate: float = 0.1, seed: int | None = None) -> None:
        self.n_hidden = n_hidden
        self.learning_rate = learning_rate
        self.seed = seed
        try:
            self._entropy: Any = np.random.SeedSequence(seed).entropy
        except (TypeError, ValueError) as error:
            raise type(error)(f"seed is {seed!r}; it must be None or an integer of at least 0") from None
        self.network: Network | None = None
        self.classes: list[Any] = []
        self._class_indices: dict[Any, int] = {}
        self._feature_indices: dict[Any, int] = {}
        self._values: Any = None  # a function that returns the values of all features

    @property
    def features(self) -> list[Any]:
        """Names of the inputs, in the order of the columns of w."""
        return list(self._feature_indices)

    @property
    def _multiclass(self) -> bool:
        return True

    @property
    def _mutable_attributes(self) -> set[str]:
        return {"learning_rate"}

    def learn_one(self, x: Mapping[Hashable, Any], y: Hashable) -> None:
        """Learn from one sample.

        A call that raises leaves the model unchanged.

        Parameters
        ----------
        x : dict
            Values of the features by name.
        y : hashable
            Label.

        Raises
        ------
        TypeError
            If x is not a dict, or the label is not hashable.
        ValueError
            If the value of a feature is not a finite number, or the label is None or NaN.
        DivergenceError
            If the error or an updated weight would not be finite.
        """
        row = self._row_of_known(x)
        try:
            k = self._class_indices.get(y)
        except TypeError:  # not hashable: _new_labels raises
            k = None
        if row is None or k is None:  # new or missing names, or a value that is not a number
            numbers = _numbers(x)
            features, labels = self._new_features(numbers), _new_labels([y], self._class_indices)
            D, K = len(self._feature_indices), len(self.classes)
            network = self._sized(self.network, D + len(features), K + len(labels))
            row = self._vector(numbers, D + len(features))
            row[D : D + len(features)] = [numbers[name] for name in features]
            network.learn_one(row, self._class_indices.get(y, K))
            self._extend(network, features, labels)
        else:
            network = self._sized(self.network, len(self._feature_indices), len(self.classes))
            try:
                network.learn_one(row, k)
            except ValueError:
                _numbers(x)  # raises an error that names the feature
                raise

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
        return None if self.network is None else self.classes[self.network.predict_one(self._row(x))]

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
        if self.network is None:
            return {}
        return dict(zip(self.classes, self.network.predict_proba_one(self._row(x)).tolist(), strict=True))

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
        columns, N = _columns(X)
        labels = utils.dataframe.into_series(y).to_list()
        if len(labels) != N:
            raise ValueError(f"X has {N} rows and y {len(labels)}; they must have the same number")
        if N == 0:
            return
        new_features, new_labels = self._new_features(columns), _new_labels(labels, self._class_indices)
        features = [*self.features, *new_features]
        indices = self._class_indices | {label: k for k, label in enumerate(new_labels, len(self.classes))}
        x, t = _matrix(columns, features, N), np.array([indices[label] for label in labels])

        known = np.maximum.accumulate(np.maximum(t + 1, len(self.classes)))  # number of classes up to each row
        edges = [0, *(np.flatnonzero(np.diff(known)) + 1).tolist(), N]
        network = self.network
        if network is not None and len(edges) > 2:  # a copy: an error in a later part must leave the model unchanged
            network = Network.from_weights(network.w.copy(), network.v.copy(), **network.functions._asdict())
        for start, stop in pairwise(edges):
            network = self._sized(network, len(features), known[start])
            part = slice(start, stop)
            fit(x[part], t[part], network.w, network.v, learning_rate=self.learning_rate, shuffle=False)
        self._extend(network, new_features, new_labels)

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
        if self.network is None:
            return utils.dataframe.to_native_frame(np.empty((len(frame), 0)), like=frame, columns=[])
        probabilities = dict(zip(self.classes, self.network.predict_proba(self._matrix(X)).T, strict=True))
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
        if self.network is None:
            labels = [None] * len(X)
        else:
            labels = [self.classes[k] for k in self.network.predict(self._matrix(X)).tolist()]
        return utils.dataframe.to_native_series(labels, name=None, like=utils.dataframe.into_frame(X))

    def _extend(self, network: Network | None, features: list[Any], labels: list[Any]) -> None:
        """Add features and labels, at a cost that does not depend on how many are known."""
        if features:
            self._feature_indices.update({name: i for i, name in enumerate(features, len(self._feature_indices))})
            self._values = None
        self._class_indices.update({label: k for k, label in enumerate(labels, len(self.classes))})
        self.classes += labels
        self.network = network

    def _sized(self, network: Network | None, n_features: int, n_classes: int) -> Network:
        """The network itself if it has the given numbers of features and classes, else a larger one."""
        D, K = max(1, n_features), n_classes  # a network needs an input even if samples have no features
        seed = [self._entropy, D, K]  # the weights are the same after learn_one and learn_many, and after failed calls
        if network is None:
            network = Network(D, self.n_hidden, K, rng=np.random.default_rng(seed))
            network.w[:] *= HIDDEN_WEIGHT_SCALE
        elif network.w.shape[1] - 1 != D or len(network.v) != K:
            network = grown(network, D, K, seed, scale=HIDDEN_WEIGHT_SCALE)
        if network.learning_rate != self.learning_rate:
            network.learning_rate = self.learning_rate
        return network

    def _new_features(self, names: Iterable[Any]) -> list[Any]:
        """New features in an order that does not depend on that of the sample."""
        return sorted((name for name in names if name not in self._feature_indices), key=repr)

    def _row_of_known(self, x: Mapping[Hashable, Any]) -> np.ndarray | None:
        """Inputs of a sample that has exactly the known features, all of them numbers; otherwise None."""
        try:
            if len(x) != len(self._feature_indices):
                return None
            if self._values is None:
                self._values = itemgetter(*self._feature_indices)
            row = np.array(self._values(x))
        except (KeyError, TypeError, ValueError):
            return None
        return row if row.dtype == np.float64 and row.ndim == 1 else None

    def _row(self, x: Mapping[Hashable, Any]) -> np.ndarray:
        row = self._row_of_known(x)
        if row is None or not np.isfinite(row).all():
            row = self._vector(_numbers(x), len(self._feature_indices))
        return row

    def _vector(self, numbers: Mapping[Hashable, float], n_features: int) -> np.ndarray:
        """Inputs of a network with at least the known features; others are 0."""
        row = np.zeros(max(1, n_features))
        for name, number in numbers.items():
            if (i := self._feature_indices.get(name)) is not None:
                row[i] = number
        return row

    def _matrix(self, X: Any) -> np.ndarray:
        columns, N = _columns(X)
        return _matrix(columns, self.features, N)


def _numbers(x: Mapping[Hashable, Any]) -> dict[Hashable, float]:
    if not hasattr(x, "items"):  # dicts of River are not instances of Mapping
        raise TypeError(f"x is a {type(x).__name__}; it must be a dict of numbers by feature name")
    numbers = {}
    for name, value in x.items():
        try:
            number = np.nan if isinstance(value, (str, bytes)) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = np.nan
        if not np.isfinite(number):
            raise ValueError(f"feature {name!r} is {value!r}; it must be a finite number")
        numbers[name] = number
    return numbers


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
    for label in new:
        if label is None or label != label:
            raise ValueError(f"y is {label!r}; it must be a label")
    return new

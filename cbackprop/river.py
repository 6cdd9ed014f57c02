"""The network as a River classifier: it learns samples, features and classes as they appear.

Needs the extra `river`: ``pip install "cbackprop[river]"``.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from itertools import pairwise
from operator import itemgetter
from typing import Any

import numpy as np

from cbackprop import Network, fit
from cbackprop._extras import require
from cbackprop._growth import carry_over

require("river", "river")
from river import base, utils  # noqa: E402

# Initial hidden weights, as a part of those of `init_weights`: in a stream the first samples count, too, and a network
# that begins with smaller ones gets more of them right.
HIDDEN_WEIGHTS = 0.5


class BackpropClassifier(base.MiniBatchClassifier):
    """A network of one sigmoid hidden layer and softmax outputs, updated (17) after each sample.

    A feature that is missing from a sample is 0. Features and classes that are new get weights of their own, drawn as
    for a new network; the weights of the others keep their bits. Features and the labels that a prediction names are
    those learned from so far: before any, a prediction is None, or empty.

    Parameters
    ----------
    n_hidden : int
        M, the number of hidden units.
    learning_rate : float
        α of (17). May be changed at any time.
    seed : int, optional
        For the initial weights.

    Attributes
    ----------
    network : Network or None
        The live network; features and classes that are new bring a new one.
    features : list
        Names of the inputs, in the order of the columns of w.
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
        self._hold(None, [], [])

    @property
    def _multiclass(self) -> bool:
        return True

    @property
    def _mutable_attributes(self) -> set[str]:
        return {"learning_rate"}

    def learn_one(self, x: Mapping[Hashable, Any], y: Hashable) -> None:
        """Learn from one sample.

        Parameters
        ----------
        x : dict
            Numbers by the names of their features.
        y : hashable
            Label.

        Raises
        ------
        TypeError, ValueError
            A feature is not a finite number, or the label is none; the message names it. The model is as it was.
        DivergenceError
            Learning left the finite numbers. The model is as it was.
        """
        row = self._known(x)
        try:
            k = self._class_indices.get(y)
        except TypeError:  # not hashable: it is refused as a new label
            k = None
        if row is None or k is None:  # something is new, or missing, or no number
            numbers = _numbers(x)
            features = self._features_with(numbers)
            classes = [*self.classes, *_new_labels([y], self._class_indices)]
            network = self._sized(self.network, len(features), len(classes))
            network.learn_one(_vector(numbers, features), classes.index(y))
            if len(features) > len(self.features) or len(classes) > len(self.classes):
                self._hold(network, features, classes)
        else:
            network = self._sized(self.network, len(self.features), len(self.classes))
            try:
                network.learn_one(row, k)
            except ValueError:
                _numbers(x)  # says which feature is to blame
                raise

    def predict_one(self, x: Mapping[Hashable, Any], **kwargs: Any) -> Any:
        """The most probable label; None before anything was learned.

        Parameters
        ----------
        x : dict
            Numbers by the names of their features. Those not learned from are left out, those missing are 0.

        Returns
        -------
        hashable or None
        """
        return None if self.network is None else self.classes[self.network.predict_one(self._row(x))]

    def predict_proba_one(self, x: Mapping[Hashable, Any], **kwargs: Any) -> dict[Any, float]:
        """The probability of each label learned so far.

        Parameters
        ----------
        x : dict
            As for `predict_one`.

        Returns
        -------
        dict
            Probabilities that sum to 1, by label; empty before anything was learned.
        """
        if self.network is None:
            return {}
        return dict(zip(self.classes, self.network.predict_proba_one(self._row(x)).tolist(), strict=True))

    def learn_many(self, X: Any, y: Any) -> None:
        """Learn from the rows of a frame, one after the other: the same updates as by `learn_one`.

        Parameters
        ----------
        X : DataFrame of shape (N, D)
            Of pandas, or of another library that River takes. Only numbers, none missing.
        y : Series of N labels

        Raises
        ------
        ValueError
            A column does not hold finite numbers, or X and y differ in length. The model is as it was.
        DivergenceError
            Learning left the finite numbers. The model is as it was.
        """
        columns, N = _columns(X)
        labels = utils.dataframe.into_series(y).to_list()
        if len(labels) != N:
            raise ValueError(f"X has {N} rows and y {len(labels)}; they must have the same number")
        if N == 0:
            return
        features = self._features_with(columns)
        classes = [*self.classes, *_new_labels(labels, self._class_indices)]
        indices = {label: k for k, label in enumerate(classes)}
        x, t = _matrix(columns, features, N), np.array([indices[label] for label in labels])

        known = np.maximum.accumulate(np.maximum(t + 1, len(self.classes)))  # classes, when a row is learned
        edges = [0, *(np.flatnonzero(np.diff(known)) + 1).tolist(), N]
        network = self.network
        if network is not None and len(edges) > 2:  # an error after the first part leaves the model as it was
            network = Network.from_weights(network.w.copy(), network.v.copy())
        for start, stop in pairwise(edges):
            network = self._sized(network, len(features), known[start])
            part = slice(start, stop)
            fit(x[part], t[part], network.w, network.v, learning_rate=self.learning_rate, shuffle=False)
        self._hold(network, features, classes)

    def predict_proba_many(self, X: Any) -> Any:
        """The probability of each label learned so far, for each row of a frame.

        Parameters
        ----------
        X : DataFrame
            As for `learn_many`.

        Returns
        -------
        DataFrame
            Of the same library, with the same index and a column for each label.
        """
        frame = utils.dataframe.into_frame(X)
        if self.network is None:
            return utils.dataframe.to_native_frame(np.empty((len(frame), 0)), like=frame, columns=[])
        probabilities = dict(zip(self.classes, self.network.predict_proba(self._matrix(X)).T, strict=True))
        return utils.dataframe.to_native_frame(probabilities, like=frame)

    def predict_many(self, X: Any) -> Any:
        """The most probable label of each row of a frame; None before anything was learned.

        Parameters
        ----------
        X : DataFrame
            As for `learn_many`.

        Returns
        -------
        Series
            Of the same library, with the same index.
        """
        if self.network is None:
            labels = [None] * len(X)
        else:
            labels = [self.classes[k] for k in self.network.predict(self._matrix(X)).tolist()]
        return utils.dataframe.to_native_series(labels, name=None, like=utils.dataframe.into_frame(X))

    def _hold(self, network: Network | None, features: list[Any], classes: list[Any]) -> None:
        self.network, self.features, self.classes = network, features, classes
        self._class_indices = {label: k for k, label in enumerate(classes)}
        self._values: Any = itemgetter(*features) if len(features) > 1 else None

    def _sized(self, network: Network | None, n_features: int, n_classes: int) -> Network:
        """The network with room for so many features and classes: itself, if it has it already."""
        D, K = max(1, n_features), n_classes  # a sample may be empty: a network has an input even so
        if network is None or network.w.shape[1] - 1 != D or len(network.v) != K:
            # the same weights, whether learned one by one or many at once, and whatever was tried in vain before
            fresh = Network(D, self.n_hidden, K, rng=np.random.default_rng([self._entropy, D, K]))
            fresh.w[:] *= HIDDEN_WEIGHTS
            network = fresh if network is None else carry_over(network, fresh)
        if network.learning_rate != self.learning_rate:
            network.learning_rate = self.learning_rate
        return network

    def _features_with(self, new: Collection[Any]) -> list[Any]:
        """Features, and behind them those that are new, in an order that doesn't depend on that of the sample."""
        return [*self.features, *sorted(set(new) - set(self.features), key=repr)]

    def _known(self, x: Mapping[Hashable, Any]) -> np.ndarray | None:
        """x as the network wants it, if it has all of its features and no others and they are numbers; else None."""
        try:
            if len(x) != len(self.features):
                return None
            row = np.array(self._values(x))
        except (KeyError, TypeError, ValueError):
            return None
        return row if row.dtype == np.float64 else None

    def _row(self, x: Mapping[Hashable, Any]) -> np.ndarray:
        row = self._known(x)
        if row is None or row.ndim != 1 or not np.isfinite(row).all():
            row = _vector(_numbers(x), self.features)
        return row

    def _matrix(self, X: Any) -> np.ndarray:
        columns, N = _columns(X)
        return _matrix(columns, self.features, N)


def _numbers(x: Mapping[Hashable, Any]) -> dict[Hashable, float]:
    if not hasattr(x, "items"):  # River's own dicts are no Mapping
        raise TypeError(f"x is a {type(x).__name__}; it must be a dict of numbers by the names of their features")
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


def _vector(numbers: Mapping[Hashable, float], features: list[Any]) -> np.ndarray:
    return np.array([numbers.get(name, 0.0) for name in features] or [0.0])


def _columns(X: Any) -> tuple[dict[Any, np.ndarray], int]:
    """Columns of a frame, checked, and how many rows it has."""
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
    """Those not known, in the order in which they appear."""
    try:
        new = [label for label in dict.fromkeys(labels) if label not in known]
    except TypeError as error:
        raise TypeError(f"y is no label: {error}; it must be hashable") from None
    for label in new:
        if label is None or label != label:
            raise ValueError(f"y is {label!r}; it must be a label")
    return new

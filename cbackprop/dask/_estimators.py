"""Estimators for dask arrays and dataframes, whose trained forms are the estimators of `cbackprop.sklearn`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from dask.base import compute, is_dask_collection
from dask.delayed import delayed
from distributed import get_client
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from cbackprop import _validation as validate
from cbackprop import sklearn as local
from cbackprop._docstrings import inherits
from cbackprop._parameters import ESTIMATOR
from cbackprop._parameters import describe as describe_by
from cbackprop.dask._training import aligned_chunks, fit
from cbackprop.sklearn._validation import check_classes, class_indices

describe = describe_by(
    ESTIMATOR,
    """
learning_rate_init : float
    α of (17). There is no "auto": see docs/guides/auto.md.
batch_size : int or None
    Samples per update, as for `fit` of this module: None is exact, any other value fast.
max_iter : int
    Maximum number of epochs.
local_epochs : int
    Number of epochs between two averages of the weights.
tol : float
    Minimum decrease of the loss that counts as an improvement.
n_iter_no_change : int or numpy.inf
    Maximum number of consecutive rounds without improvement; with infinity, training takes max_iter epochs.
n_threads : int
    Maximum number of threads per shard.
estimator_ : estimator of `cbackprop.sklearn`
    The trained estimator, which does not need dask.
""",
)


@dataclass(eq=False, repr=False)
class _Backprop(BaseEstimator):
    """What the estimators share; y are numbers, unless a subclass gives them another meaning."""

    _local: ClassVar[Any] = local.BackpropRegressor  # which is trained, and predicts, with the rows of one machine
    _output: ClassVar[str] = "linear"  # of the network

    hidden_layer_sizes: Any = (100,)
    activation: str = "tanh"
    _: KW_ONLY
    learning_rate_init: float = 0.01
    batch_size: int | None = 1
    max_iter: int = 200
    local_epochs: int = 1
    shuffle: bool = True
    random_state: Any = None
    tol: float = 1e-3
    n_iter_no_change: float = 5
    n_threads: int = 1

    def _targets(self, y: Any, chunks: list[Any]) -> tuple[list[Any], int, dict[str, Any]]:
        """Chunks of targets, the number of outputs, and what else the local estimator must know about them."""
        return chunks, 1 if y.ndim == 1 else y.shape[1], {}

    def fit(self, X: Any, y: Any, *, callback: Callable[[int, float], object] | None = None) -> Self:
        """Train the estimator.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_samples, n_features)
            Inputs. float32 data are processed in float32, all others in float64. Chunks of an array may be CSR arrays
            or matrices.
        y : dask array, series or dataframe
            What is to be predicted, as described for the class, in the same chunks of rows.
        callback : callable, optional
            As for `fit` of this module.

        Returns
        -------
        estimator
            The fitted estimator itself.
        """
        should_stop = validate.callback(callback)
        x, chunks = aligned_chunks(X, y)
        parameters = self.get_params() | {"learning_rate_init": 1.0}  # of any value: rates are not adaptive here
        del parameters["batch_size"], parameters["local_epochs"]  # `fit` checks them
        local = self._local(**parameters)
        local._validate_params()
        local.random_state = random_state = check_random_state(self.random_state)
        t, n_outputs, meaning = self._targets(y, chunks)
        _validate_columns(local, X, reset=True)
        sparse, generator = issparse(getattr(X, "_meta", None)), local._random_generators()[1]
        dtypes = {*X.dtypes} if hasattr(X, "columns") else {X.dtype}
        dtype = validate.FLOAT32 if dtypes == {validate.FLOAT32} else validate.FLOAT64
        network = local._new_network(n_outputs, self._output, dtype, generator, sparse=sparse)
        validate.learning_rate(self.learning_rate_init, network.dtype, "learning_rate_init")
        network.learning_rate = self.learning_rate_init
        best, unimproved = np.inf, 0

        def watch(epoch: int, loss: float) -> bool:
            nonlocal best, unimproved
            unimproved = unimproved + 1 if loss > best - self.tol else 0
            best = min(best, loss)
            return should_stop(epoch, loss) or unimproved > self.n_iter_no_change

        history = fit(
            get_client(),
            network,
            x,
            t,
            epochs=self.max_iter,
            batch_size=self.batch_size,
            local_epochs=self.local_epochs,
            shuffle=self.shuffle,
            rng=random_state.randint(np.iinfo(np.int32).max),
            n_threads=self.n_threads,
            callback=watch,
        )
        learning = {"learning_rate_init": self.learning_rate_init, "random_state": self.random_state}
        fitted: Any = copy.copy(self)
        fitted.estimator_ = self._local.from_network(network, **meaning, **learning)
        fitted.loss_curve_ = history.losses
        for model in (fitted, fitted.estimator_):
            _validate_columns(model, X, reset=True)
        self.__dict__ = fitted.__dict__  # all at once, lest Ctrl-C should leave attributes of two models
        return self

    def predict(self, X: Any) -> Any:
        """Most probable label, or numbers, of each sample.

        Parameters
        ----------
        X : dask array or dataframe, or array-like, of shape (n_samples, n_features)
            Inputs, with the columns of `fit`.

        Returns
        -------
        ndarray or, of a dask collection, lazy dask array, of shape (n_samples,), or (n_samples, n_outputs) of numbers
        """
        return self._map_chunks("predict", X)

    @inherits(predict)
    def score(self, X: Any, y: Any) -> float:
        """Accuracy of a classifier, R² of a regressor. Only labels or numbers are sent to the client.

        Parameters
        ----------
        y : dask array, series or dataframe, or array-like
            What was to be predicted, as for `fit`.

        Returns
        -------
        float
        """
        (wanted,), (predicted,) = compute(y), compute(self.predict(X))
        return float(self._local._metric(wanted, predicted))

    def _map_chunks(self, method: str, X: Any) -> Any:
        """Call a method of the local estimator with each chunk of a dask collection, or with all of any other X."""
        check_is_fitted(self)
        if not is_dask_collection(X):
            return getattr(self.estimator_, method)(X)
        _validate_columns(self, X, reset=False)
        X = (X.to_dask_array() if hasattr(X, "to_dask_array") else X).rechunk({1: -1})
        nameless = copy.copy(self.estimator_)
        vars(nameless).pop("feature_names_in_", None)  # as the chunks are
        function = getattr(nameless, method)
        result = function(np.zeros((1, self.n_features_in_)))[:0]
        shape = {"drop_axis": 1} if result.ndim == 1 else {"chunks": (X.chunks[0], result.shape[1:])}
        return X.map_blocks(function, dtype=result.dtype, meta=result, **shape)


@describe
@dataclass(eq=False, repr=False)
class BackpropClassifier(ClassifierMixin, _Backprop):
    """Classifier for dask arrays and dataframes, trained on the workers of the current client.

    Parameters
    ----------
    hidden_layer_sizes, activation, learning_rate_init, batch_size, max_iter, local_epochs, shuffle, random_state, tol
    n_iter_no_change, n_threads

    Attributes
    ----------
    estimator_
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_, feature_names_in_
    loss_curve_ : list of float
        Mean E of each epoch.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_wine
    >>> from cbackprop.dask import BackpropClassifier
    >>> x, y = load_wine(return_X_y=True)
    >>> x = (x - x.mean(axis=0)) / x.std(axis=0)
    >>> x, y = da.from_array(x, chunks=(60, -1)), da.from_array(y, chunks=60)
    >>> with Client(processes=False, dashboard_address=":0"):
    ...     model = BackpropClassifier(16, random_state=0).fit(x, y)
    ...     accuracy = model.score(x, y)
    >>> accuracy > 0.95
    True
    """

    _local, _output = local.BackpropClassifier, "softmax"
    score = _Backprop.score  # not that of the mixin

    activation: str = "logistic"
    _: KW_ONLY
    learning_rate_init: float = 0.1

    @property
    def classes_(self) -> np.ndarray:
        """Class labels."""
        return self.estimator_.classes_

    def _targets(self, y: Any, chunks: list[Any]) -> tuple[list[Any], int, dict[str, Any]]:
        found = compute(*(delayed(np.unique)(chunk, return_counts=True) for chunk in chunks))
        classes = np.unique(np.concatenate([labels for labels, _ in found]))
        check_classes(classes, sum(int(counts.sum()) for _, counts in found))
        return [delayed(class_indices)("y", chunk, classes) for chunk in chunks], len(classes), {"classes": classes}

    @inherits(_Backprop.predict)
    def predict_proba(self, X: Any) -> Any:
        """Probability of each class, in the order of `classes_`.

        Returns
        -------
        ndarray or, of a dask collection, lazy dask array, of shape (n_samples, n_classes)
        """
        return self._map_chunks("predict_proba", X)


@describe
class BackpropRegressor(RegressorMixin, _Backprop):
    """Regressor for dask arrays and dataframes, trained on the workers of the current client.

    y of shape (n_samples,) or (n_samples, n_outputs) holds the numbers to be predicted, ideally with a standard
    deviation near 1.

    Parameters
    ----------
    hidden_layer_sizes, activation, learning_rate_init, batch_size, max_iter, local_epochs, shuffle, random_state, tol
    n_iter_no_change, n_threads

    Attributes
    ----------
    estimator_
    n_features_in_, feature_names_in_
    loss_curve_ : list of float
        Mean E of each epoch: half the squared error, summed over the outputs.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_diabetes
    >>> from cbackprop.dask import BackpropRegressor
    >>> x, y = load_diabetes(return_X_y=True)
    >>> x, y = x / x.std(axis=0), (y - y.mean()) / y.std()
    >>> x, y = da.from_array(x, chunks=(221, -1)), da.from_array(y, chunks=221)
    >>> with Client(processes=False, dashboard_address=":0"):
    ...     model = BackpropRegressor(16, random_state=0).fit(x, y)
    ...     r2 = model.score(x, y)
    >>> r2 > 0.5
    True
    """

    score = _Backprop.score  # not that of the mixin


def _validate_columns(model: BaseEstimator, X: Any, *, reset: bool) -> None:
    """Record the number and the names of the columns of X, or compare them with those recorded, like scikit-learn."""
    is_frame = hasattr(X, "to_dask_array")  # scikit-learn reads the names of frames of pandas only
    validate_data(model, X._meta if is_frame else X, reset=reset, skip_check_array=True)

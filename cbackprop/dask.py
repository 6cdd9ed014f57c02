"""Distributed training with dask.distributed.

Requires the extra `dask`: ``pip install "cbackprop[dask]"``. The chunks of rows of a dask array or dataframe, called
shards, stay on the workers that hold them. In every round, the weights are sent to the workers, and the results of the
shards are sent back:

- ``batch_size=None`` is exact. Each shard computes the mean of the gradients (16) and (18) of its rows. Their mean,
  weighted by the numbers of rows and summed in the order of the shards, is the batch gradient (3) up to rounding; one
  update (17) follows.
- Any other ``batch_size`` is fast. Each shard learns its rows locally, sample by sample or in mini-batches, and the
  next round starts from the weighted mean of all weights. With one shard, this is bit-identical to local training. With
  several, it is **not** sequential SGD: all shards start a round from the same weights, so that the mean has moved
  about as far as one of them. docs/guides/dask.md contains measurements of this cost and an estimate of how training
  scales.

The results are bit-identical for any number of workers, in whatever order they finish, and even if some of them are
lost: the order of sums and the random numbers depend on the shards only.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import reduce
from operator import add, itemgetter
from typing import Any, Self

import numpy as np

import cbackprop
from cbackprop import DivergenceError, History, Network
from cbackprop import _layout as layout
from cbackprop import _validation as validate
from cbackprop._extras import require
from cbackprop._functions import error_and_gradient
from cbackprop._results import REMEDY
from cbackprop._training_lock import TrainingLock

require("distributed", "dask")
require("sklearn", "dask")
import dask.array as da  # noqa: E402
from dask.base import compute, is_dask_collection  # noqa: E402
from dask.delayed import delayed  # noqa: E402
from distributed import Client, get_client  # noqa: E402
from scipy.sparse import issparse  # noqa: E402
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin  # noqa: E402
from sklearn.metrics import accuracy_score, r2_score  # noqa: E402
from sklearn.utils import check_random_state  # noqa: E402
from sklearn.utils.validation import check_is_fitted, validate_data  # noqa: E402

from cbackprop.sklearn import BackpropClassifier as LocalClassifier  # noqa: E402
from cbackprop.sklearn import BackpropRegressor as LocalRegressor  # noqa: E402
from cbackprop.sklearn._validation import check_classes, class_indices  # noqa: E402


def fit(
    client: Client,
    network: Network,
    x: Any,
    t: Any,
    *,
    epochs: int = 1,
    batch_size: int | None = 1,
    local_epochs: int = 1,
    shuffle: bool = True,
    rng: Any = None,
    n_threads: int = 1,
    callback: Callable[[int, float], object] | None = None,
) -> History:
    """Train a network, in place, with the rows that the workers hold.

    Parameters
    ----------
    client : distributed.Client
        Client connected to the workers.
    network : Network
        Network whose weights are updated at the end of every round. Its learning rate must be constant.
    x : dask array or dataframe of shape (N, D), ndarray or CSR matrix
        Inputs. Each chunk of rows, or partition, is a shard; anything else is a single shard. Chunks may be CSR arrays
        or matrices of `scipy.sparse`; a network with ``order="F"``, the default, is fastest then.
    t : dask array or series of shape (N,), dask array or dataframe of shape (N, K), or ndarray
        Targets that suit the output of the network, as for `cbackprop.fit`, in the same chunks of rows.
    epochs : int
        Number of passes over all samples.
    batch_size : int or None
        None: one update per epoch with the exact batch gradient; local_epochs, shuffle, rng and n_threads have no
        effect. Otherwise each shard learns locally, as `cbackprop.fit` does.
    local_epochs : int
        Number of epochs per round: those that each shard learns before the weights are averaged.
    shuffle : bool
        Draw a new order of the samples of each shard for each epoch.
    rng : None, int or numpy.random.Generator
        Source of random numbers for the first shard, as for local training; the other shards use generators spawned
        from it.
    n_threads : int
        Maximum number of threads per shard.
    callback : callable, optional
        Called as ``callback(epoch, loss)`` after each round, with its last epoch. If it returns True, training stops.

    Returns
    -------
    History
        Mean E of each epoch, number of epochs, number of samples seen.

    Raises
    ------
    TypeError
        If x does not hold real numbers, t holds neither class indices nor real numbers, or a setting is of another
        type. The weights are unchanged.
    ValueError
        If the network is adaptive, the shapes or the chunks of x and t do not fit, x is not finite or has no rows, t
        does not suit the output, or a setting is out of range. The message names the argument and the shard; the
        weights are unchanged.
    DivergenceError
        If E or a weight is no longer finite. The weights are those at the start of the round.
    RuntimeError
        If another thread is training these weights.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_wine
    >>> import cbackprop, cbackprop.dask
    >>> x, t = load_wine(return_X_y=True)
    >>> x = (x - x.mean(axis=0)) / x.std(axis=0)
    >>> network = cbackprop.Network(13, 16, 3, rng=0)
    >>> threads = {"processes": False, "n_workers": 2, "threads_per_worker": 1}
    >>> with Client(**threads, dashboard_address=":0") as client:
    ...     shards = da.from_array(x, chunks=(60, -1)), da.from_array(t, chunks=60)
    ...     history = cbackprop.dask.fit(client, network, *shards, epochs=10, rng=0)
    >>> bool((network.predict(x) == t).mean() > 0.95)
    True
    """
    validate.weights(network.w, network.v, writeable=True)
    validate.finite_weights(network.w, network.v)
    if network.adaptive:
        raise ValueError("network is adaptive; shards learn with a constant rate: use Network(..., adaptive=False)")
    epochs, local_epochs = validate.count("epochs", epochs), validate.count("local_epochs", local_epochs)
    if batch_size is not None:
        validate.count("batch_size", batch_size)
    validate.count("n_threads", n_threads)
    should_stop = validate.callback(callback)
    generator = validate.generator(rng)
    shards = _load_shards(client, *_aligned_chunks(x, t), network)
    generators = [generator, *generator.spawn(len(shards) - 1)]
    options = network.functions._asdict() | {
        "learning_rate": network.learning_rate,
        "batch_size": batch_size,
        "shuffle": validate.flag("shuffle", shuffle),
        "n_threads": n_threads,
    }
    losses: list[float] = []
    samples = 0

    def learn() -> None:
        nonlocal generators, samples
        while len(losses) < epochs:
            round_epochs = 1 if batch_size is None else min(local_epochs, epochs - len(losses))
            # a task, not scattered data: if the worker that holds the weights is lost, dask can run it again elsewhere
            weights = client.submit(current_weights, network.w.copy("K"), network.v.copy(), pure=False)
            try:
                if batch_size is None:
                    results = _run_tasks(client, shards, shard_gradients, weights, network.functions)
                    w, v = _updated(network, results)
                else:
                    local = options | {"epochs": round_epochs}
                    results = _run_tasks(client, shards, learn_shards, weights, generators, local)
                    w, v = _mean(results, "w"), _mean(results, "v")
                    generators = [result["generator"] for result in results]
                E = _mean(results, "losses")
                if not (np.isfinite(E).all() and np.isfinite(w).all() and np.isfinite(v).all()):
                    raise DivergenceError
            except DivergenceError:
                raise DivergenceError(f"learning diverged in epoch {len(losses) + 1} or soon after: {REMEDY}") from None
            network.w[:], network.v[:] = w, v
            losses.extend(E.tolist())
            samples += round_epochs * sum(result["rows"] for result in results)
            if should_stop(len(losses), losses[-1]):
                break

    TrainingLock(network.w, network.v).run(learn)
    generator.bit_generator.state = generators[0].bit_generator.state  # as after local training
    return History(losses, len(losses), samples)


class _Backprop(BaseEstimator):
    """What the estimators share: everything but the meaning of y, which subclasses define."""

    _local: Any  # class of the estimator that is trained, and predicts, with the rows of one machine
    _output: str  # of the network

    def __init__(  # with the defaults of the regressor
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "tanh",
        *,
        learning_rate_init: float = 0.01,
        batch_size: int | None = 1,
        max_iter: int = 200,
        local_epochs: int = 1,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-3,
        n_iter_no_change: int = 5,
        n_threads: int = 1,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.local_epochs = local_epochs
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.n_threads = n_threads

    def _targets(self, y: Any, chunks: list[Any]) -> tuple[list[Any], int, dict[str, Any]]:
        """Chunks of targets, the number of outputs, and what else the local estimator must know about them."""
        raise NotImplementedError

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

        Raises
        ------
        TypeError
            If X does not hold real numbers, some names of columns but not all are strings, or a parameter is of another
            type. A fitted model is unchanged.
        ValueError
            If X is not finite, X and y differ in their chunks, y is not of the kind that the estimator predicts, or a
            parameter is out of range. A fitted model is unchanged.
        DivergenceError
            If the loss or a weight is no longer finite. A fitted model is unchanged.
        """
        should_stop = validate.callback(callback)
        x, chunks = _aligned_chunks(X, y)
        parameters = self.get_params() | {"learning_rate_init": 1.0}  # of any value: rates are not adaptive here
        del parameters["batch_size"], parameters["local_epochs"]  # `fit` checks them
        local = self._local(**parameters)
        local._validate_params()
        local.random_state = random_state = check_random_state(self.random_state)
        t, n_outputs, meaning = self._targets(y, chunks)
        _validate_columns(local, X, reset=True)
        sparse, generator = issparse(getattr(X, "_meta", None)), local._random_generators()[1]
        network = local._new_network(n_outputs, self._output, _float_dtype(X), generator, sparse=sparse)
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

    def _map_chunks(self, method: str, X: Any, dtype: np.dtype, columns: int | None) -> Any:
        """Call a method of the local estimator with each chunk of a dask collection, or with all of any other X."""
        if not is_dask_collection(X):
            return getattr(self.estimator_, method)(X)
        _validate_columns(self, X, reset=False)
        X = (X.to_dask_array() if hasattr(X, "to_dask_array") else X).rechunk({1: -1})
        nameless = copy.copy(self.estimator_)
        vars(nameless).pop("feature_names_in_", None)  # as the chunks are
        function = getattr(nameless, method)
        if columns is None:
            return X.map_blocks(function, drop_axis=1, dtype=dtype, meta=np.empty(0, dtype))
        return X.map_blocks(function, chunks=(X.chunks[0], (columns,)), dtype=dtype, meta=np.empty((0, columns), dtype))


class BackpropClassifier(ClassifierMixin, _Backprop):
    """Classifier for dask arrays and dataframes, trained on the workers of the current client.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of one int, default=(100,)
        M, the number of hidden units.
    activation : {"logistic", "tanh", "relu"}, default="logistic"
        Function of the hidden units; "logistic" is the sigmoid.
    learning_rate_init : float, default=0.1
        α of (17).
    batch_size : int or None, default=1
        Samples per update, as for `fit` of this module: None is exact, any other value fast.
    max_iter : int, default=200
        Maximum number of epochs.
    local_epochs : int, default=1
        Number of epochs between two averages of the weights.
    shuffle : bool, default=True
        Draw a new order of the samples of each shard for each epoch.
    random_state : int, RandomState instance or None, default=None
        Source of random numbers for the initial weights and the order of the samples.
    tol : float, default=1e-3
        Minimum decrease of the loss that counts as an improvement.
    n_iter_no_change : int, default=5
        Maximum number of consecutive rounds without improvement.
    n_threads : int, default=1
        Maximum number of threads per shard.

    Attributes
    ----------
    estimator_ : cbackprop.sklearn.BackpropClassifier
        The trained classifier, which does not need dask.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        D, the number of inputs.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are all strings.
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
    >>> threads = {"processes": False, "n_workers": 2, "threads_per_worker": 1}
    >>> with Client(**threads, dashboard_address=":0"):
    ...     model = BackpropClassifier(16, random_state=0).fit(x, y)
    ...     accuracy = model.score(x, y)
    >>> accuracy > 0.95
    True
    """

    _local, _output = LocalClassifier, "softmax"

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "logistic",
        *,
        learning_rate_init: float = 0.1,
        batch_size: int | None = 1,
        max_iter: int = 200,
        local_epochs: int = 1,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-3,
        n_iter_no_change: int = 5,
        n_threads: int = 1,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation,
            learning_rate_init=learning_rate_init,
            batch_size=batch_size,
            max_iter=max_iter,
            local_epochs=local_epochs,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            n_iter_no_change=n_iter_no_change,
            n_threads=n_threads,
        )

    @property
    def classes_(self) -> np.ndarray:
        """Class labels."""
        return self.estimator_.classes_

    def _targets(self, y: Any, chunks: list[Any]) -> tuple[list[Any], int, dict[str, Any]]:
        found = compute(*(delayed(np.unique)(chunk, return_counts=True) for chunk in chunks))
        classes = np.unique(np.concatenate([labels for labels, _ in found]))
        check_classes(classes, sum(int(counts.sum()) for _, counts in found))
        return [delayed(class_indices)("y", chunk, classes) for chunk in chunks], len(classes), {"classes": classes}

    def predict(self, X: Any) -> Any:
        """Most probable label of each sample.

        Parameters
        ----------
        X : dask array or dataframe, or array-like, of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        dask array, or ndarray, of shape (n_samples,)
            A lazy dask array if X is a dask collection.

        Raises
        ------
        ValueError
            If the columns of X are not those of `fit`, in number, name or order.
        """
        check_is_fitted(self)
        return self._map_chunks("predict", X, self.classes_.dtype, None)

    def predict_proba(self, X: Any) -> Any:
        """Probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : dask array or dataframe, or array-like, of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        dask array, or ndarray, of shape (n_samples, n_classes)
            A lazy dask array if X is a dask collection.

        Raises
        ------
        ValueError
            If the columns of X are not those of `fit`, in number, name or order.
        """
        check_is_fitted(self)
        return self._map_chunks("predict_proba", X, self.estimator_.network_.dtype, len(self.classes_))

    def score(self, X: Any, y: Any) -> float:
        """Accuracy. Only labels are sent to the client.

        Parameters
        ----------
        X : dask array or dataframe, or array-like, of shape (n_samples, n_features)
            Inputs.
        y : dask array or series, or array-like, of shape (n_samples,)
            Labels.

        Returns
        -------
        float
        """
        (wanted,), (predicted,) = compute(y), compute(self.predict(X))
        return float(accuracy_score(wanted, predicted))


class BackpropRegressor(RegressorMixin, _Backprop):
    """Regressor for dask arrays and dataframes, trained on the workers of the current client.

    y of shape (n_samples,) or (n_samples, n_outputs) holds the numbers to be predicted, ideally with a standard
    deviation near 1.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of one int, default=(100,)
        M, the number of hidden units.
    activation : {"logistic", "tanh", "relu"}, default="tanh"
        Function of the hidden units; "logistic" is the sigmoid.
    learning_rate_init : float, default=0.01
        α of (17).
    batch_size : int or None, default=1
        Samples per update, as for `fit` of this module: None is exact, any other value fast.
    max_iter : int, default=200
        Maximum number of epochs.
    local_epochs : int, default=1
        Number of epochs between two averages of the weights.
    shuffle : bool, default=True
        Draw a new order of the samples of each shard for each epoch.
    random_state : int, RandomState instance or None, default=None
        Source of random numbers for the initial weights and the order of the samples.
    tol : float, default=1e-3
        Minimum decrease of the loss that counts as an improvement.
    n_iter_no_change : int, default=5
        Maximum number of consecutive rounds without improvement.
    n_threads : int, default=1
        Maximum number of threads per shard.

    Attributes
    ----------
    estimator_ : cbackprop.sklearn.BackpropRegressor
        The trained regressor, which does not need dask.
    n_features_in_ : int
        D, the number of inputs.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are all strings.
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
    >>> threads = {"processes": False, "n_workers": 2, "threads_per_worker": 1}
    >>> with Client(**threads, dashboard_address=":0"):
    ...     model = BackpropRegressor(16, random_state=0).fit(x, y)
    ...     r2 = model.score(x, y)
    >>> r2 > 0.5
    True
    """

    _local, _output = LocalRegressor, "linear"

    def _targets(self, y: Any, chunks: list[Any]) -> tuple[list[Any], int, dict[str, Any]]:
        return chunks, 1 if y.ndim == 1 else y.shape[1], {}

    def predict(self, X: Any) -> Any:
        """Predicted numbers of each sample.

        Parameters
        ----------
        X : dask array or dataframe, or array-like, of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        dask array, or ndarray, of shape (n_samples,), or (n_samples, n_outputs) for several outputs
            A lazy dask array if X is a dask collection.

        Raises
        ------
        ValueError
            If the columns of X are not those of `fit`, in number, name or order.
        """
        check_is_fitted(self)
        network = self.estimator_.network_
        return self._map_chunks("predict", X, network.dtype, None if len(network.v) == 1 else len(network.v))

    def score(self, X: Any, y: Any) -> float:
        """Coefficient of determination R². Only numbers are sent to the client.

        Parameters
        ----------
        X : dask array or dataframe, or array-like, of shape (n_samples, n_features)
            Inputs.
        y : dask array, series or dataframe, or array-like, of shape (n_samples,) or (n_samples, n_outputs)
            Numbers.

        Returns
        -------
        float
        """
        (wanted,), (predicted,) = compute(y), compute(self.predict(X))
        return float(r2_score(wanted, predicted))


# ------------------------------------------------------------ tasks on workers, under names that the dashboard displays


def load_shard(number: int, x: Any, t: Any, dtype: np.dtype, D: int, K: int, output: str) -> tuple[Any, Any] | None:
    """Validate x and t of a shard; None if it has no rows."""
    if x.shape[0] == 0:
        return None
    w, v = np.empty((1, D + 1), dtype), np.empty((K, 2), dtype)  # stand for weights, of which only D, K and dtype count
    try:
        if hasattr(x, "columns"):
            for name, column_dtype in x.dtypes.items():
                if column_dtype.kind not in "biuf":
                    raise TypeError(f"column {name!r} of x has dtype {column_dtype}; it must hold real numbers")
        checked = validate.inputs(x, w, v)
        rows, labels = validate.targets(t, len(checked), w, v, output)
    except (TypeError, ValueError) as error:
        raise type(error)(f"shard {number}: {error}") from None
    return x.astype(dtype, copy=False) if issparse(x) else checked, labels if rows is None else rows


def count_rows(shard: tuple[Any, Any] | None) -> int:
    """Number of rows of a shard."""
    return 0 if shard is None else shard[0].shape[0]


def current_weights(w: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weights at the start of a round."""
    return w, v


def shard_gradients(
    numbers: list[int],
    shards: list[tuple[Any, np.ndarray]],
    weights: tuple[np.ndarray, np.ndarray],
    functions: validate.Functions,
) -> list[dict[str, Any]]:
    """Gradient (3) over the rows of each shard."""
    results = []
    w, v = _copies(weights)
    for n, (x, t) in zip(numbers, shards, strict=True):
        E, dw, dv = error_and_gradient(x, t, w, v, functions)
        results.append({"shard": n, "rows": x.shape[0], "losses": np.array([E]), "dw": dw, "dv": dv})
    return results


def learn_shards(
    numbers: list[int],
    shards: list[tuple[Any, np.ndarray]],
    weights: tuple[np.ndarray, np.ndarray],
    generators: list[np.random.Generator],
    options: dict[str, Any],
) -> list[dict[str, Any]]:
    """Updates (17) with the rows of each shard, all from the same weights."""
    results = []
    for n, (x, t) in zip(numbers, shards, strict=True):
        (w, v), generator = _copies(weights), copy.deepcopy(generators[n])
        losses = np.array(cbackprop.fit(x, t, w, v, rng=generator, **options).losses)
        results.append({"shard": n, "rows": x.shape[0], "losses": losses, "w": w, "v": v, "generator": generator})
    return results


def _copies(weights: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Copies of received weights, which a repeated task needs unchanged and which may be misaligned."""
    return layout.copies(*weights)


# ---------------------------------------------------------------------------------------------- functions of the client


def _load_shards(client: Client, x: list[Any], t: list[Any], network: Network) -> list[Any]:
    """Futures of the validated shards that have rows, each on the worker where dask has put it."""
    needed = network.dtype, network.w.shape[1] - 1, len(network.v), network.output
    shards = client.compute(
        [delayed(load_shard)(n, *chunks, *needed) for n, chunks in enumerate(zip(x, t, strict=True))]
    )
    sizes = client.gather(client.map(count_rows, shards))
    if not any(sizes):
        raise ValueError("x has no rows")
    return [shard for shard, size in zip(shards, sizes, strict=True) if size]


def _run_tasks(client: Client, shards: list[Any], task: Callable[..., Any], *arguments: Any) -> list[dict[str, Any]]:
    """Run `task` on all shards and return its results in their order.

    Each thread of a worker gets one task, for its part of the shards on that worker: since no task is queued, dask
    moves none to another worker. If a worker is lost, its shards and tasks are computed again elsewhere.
    """
    shards_of: dict[str, list[int]] = {}  # numbers of shards by worker
    workers = client.who_has(shards)
    for n, shard in enumerate(shards):
        shards_of.setdefault(min(workers.get(shard.key, ()), default=""), []).append(n)
    threads = client.nthreads()
    futures = [
        client.submit(
            task,
            part,
            [shards[n] for n in part],
            *arguments,
            workers=[worker] if worker in threads else None,
            allow_other_workers=worker in threads,
            pure=False,
        )
        for worker, numbers in shards_of.items()
        for part in (numbers[start :: threads.get(worker, 1)] for start in range(threads.get(worker, 1)))
        if part
    ]
    results = [result for results in client.gather(futures) for result in results]
    return sorted(results, key=itemgetter("shard"))


def _updated(network: Network, results: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """The weights after an update (17) with the mean gradient; the caller checks that they are finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        alpha = network.dtype.type(network.learning_rate)
        return network.w - alpha * _mean(results, "dw"), network.v - alpha * _mean(results, "dv")


def _mean(results: list[dict[str, Any]], name: str) -> np.ndarray:
    """Mean weighted by rows and summed in the order of the shards; that of one shard is exact."""
    rows = sum(result["rows"] for result in results)
    return reduce(add, (result["rows"] / rows * result[name] for result in results))


def _aligned_chunks(x: Any, t: Any) -> tuple[list[Any], list[Any]]:
    """Chunks of x and of t with the same rows."""
    if isinstance(x, da.Array) and isinstance(t, da.Array) and x.shape[:1] == t.shape[:1]:
        t = t.rechunk({0: x.chunks[0]})
    x_chunks, t_chunks = _chunks(x), _chunks(t)
    if len(x_chunks) != len(t_chunks):
        raise ValueError(f"x has {len(x_chunks)} chunks of rows and t has {len(t_chunks)}; they must have the same")
    return x_chunks, t_chunks


def _chunks(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, da.Array):
        if value.ndim == 2:
            value = value.rechunk({1: -1})
        return list(value.to_delayed().ravel())
    if hasattr(value, "to_delayed"):
        return list(value.to_delayed())
    return [value if issparse(value) else np.asanyarray(value)]


def _validate_columns(model: BaseEstimator, X: Any, *, reset: bool) -> None:
    """Record the number and the names of the columns of X, or compare them with those recorded, like scikit-learn."""
    is_frame = hasattr(X, "to_dask_array")  # scikit-learn reads the names of frames of pandas only
    validate_data(model, X._meta if is_frame else X, reset=reset, skip_check_array=True)


def _float_dtype(X: Any) -> np.dtype:
    dtypes = set(X.dtypes) if hasattr(X, "columns") else {X.dtype}
    return np.dtype(np.float32 if dtypes == {np.dtype(np.float32)} else np.float64)

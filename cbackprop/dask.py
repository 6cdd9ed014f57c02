"""Learning on more than one machine, by dask.distributed.

Needs the extra `dask`: ``pip install "cbackprop[dask]"``. The rows of a dask array or dataframe lie on the workers in
chunks, the shards. They stay there; in every round the weights travel to them and what was learned travels back:

- ``batch_size=None``, exact: each shard takes the mean of the gradients (16) and (18) of its rows; these are added in
  the order of the shards, each with the weight of its rows, and one update (17) follows. It is the batch gradient (3),
  to rounding.
- any other ``batch_size``, fast: each shard learns its rows by itself, sample by sample or in mini-batches, and the
  mean of all weights is where the next round begins. One shard is local learning to the bit. More shards are **not**
  sequential SGD: in a round all of them begin at the same weights, and their mean has gone no farther than one of
  them. docs/guides/dask.md has a figure of what that costs, and an estimate of how far it scales.

Both end in the same bits on any number of workers, in whatever order they finish, and if some of them are lost: the
order of sums and all random numbers belong to the shards.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import reduce
from operator import add, itemgetter
from typing import Any

import numpy as np

import cbackprop
from cbackprop import DivergenceError, History, Network
from cbackprop import _gate as gate
from cbackprop._extras import require
from cbackprop._functions import error_and_gradient
from cbackprop._in_training import InTraining
from cbackprop._results import REMEDY
from cbackprop.reference import descend

require("distributed", "dask")
require("sklearn", "dask")
import dask.array as da  # noqa: E402
from dask.base import compute  # noqa: E402
from dask.delayed import delayed  # noqa: E402
from distributed import Client, get_client  # noqa: E402
from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: E402
from sklearn.metrics import accuracy_score  # noqa: E402
from sklearn.utils import check_random_state  # noqa: E402
from sklearn.utils.validation import check_is_fitted  # noqa: E402

from cbackprop.sklearn import BackpropClassifier as LocalClassifier  # noqa: E402
from cbackprop.sklearn import class_indices  # noqa: E402


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
    """Learn from the rows that the workers hold, epoch after epoch, in place.

    Parameters
    ----------
    client : distributed.Client
        Connected to the workers.
    network : Network
        Its arrays are updated at the end of every round.
    x : dask array or dataframe of shape (N, D), or ndarray
        Inputs. Each chunk of rows, or partition, is a shard; an ndarray is one.
    t : dask array or series of shape (N,), dask array of shape (N, K), or ndarray
        Class indices, or rows that sum to 1, in chunks of the same rows.
    epochs : int
        Passes over all samples.
    batch_size : int or None
        None: the exact batch gradient; order, rounds and threads then play no part. Otherwise shards learn by
        themselves, as `cbackprop.fit` does.
    local_epochs : int
        Epochs that the shards learn by themselves before the mean is taken: a round.
    shuffle : bool
        Take the samples of a shard in a new order at each epoch.
    rng : None, int or numpy.random.Generator
        For the first shard, as for local learning; the others get generators that it spawns.
    n_threads : int
        Threads for each shard, at most.
    callback : callable, optional
        Called as ``callback(epoch, loss)`` with the last epoch of each round; True stops.

    Returns
    -------
    History
        Mean E of each epoch, epochs run, samples seen.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is described here; the message names it, and the shard. The weights are unchanged.
    DivergenceError
        If E or a weight is no longer finite. The weights are those at the start of the round.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_wine
    >>> import cbackprop, cbackprop.dask
    >>> x, t = load_wine(return_X_y=True)
    >>> x = (x - x.mean(axis=0)) / x.std(axis=0)
    >>> network = cbackprop.Network(13, 16, 3, rng=0)
    >>> with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
    ...     history = cbackprop.dask.fit(
    ...         client, network, da.from_array(x, chunks=(60, -1)), da.from_array(t, chunks=60), epochs=10, rng=0
    ...     )
    >>> bool((network.predict(x) == t).mean() > 0.95)
    True
    """
    gate.weights(network.w, network.v, written=True)
    gate.finite_weights(network.w, network.v)
    epochs, local_epochs = gate.count("epochs", epochs), gate.count("local_epochs", local_epochs)
    if batch_size is not None:
        gate.count("batch_size", batch_size)
    gate.count("n_threads", n_threads)
    stops = gate.callback(callback)
    generator = gate.generator(rng)
    shards = _load(client, *_aligned(x, t), network)
    generators = [generator, *generator.spawn(len(shards) - 1)]
    options = {
        "learning_rate": network.learning_rate,
        "batch_size": batch_size,
        "shuffle": gate.flag("shuffle", shuffle),
        "n_threads": n_threads,
    }
    losses: list[float] = []
    samples = 0

    def learn() -> None:
        nonlocal generators, samples
        while len(losses) < epochs:
            at_once = 1 if batch_size is None else min(local_epochs, epochs - len(losses))
            # a task, not scattered data: if the worker that holds the weights is lost, dask makes them anew on another
            weights = client.submit(current_weights, network.w.copy(), network.v.copy(), pure=False)
            try:
                if batch_size is None:
                    answers = _answers(client, shards, shard_gradients, weights)
                    w, v = network.w.copy(), network.v.copy()
                    with np.errstate(over="ignore", invalid="ignore"):  # what isn't finite is looked for below
                        descend(w, _mean(answers, "dw"), network.learning_rate)
                        descend(v, _mean(answers, "dv"), network.learning_rate)
                else:
                    answers = _answers(client, shards, learn_shards, weights, generators, options | {"epochs": at_once})
                    w, v = _mean(answers, "w"), _mean(answers, "v")
                    generators = [answer["generator"] for answer in answers]
                E = _mean(answers, "losses")
                if not (np.isfinite(E).all() and np.isfinite(w).all() and np.isfinite(v).all()):
                    raise DivergenceError
            except DivergenceError:
                raise DivergenceError(f"learning diverged in epoch {len(losses) + 1} or soon after: {REMEDY}") from None
            network.w[:], network.v[:] = w, v
            losses.extend(E.tolist())
            samples += at_once * sum(answer["rows"] for answer in answers)
            if stops(len(losses), losses[-1]):
                break

    InTraining(network.w, network.v).during(learn)
    generator.bit_generator.state = generators[0].bit_generator.state  # as local learning leaves it
    return History(losses, len(losses), samples)


class BackpropClassifier(ClassifierMixin, BaseEstimator):
    """A classifier for dask arrays and dataframes, which learns on the workers of the current client.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of one int, default=(100,)
        M, the number of hidden units.
    learning_rate_init : float, default=0.1
        α of (17).
    batch_size : int or None, default=1
        As for `fit` of this module: None is exact, anything else fast.
    max_iter : int, default=200
        Epochs at most.
    local_epochs : int, default=1
        Epochs between two means.
    shuffle : bool, default=True
        Take the samples of a shard in a new order at each epoch.
    random_state : int, RandomState instance or None, default=None
        For initial weights and the order of samples.
    tol : float, default=1e-3
        What counts as an improvement of the loss.
    n_iter_no_change : int, default=5
        Rounds without improvement after which training stops.
    n_threads : int, default=1
        Threads for each shard, at most.

    Attributes
    ----------
    classifier_ : cbackprop.sklearn.BackpropClassifier
        What was learned, for use without dask.
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes.
    n_features_in_ : int
        D, the number of inputs.
    loss_curve_ : list of float
        Mean E of each epoch.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_wine
    >>> from cbackprop.dask import BackpropClassifier
    >>> x, y = load_wine(return_X_y=True)
    >>> x, y = da.from_array((x - x.mean(axis=0)) / x.std(axis=0), chunks=(60, -1)), da.from_array(y, chunks=60)
    >>> with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None):
    ...     model = BackpropClassifier(16, random_state=0).fit(x, y)
    ...     accuracy = model.score(x, y)
    >>> accuracy > 0.95
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.local_epochs = local_epochs
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.n_threads = n_threads

    def fit(self, X: Any, y: Any, *, callback: Callable[[int, float], object] | None = None) -> BackpropClassifier:
        """Learn from all samples.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_samples, n_features)
            Inputs. float32 is computed in float32, all else in float64.
        y : dask array or series of shape (n_samples,)
            Labels, in chunks of the same rows.
        callback : callable, optional
            As for `fit` of this module.

        Returns
        -------
        BackpropClassifier
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument is not what is described here. A fitted model stays as it was.
        """
        stops = gate.callback(callback)
        x, labels = _aligned(X, y)
        classes = np.unique(np.concatenate(compute(*(delayed(np.unique)(part) for part in labels))))
        t = [delayed(class_indices)("y", part, classes) for part in labels]
        random_state = check_random_state(self.random_state)
        local = LocalClassifier(self.hidden_layer_sizes, random_state=random_state)
        local.n_features_in_ = X.shape[1]
        network = local._new_network(len(classes), _real(X), local._random()[1])
        network.learning_rate = self.learning_rate_init
        best, unimproved = np.inf, 0

        def watch(epoch: int, loss: float) -> bool:
            nonlocal best, unimproved
            unimproved = unimproved + 1 if loss > best - self.tol else 0
            best = min(best, loss)
            return stops(epoch, loss) or unimproved > self.n_iter_no_change

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
        self.classifier_ = LocalClassifier.from_network(network, classes, learning_rate_init=self.learning_rate_init)
        self.classes_, self.n_features_in_, self.loss_curve_ = classes, X.shape[1], history.losses
        return self

    def predict(self, X: Any) -> Any:
        """The most probable label of each sample.

        Parameters
        ----------
        X : dask array or dataframe, or array-like, of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        dask array, or ndarray, of shape (n_samples,)
            Computed where and when it is asked for, if X is dask's.
        """
        check_is_fitted(self)
        return _map(self.classifier_.predict, X, self.classes_.dtype, None)

    def predict_proba(self, X: Any) -> Any:
        """Probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : dask array or dataframe, or array-like, of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        dask array, or ndarray, of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        return _map(self.classifier_.predict_proba, X, self.classifier_.network_.dtype, len(self.classes_))

    def score(self, X: Any, y: Any) -> float:
        """Accuracy; only labels travel.

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
        (labels,), (predicted,) = compute(y), compute(self.predict(X))
        return float(accuracy_score(labels, predicted))


# --------------------------------------------------------------------------- tasks, by the names the dashboard shows


def load_shard(number: int, x: Any, t: Any, dtype: np.dtype, D: int, K: int) -> tuple[np.ndarray, Any] | None:
    """x and t of a shard as the kernels want them; None if it has no rows."""
    if len(x) == 0:
        return None
    w, v = np.empty((1, D + 1), dtype), np.empty((K, 2), dtype)  # the gate looks at their shapes
    try:
        if hasattr(x, "columns"):
            for name, dtype_of in x.dtypes.items():
                if dtype_of.kind not in "biuf":
                    raise TypeError(f"column {name!r} of x has dtype {dtype_of}; it must hold real numbers")
        x = gate.inputs(x, w, v)
        rows, labels = gate.targets(t, len(x), w, v)
    except (TypeError, ValueError) as error:
        raise type(error)(f"shard {number}: {error}") from None
    return x, labels if rows is None else rows


def count_rows(shard: tuple[np.ndarray, Any] | None) -> int:
    """N of a shard."""
    return 0 if shard is None else len(shard[0])


def current_weights(w: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What all tasks of a round begin with."""
    return w, v


def shard_gradients(
    numbers: list[int], shards: list[tuple[np.ndarray, np.ndarray]], weights: tuple[np.ndarray, np.ndarray]
) -> list[dict[str, Any]]:
    """(3) over the rows of each shard."""
    answers = []
    w, v = _own(weights)
    for n, (x, t) in zip(numbers, shards, strict=True):
        E, dw, dv = error_and_gradient(x, t, w, v)
        answers.append({"shard": n, "rows": len(x), "losses": np.array([E]), "dw": dw, "dv": dv})
    return answers


def learn_shards(
    numbers: list[int],
    shards: list[tuple[np.ndarray, np.ndarray]],
    weights: tuple[np.ndarray, np.ndarray],
    generators: list[np.random.Generator],
    options: dict[str, Any],
) -> list[dict[str, Any]]:
    """(17) over the rows of each shard, from the same weights."""
    answers = []
    for n, (x, t) in zip(numbers, shards, strict=True):
        (w, v), generator = _own(weights), copy.deepcopy(generators[n])
        losses = np.array(cbackprop.fit(x, t, w, v, rng=generator, **options).losses)
        answers.append({"shard": n, "rows": len(x), "losses": losses, "w": w, "v": v, "generator": generator})
    return answers


def _own(weights: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Copies: whoever repeats a task needs the weights as they came, and as they came they may be misaligned."""
    return tuple(array.copy() for array in weights)


# ---------------------------------------------------------------------------------------------------------- the pieces


def _load(client: Client, x: list[Any], t: list[Any], network: Network) -> list[Any]:
    """The shards that have rows, checked, each where dask has put it."""
    D, K = network.w.shape[1] - 1, len(network.v)
    shards = client.compute(
        [delayed(load_shard)(n, *parts, network.dtype, D, K) for n, parts in enumerate(zip(x, t, strict=True))]
    )
    sizes = client.gather(client.map(count_rows, shards))
    if not any(sizes):
        raise ValueError("x has no rows")
    return [shard for shard, size in zip(shards, sizes, strict=True) if size]


def _answers(client: Client, shards: list[Any], task: Callable[..., Any], *arguments: Any) -> list[dict[str, Any]]:
    """What `task` answers for each shard, in their order.

    Every thread of a worker gets one task, with the shards that lie there: no worker has tasks waiting, and so dask
    has none to give to another. If a worker is lost, its tasks and shards are made anew elsewhere.
    """
    places: dict[str, list[int]] = {}
    held = client.who_has(shards)
    for n, shard in enumerate(shards):
        places.setdefault(min(held.get(shard.key, ()), default=""), []).append(n)
    threads = client.nthreads()
    futures = [
        client.submit(
            task,
            part,
            [shards[n] for n in part],
            *arguments,
            workers=[place] if place in threads else None,
            allow_other_workers=place in threads,
            pure=False,
        )
        for place, numbers in places.items()
        for part in (numbers[start :: threads.get(place, 1)] for start in range(threads.get(place, 1)))
        if part
    ]
    answers = [answer for answers in client.gather(futures) for answer in answers]
    return sorted(answers, key=itemgetter("shard"))


def _aligned(x: Any, t: Any) -> tuple[list[Any], list[Any]]:
    """The chunks of x and of t, of the same rows each."""
    if isinstance(x, da.Array) and isinstance(t, da.Array) and x.shape[:1] == t.shape[:1]:
        t = t.rechunk({0: x.chunks[0]})
    x_parts, t_parts = _parts(x), _parts(t)
    if len(x_parts) != len(t_parts):
        raise ValueError(f"x has {len(x_parts)} chunks of rows and t has {len(t_parts)}; they must have the same")
    return x_parts, t_parts


def _parts(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, da.Array):
        if value.ndim == 2:
            value = value.rechunk({1: -1})
        return list(value.to_delayed().ravel())
    return list(value.to_delayed()) if hasattr(value, "to_delayed") else [np.asarray(value)]


def _mean(answers: list[dict[str, Any]], name: str) -> np.ndarray:
    """Added in the order of the shards, each weighted by its rows; one alone keeps its bits."""
    rows = sum(answer["rows"] for answer in answers)
    return reduce(add, (answer["rows"] / rows * answer[name] for answer in answers))


def _real(X: Any) -> np.dtype:
    dtypes = set(X.dtypes) if hasattr(X, "columns") else {X.dtype}
    return np.dtype(np.float32 if dtypes == {np.dtype(np.float32)} else np.float64)


def _map(answer: Callable[[Any], np.ndarray], X: Any, dtype: np.dtype, columns: int | None) -> Any:
    """`answer` for each chunk of X, or for X itself if it isn't dask's."""
    if hasattr(X, "to_dask_array"):
        X = X.to_dask_array()
    if not isinstance(X, da.Array):
        return answer(X)
    X = X.rechunk({1: -1})
    if columns is None:
        return X.map_blocks(answer, drop_axis=1, dtype=dtype, meta=np.empty(0, dtype))
    return X.map_blocks(answer, chunks=(X.chunks[0], (columns,)), dtype=dtype, meta=np.empty((0, columns), dtype))

"""Training of a network by rounds of tasks on the workers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import reduce
from itertools import compress
from operator import add, itemgetter
from typing import Any

import dask.array as da
import numpy as np
from dask.delayed import delayed
from distributed import Client
from scipy.sparse import issparse

from cbackprop import DivergenceError, History, Network
from cbackprop import _validation as validate
from cbackprop._functions import error_and_gradient
from cbackprop._results import REMEDY
from cbackprop._training_lock import TrainingLock


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

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_wine
    >>> import cbackprop, cbackprop.dask
    >>> x, t = load_wine(return_X_y=True)
    >>> x = (x - x.mean(axis=0)) / x.std(axis=0)
    >>> network = cbackprop.Network(13, 16, 3, rng=0)
    >>> with Client(processes=False, dashboard_address=":0") as client:
    ...     shards = da.from_array(x, chunks=(60, -1)), da.from_array(t, chunks=60)
    ...     history = cbackprop.dask.fit(client, network, *shards, epochs=10, rng=0)
    >>> bool((network.predict(x) == t).mean() > 0.95)
    True
    """
    validate.weights(network.w, network.v, writeable=True)
    validate.finite_weights(network.w, network.v)
    if network.adaptive:
        raise ValueError("network is adaptive; shards learn with a constant rate: use Network(..., adaptive=False)")
    if network.standardize:
        raise ValueError("network standardizes its inputs, which shards do not: use Network(..., standardize=False)")
    epochs, local_epochs = validate.count("epochs", epochs), validate.count("local_epochs", local_epochs)
    if batch_size is not None:
        validate.count("batch_size", batch_size)
    validate.count("n_threads", n_threads)
    should_stop = validate.callback(callback)
    generator = validate.generator(rng)
    shards = _load_shards(client, *aligned_chunks(x, t), network)
    generators = [generator, *generator.spawn(len(shards) - 1)]
    options = {"batch_size": batch_size, "shuffle": validate.flag("shuffle", shuffle), "n_threads": n_threads}
    losses: list[float] = []
    samples = 0

    def learn() -> None:
        nonlocal generators, samples
        while len(losses) < epochs:
            round_epochs = 1 if batch_size is None else min(local_epochs, epochs - len(losses))
            # a task, not scattered data: if the worker that holds the network is lost, dask can run it again elsewhere
            start = client.submit(current_network, copy.deepcopy(network), pure=False)
            try:
                results = _run_tasks(client, shards, start, generators, options | {"epochs": round_epochs})
                with np.errstate(over="ignore", invalid="ignore"):
                    E, w, v = (_mean(results, name) for name in ("losses", "w", "v"))
                    if batch_size is None:
                        alpha = network.dtype.type(network.learning_rate)
                        w, v = network.w - alpha * w, network.v - alpha * v  # (17)
                if not (np.isfinite(E).all() and np.isfinite(w).all() and np.isfinite(v).all()):
                    raise DivergenceError
            except DivergenceError:
                raise DivergenceError(f"learning diverged in epoch {len(losses) + 1} or soon after: {REMEDY}") from None
            network.w[:], network.v[:] = w, v
            generators = [result["generator"] for result in results]
            losses.extend(E.tolist())
            samples += round_epochs * sum(result["rows"] for result in results)
            if should_stop(len(losses), losses[-1]):
                break

    TrainingLock(network.w, network.v).run(learn)
    generator.bit_generator.state = generators[0].bit_generator.state  # as after local training
    return History(losses, len(losses), samples)


# ------------------------------------------------------------ tasks on workers, under names that the dashboard displays


def load_shard(
    number: int, x: Any, t: Any, dtype: np.dtype, D: int, K: int, output: str
) -> tuple[Any, Any] | tuple[()]:
    """Validated x and t of a shard; nothing if it has no rows."""
    if x.shape[0] == 0:
        return ()
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


def current_network(network: Network) -> Network:
    """The network at the start of a round."""
    return network


def learn_shards(
    numbers: list[int],
    shards: list[tuple[Any, np.ndarray]],
    network: Network,
    generators: list[np.random.Generator],
    options: dict[str, Any],
) -> list[dict[str, Any]]:
    """Weights after the updates (17) with the rows of each shard; gradients (3) if batches are of all rows."""
    results = []
    for n, (x, t) in zip(numbers, shards, strict=True):
        # a repeated task needs the same network and generator
        local, generator = copy.deepcopy(network), copy.deepcopy(generators[n])
        if options["batch_size"] is None:
            E, w, v = error_and_gradient(x, t, local.w, local.v, local.functions)
            losses = [E]
        else:
            losses, w, v = local.fit(x, t, rng=generator, **options).losses, local.w, local.v
        result = {"shard": n, "rows": x.shape[0], "losses": np.array(losses), "w": w, "v": v, "generator": generator}
        results.append(result)
    return results


# ---------------------------------------------------------------------------------------------- functions of the client


def _load_shards(client: Client, x: list[Any], t: list[Any], network: Network) -> list[Any]:
    """Futures of the validated shards that have rows, each on the worker where dask has put it."""
    needed = network.dtype, network.w.shape[1] - 1, len(network.v), network.output
    shards = client.compute(
        [delayed(load_shard)(n, *chunks, *needed) for n, chunks in enumerate(zip(x, t, strict=True))]
    )
    with_rows = client.gather(client.map(bool, shards))
    if not any(with_rows):
        raise ValueError("x has no rows")
    return list(compress(shards, with_rows))


def _run_tasks(client: Client, shards: list[Any], *arguments: Any) -> list[dict[str, Any]]:
    """Run `learn_shards` on all shards and return its results in their order.

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
            learn_shards,
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


def _mean(results: list[dict[str, Any]], name: str) -> np.ndarray:
    """Mean weighted by rows and summed in the order of the shards; that of one shard is exact."""
    rows = sum(result["rows"] for result in results)
    return reduce(add, (result["rows"] / rows * result[name] for result in results))


def aligned_chunks(x: Any, t: Any) -> tuple[list[Any], list[Any]]:
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

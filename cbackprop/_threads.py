"""Multithreaded forward passes. Threads live only as long as the call, so that a fork never inherits a thread pool."""

import _thread  # unlike threading, it runs no tracers and starts threads even after the main thread has ended
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import _engines as engines
from . import _validation as validate
from ._results import Activations
from ._sparse import CSR, SparseRows
from ._training_lock import run_finally
from ._validation import Functions


def activations(
    x: ArrayLike | CSR,
    w: np.ndarray,
    v: np.ndarray,
    functions: Functions,
    n_threads: int,
    *,
    of_hidden_units: bool = False,
) -> Activations:
    """What `forward` returns, with b and z only on demand."""
    validate.weights(w, v, writeable=False)
    rows = validate.inputs(x, w, v, finite=False)  # a non-finite x surfaces as a non-finite b
    n_threads = validate.count("n_threads", n_threads)
    found, finite = forward(rows, w, v, functions, n_threads, of_hidden_units=of_hidden_units)
    if not finite:
        validate.inputs(x, w, v)
    if validate.first_invalid(found.y) is not None:
        validate.refuse_overflow(w, v)
    return found


def forward(
    x: np.ndarray | SparseRows,
    w: np.ndarray,
    v: np.ndarray,
    functions: Functions,
    n_threads: int,
    *,
    of_hidden_units: bool = False,
) -> tuple[Activations, bool]:
    """The activations of validated inputs, b and z only on demand; and whether all b are finite, as x is."""
    N, M, K = len(x), len(w), len(v)
    a, y = np.empty((N, K), w.dtype), np.empty((N, K), w.dtype)
    b: Any = np.empty((N, M), w.dtype) if of_hidden_units else None
    z: Any = np.empty((N, M), w.dtype) if of_hidden_units else None
    threads = engines.threads_to_predict(w, x, n_threads)
    make_engine = partial(engines.bulk_engine, w, v, functions, x)
    if threads == 1:
        engine = make_engine()
        finite = engine.forward(engine.samples(x), b, z, a, y)
    else:
        parallel = _ParallelForward(make_engine, x, (b, z, a, y), threads)
        finite = run_finally(parallel.run, parallel.cancel)
    return Activations(y, a, z, b), finite


class _ParallelForward:
    """A forward pass with one share of the samples per thread."""

    def __init__(self, make_engine: Callable[[], Any], x: Any, outputs: tuple[Any, ...], threads: int) -> None:
        self.make_engine, self.x = make_engine, x
        self.outputs = outputs  # b, z, a, y, where b and z may be None
        self.shares = [slice(*edges) for edges in pairwise(len(x) * n // threads for n in range(threads + 1))]
        self.pending = iter(range(threads))  # the next free thread takes the next share
        self.finite = [False] * threads
        self.active: list[engines.Engine] = []
        self.helpers: list[int] = []  # identifiers of the running threads besides this one
        self.failures: list[BaseException] = []
        self.cancelled = False
        self.process = os.getpid()

    def run(self) -> bool:
        with suppress(RuntimeError):  # no more threads can be started: continue with those that started
            for _ in self.shares[1:]:
                _thread.start_new_thread(self._help, ())
        self._forward_pending()
        self._join()
        if self.failures:
            raise self.failures[0]
        if os.getpid() != self.process:  # a signal handler forked: the child has no helpers, whose shares are missing
            self.pending = iter(range(len(self.shares)))
            self._forward_pending()
        return all(self.finite)

    def cancel(self, error: BaseException | None) -> None:
        """Stop all threads after an error, such as KeyboardInterrupt, and wait for them."""
        if error is not None:
            self.cancelled = True
            for engine in self.active:
                engine.stop()
            self._join()

    def _help(self) -> None:
        self.helpers.append(_thread.get_ident())
        try:
            self._forward_pending()
        except BaseException as failure:
            self.failures.append(failure)
        self.helpers.remove(_thread.get_ident())

    def _forward_pending(self) -> None:
        for n in self.pending:
            rows = self.shares[n]
            outputs: Any = [None if array is None else array[rows] for array in self.outputs]
            engine = self.make_engine()
            self.active.append(engine)
            self.finite[n] = not self.cancelled and engine.forward(engine.samples(self.x[rows]), *outputs)

    def _join(self) -> None:
        # polls, since an interrupted wait leaves it unknown who holds a lock
        while self.helpers and os.getpid() == self.process:
            time.sleep(5e-5)

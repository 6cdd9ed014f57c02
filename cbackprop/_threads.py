"""Work for several threads at once. They live no longer than a call: nothing survives into a fork."""

from typing import Any

import numpy as np

from . import _engines as engines
from ._dispatch import kernels


def forward_together(
    x: np.ndarray,
    w: np.ndarray,
    v: np.ndarray,
    b: np.ndarray | None,
    z: np.ndarray | None,
    a: np.ndarray,
    y: np.ndarray,
    n_threads: int,
) -> bool:
    """Activations of all samples, b and z only where they are wanted; each thread takes its share of the samples.

    Whether all b are finite: an x that is not leaves one that is not.
    """
    threads = engines.threads_to_predict(w, len(x), n_threads)
    starts = [len(x) * thread // threads for thread in range(threads + 1)]
    at_work: list[Any] = []
    over = False

    def share(thread: int) -> bool:
        rows = slice(starts[thread], starts[thread + 1])
        wanted = [None if array is None else array[rows] for array in (b, z)]
        engine = engines.whole_pass(w, v, len(x))
        if engine is None:
            engine = kernels(w.dtype).DirectEngine(w.shape[1] - 1, w.shape[0], v.shape[0], 1)
            engine.load(w, v)
        at_work.append(engine)
        return not over and engine.forward(x[rows], *wanted, a[rows], y[rows])

    if threads == 1:
        return share(0)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:  # whose end waits for all
        try:
            return all(list(pool.map(share, range(threads))))
        except BaseException:  # Ctrl-C
            over = True
            for engine in at_work:
                engine.stop()
            raise


def learn_together(engine: Any, threads: int, *arguments: Any) -> float:
    """`engine.learn` by several threads at once. Whatever comes in between, none of them is left at work."""
    if threads == 1:
        return engine.learn(*arguments)
    from threading import Event, Thread

    totals, finished = [0.0] * threads, [False] * threads
    failures: list[BaseException] = []
    start, done = Event(), Event()
    team = 0

    def work(thread: int) -> None:
        start.wait()
        if thread < team:
            try:
                totals[thread] = engine.learn(*arguments, thread)
            except BaseException as failure:
                failures.append(failure)
            finished[thread] = True
            if all(finished[:team]):
                done.set()

    def wait() -> None:  # not Thread.join: interrupted, it may take a living thread for a finished one
        while not all(finished[:team]):
            done.wait(0.1)

    try:
        started = 0
        try:
            for started in range(threads):
                Thread(target=work, args=(started,)).start()
            started = threads
        except RuntimeError:  # no more threads to be had: those that there are do it
            if started == 0:
                raise
        engine.set_threads(started)
        team = started
        start.set()
        wait()
    except BaseException:  # Ctrl-C, or what another signal raises: a team stops all together
        while True:
            try:
                start.set()
                engine.stop()
                wait()
                break
            except BaseException:  # and again
                continue
        raise
    if failures:
        raise failures[0]
    return totals[0]

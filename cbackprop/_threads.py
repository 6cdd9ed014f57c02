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

    def share(thread: int) -> bool:
        rows = slice(starts[thread], starts[thread + 1])
        wanted = [None if array is None else array[rows] for array in (b, z)]
        engine = engines.whole_pass(w, v, len(x))
        if engine is None:
            engine = kernels(w.dtype).DirectEngine(w.shape[1] - 1, w.shape[0], v.shape[0], 1)
            engine.load(w, v)
        return engine.forward(x[rows], *wanted, a[rows], y[rows])

    if threads == 1:
        return share(0)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        return all(list(pool.map(share, range(threads))))


def learn_together(engine: Any, threads: int, *arguments: Any) -> float:
    """`engine.learn` by several threads at once."""
    if threads == 1:
        return engine.learn(*arguments)
    from threading import Event, Thread

    totals, finished = [0.0] * threads, [False] * threads
    start, done = Event(), Event()
    team = 0

    def work(thread: int) -> None:
        start.wait()
        if thread < team:
            totals[thread] = engine.learn(*arguments, thread)
            finished[thread] = True
            if all(finished[:team]):
                done.set()

    workers = [Thread(target=work, args=(thread,)) for thread in range(threads)]
    try:
        for started, worker in enumerate(workers, 1):
            worker.start()
            team = started
    except RuntimeError:  # no more threads to be had: those that there are do it
        if team == 0:
            raise
    except BaseException:
        team = 0
        raise
    finally:
        engine.set_threads(max(1, team))
        start.set()
    interruption = None
    while not all(finished[:team]):  # not Thread.join: interrupted, it may take a living thread for a finished one
        try:
            done.wait(0.1)
        except BaseException as error:  # Ctrl-C, or what another signal raises: a team stops all together
            interruption = error
            engine.stop()
    if interruption is not None:
        raise interruption
    return totals[0]

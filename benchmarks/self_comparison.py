"""cbackprop compared with itself: threads, instruction sets, subnormal inputs, one-sample calls; its arithmetic rate
relative to that of NumPy. Each function returns metrics: a description, the value, and the target if there is one.
"""

import json
import math
import os
import sys
from typing import Any

import numpy as np

from .footprint import python
from .peers import library
from .work import Job, Work, article_work, interleaved, random_work


def metric(what: str, value: float, at_least: float | None = None, at_most: float | None = None) -> dict:
    limits = -np.inf if at_least is None else at_least, np.inf if at_most is None else at_most
    reached = None if at_least is at_most is None else limits[0] <= value <= limits[1]
    return {"what": what, "value": value, "at_least": at_least, "at_most": at_most, "reached": reached}


def best(times: dict[str, list[float]]) -> list[float]:
    return [min(repetitions) for repetitions in times.values()]


def rate(repeats: int, full: bool) -> list[dict]:
    """4MD + 6KM operations per sample, relative to NumPy's product of two 2048 x 2048 matrices in the same process."""
    found = []
    N, D, M, K = 600 if full else 64, 784, 1024, 10
    for dtype in ("float32", "float64"):
        a, b, c = np.random.default_rng(0).random((3, 2048, 2048)).astype(dtype)
        product = Job(lambda a=a, b=b, c=c: np.dot(a, b, out=c), lambda c=c: (c,))
        own, numpy = best(
            interleaved(
                {"cbackprop": library.fit(random_work("784-1024-10", dtype, N)), "NumPy": product}, min(repeats, 7)
            )
        )
        operations, peak = N * (4 * M * D + 6 * K * M) / own, 2 * 2048**3 / numpy
        what = (
            f"online 784-1024-10, {dtype}: {operations / 1e9:.0f} GF/s of its 4MD + 6KM operations per sample, "
            f"relative to the {peak / 1e9:.0f} GF/s of NumPy's 2048³ product"
        )
        found.append(metric(what, operations / peak, at_least=0.8))
    return found


def subnormal_inputs(repeats: int, full: bool) -> list[dict]:
    """Subnormal inputs compared with normal ones."""
    found = []
    for dtype, scale in (("float32", 1e-40), ("float64", 1e-310)):
        for shape, N in (("2-2-3", 20_000), ("64-32-10", 5_000), ("784-100-10", 1_000)):
            work = random_work(shape, dtype, N if full else 64)
            tiny = work._replace(x=(work.x.astype(np.float64) * scale).astype(dtype))
            normal, subnormal = best(interleaved({"normal": library.fit(work), "tiny": library.fit(tiny)}, repeats))
            what = f"online {shape}, {dtype}: inputs of {scale:g} compared with inputs of 1"
            found.append(metric(what, subnormal / normal, at_most=3))
    return found


def article_by_loops(repeats: int, full: bool) -> list[dict]:
    """The article's experiment in plain Python loops over the elements of NumPy arrays and of lists."""
    work = article_work("float64")
    own = library.fit(work)
    own.run()
    printed = [0.99658093, 1.10273217, 0.9006869]
    if not np.allclose(own.result()[1], np.array(printed)[:, np.newaxis], rtol=0, atol=5e-9):
        raise SystemExit(f"the article's experiment ends with v = {own.result()[1]}, not with {printed}")
    few = work._replace(epochs=10)
    loops = {"arrays": by_loops(few, as_lists=False), "lists": by_loops(few, as_lists=True)}
    expected = library.fit(few)
    expected.run()
    for job in loops.values():
        job.run()
        if not all(np.allclose(a, b, rtol=1e-12) for a, b in zip(job.result(), expected.result(), strict=True)):
            raise SystemExit("the plain loops and cbackprop have different results")
    fast, arrays, lists = best(interleaved({"cbackprop": own} | loops, min(repeats, 5)))
    arrays, lists = (slow * work.epochs / few.epochs for slow in (arrays, lists))
    return [
        metric("the article's experiment: plain loops over NumPy arrays compared with cbackprop", arrays / fast, 1000),
        metric("the article's experiment: plain loops over lists compared with cbackprop", lists / fast),
    ]


def gradient_by_loops(x: Any, t: Any, w: Any, v: Any, dw: Any, dv: Any, z: Any, y: Any) -> None:
    """Add the gradient of the mean loss to dw and dv, element by element; z and y are scratch."""
    N, D, M, K = len(x), len(x[0]), len(w), len(v)
    for n in range(N):
        for j in range(M):
            b = w[j][D]
            for i in range(D):
                b += w[j][i] * x[n][i]
            z[j] = 1 / (1 + math.exp(-b))
        for k in range(K):
            a = v[k][M]
            for j in range(M):
                a += v[k][j] * z[j]
            y[k] = math.exp(a)
        sum_exp = sum(y)
        for k in range(K):
            y[k] = y[k] / sum_exp - t[n][k]
            for j in range(M):
                dv[k][j] += y[k] * z[j] / N
            dv[k][M] += y[k] / N
        for j in range(M):
            hidden_error = 0.0
            for k in range(K):
                hidden_error += y[k] * v[k][j]
            hidden_error *= z[j] * (1 - z[j])
            for i in range(D):
                dw[j][i] += hidden_error * x[n][i] / N
            dw[j][D] += hidden_error / N


def by_loops(work: Work, as_lists: bool) -> Job:
    def copied(array: np.ndarray) -> Any:
        return array.tolist() if as_lists else array.copy()

    M, K = len(work.w), len(work.v)
    x, t, z, y = map(copied, (work.x, np.eye(K)[work.t], np.ones(M), np.ones(K)))
    weights: dict[str, Any] = {}

    def restore():
        weights["w"], weights["v"] = copied(work.w), copied(work.v)

    def run():
        w, v = weights["w"], weights["v"]
        for _ in range(work.epochs):
            dw, dv = copied(np.zeros_like(work.w)), copied(np.zeros_like(work.v))
            gradient_by_loops(x, t, w, v, dw, dv, z, y)
            for matrix, gradient in ((w, dw), (v, dv)):
                for row, gradient_row in zip(matrix, gradient, strict=True):
                    for column in range(len(row)):
                        row[column] -= work.learning_rate * gradient_row[column]

    restore()
    return Job(run, lambda: (np.array(weights["w"]), np.array(weights["v"])), restore)


# ------------------------------------------------------------------------------------------------ in other processes


def threads(repeats: int, full: bool) -> list[dict]:
    """Two threads compared with one, in a process that may use all processors."""
    if len(os.environ["CBACKPROP_COMPARE_CPUS"].split(",")) < 2:
        return []
    return json.loads(python("-m", "benchmarks.self_comparison", "threads", str(repeats), str(int(full))))


def threads_here(repeats: int, full: bool) -> list[dict]:
    os.sched_setaffinity(0, map(int, os.environ["CBACKPROP_COMPARE_CPUS"].split(",")))
    found = []
    for shape, N, least in (("784-1024-10", 4_000, 1.6), ("784-100-10", 10_000, None), ("64-32-10", 20_000, 1 / 1.05)):
        for dtype in ("float32", "float64"):
            work = random_work(shape, dtype, N if full else 64)
            jobs = {"one": library.fit(work), "two": library.fit(work, n_threads=2)}
            one, two = best(interleaved(jobs, repeats))
            (w_1, v_1), (w_2, v_2) = (job.result() for job in jobs.values())
            if w_1.tobytes() != w_2.tobytes() or v_1.tobytes() != v_2.tobytes():
                raise SystemExit(f"online {shape}, {dtype}: two threads and one have different results")
            found.append(
                metric(f"online {shape}, {dtype}: two threads compared with one (bitwise equal)", one / two, least)
            )
    return found


VARIANT_ROWS = [("online 784-100-10", 1), ("online 784-1024-10", 1), ("mini-batch 128, 784-1024-10", 128)]


def variants(repeats: int, full: bool) -> list[dict]:
    """The narrower instruction sets compared with AVX-512, in interleaved processes."""
    import cbackprop

    available = cbackprop.kernel_info()["available"]
    if "avx512" not in available:
        return []
    fastest: dict[str, list[float]] = {}
    for _ in range(3 if full else 1):
        for variant in available:
            arguments = ("-m", "benchmarks.self_comparison", "variant", str(repeats), str(int(full)))
            times = json.loads(python(*arguments, CBACKPROP_KERNEL=variant))
            fastest[variant] = [min(pair) for pair in zip(times, fastest.get(variant, times), strict=True)]
    names = [f"{what}, {dtype}" for what, _ in VARIANT_ROWS for dtype in ("float32", "float64")]
    return [
        metric(
            f"{name}: rate of the {variant} variant relative to avx512",
            own / other,
            at_least=0.45 if variant == "avx2" else None,
        )
        for variant in available[1:]
        for name, own, other in zip(names, fastest["avx512"], fastest[variant], strict=True)
    ]


def variant_here(repeats: int, full: bool) -> list[float]:
    found = []
    for what, batch_size in VARIANT_ROWS:
        for dtype in ("float32", "float64"):
            work = random_work(what.split()[-1], dtype, 768 if full else 256, batch_size)
            found += best(interleaved({"": library.fit(work)}, repeats))
    return found


if __name__ == "__main__":
    _, name, repeats, full = sys.argv
    print(json.dumps({"threads": threads_here, "variant": variant_here}[name](int(repeats), full == "1")))

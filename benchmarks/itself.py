"""cbackprop against itself: threads, instruction sets, subnormal inputs, one-sample calls, and how much of what the
processor can do its arithmetic gets. Each function gives figures: what, the number, and the target if there is one.
"""

import json
import os
import sys

import numpy as np

from .footprint import python
from .peers import library
from .work import Job, article_work, interleaved, random_work


def figure(what: str, value: float, at_least: float | None = None, at_most: float | None = None) -> dict:
    reached = None if at_least is at_most is None else (value >= (at_least or 0)) and (value <= (at_most or np.inf))
    return {"what": what, "value": value, "at_least": at_least, "at_most": at_most, "reached": reached}


def best(times: dict[str, list[float]]) -> list[float]:
    return [min(figures) for figures in times.values()]


def rate(repeats: int, full: bool) -> list[dict]:
    """4MD + 6KM operations a sample, beside NumPy's product of two 2048 x 2048 matrices in the same process."""
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
            f"online 784-1024-10, {dtype}: {operations / 1e9:.0f} GF/s of its 4MD + 6KM operations a sample, "
            f"as a part of the {peak / 1e9:.0f} GF/s of NumPy's 2048³ product"
        )
        found.append(figure(what, operations / peak, at_least=0.8))
    return found


def subnormal_inputs(repeats: int, full: bool) -> list[dict]:
    """Inputs that are subnormal, against the same ones of normal size."""
    found = []
    for dtype, scale in (("float32", 1e-40), ("float64", 1e-310)):
        for shape, N in (("2-2-3", 20_000), ("64-32-10", 5_000), ("784-100-10", 1_000)):
            work = random_work(shape, dtype, N if full else 64)
            tiny = work._replace(x=(work.x.astype(np.float64) * scale).astype(dtype))
            normal, subnormal = best(interleaved({"normal": library.fit(work), "tiny": library.fit(tiny)}, repeats))
            what = f"online {shape}, {dtype}: inputs of {scale:g}, against inputs of 1"
            found.append(figure(what, subnormal / normal, at_most=3))
    return found


def article_by_loops(repeats: int, full: bool) -> list[dict]:
    """The article's experiment by plain Python loops over the elements of NumPy arrays, and over those of lists."""
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
            raise SystemExit("the plain loops differ from cbackprop")
    fast, arrays, lists = best(interleaved({"cbackprop": own} | loops, min(repeats, 5)))
    arrays, lists = (slow * work.epochs / few.epochs for slow in (arrays, lists))
    return [
        figure("the article's experiment: plain loops over NumPy arrays, against cbackprop", arrays / fast, 1000),
        figure("the article's experiment: plain loops over lists, against cbackprop", lists / fast),
    ]


def by_loops(work, as_lists: bool) -> Job:
    from math import exp

    (N, D), M, K = work.x.shape, len(work.w), len(work.v)
    as_given = (lambda array: array.tolist()) if as_lists else (lambda array: array.copy())
    x, t = as_given(work.x), as_given(np.eye(K)[work.t])
    state = {}

    def restore():
        state["w"], state["v"] = as_given(work.w), as_given(work.v)

    def run():
        w, v = state["w"], state["v"]
        for _ in range(work.epochs):
            dw, dv = as_given(np.zeros((M, D + 1))), as_given(np.zeros((K, M + 1)))
            for n in range(N):
                z, y = as_given(np.ones(M)), as_given(np.ones(K))
                for j in range(M):
                    b = w[j][D]
                    for i in range(D):
                        b += w[j][i] * x[n][i]
                    z[j] = 1 / (1 + exp(-b))
                for k in range(K):
                    a = v[k][M]
                    for j in range(M):
                        a += v[k][j] * z[j]
                    y[k] = exp(a)
                total = sum(y)
                for k in range(K):
                    y[k] = y[k] / total - t[n][k]
                    for j in range(M):
                        dv[k][j] += y[k] * z[j] / N
                    dv[k][M] += y[k] / N
                for j in range(M):
                    back = 0.0
                    for k in range(K):
                        back += y[k] * v[k][j]
                    e = back * z[j] * (1 - z[j])
                    for i in range(D):
                        dw[j][i] += e * x[n][i] / N
                    dw[j][D] += e / N
            for weights, gradients in ((w, dw), (v, dv)):
                for row, change in zip(weights, gradients, strict=True):
                    for column in range(len(row)):
                        row[column] -= work.learning_rate * change[column]

    restore()
    return Job(run, lambda: (np.array(state["w"]), np.array(state["v"])), restore)


# ------------------------------------------------------------------------------------------- in processes of their own


def threads(repeats: int, full: bool) -> list[dict]:
    """Two threads against one; in a process that may use all processors."""
    if len(os.environ["CBACKPROP_COMPARE_CPUS"].split(",")) < 2:
        return []
    return json.loads(python("-m", "benchmarks.itself", "threads", str(repeats), str(int(full))))


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
                raise SystemExit(f"online {shape}, {dtype}: two threads don't give the bits of one")
            found.append(figure(f"online {shape}, {dtype}: two threads, against one (the same bits)", one / two, least))
    return found


VARIANT_ROWS = [("online 784-100-10", 1), ("online 784-1024-10", 1), ("mini-batch 128, 784-1024-10", 128)]


def variants(repeats: int, full: bool) -> list[dict]:
    """The narrower instruction sets against AVX-512: processes in turn."""
    import cbackprop

    available = cbackprop.kernel_info()["available"]
    if "avx512" not in available:
        return []
    fastest: dict[str, list[float]] = {}
    for _ in range(3 if full else 1):
        for variant in available:
            arguments = ("-m", "benchmarks.itself", "variant", str(repeats), str(int(full)))
            times = json.loads(python(*arguments, CBACKPROP_KERNEL=variant))
            fastest[variant] = [min(pair) for pair in zip(times, fastest.get(variant, times), strict=True)]
    names = [f"{what}, {dtype}" for what, _ in VARIANT_ROWS for dtype in ("float32", "float64")]
    return [
        figure(
            f"{name}: rate of the {variant} variant, against avx512",
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

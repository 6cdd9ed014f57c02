"""Measurements behind the cost rule in cbackprop/_engines.py: `python -m benchmarks.compare.engines`.

Every engine and block length on shapes from tiny to large, on one thread; forward passes over few samples; two threads
compared with one. The rule's choice is bold; "rule / best" is its time divided by that of the fastest choice.
"""

from collections.abc import Iterable

import numpy as np

from benchmarks import unpinned
from benchmarks.report import factor, readable, table, write
from benchmarks.work import DTYPES, Job, Work, fastest, random_work, samples, sizes
from cbackprop import _engines as rule
from cbackprop._dispatch import kernels, narrow_kernels
from cbackprop._validation import Functions

ONLINE = (
    "2-1-1", "2-2-3", "4-8-2", "8-8-3", "13-9-3", "20-16-5", "30-20-2", "12-24-8", "37-53-7", "63-32-10", "64-4-3",
    "64-4-10", "64-8-10", "64-16-10", "64-32-10", "64-500-10", "784-4-10", "784-16-10", "784-100-10", "784-300-100",
    "784-1024-10", "3000-300-10", "3000-2000-10",
)  # fmt: skip
BATCHES = (
    "2-2-3", "8-3-3", "32-3-3", "60-3-3", "128-2-3", "512-3-3", "12-8-3", "64-32-10", "784-100-10", "784-1024-10",
)  # fmt: skip
BATCH_SIZES = (4, 8, 32, 128, 1024)
BLOCKS = (8, 16, 24, 32, 48, 64, 128)
FORWARD = ("64-32-10", "784-100-10", "784-1024-10")
FORWARD_SAMPLES = (1, 2, 4, 8, 16, 32)
MAX_UNITS_IN_LANES = 32  # the samples-in-lanes engine is for tiny networks
THREADED = ("64-32-10", "64-500-10", "784-16-10", "784-50-10", "784-100-10", "784-200-10", "784-1024-10")
ENGINES = {  # the others are named by their block
    "DirectEngine": "direct",
    "LanesEngine": "lanes",
    "SamplesInLanesEngine": "samples in lanes",
}


def learning_job(engine, work: Work, threads: int = 1) -> Job:
    learned = engine.samples(work.x, None, work.t)
    w, v, order = work.w.copy(), work.v.copy(), np.arange(len(work.x))

    def run():
        engine.learn(learned, order, work.learning_rate, threads)

    def result():
        engine.store(w, v)
        return w, v

    def restore():
        work.restore(w, v)
        engine.load(w, v)

    return Job(run, result, restore)


def forward_job(engine_class: type, work: Work, shape: str, calls: int, **options) -> Job:
    """Forward passes, each by a new engine into which the weights are loaded."""
    D, M, K = sizes(shape)
    inputs = kernels(work.w.dtype).Samples(work.x)
    activations = tuple(np.empty((len(work.x), size), work.x.dtype) for size in (M, M, K, K))

    def run():
        for _ in range(calls):
            engine = engine_class(D, M, K, **options)
            engine.load(work.w, work.v)
            engine.forward(inputs, *activations)

    return Job(run, lambda: activations)


def lanes_engines(work: Work, shape: str) -> dict:
    """The lanes engine of all kernels whose vectors hold the layers in the few that it takes."""
    D, M, K = sizes(shape)
    modules = {"narrow lanes": narrow_kernels(work.w.dtype), "lanes": kernels(work.w.dtype)}
    if modules["narrow lanes"] is modules["lanes"]:
        del modules["narrow lanes"]
    return {
        name: module.LanesEngine(D, M, K)
        for name, module in modules.items()
        if M <= rule.MAX_VECTORS * module.LANES_IN_REGISTER and K <= rule.MAX_OUTPUT_VECTORS * module.LANES_IN_REGISTER
    }


def learning_times(work: Work, shape: str, repeats: int) -> dict[str, float]:
    """Seconds per sample of each engine and block length."""
    (D, M, K), module, B = sizes(shape), kernels(work.w.dtype), work.batch_size
    engines = {"direct": module.DirectEngine(D, M, K, B)}
    if B == 1:
        engines |= lanes_engines(work, shape)
    elif M <= MAX_UNITS_IN_LANES:
        engines["samples in lanes"] = module.SamplesInLanesEngine(D, M, K, B)
    engines |= {str(block): module.BlockedEngine(D, M, K, B, block=block) for block in BLOCKS}
    jobs = {name: learning_job(engine, work) for name, engine in engines.items()}
    return fastest(jobs, repeats, len(work.x))


def learning_cells(work: Work, shape: str, repeats: int) -> list[str]:
    times, online = learning_times(work, shape, repeats), work.batch_size == 1
    engine = type(rule.make_engine(work.w, work.v, Functions(), work.batch_size, "auto"))
    block = max(BLOCKS[0], rule.block_length(work.w, work.v, work.batch_size))  # no batch is too short for it
    chosen = ENGINES.get(engine.__name__, str(block))
    if rule.kernels_for(work.w, work.v, work.batch_size) is not kernels(work.w.dtype):
        chosen = f"narrow {chosen}"
    columns = ["direct", *(("narrow lanes", "lanes") if online else ("samples in lanes",)), *map(str, BLOCKS)]
    cells = [readable(times[name]) if name in times else "–" for name in columns]
    cells = [f"**{cell}**" if name == chosen else cell for name, cell in zip(columns, cells, strict=True)]
    return [*cells, factor(times[chosen] / min(times.values()) if chosen in times else float("nan"))]


def learning_table(shapes: tuple, batch_sizes: tuple, repeats: int, milliseconds: float) -> str:
    lines = []
    for shape in shapes:
        for B in batch_sizes:
            for dtype in DTYPES:
                work = random_work(shape, dtype, samples(shape, milliseconds, B), B)
                lines.append([shape, str(B), dtype, *learning_cells(work, shape, repeats)])
    lanes = ("narrow lanes", "lanes") if batch_sizes == (1,) else ("samples in lanes",)
    blocks = (f"block {block}" for block in BLOCKS)
    return table(["D-M-K", "batch", "dtype", "direct", *lanes, *blocks, "rule / best"], lines)


def forward_cell(work: Work, shape: str, repeats: int) -> str:
    """The time of the direct engine divided by that of the blocked one."""
    N, module = len(work.x), kernels(work.w.dtype)
    calls = max(1, 200_000 // (N * work.w.size))
    block = rule.block_length(work.w, work.v, max(N, 2))
    jobs = {
        "direct": forward_job(module.DirectEngine, work, shape, calls),
        "blocked": forward_job(module.BlockedEngine, work, shape, calls, batch_size=block, block=block),
    }
    direct, blocked = fastest(jobs, repeats).values()
    return f"**{factor(direct / blocked)}**" if rule.MIN_SAMPLES_BLOCKED <= N else factor(direct / blocked)


def forward_table(repeats: int) -> str:
    lines = [
        [shape, dtype, *(forward_cell(random_work(shape, dtype, N), shape, repeats) for N in FORWARD_SAMPLES)]
        for shape in FORWARD
        for dtype in DTYPES
    ]
    return table(["D-M-K", "dtype", *(f"N = {N}" for N in FORWARD_SAMPLES)], lines)


def threads_line(work: Work, shape: str, repeats: int) -> list[str]:
    (D, M, K), B = sizes(shape), work.batch_size
    block = rule.block_length(work.w, work.v, B)
    engines = {threads: kernels(work.w.dtype).BlockedEngine(D, M, K, B, block=block) for threads in (1, 2)}
    jobs = {threads: learning_job(engine, work, threads) for threads, engine in engines.items()}
    one, two = fastest(jobs, repeats, len(work.x)).values()
    chosen = rule.threads_to_learn(engines[1], work.w, work.v, B, 2)
    cells = [readable(one), readable(two)]
    cells[chosen - 1] = f"**{cells[chosen - 1]}**"
    cost = (one, two)[chosen - 1] / min(one, two)
    return [shape, str(work.w.dtype), str(B), f"{block * work.w.size:,}", *cells, factor(one / two), factor(cost)]


def threads_table(repeats: int, milliseconds: float) -> str:
    lines = [
        threads_line(random_work(shape, dtype, samples(shape, milliseconds), batch_size), shape, repeats)
        for shape in THREADED
        for dtype in DTYPES
        for batch_size in (1, 128)
    ]
    header = ["D-M-K", "dtype", "batch", "multiplications per block", "one thread", "two", "one / two", "rule / best"]
    return table(header, lines)


def sections(options) -> Iterable[str]:
    repeats, milliseconds = (1, 0.5) if options.quick else (9, 5)
    constants = {name: value for name, value in vars(rule).items() if name.isupper() and value < 1 << 40}
    yield f"Time per sample, the minimum of {repeats} interleaved repeats. Bold: the choice of the rule in"
    yield "`cbackprop/_engines.py`, with"
    yield ", ".join(f"{name} = {value:,}" for name, value in constants.items()) + "."
    yield "*rule / best*: its time divided by the best of the line.\n"
    yield "## Online, one thread\n"
    yield learning_table(ONLINE, (1,), repeats, milliseconds)
    yield "## Mini-batches, one thread\n"
    yield learning_table(BATCHES, BATCH_SIZES, repeats, milliseconds)
    yield "## Forward passes over N samples: time of direct / time of blocked, with loading the weights\n"
    yield "Bold: the rule takes the blocked engine.\n"
    yield forward_table(repeats)
    if unpinned() > 1:
        yield "## Two threads compared with one, not pinned\n"
        yield threads_table(repeats, milliseconds)


if __name__ == "__main__":
    write("compare.engines", __doc__, "The engines, measured", sections)

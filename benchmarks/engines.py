"""The measurements behind the cost rule in cbackprop/_engines.py: `python -m benchmarks.engines`.

Every engine and block length on shapes between the extremes, on one thread; forward passes of few samples; then two
threads against one. What the rule chooses is in bold, and beside it what that costs against the best choice.
"""

import argparse
import os
from functools import partial
from pathlib import Path

import numpy as np

from .report import factor, machine, readable, table
from .work import Job, Work, interleaved, random_work, samples, sizes

DTYPES = ("float32", "float64")
ONLINE = (
    "2-2-3", "2-3-3", "12-3-3", "12-4-3", "12-8-3", "64-4-10", "64-8-10", "64-32-10", "64-500-10", "784-4-10",
    "784-16-10", "784-100-10", "784-300-100", "784-1024-10", "3000-300-10", "3000-2000-10",
)  # fmt: skip
BATCHES = ("2-2-3", "12-8-3", "64-32-10", "784-100-10", "784-1024-10")
BATCH_SIZES = (8, 32, 128, 1024)
BLOCKS = (8, 16, 24, 32, 48, 64, 128)
FEW_SAMPLES = (1, 2, 4, 8, 16, 32)
FEW_LANES = 32  # more hidden units fill them: then samples have no business there
THREADED = ("64-32-10", "64-500-10", "784-16-10", "784-50-10", "784-100-10", "784-200-10", "784-1024-10")


def job(engine, work: Work, threads: int = 1) -> Job:
    from cbackprop._threads import learn_together

    w, v, order = work.w.copy(), work.v.copy(), np.arange(len(work.x))

    def run():
        learn_together(engine, threads, work.x, None, work.t, None, order, work.learning_rate)

    def result():
        engine.store(w, v)
        return w, v

    return Job(run, result, lambda: engine.load(work.w, work.v))


def learning(work: Work, shape: str, repeats: int) -> list[str]:
    """Cells: direct, in batches side by side, each block length, the cost of the rule's choice."""
    from cbackprop import _engines as rule
    from cbackprop._dispatch import kernels

    (D, M, K), module, B = sizes(shape), kernels(work.w.dtype), work.batch_size
    jobs = {"direct": job(module.DirectEngine(D, M, K, B), work)}
    if B > 1 and M <= FEW_LANES:
        jobs["side by side"] = job(module.SideBySideEngine(D, M, K, B), work)
    jobs |= {str(block): job(module.BlockedEngine(D, M, K, B, block), work) for block in BLOCKS}
    times = {name: min(figures) / len(work.x) for name, figures in interleaved(jobs, repeats).items()}
    names = {module.DirectEngine: "direct", module.SideBySideEngine: "side by side"}
    engine = type(rule.learner(work.w, work.v, B, "auto"))
    chosen = names.get(engine, str(rule.block_length(work.w, work.v, B)))
    columns = ["direct", *(["side by side"] if B > 1 else []), *map(str, BLOCKS)]
    cells = [readable(times[name], "s") if name in times else "–" for name in columns]
    cells = [f"**{cell}**" if name == chosen else cell for name, cell in zip(columns, cells, strict=True)]
    cost = times[chosen] / min(times.values()) if chosen in times else float("nan")
    return [*cells, factor(cost)]


def online(repeats: int, milliseconds: float) -> str:
    lines = []
    for shape in ONLINE:
        for dtype in DTYPES:
            work = random_work(shape, dtype, samples(shape, milliseconds))
            lines.append([shape, dtype, *learning(work, shape, repeats)])
    return table(["D-M-K", "dtype", "direct", *(f"block {block}" for block in BLOCKS), "rule / best"], lines)


def batches(repeats: int, milliseconds: float) -> str:
    lines = []
    for shape in BATCHES:
        for batch_size in BATCH_SIZES:
            for dtype in DTYPES:
                N = samples(shape, milliseconds, 2 * batch_size) // batch_size * batch_size
                work = random_work(shape, dtype, N, batch_size)
                lines.append([shape, str(batch_size), dtype, *learning(work, shape, repeats)])
    header = ["D-M-K", "batch", "dtype", "direct", "side by side", *(f"block {n}" for n in BLOCKS), "rule / best"]
    return table(header, lines)


def forward(repeats: int) -> str:
    """A forward pass over few samples: direct, and blocked with the loading of the weights that it needs."""
    from cbackprop import _engines as rule
    from cbackprop._dispatch import kernels

    lines = []
    for shape in ("64-32-10", "784-100-10", "784-1024-10"):
        D, M, K = sizes(shape)
        for dtype in DTYPES:
            cells = []
            for N in FEW_SAMPLES:
                work = random_work(shape, dtype, N)
                to = [np.empty((N, size), dtype) for size in (M, M, K, K)]
                calls = max(1, 200_000 // (N * D * M))

                def run(engine_for, work=work, to=to, calls=calls):
                    for _ in range(calls):
                        engine = engine_for(kernels(work.w.dtype))
                        engine.load(work.w, work.v)
                        engine.forward(work.x, *to)

                block = rule.block_length(work.w, work.v, max(N, 2))
                engine_makers = {
                    "direct": lambda module, sizes=(D, M, K): module.DirectEngine(*sizes, 1),
                    "blocked": lambda module, sizes=(D, M, K), block=block: module.BlockedEngine(*sizes, block, block),
                }
                jobs = {name: Job(partial(run, maker), tuple) for name, maker in engine_makers.items()}
                one, other = (min(figures) for figures in interleaved(jobs, repeats).values())
                cells.append(f"**{factor(one / other)}**" if rule.MANY <= N else factor(one / other))
            lines.append([shape, dtype, *cells])
    return table(["D-M-K", "dtype", *(f"N = {N}" for N in FEW_SAMPLES)], lines)


def threads(repeats: int, milliseconds: float) -> str:
    from cbackprop import _engines as rule
    from cbackprop._dispatch import kernels

    lines = []
    for shape in THREADED:
        for dtype in DTYPES:
            for batch_size in (1, 128):
                D, M, K = sizes(shape)
                work = random_work(shape, dtype, samples(shape, milliseconds), batch_size)
                block = rule.block_length(work.w, work.v, batch_size)
                engines = [kernels(work.w.dtype).BlockedEngine(D, M, K, batch_size, block) for _ in range(2)]
                jobs = {name: job(engines[name - 1], work, name) for name in (1, 2)}
                one, two = (min(figures) / len(work.x) for figures in interleaved(jobs, repeats).values())
                chosen = rule.threads_to_learn(engines[0], work.w, work.v, batch_size, 2)
                cells = [readable(one, "s"), readable(two, "s")]
                cells[chosen - 1] = f"**{cells[chosen - 1]}**"
                cost = (one, two)[chosen - 1] / min(one, two)
                lines.append(
                    [shape, dtype, str(batch_size), f"{block * work.w.size:,}", *cells, factor(one / two), factor(cost)]
                )
    header = ["D-M-K", "dtype", "batch", "multiplications a block", "one thread", "two", "one / two", "rule / best"]
    return table(header, lines)


def main() -> None:
    from cbackprop import _engines as rule

    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few samples and repeats: does it run, not how fast")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("results"), help="folder to write to")
    options = parser.parse_args()
    repeats, milliseconds = (1, 0.5) if options.quick else (9, 5)

    can_pin = hasattr(os, "sched_setaffinity")
    processors = os.sched_getaffinity(0) if can_pin else set()
    if can_pin:
        os.sched_setaffinity(0, {max(processors)})
    machine_lines = [[key, value] for key, value in machine(can_pin).items()]
    constants = {name: value for name, value in vars(rule).items() if name.isupper() and value < 1 << 40}
    parts = [
        "# The engines, measured",
        "",
        "Made by `python -m benchmarks.engines`. Time of one sample, the minimum of "
        f"{repeats} interleaved repeats; in bold what the rule in `cbackprop/_engines.py` chooses, with "
        + ", ".join(f"{name} = {value:,}" for name, value in constants.items())
        + ". *rule / best*: what its choice costs against the best of the line.",
        "",
        "## Online, one thread\n",
        online(repeats, milliseconds),
        "## Mini-batches, one thread\n",
        batches(repeats, milliseconds),
        "## Forward passes over N samples: time of direct over that of blocked, its loading included\n",
        "In bold where the rule takes the blocked engine.\n",
        forward(repeats),
    ]
    if len(processors) > 1:
        os.sched_setaffinity(0, processors)
        parts += ["## Two threads against one, not pinned\n", threads(repeats, milliseconds)]
    parts += ["## Machine\n", table(["", ""], machine_lines)]
    text = "\n".join(parts)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "engines.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

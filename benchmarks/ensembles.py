"""Ensembles beside one network: `python -m benchmarks.ensembles`; compare.py has rows of them beside other libraries.

The time of a sample for all networks of an ensemble, learned online by `Ensemble.fit`'s engines, divided by that of one
such network by `fit`'s. Interleaved repeats, one thread, minima. The dearest rows come first.
"""

import sys
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from . import restart_pinned
from .peers.library import network_of
from .report import argument_parser, factor, machine, machine_table, readable, result_path, table
from .work import Job, Work, each_network, ensemble_of, interleaved, random_work, samples

with suppress(ImportError):  # asv imports this file, too, at commits without ensembles
    from cbackprop import _engines
    from cbackprop._ensemble_engines import Engines
    from cbackprop._training import Data, Settings
    from cbackprop._training_lock import call_all

ROWS = [  # networks, shape, the most that they should take of one
    (16, "2-2-3", 2),
    (16, "4-8-2", 2),
    (16, "13-9-3", 3),
    (16, "10-16-2", 3),
    (8, "64-32-10", 4),
    (8, "784-100-10", 6),
]


class Result(NamedTuple):
    work: str
    dtype: str
    one: float  # seconds of a sample
    all: float
    reach: float

    @property
    def ratio(self) -> float:
        return self.all / self.one


def one_network(work: Work) -> Job:
    network = network_of(work)
    engine = _engines.make_engine(network.w, network.v, network.functions, 1, "auto")
    given, order = engine.samples(work.x, None, work.t), np.arange(len(work.x))

    def restore():
        work.restore(network.w, network.v)
        engine.load(network.w, network.v)

    return Job(lambda: engine.learn(given, order, work.learning_rate), lambda: (), restore)


def ensemble(work: Work, R: int) -> Job:
    members = each_network(ensemble_of(work, R))
    networks = [network_of(member) for member in members]
    settings = Settings(work.learning_rate, 1, "auto", 0, 0, False, False, *networks[0].functions)
    engines = Engines(networks, Data(work.x, None, work.t, None), settings)
    which, order = np.ones(R, bool), np.arange(len(work.x))
    rates = np.full(R, work.learning_rate, work.x.dtype)

    def run():
        _sums, stores, calls = engines.learn(which, order, rates)
        call_all([*calls, *stores], [])

    def restore():
        for member, network in zip(members, networks, strict=True):
            member.restore(network.w, network.v)

    return Job(run, lambda: (), restore)


def measure(R: int, shape: str, reach: float, dtype: str, repeats: int, milliseconds: float) -> Result:
    N = samples(shape, milliseconds)
    work = random_work(shape, dtype, N, 1)
    jobs = {"one": one_network(work), "all": ensemble(work, R)}
    times = {name: min(found) / N for name, found in interleaved(jobs, repeats).items()}
    return Result(f"{R} × {shape}", dtype, times["one"], times["all"], reach)


def line(row: Result) -> list[str]:
    times = [readable(seconds, "s") for seconds in (row.one, row.all)]
    return [row.work, row.dtype, *times, factor(row.ratio), str(row.reach)]


def main() -> None:
    options = argument_parser("ensembles", __doc__).parse_args()
    description = machine(restart_pinned())
    repeats, milliseconds = (2, 0.5) if options.quick else (31, 4)
    rows = []
    for R, shape, reach in ROWS:
        for dtype in ("float32", "float64"):
            rows.append(measure(R, shape, reach, dtype, repeats, milliseconds))
            print(" ".join(line(rows[-1])), file=sys.stderr)
    header = ["ensemble", "dtype", "one network", "all", "ratio", "goal"]
    parts = [
        "# What an ensemble costs",
        "",
        f"Written by `python -m benchmarks.ensembles`: the time of a sample, the minimum of {repeats} interleaved",
        "repeats on one thread. *ratio*: the time for all networks divided by that for one of them alone.",
        "",
        table(header, [line(row) for row in sorted(rows, key=lambda row: row.reach / row.ratio)]),
        machine_table(description),
    ]
    path = result_path(options.output, "ensembles", description)
    path.write_text("\n".join(parts))
    print("\n".join(parts))


if __name__ == "__main__":
    main()

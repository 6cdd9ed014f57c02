"""What learning rates that adapt cost, on the rows of compare.py that learn: `python -m benchmarks.adaptive`.

The time of a sample with `adaptive=True` divided by that with a constant rate, in interleaved repeats from the same
weights. The constant rate is timed twice: the ratio of its two minima is noise. The dearest rows come first.
"""

import statistics
import sys
from typing import NamedTuple

from . import restart_pinned
from .compare import CLASSIFICATION, SMALL, Row
from .peers import library
from .report import argument_parser, factor, machine, machine_table, readable, result_path, table
from .work import interleaved, random_work, samples

ROWS = [row for row in CLASSIFICATION + SMALL if row.kind in ("fit", "learn_one")]
AT_MOST = 1.05  # the target of every row


class Cost(NamedTuple):
    work: str
    dtype: str
    constant: float  # seconds of a sample
    adaptive: float
    of_medians: float
    noise: float

    @property
    def ratio(self) -> float:
        return self.adaptive / self.constant


def cost(row: Row, dtype: str, repeats: int, milliseconds: float) -> Cost:
    N = max(samples(row.shape, milliseconds), row.batch_size) // row.batch_size * row.batch_size
    work = random_work(row.shape, dtype, N, row.batch_size)
    learn = getattr(library, row.kind)
    jobs = {
        "constant": learn(work),
        "adaptive": learn(work, adaptive=True),
        "again": learn(work),
    }
    times = {name: [seconds / N for seconds in found] for name, found in interleaved(jobs, repeats).items()}
    constant, adaptive, again = (min(times[name]) for name in jobs)
    of_medians = statistics.median(times["adaptive"]) / statistics.median(times["constant"])
    return Cost(row.work, dtype, constant, adaptive, of_medians, again / constant)


def line(row: Cost) -> list[str]:
    reached = "yes" if row.ratio <= AT_MOST else "no"
    times = [readable(seconds, "s") for seconds in (row.constant, row.adaptive)]
    return [row.work, row.dtype, *times, *map(factor, (row.ratio, row.of_medians, row.noise)), reached]


def main() -> None:
    options = argument_parser("adaptive", __doc__).parse_args()
    description = machine(restart_pinned())
    repeats, milliseconds = (1, 0.5) if options.quick else (31, 5)
    costs = []
    for row in ROWS:
        for dtype in row.dtypes:
            costs.append(cost(row, dtype, repeats, milliseconds))
            print(" ".join(line(costs[-1])), file=sys.stderr)
    header = ["work", "dtype", "constant", "adaptive", "ratio", "of medians", "noise", f"at most {AT_MOST}"]
    parts = [
        "# What rates that adapt cost",
        "",
        f"Written by `python -m benchmarks.adaptive`: the time of a sample, the minimum of {repeats} interleaved",
        "repeats on one thread. *ratio*: the time with `adaptive=True` divided by that with a constant rate; *of",
        "medians*: the same from medians; *noise*: the constant rate timed again, divided by the first time.",
        "",
        table(header, [line(row) for row in sorted(costs, key=lambda row: -row.ratio)]),
        machine_table(description),
    ]
    path = result_path(options.output, "adaptive", description)
    path.write_text("\n".join(parts))
    print("\n".join(parts))


if __name__ == "__main__":
    main()

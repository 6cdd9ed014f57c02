"""The comparisons of all machines in one table, losses first: `python -m benchmarks.compare.machines`.

It reads the `compare.md` of each machine's folder, and writes `machines.md`.
"""

import re
from typing import NamedTuple

from benchmarks.report import RESULTS, factor, table, tables


class Result(NamedTuple):
    """A row of the table of one machine."""

    ratio: float  # the time of the fastest other divided by that of cbackprop
    own: str
    other: str
    machine: str

    def cells(self) -> list[str]:
        return [f"{factor(self.ratio)} ({self.machine})", self.own, self.other]


def short_name(processor: str) -> str:
    vendor, family, model = re.fullmatch(r"(\w+).*\(family (\d+), model (\d+)\)", processor).groups()
    return f"{vendor} {family}/{model}"


def markdown() -> str:
    found: dict[tuple[str, str], list[Result]] = {}
    machines = []
    for path in sorted(RESULTS.glob("*/compare.md")):
        comparison, *_, description = tables(path.read_text(encoding="utf-8"))
        facts = {row["machine"]: row[""] for row in description}
        machine = short_name(facts["processor"])
        machines.append(
            [machine, facts["processor"], facts["commit"][:7], facts["date"], f"`{path.relative_to(RESULTS)}`"]
        )
        for row in comparison:
            if row["dtype"]:  # the others compare more than one thing at a time
                other = f"{row['best peer']}, {row[row['best peer']]}"
                result = Result(float(row["ratio"]), row["cbackprop"], other, machine)
                found.setdefault((row["work"].split(" (")[0], row["dtype"]), []).append(result)
    lines = [(row, min(results), max(results)) for row, results in found.items()]
    lines.sort(key=lambda line: (line[1].ratio, line[0]))
    header = ["work", "dtype", "worst", "cbackprop", "fastest other", "best", "cbackprop", "fastest other"]
    return f"""# All machines

Written by `python -m benchmarks.compare.machines` from the results of `python -m benchmarks.compare` on each machine.

The time of the fastest other library divided by that of cbackprop: *worst* on the machine where this is worst for
cbackprop, *best* on the one where it is best. Below 1, cbackprop is slower. The lowest come first.

{table(header, ([*row, *worst.cells(), *best.cells()] for row, worst, best in lines))}
{table(["machine", "processor", "commit", "date", "all libraries, in"], machines)}"""


if __name__ == "__main__":
    (RESULTS / "machines.md").write_text(markdown(), encoding="utf-8")

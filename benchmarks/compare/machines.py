"""The comparisons of all machines, losses first, from the `compare.md` of each machine's folder."""

import re
from collections.abc import Iterable
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


NAMES = {  # of the cores, by what the system says of a processor
    "AMD 25/1": "AMD Zen 3",
    "AMD 25/17": "AMD Zen 4",
    "AMD 26/2": "AMD Zen 5",
    "Intel 6/106": "Intel Ice Lake",
    "Intel 6/143": "Intel Sapphire Rapids",
    "Intel 6/167": "Intel Rocket Lake",
}


def short_name(processor: str) -> str:
    vendor, family, model = re.fullmatch(r"(\w+).*\(family (\d+), model (\d+)\)", processor).groups()
    name = f"{vendor} {family}/{model}"
    return NAMES.get(name, name)


def read() -> tuple[dict[tuple[str, str], list[Result]], list[list[str]]]:
    """The results of each row, by work and dtype, and what each machine is."""
    found: dict[tuple[str, str], list[Result]] = {}
    machines = []
    for path in sorted(RESULTS.glob("*/compare.md")):
        comparison, *_, description = tables(path.read_text(encoding="utf-8"))
        facts = {row["machine"]: row[""] for row in description}
        machine = short_name(facts["processor"])
        commit = re.sub(r"([0-9a-f]{7})[0-9a-f]{33}", r"\1", facts["commit"])
        machines.append([machine, facts["processor"], commit, facts["date"], f"`{path.relative_to(RESULTS)}`"])
        for row in comparison:
            if row["dtype"] and row["best peer"] != "–":  # the others compare more than one thing at a time
                other = f"{row['best peer']}, {row[row['best peer']]}"
                result = Result(float(row["ratio"]), row["cbackprop"], other, machine)
                found.setdefault((row["work"].split(" (")[0], row["dtype"]), []).append(result)
    return found, machines


def lines(results: Iterable[tuple[tuple[str, str], list[Result]]]) -> list[list[str]]:
    """The worst of each row, and, if there are more, the best; the lowest ratios first."""
    ends = sorted((min(found), row, [min(found), max(found)][: len(found)]) for row, found in results)
    return [[*row, *(cell for result in both for cell in result.cells())] for _, row, both in ends]


def markdown() -> str:
    found, machines = read()
    several = [item for item in found.items() if len(item[1]) > 1]
    single = [item for item in found.items() if len(item[1]) == 1]
    columns = ["cbackprop", "fastest other"]
    return f"""# All machines

Written by `python -m benchmarks.compare.figures` from the results of `python -m benchmarks.compare` on each machine.

The time of the fastest other library divided by that of cbackprop: *worst* on the machine where this is worst for
cbackprop, *best* on the one where it is best. Below 1, cbackprop is slower. The lowest come first.

{table(["work", "dtype", "worst", *columns, "best", *columns], lines(several))}
The same of rows that were measured on one machine:

{table(["work", "dtype", "ratio", *columns], lines(single))}
{table(["machine", "processor", "commit", "date", "all libraries, in"], machines)}"""

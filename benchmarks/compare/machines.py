"""The comparisons of all machines, losses first, from the `compare.md` of each machine's folder."""

import re
from pathlib import Path
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


class Record(NamedTuple):
    """What was measured on a machine."""

    machine: str
    facts: dict[str, str]  # of the machine and of the run
    results: dict[tuple[str, str], Result]  # by work and dtype
    path: Path


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


def record(path: Path) -> Record:
    comparison, *_, description = tables(path.read_text(encoding="utf-8"))
    facts = {row["machine"]: row[""] for row in description}
    machine, results = short_name(facts["processor"]), {}
    for row in comparison:
        if row["dtype"] and row["best peer"] != "–":  # the others compare more than one thing at a time
            other = f"{row['best peer']}, {row[row['best peer']]}"
            result = Result(float(row["ratio"]), row["cbackprop"], other, machine)
            results[row["work"].split(" (")[0], row["dtype"]] = result
    return Record(machine, facts, results, path)


def records() -> tuple[list[Record], list[Record]]:
    """Those of the newest commit that was measured, and the older ones."""
    found = [record(path) for path in sorted(RESULTS.glob("*/compare.md"))]
    newest = max(found, key=lambda each: each.facts["date"]).facts["commit"]
    return [r for r in found if r.facts["commit"] == newest], [r for r in found if r.facts["commit"] != newest]


def rows(measured: list[Record]) -> str:
    """Each row where it is worst and where it is best, or on the only machine that has it; the lowest ratios first."""
    found: dict[tuple[str, str], list[Result]] = {}
    for each in measured:
        for row, result in each.results.items():
            found.setdefault(row, []).append(result)
    ends = sorted((min(results), row, [min(results), max(results)][: len(results)]) for row, results in found.items())
    columns, parts = ["cbackprop", "fastest other"], []
    for count, header in ((1, ["ratio", *columns]), (2, ["worst", *columns, "best", *columns])):
        shown = [(row, both) for _, row, both in ends if len(both) == count]
        lines = [[*row, *(cell for result in both for cell in result.cells())] for row, both in shown]
        if lines:
            parts.append(table(["work", "dtype", *header], lines))
    return "\n".join(parts)


def markdown() -> str:
    newest, older = records()
    described = []
    for each in newest + older:
        commit = re.sub(r"([0-9a-f]{7})[0-9a-f]{33}", r"\1", each.facts["commit"])
        place = f"`{each.path.relative_to(RESULTS)}`"
        described.append([each.machine, each.facts["processor"], commit, each.facts["date"], place])
    return f"""# All machines

Written by `python -m benchmarks.compare.figures` from the results of `python -m benchmarks.compare` on each machine.

The time of the fastest other library divided by that of cbackprop: below 1, cbackprop is slower. The lowest come first.

{rows(newest)}
## Older records

Measured with older kernels, and beside older versions of the loops in numba and JAX, which were slower at few units,
and of none in C: *worst* on the machine where the ratio is worst for cbackprop, *best* on the one where it is best.

{rows(older)}
## Machines

{table(["machine", "processor", "commit", "date", "all libraries, in"], described)}"""

"""The comparisons of all machines in one table, losses first: `python -m benchmarks.machines`.

It reads `compare-*.md`, of which `compare.py` writes one for each processor, and writes `machines.md`.
"""

import re
from pathlib import Path
from typing import NamedTuple

from .report import factor, table

RESULTS = Path(__file__).with_name("results")


class Result(NamedTuple):
    """A row of the table of one machine."""

    ratio: float  # the time of the fastest other divided by that of cbackprop
    own: str
    other: str
    machine: str

    def cells(self) -> list[str]:
        return [f"{factor(self.ratio)} ({self.machine})", self.own, self.other]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def facts(text: str) -> dict[str, str]:
    """The description of the machine at the end of a file."""
    return dict(line for line in map(cells, text.splitlines()) if len(line) == 2)


def name(processor: str) -> str:
    vendor, family, model = re.fullmatch(r"(\w+).*\(family (\d+), model (\d+)\)", processor).groups()
    return f"{vendor} {family}/{model}"


def read(text: str) -> dict[tuple[str, str], Result]:
    """The rows with a dtype; those of the other tables compare more than one thing at a time."""
    machine, lines = name(facts(text)["processor"]), [cells(line) for line in text.splitlines() if line.startswith("|")]
    header, found = lines[0], {}
    for line in lines[1:]:
        row = dict(zip(header, line, strict=False))
        if len(line) == len(header) and row["dtype"].startswith("float"):
            other = f"{row['best peer']}, {row[row['best peer']]}"
            work = row["work"].split(" (")[0]
            found[work, row["dtype"]] = Result(float(row["ratio"]), row["cbackprop"], other, machine)
    return found


def main() -> None:
    files = sorted(RESULTS.glob("compare-*.md"))
    texts = [path.read_text() for path in files]
    tables = [read(text) for text in texts]
    lines = []
    for row in dict.fromkeys(row for found in tables for row in found):
        results = sorted(found[row] for found in tables if row in found)
        lines.append((results[0].ratio, [*row, *results[0].cells(), *results[-1].cells()]))
    machines = [
        [name(about["processor"]), about["processor"], about["commit"][:7], about["date"], f"`{path.name}`"]
        for path, about in zip(files, map(facts, texts), strict=True)
    ]
    header = ["work", "dtype", "worst", "cbackprop", "fastest other", "best", "cbackprop", "fastest other"]
    text = f"""# All machines

Written by `python -m benchmarks.machines` from the results of `python -m benchmarks.compare` on each machine.

The time of the fastest other library divided by that of cbackprop: *worst* on the machine where this is worst for
cbackprop, *best* on the one where it is best. Below 1, cbackprop is slower. The lowest come first.

{table(header, [cells for _, cells in sorted(lines)])}
{table(["machine", "processor", "commit", "date", "all libraries, in"], machines)}"""
    (RESULTS / "machines.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

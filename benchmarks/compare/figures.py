"""Put the figures of the records where pages show them: `python -m benchmarks.compare.figures`.

It writes the tables of all machines, the rows of README from the newest of them, and the chart of one machine with the
words that stand for it where it is not shown. A test holds these files and the records together.
"""

import re
from pathlib import Path

from benchmarks.report import RESULTS, ROOT

from . import chart, machines

CHART = "amd-epyc-family-25-model-1"  # the machine of the chart
DESCRIBED = ("README.md", "README.ja.md", "docs/index.md", "docs/ja/index.md", "docs/performance.md")
ROW = re.compile(r"^\| .+? \| float(?:32|64) \| .*\n", re.MULTILINE)
DESCRIPTION = re.compile(r"(?:[\w-]+ [\d.]+(?:, |、)){5}[\w-]+ [\d.]+")


def work(row: str) -> list[str]:
    return row.split(" | ")[:2]


def with_rows(page: str, table: str) -> str:
    """The page with its rows as the table has them, in its order."""
    shown = [work(row) for row in ROW.findall(page)]
    rows = iter([row for row in ROW.findall(table) if work(row) in shown])
    return ROW.sub(lambda _: next(rows, ""), page)


def with_description(page: str, times: dict[str, float]) -> str:
    """The page with these times in the words that stand for the chart."""
    words = [f"{name} {chart.microseconds(time).replace(',', '')}" for name, time in sorted_by_time(times)]
    described, n = DESCRIPTION.subn(lambda found: ("、" if "、" in found[0] else ", ").join(words), page)
    if n != 1:
        raise ValueError(f"{n} descriptions of the chart in a page that begins with {page[:60]!r}; there must be one")
    return described


def sorted_by_time(times: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(times.items(), key=lambda item: item[1])


def files() -> dict[Path, str]:
    """All files that show figures of the comparison, as they should be."""
    newest, _ = machines.records()
    table, times = machines.rows(newest), chart.times(CHART)
    made = {RESULTS / "machines.md": machines.markdown()}
    made |= {chart.PICTURES / f"speed-{name}.svg": chart.svg(times, *colors) for name, colors in chart.COLORS.items()}
    for name in DESCRIBED:
        page = (ROOT / name).read_text(encoding="utf-8")
        made[ROOT / name] = with_description(with_rows(page, table), times)
    return made


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")

"""Put the figures of the records where pages show them: `python -m benchmarks.compare.figures`.

It writes the tables of all machines, the rows of README from the newest of them, and the chart of one machine with the
words that stand for it where it is not shown. A test holds these files and the records together.

The chart, docs/pictures/speed-light.svg and speed-dark.svg, has no style sheet, since README shows it.
"""

import math
import re
from pathlib import Path

from benchmarks.report import RESULTS, ROOT, chosen_options, number, tables

from . import machines

PICTURES = ROOT / "docs" / "pictures"
WORK, DTYPE = "learn_one 64-32-10", "float32"
LIBRARIES = ("cbackprop", "numba", "JAX", "NumPy", "PyTorch", "scikit-learn")
COLORS = {"light": ("#1f2328", "#0072b2", "#b4bcc4"), "dark": ("#e6edf3", "#56b4e9", "#59636e")}  # text, ours, others
LEFT, DECADE, BAR, FASTEST, DECADES = 85, 78, 30, 1e2, 4
CHART = "amd-epyc-family-25-model-1"  # the machine of the chart
DESCRIBED = ("README.md", "README.ja.md", "docs/index.md", "docs/ja/index.md", "docs/performance.md")
ROW = re.compile(r"^\| .+? \| float(?:32|64) \| .*\n", re.MULTILINE)
DESCRIPTION = re.compile(r"(?:[\w-]+ [\d.]+(?:, |、)){5}[\w-]+ [\d.]+")


# ---------------------------------------------------------------------------------------------------------------- chart


def times_on(machine: str) -> dict[str, float]:
    """Nanoseconds of a sample in each library."""
    comparison, *_ = tables((RESULTS / machine / "compare.md").read_text(encoding="utf-8"))
    row = next(row for row in comparison if (row["work"], row["dtype"]) == (WORK, DTYPE))
    return {name: number(row[name]) * 1e9 for name in LIBRARIES}


def sorted_by_time(times: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(times.items(), key=lambda item: item[1])


def microseconds(time: float) -> str:
    """As the chart shows a time in nanoseconds."""
    return f"{time / 1000:.2f}" if time < 10_000 else f"{time / 1000:,.0f}"


def svg(nanoseconds: dict[str, float], text: str, ours: str, others: str) -> str:
    """Bars on a logarithmic axis."""
    height = BAR * len(nanoseconds)
    marks = []
    for power in range(DECADES + 1):
        x, label = LEFT + power * DECADE, f"{FASTEST * 10**power / 1000:,.1f}".removesuffix(".0")
        marks.append(f'<path d="M{x} 0 V{height}" stroke="{others}" stroke-opacity=".4"/>')
        marks.append(f'<text x="{x}" y="{height + 18}" text-anchor="middle">{label}</text>')
    for row, (name, time) in enumerate(sorted_by_time(nanoseconds)):
        y, width = BAR * row, DECADE * math.log10(time / FASTEST)
        color = ours if name == "cbackprop" else others
        marks.append(f'<text x="{LEFT - 8}" y="{y + 20}" text-anchor="end">{name}</text>')
        marks.append(f'<rect x="{LEFT}" y="{y + 5}" width="{width:.1f}" height="{BAR - 10}" fill="{color}"/>')
        marks.append(f'<text x="{LEFT + width + 6:.1f}" y="{y + 20}">{microseconds(time)} µs</text>')
    caption = ("µs for one update by one sample, called from Python:", "network 64-32-10, float32, logarithmic axis")
    for line, words in enumerate(caption):
        marks.append(f'<text x="0" y="{height + 42 + 18 * line}">{words}</text>')
    size = f'viewBox="0 0 {LEFT + DECADES * DECADE + 75} {height + 68}"'
    style = f'font-family="sans-serif" font-size="13" fill="{text}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join(marks) + "\n</svg>\n"


# ---------------------------------------------------------------------------------------------------------------- pages


def work(row: str) -> list[str]:
    return row.split(" | ")[:2]


def with_rows(page: str, table: str) -> str:
    """The page with its rows as the table has them, in its order."""
    shown = [work(row) for row in ROW.findall(page)]
    rows = iter([row for row in ROW.findall(table) if work(row) in shown])
    return ROW.sub(lambda _: next(rows, ""), page)


def with_description(page: str, times: dict[str, float]) -> str:
    """The page with these times in the words that stand for the chart."""
    words = [f"{name} {microseconds(time).replace(',', '')}" for name, time in sorted_by_time(times)]
    described, n = DESCRIPTION.subn(lambda found: ("、" if "、" in found[0] else ", ").join(words), page)
    if n != 1:
        raise ValueError(f"{n} descriptions of the chart in a page that begins with {page[:60]!r}; there must be one")
    return described


def files() -> dict[Path, str]:
    """All files that show figures of the comparison, as they should be."""
    newest, _ = machines.records()
    table, times = machines.rows(newest), times_on(CHART)
    made = {RESULTS / "machines.md": machines.markdown()}
    made |= {PICTURES / f"speed-{name}.svg": svg(times, *colors) for name, colors in COLORS.items()}
    for name in DESCRIBED:
        page = (ROOT / name).read_text(encoding="utf-8")
        made[ROOT / name] = with_description(with_rows(page, table), times)
    return made


if __name__ == "__main__":
    folder = chosen_options("compare.figures", __doc__, {}).output or ROOT
    for path, text in files().items():
        written = folder / path.relative_to(ROOT)
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(text, encoding="utf-8")

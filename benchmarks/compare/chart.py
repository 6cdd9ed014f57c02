"""The chart of README, drawn from the table of one machine: docs/pictures/speed-light.svg and speed-dark.svg.

A picture that README shows has no style sheet.
"""

import math
from pathlib import Path

from benchmarks.report import RESULTS, number, tables

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
WORK, DTYPE = "learn_one 64-32-10", "float32"
LIBRARIES = ("cbackprop", "numba", "JAX", "NumPy", "PyTorch", "scikit-learn")
COLORS = {"light": ("#1f2328", "#0072b2", "#b4bcc4"), "dark": ("#e6edf3", "#56b4e9", "#59636e")}  # text, ours, others
LEFT, DECADE, ROW, FASTEST, DECADES = 110, 120, 30, 1e2, 4


def times(machine: str) -> dict[str, float]:
    """Nanoseconds of a sample in each library."""
    comparison, *_ = tables((RESULTS / machine / "compare.md").read_text(encoding="utf-8"))
    row = next(row for row in comparison if (row["work"], row["dtype"]) == (WORK, DTYPE))
    return {name: number(row[name]) * 1e9 for name in LIBRARIES}


def microseconds(time: float) -> str:
    """As the chart shows a time in nanoseconds."""
    return f"{time / 1000:.2f}" if time < 10_000 else f"{time / 1000:,.0f}"


def svg(nanoseconds: dict[str, float], text: str, ours: str, others: str) -> str:
    """Bars on a logarithmic axis."""
    height = ROW * len(nanoseconds)
    marks = []
    for power in range(DECADES + 1):
        x, label = LEFT + power * DECADE, f"{FASTEST * 10**power / 1000:,.1f}".removesuffix(".0")
        marks.append(f'<path d="M{x} 0 V{height}" stroke="{others}" stroke-opacity=".4"/>')
        marks.append(f'<text x="{x}" y="{height + 18}" text-anchor="middle">{label}</text>')
    for row, (name, time) in enumerate(sorted(nanoseconds.items(), key=lambda item: item[1])):
        y, width = ROW * row, DECADE * math.log10(time / FASTEST)
        color = ours if name == "cbackprop" else others
        marks.append(f'<text x="{LEFT - 8}" y="{y + 20}" text-anchor="end">{name}</text>')
        marks.append(f'<rect x="{LEFT}" y="{y + 5}" width="{width:.1f}" height="{ROW - 10}" fill="{color}"/>')
        marks.append(f'<text x="{LEFT + width + 6:.1f}" y="{y + 20}">{microseconds(time)} µs</text>')
    caption = "µs for one update by one sample, network 64-32-10, float32, called from Python; logarithmic axis"
    marks.append(f'<text x="0" y="{height + 42}">{caption}</text>')
    size = f'viewBox="0 0 {LEFT + DECADES * DECADE + 110} {height + 50}"'
    style = f'font-family="sans-serif" font-size="13" fill="{text}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join(marks) + "\n</svg>\n"

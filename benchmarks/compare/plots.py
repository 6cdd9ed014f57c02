"""Plots of the tables in benchmarks/results: `python -m benchmarks.compare.plots FOLDER`, as the documentation runs it.

A table of a machine is drawn as `SCRIPT-MACHINE.svg`; the history as `history.svg`, beside `history.md`.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks.asv import history
from benchmarks.report import RESULTS, number, tables

STYLE = Path(__file__).parents[2] / "docs" / "pictures" / "style.mplstyle"
# Okabe and Ito's colors: distinct in color-blind vision; shapes for print
MARKS = {
    "reference": ("#999999", "x"),
    "NumPy": ("#56B4E9", "o"),
    "NumPy, SciPy BLAS": ("#0072B2", "D"),
    "scikit-learn": ("#E69F00", "s"),
    "PyTorch": ("#D55E00", "v"),
    "PyTorch by hand": ("#CC79A7", "^"),
    "JAX": ("#009E73", "P"),
    "numba": ("#000000", "*"),
    "C": ("#332288", "p"),
    "ONNX Runtime": ("#F0E442", "h"),
}
SHOWN = (  # in the plot of the comparison
    "online 2-2-3", "online 13-9-3", "online 64-32-10", "online 784-100-10", "learn_one 64-32-10",
    "mini-batch 32, 64-32-10", "mini-batch 32, 784-100-10", "predict 784-100-10",
)  # fmt: skip
LINES = {"NumPy": "#0072B2", "JAX": "#009E73", "numba": "#000000"}
STYLES = {"online": "-", "mini-batch 32": "--"}
SHAPES = {"64-32-10": "o", "784-16-10": "s", "784-100-10": "D", "784-1024-10": "^", "3000-2000-10": "P"}
MODES = {"online, direct": "#0072B2", "online, blocked": "#D55E00", "mini-batch 128": "#009E73", "predict": "#E69F00"}
AXES = {"speed": "times as fast", "rate": "part of its speed"}  # of the history
Rows = list[dict[str, str]]


def panels(height: float, count: int, width: float = 6, **options) -> tuple[Figure, list]:
    """A figure of panels one below the other, without frames."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(count, 1, squeeze=False, **options)[:, 0])


def plain_logarithms(axis, subs=(1,)) -> None:
    """Numbers without exponents."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


# ---------------------------------------------------------------------------------------------------------- comparison


def ratios(row: dict[str, str]) -> dict[str, float]:
    """Each peer's time divided by that of cbackprop."""
    return {peer: number(row[peer]) / number(row["cbackprop"]) for peer in MARKS if row.get(peer, "–") != "–"}


def comparison(found: list[Rows]) -> Figure:
    """A line for each of a few rows, in float32."""
    rows = [row for row in found[0] if row["work"] in SHOWN and row["dtype"] == "float32"]
    rows.sort(key=lambda row: SHOWN.index(row["work"]))
    figure, (ax,) = panels(2 + 0.34 * len(rows), 1, 7)
    marks = {}
    for y, row in enumerate(rows):
        others = ratios(row)
        ax.plot([min(others.values()), max(others.values())], [y, y], color="#dddddd", linewidth=1, zorder=1)
        for peer, ratio in others.items():
            color, marker = MARKS[peer]
            marks[peer] = ax.scatter(ratio, y, s=70 if marker == "*" else 38, c=color, marker=marker, zorder=3)
    ax.set_yticks(range(len(rows)), [row["work"] for row in rows])
    ax.invert_yaxis()
    ax.set(title="float32, one thread", xlabel="time of the other / time of cbackprop", xscale="log")
    ax.axvline(1, color="black", linewidth=1)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    present = [peer for peer in MARKS if peer in marks]
    title = "Left of the line the other is faster, right of it cbackprop."
    handles = [marks[peer] for peer in present]
    figure.legend(handles, present, title=title, loc="outside upper center", ncols=3, frameon=False)
    return figure


# ------------------------------------------------------------------------------------------------------------ roofline


def draw_limits(ax, limits: dict[str, float]) -> None:
    """The roofs of a dtype; those too close to be told apart share a label."""
    peak, product, *_ = limits.values()
    slopes = {name.split(",")[0]: value for name, value in limits.items() if "read and written" in name}
    x = np.geomspace(0.1, 100, 200)
    ax.set(xscale="log", yscale="log", xlim=(x[0], x[-1]), ylabel="GF/s")
    names = sorted(slopes, key=slopes.get, reverse=True)
    groups = [names[:1]]
    for name in names[1:]:
        if slopes[name] > 0.85 * slopes[groups[-1][0]]:
            groups[-1].append(name)
        else:
            groups.append([name])
    for group in groups:
        for name in group:
            ax.plot(x, np.minimum(peak, x * slopes[name]), color="#999999", linewidth=1, zorder=1)
        lowest = slopes[group[-1]]
        ax.text(x[0] * 1.1, x[0] * 1.1 * lowest, ", ".join(group), fontsize=9, color="#666666",
                rotation=np.degrees(np.arctan(lowest)), rotation_mode="anchor",
                transform_rotates_text=True, va="top")  # fmt: skip
    ax.axhline(product, color="#999999", linewidth=1, linestyle=":", zorder=1)
    ax.annotate("peak", (x[-1], peak), (0, 3), fontsize=9, ha="right", textcoords="offset points", color="#666666")
    plain_logarithms(ax.xaxis)
    plain_logarithms(ax.yaxis, (1, 2, 5))


def roofline(found: list[Rows]) -> Figure:
    limits, rows, _ = found
    figure, axes = panels(10, len(limits), sharex=True)
    for ax, roofs in zip(axes, limits, strict=True):
        dtype = roofs["dtype"]
        draw_limits(ax, {name: number(cell) for name, cell in roofs.items() if name != "dtype"})
        ax.set_title(f"{dtype}, one thread")
        for row in (row for row in rows if row["dtype"] == dtype):
            ax.scatter(number(row["intensity"]), number(row["GF/s"]), color=MODES[row["mode"]],
                       marker=SHAPES[row["D-M-K"]], s=45, edgecolors="white", linewidths=0.5, zorder=3)  # fmt: skip
    ax.set_xlabel("operations per byte")
    handles = [ax.scatter([], [], color="#333333", marker=mark, label=shape) for shape, mark in SHAPES.items()]
    handles += [ax.scatter([], [], color=color, label=mode) for mode, color in MODES.items()]
    handles += ax.plot([], [], ":", color="#999999", label=list(limits[0])[2])
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


# ------------------------------------------------------------------------------------------------------------- scaling


def scaling(found: list[Rows]) -> Figure:
    """A panel for each size that grows."""
    labels = {"N": "samples in a call", "D": "inputs", "M": "hidden units", "K": "classes"}
    figure, axes = panels(11, len(labels), 5)
    for ax, rows, (letter, label) in zip(axes, found, labels.items(), strict=False):
        for name, color in LINES.items():
            for mode, style in STYLES.items():
                here = [row for row in rows if row["dtype"] == "float32" and row["mode"] == mode]
                x = [number(row[letter]) for row in here]
                y = [number(row[name]) / number(row["cbackprop"]) for row in here]
                ax.plot(x, y, style, color=color, marker="o", markersize=4)
        ax.axhline(1, color="#999999", linewidth=1)
        ax.set(xscale="log", yscale="log", xlabel=f"{letter}, {label}")
        ax.set(ylim=(0.05, 50), ylabel="time / cbackprop's")
        ticks = dict.fromkeys(row[letter] for row in rows)
        ax.set_xticks([number(tick) for tick in ticks], ticks)
        ax.minorticks_off()
        ax.set_yticks([0.1, 0.3, 1, 3, 10, 30], ["0.1", "0.3", "1", "3", "10", "30"])
        ax.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    figure.suptitle("float32, one thread, from 784-100-10 (D-M-K)", fontsize=11)
    handles = [ax.plot([], [], color=color, label=name)[0] for name, color in LINES.items()]
    handles += [ax.plot([], [], style, color="#666666", label=mode)[0] for mode, style in STYLES.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


# ------------------------------------------------------------------------------------------------------------- history


def history_of(lines: history.Lines, commits: list[list[str]]) -> Figure:
    """A panel for each ratio, with a line for each work; lines of different machines do not connect."""
    figure, axes = panels(3.2 * len(lines), len(lines), 7.5, sharex=True)
    for ax, ((heading, unit), works) in zip(axes, lines.items(), strict=True):
        for index, (work, row) in enumerate(works.items()):
            for machine in dict.fromkeys(machine for _commit, machine, _why in commits):
                here = [value if value and commits[n][1] == machine else float("nan") for n, value in enumerate(row)]
                label = work if machine == commits[0][1] else None
                ax.plot(range(len(row)), here, ".-", color=f"C{index}", label=label)
        # the title above the legend, which is above the axes
        ax.set_title(heading, pad=20 + 16 * -(-len(works) // 3))
        ax.legend(fontsize=9, frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
        ax.set_ylabel(AXES[unit])
        if unit == "speed":
            ax.set_yscale("log")
            plain_logarithms(ax.yaxis, (1, 2, 5))
        ax.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    ax.set_xticks(range(len(commits)), [commit for commit, _machine, _why in commits], rotation=90, fontsize=9)
    return figure


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    plt.style.use(STYLE)
    for script, draw in {"compare": comparison, "roofline": roofline, "scaling": scaling}.items():
        for path in RESULTS.glob(f"*/{script}.md"):
            figure = draw(tables(path.read_text(encoding="utf-8")))
            figure.savefig(folder / f"{script}-{path.parent.name}.svg")
    commits = history.commits()
    lines = history.ratios(commits)
    (folder / "history.md").write_text(history.markdown(lines, commits), encoding="utf-8")
    history_of(lines, commits).savefig(folder / "history.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

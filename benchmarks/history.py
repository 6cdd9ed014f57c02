"""The history as tables and a plot: `python -m benchmarks.history`, from the results of asv.

A line per commit of history.txt, on the machine named there, with the ratios of ratios.py, in which changes in the
speed of a machine cancel. Lines of different machines do not compare.
"""

import itertools
import json
import textwrap
from pathlib import Path

from .report import table

HERE = Path(__file__).parent
RATIOS = {  # benchmark in ratios.py: heading, unit
    "Beside.track_times_as_fast": ("relative to {}, float32", "speed"),
    "Rate.track_part_of_matrix_product": ("relative to NumPy's matrix product, 784-1024-10, {}", "rate"),
}
PEERS = {"numpy_reference": "the NumPy reference", "numba_loops": "numba loops"}


def commits() -> list[list[str]]:
    """The commits of history.txt, the machine that each was measured on, and why it matters."""
    lines = (HERE / "history.txt").read_text(encoding="utf-8").splitlines()
    return [line.split(" ", 2) for line in lines]


def values(commit: str, machine: str) -> dict[tuple[str, ...], float]:
    """Ratios by benchmark and parameters, without those that are not available at this commit."""
    (path,) = (HERE / "results" / machine).glob(f"{commit}*.json")
    found = {}
    for name, (numbers, parameters, *_) in json.loads(path.read_text(encoding="utf-8"))["results"].items():
        if name.startswith("ratios.") and (ratio := name.removeprefix("ratios.")) in RATIOS:
            for names, value in zip(itertools.product(*parameters), numbers or (), strict=False):
                if value is not None and value == value:
                    found[(ratio, *(name.strip("'") for name in names))] = value
    return found


def panels(results: list[dict[tuple[str, ...], float]]) -> dict[tuple[str, str], dict[str, list[float | None]]]:
    """Heading and unit of each panel, with its lines of one value per commit."""
    lines: dict[tuple[str, str], dict[str, list[float | None]]] = {}
    for key in dict.fromkeys(itertools.chain(*results)):
        heading, unit = RATIOS[key[0]]
        of, work = key[1:] if key[1] in PEERS else key[:0:-1]
        panel = lines.setdefault((heading.format(PEERS.get(of, of)), unit), {})
        panel[work] = [values.get(key) for values in results]
    return lines


def markdown(lines: dict, named: list[list[str]]) -> str:
    parts = ["# The history\n\nWritten by `python -m benchmarks.history` from what `make history` measured.\n"]
    for (heading, unit), works in lines.items():
        columns = zip(*works.values(), strict=True)
        cells = [["–" if value is None else f"{value:.3g}" for value in row] for row in columns]
        rows = [[f"`{commit}`", machine, why, *row] for (commit, machine, why), row in zip(named, cells, strict=True)]
        parts.append(f"## {unit.capitalize()} {heading}\n\n{table(['commit', 'machine', 'change', *works], rows)}")
    return "\n".join(parts)


def plot(lines: dict, named: list[list[str]], path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(7.5, 3.6 * len(lines) + 3.5), layout="constrained")
    axes = figure.subplots(len(lines), 1, sharex=True, squeeze=False)[:, 0]
    for ax, ((heading, unit), works) in zip(axes, lines.items(), strict=True):
        for number, (work, row) in enumerate(works.items()):
            for machine in dict.fromkeys(machine for _commit, machine, _why in named):
                here = [value if value and named[n][1] == machine else float("nan") for n, value in enumerate(row)]
                label = work if machine == named[0][1] else None
                ax.plot(range(len(row)), here, ".-", color=f"C{number}", label=label)
        # the title above the legend, which is above the axes: no line below either
        ax.set_title(heading, pad=20 + 16 * -(-len(works) // 3))
        ax.legend(fontsize=9, frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
        ax.set_ylabel(unit)
        if unit == "speed":
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_formatter(NullFormatter())
        ax.grid(axis="y", color="#e6e6e6", linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    changes = [textwrap.fill(why, 48) for _commit, _machine, why in named]
    ax.set_xticks(range(len(named)), changes, rotation=60, ha="right", rotation_mode="anchor", fontsize=9)
    figure.savefig(path, dpi=120, facecolor="white")


if __name__ == "__main__":
    named = commits()
    lines = panels([values(commit, machine) for commit, machine, _why in named])
    (HERE / "results" / "history.md").write_text(markdown(lines, named), encoding="utf-8")
    plot(lines, named, HERE / "results" / "history.png")

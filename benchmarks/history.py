"""The history in one table and one picture: `python -m benchmarks.history FOLDER` for the results of one machine.

A line is a commit of history.txt. The figures are those of ratios.py, in which the machine's moods cancel out.
"""

import itertools
import json
import sys
from pathlib import Path

from .report import table

HERE = Path(__file__).parent
FIGURES = {  # of ratios.py: heading, unit
    "Beside.track_times_as_fast": ("against {}, float32", "times as fast"),
    "Rate.track_part_of_matrix_product": ("784-1024-10, {}", "of NumPy's matrix product"),
}
PEERS = {"numpy_reference": "the NumPy reference", "numba_loops": "loops of numba"}


def commits() -> list[tuple[str, str]]:
    """What history.txt names, and why."""
    lines = (HERE / "history.txt").read_text(encoding="utf-8").splitlines()
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def values(folder: Path, commit: str) -> dict[tuple[str, ...], float]:
    """Figures by benchmark and parameters; those that this commit could not run are left out."""
    (path,) = folder.glob(f"{commit}*.json")
    found = {}
    for name, (numbers, parameters, *_) in json.loads(path.read_text(encoding="utf-8"))["results"].items():
        if name.startswith("ratios.") and (figure := name.removeprefix("ratios.")) in FIGURES:
            for names, value in zip(itertools.product(*parameters), numbers or (), strict=False):
                if value is not None and value == value:
                    found[(figure, *(name.strip("'") for name in names))] = value
    return found


def panels(every: list[dict[tuple[str, ...], float]]) -> dict[tuple[str, str], dict[str, list[float | None]]]:
    """Heading and unit of each panel, and its lines: one value a commit."""
    lines: dict[tuple[str, str], dict[str, list[float | None]]] = {}
    for key in dict.fromkeys(itertools.chain(*every)):
        heading, unit = FIGURES[key[0]]
        of, work = key[1:] if key[1] in PEERS else key[:0:-1]
        panel = lines.setdefault((heading.format(PEERS.get(of, of)), unit), {})
        panel[work] = [values.get(key) for values in every]
    return lines


def markdown(lines: dict, named: list[tuple[str, str]]) -> str:
    parts = ["# The history\n\nMade by `python -m benchmarks.history` from what `make history` measured.\n"]
    for (heading, unit), works in lines.items():
        figures = zip(*works.values(), strict=True)
        cells = [["–" if value is None else f"{value:.3g}" for value in row] for row in figures]
        rows = [[f"`{commit}`", why, *row] for (commit, why), row in zip(named, cells, strict=True)]
        parts.append(f"## {unit[0].upper()}{unit[1:]}: {heading}\n\n{table(['commit', 'what came', *works], rows)}")
    return "\n".join(parts)


def plot(lines: dict, named: list[tuple[str, str]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 3.4 * len(lines) + 1), layout="constrained")
    axes = figure.subplots(len(lines), 1, sharex=True, squeeze=False)[:, 0]
    for ax, ((heading, unit), works) in zip(axes, lines.items(), strict=True):
        for work, row in works.items():
            ax.plot(range(len(row)), [float("nan") if value is None else value for value in row], ".-", label=work)
        ax.set(title=heading, ylabel=unit, yscale="log" if "times" in unit else "linear")
        ax.grid(axis="y", color="#e6e6e6", linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(fontsize=8, frameon=False, ncols=2)
    ax.set_xticks(range(len(named)), [commit for commit, _ in named], rotation=60)
    figure.savefig(path, dpi=100, facecolor="white")


if __name__ == "__main__":
    folder, named = Path(sys.argv[1]), commits()
    lines = panels([values(folder, commit) for commit, _ in named])
    (HERE / "results" / "history.md").write_text(markdown(lines, named), encoding="utf-8")
    plot(lines, named, HERE / "results" / "history.png")

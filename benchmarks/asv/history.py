"""The ratios of ratios.py, commit by commit, from the results of asv.

A line per commit of history.txt, on the machine named there. Changes in the speed of a machine cancel in a ratio, but
lines of different machines do not compare.
"""

import itertools
import json
from pathlib import Path

from benchmarks.report import RESULTS, table

RATIOS = {  # benchmark in ratios.py: heading, unit
    "Beside.track_times_as_fast": ("relative to {}, float32", "speed"),
    "Rate.track_part_of_matrix_product": ("relative to NumPy's matrix product, 784-1024-10, {}", "rate"),
}
PEERS = {"numpy_reference": "the NumPy reference", "numba_loops": "numba loops"}
Lines = dict[tuple[str, str], dict[str, list[float | None]]]  # by heading and unit: works, a value per commit


def commits() -> list[list[str]]:
    """The commits of history.txt, the machine that each was measured on, and why it matters."""
    lines = Path(__file__).with_name("history.txt").read_text(encoding="utf-8").splitlines()
    return [line.split(" ", 2) for line in lines]


def values(commit: str, machine: str) -> dict[tuple[str, ...], float]:
    """Ratios by benchmark and parameters, without those that are not available at this commit."""
    (path,) = (RESULTS / machine).glob(f"{commit}*.json")
    found = {}
    for name, (numbers, parameters, *_) in json.loads(path.read_text(encoding="utf-8"))["results"].items():
        if name.startswith("ratios.") and (ratio := name.removeprefix("ratios.")) in RATIOS:
            for names, value in zip(itertools.product(*parameters), numbers or (), strict=False):
                if value is not None and value == value:
                    found[(ratio, *(name.strip("'") for name in names))] = value
    return found


def ratios(commits: list[list[str]]) -> Lines:
    results = [values(commit, machine) for commit, machine, _why in commits]
    lines: Lines = {}
    for key in dict.fromkeys(itertools.chain(*results)):
        heading, unit = RATIOS[key[0]]
        of, work = key[1:] if key[1] in PEERS else key[:0:-1]
        panel = lines.setdefault((heading.format(PEERS.get(of, of)), unit), {})
        panel[work] = [values.get(key) for values in results]
    return lines


def markdown(lines: Lines, commits: list[list[str]]) -> str:
    parts = []
    for (heading, unit), works in lines.items():
        columns = zip(*works.values(), strict=True)
        cells = [["–" if value is None else f"{value:.3g}" for value in row] for row in columns]
        rows = [[f"`{commit}`", machine, why, *row] for (commit, machine, why), row in zip(commits, cells, strict=True)]
        parts.append(f"## {unit.capitalize()} {heading}\n\n{table(['commit', 'machine', 'change', *works], rows)}")
    return "\n".join(parts)

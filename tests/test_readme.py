"""The README: its example runs, its links to kernels hit the function they name, and its files exist."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8") if README.exists() else ""

LINKS = re.findall(r"\[`(\w+)`\]\(([\w/.]+)#L(\d+)\)", TEXT)


def test_example_prints_what_it_says(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip() == re.search(r"print\(.*#\s*(.+)", example)[1]


def test_every_equation_of_the_table_is_linked():
    numbers = {int(n) for row in re.findall(r"^\| (\(.*?) \|", TEXT, re.MULTILINE) for n in covered(row)}
    assert numbers == set(range(1, 19))
    assert len(LINKS) == 14


def covered(row):
    for first, last in re.findall(r"\((\d+)\)(?:–\((\d+)\))?", row):
        yield from range(int(first), int(last or first) + 1)


@pytest.mark.parametrize(("function", "path", "line"), LINKS, ids=[link[0] for link in LINKS])
def test_link_hits_the_function(function, path, line):
    source = (ROOT / path).read_text(encoding="utf-8").splitlines()
    assert re.match(rf"cdef .*\b{function}\(", source[int(line) - 1])


def test_times_are_those_of_the_committed_comparison():
    rows = json.loads((ROOT / "benchmarks/results/compare.json").read_text())["rows"]
    figures = {
        (row["work"], row["dtype"]): {peer: min(times) for peer, times in row["figures"].items()} for row in rows
    }
    lines = re.findall(r"^\| (.+) \| (float\d\d) \| (.+) \| (.+), (.+) \| (.+) \| (.+) \| (.+) \|$", TEXT, re.MULTILINE)
    assert lines
    for work, dtype, own, best, its, times, torch, sklearn in lines:
        row = figures[work, dtype]
        row.pop("reference")
        assert min(row.keys() - {"cbackprop"}, key=row.get) == best
        for said, peer in ((own, "cbackprop"), (its, best), (torch, "PyTorch"), (sklearn, "scikit-learn")):
            number, unit = said.split()
            assert float(number) * {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3}[unit] == pytest.approx(row[peer], rel=0.01)
        assert float(times) == pytest.approx(row[best] / row["cbackprop"], abs=0.051)


def test_files_linked_to_exist():
    paths = re.findall(r"\]\((?!http)([^)#]+)", TEXT)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []

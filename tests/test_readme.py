"""The README: its example runs, its table of equations quotes the kernels, and its numbers and links are right."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8") if README.exists() else ""
KERNEL = ROOT / "cbackprop" / "kernels" / "equations.pxi"
EQUATIONS = KERNEL.read_text(encoding="utf-8") if KERNEL.exists() else ""

ROWS = re.findall(r"^\| (.*?) \| .* \| (.*) \| \[`(\w+)`\]\(docs/mathematics\.md#(\w+)\) \|$", TEXT, re.MULTILINE)


def test_example_prints_what_it_says(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip() == re.search(r"print\(.*#\s*(.+)", example)[1]


def test_table_covers_every_equation():
    assert {n for numbers, *_ in ROWS for n in covered(numbers)} == set(range(1, 19))


def covered(numbers):
    for first, last in re.findall(r"\((\d+)\)(?:–\((\d+)\))?", numbers):
        yield from range(int(first), int(last or first) + 1)


@pytest.mark.parametrize(("code", "function", "anchor"), [row[1:] for row in ROWS], ids=[row[2] for row in ROWS])
def test_row_quotes_its_function(code, function, anchor):
    # one function of this name, in which the lines stand as quoted
    (body,) = re.findall(rf"^cdef .*\b{function}\((?:.*\n)+?(?=\n\n|\Z)", EQUATIONS, re.MULTILINE)
    quoted = re.findall(r"`(.*?)`", code)
    assert quoted
    assert [line for line in quoted if line not in map(str.strip, body.splitlines())] == []
    assert anchor == function


def test_times_are_those_of_the_committed_comparison():
    rows = json.loads((ROOT / "benchmarks/results/compare.json").read_text())["rows"]
    figures = {
        (row["work"], row["dtype"]): {peer: min(times) for peer, times in row["figures"].items()} for row in rows
    }
    lines = re.findall(r"^\| (.+) \| (float\d\d) \| (.+) \| (.+), (.+) \| (.+) \| (.+) \| (.+) \|$", TEXT, re.MULTILINE)
    assert lines
    for work, dtype, own, best, its, speedup, torch, sklearn in lines:
        row = figures[work, dtype]
        row.pop("reference")
        assert min(row.keys() - {"cbackprop"}, key=row.get) == best
        for printed, peer in ((own, "cbackprop"), (its, best), (torch, "PyTorch"), (sklearn, "scikit-learn")):
            number, unit = printed.split()
            assert float(number) * {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3}[unit] == pytest.approx(row[peer], rel=0.01)
        assert float(speedup) == pytest.approx(row[best] / row["cbackprop"], abs=0.051)


def test_files_linked_to_exist():
    paths = re.findall(r"\]\((?!http)([^)#]+)", TEXT)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []

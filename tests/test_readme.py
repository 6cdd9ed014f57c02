"""The README: its example runs, its table of equations quotes the kernels."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8") if README.exists() else ""
KERNEL = ROOT / "cbackprop" / "kernels" / "equations.pxi"
EQUATIONS = KERNEL.read_text(encoding="utf-8") if KERNEL.exists() else ""

ROWS = re.findall(r"^\| (.*?) \| .* \| (.*) \| `(\w+)` \|$", TEXT, re.MULTILINE)


def test_example_prints_what_it_says(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip() == re.search(r"print\(.*#\s*(.+)", example)[1]


def test_translation_has_the_same_code_and_commands():
    blocks = re.compile(r"```(?:python|sh)\n.*?```", re.DOTALL)
    assert blocks.findall((ROOT / "README.ja.md").read_text(encoding="utf-8")) == blocks.findall(TEXT)


def test_table_covers_every_equation():
    assert {n for numbers, *_ in ROWS for n in covered(numbers)} == set(range(1, 19))


def covered(numbers):
    for first, last in re.findall(r"\[\((\d+)\)\]\(\S+?\)(?:–\[\((\d+)\)\])?", numbers):
        yield from range(int(first), int(last or first) + 1)


@pytest.mark.parametrize(("code", "function"), [row[1:] for row in ROWS], ids=[row[2] for row in ROWS])
def test_row_quotes_its_function(code, function):
    # one function of this name, in which the lines stand as quoted
    (body,) = re.findall(rf"^cdef .*\b{function}\((?:.*\n)+?(?=\n\n|\Z)", EQUATIONS, re.MULTILINE)
    quoted = re.findall(r"`(.*?)`", code)
    assert quoted
    assert [line for line in quoted if line not in map(str.strip, body.splitlines())] == []

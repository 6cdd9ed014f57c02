"""The page of the command: it shows every option, and its examples run."""

import re
import shlex
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="an installed package has no pages")


def test_every_option_is_documented(succeed):
    text = PAGE.read_text(encoding="utf-8")
    commands = ("", "train ", "predict ", "evaluate ", "export ", "info ", "demo ")
    shown = "".join(succeed(f"{command}--help") for command in commands)
    options = set(re.findall(r"(?<![\w-])--[a-z-]+", shown)) - {"--standardize"}
    assert {"--separator", "--version", "--no-standardize"} < options
    assert [option for option in options if option not in text] == []


def test_examples_run(iris, succeed, python, monkeypatch):
    monkeypatch.setattr("cbackprop.command.demo.ITERATIONS", 9)
    text = PAGE.read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
    lines = blocks.replace("\\\n", "").splitlines()
    assert len(lines) == 16
    for line in lines:
        if line.startswith("cbackprop "):
            succeed(line.removeprefix("cbackprop "))
        else:
            command = line.replace("cbackprop", f"{shlex.quote(sys.executable)} -m cbackprop")
            assert python("", under=("sh", "-c", command)).returncode == 0
    assert Path("classes.csv").read_text().count("\n") == 151

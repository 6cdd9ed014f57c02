"""The documentation: its examples run, and both languages of the mathematics show the same equations and kernels."""

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))}
EXAMPLES = {page: re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) for page, text in PAGES.items()}
MATHEMATICS = [page for page in PAGES if page.endswith("mathematics.md")]
KERNELS = [(page, *names) for page in PAGES for names in re.findall(r"^```\{kernel\} (\S+) (\S+)$", PAGES[page], re.M)]


def told(example):
    """What an example says it prints: beside a print, or in the lines of a comment below one."""
    lines, below = [], False
    for line in example.splitlines():
        printing = re.match(r" *print\(", line)
        if beside := printing and re.search(r"\)  # (.+)$", line):
            lines.append(beside[1])
        elif below and line.startswith("# "):
            lines.append(line.removeprefix("# "))
        below = printing or (below and line.startswith("# "))
    return lines


@pytest.mark.parametrize("page", [page for page, examples in EXAMPLES.items() if examples])
def test_examples_of_a_page_run_one_after_the_other_and_print_what_it_says(page, tmp_path, monkeypatch, capsys):
    for module in re.findall(r"^\s*(?:import|from) ([\w.]+)", "".join(EXAMPLES[page]), re.MULTILINE):
        pytest.importorskip(module, exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for example in EXAMPLES[page]:
        exec(compile(example, page, "exec"), names)
        assert capsys.readouterr().out.splitlines() == told(example)


@pytest.mark.parametrize(
    "what", [r"^\$\$\n(.*?)\n\$\$$", r"^```\{(?:kernel|raw)\} (.*?)^```$"], ids=["equations", "kernels and pictures"]
)
def test_mathematics_are_the_same_in_both_languages(what):
    japanese, english = (re.findall(what, PAGES[page], re.DOTALL | re.MULTILINE) for page in MATHEMATICS)
    assert english
    assert [shown.replace("../", "") for shown in japanese] == english


def test_mathematics_show_every_equation_of_the_article():
    assert len(MATHEMATICS) == 2
    for page in MATHEMATICS:
        tags = re.findall(r"\\tag\{(\d+)(?:–(\d+))?\}", PAGES[page])
        assert {n for first, last in tags for n in range(int(first), int(last or first) + 1)} == set(range(1, 19))


@pytest.mark.parametrize(("page", "file", "function"), KERNELS)
def test_kernel_shown_is_there_once(page, file, function):
    source = (DOCS.parent / "cbackprop" / "kernels" / file).read_text(encoding="utf-8")
    assert len(re.findall(rf"^cdef .*\b{function}\(", source, re.MULTILINE)) == 1


def test_kernel_is_shown_whole():
    pytest.importorskip("sphinx")
    spec = importlib.util.spec_from_file_location("kernel", DOCS / "_extensions" / "kernel.py")
    kernel = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kernel)
    code, line = kernel.extract(kernel.KERNELS / "equations.pxi", "sigmoid_derivative")
    source = (kernel.KERNELS / "equations.pxi").read_text(encoding="utf-8")
    assert f"\n\n\n{code}\n\n\n" in source
    assert code.startswith("# h'(b_j)")
    assert source.splitlines()[line - 1] == code.splitlines()[1]
    with pytest.raises(LookupError, match="0 functions named no_such"):
        kernel.extract(kernel.KERNELS / "equations.pxi", "no_such")
